/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_frag.h"
#include "parser/sip_scan.h"
#include "parser/sip_write.h"

bool sip_frag_status(struct slice body, uint16_t *status, struct slice *reason) {
    struct slice line = body;
    if (!body.n)
        return false;
    int32_t lf = slice_find(line, '\n');
    if (lf >= 0)
        line.n = (uint32_t)lf;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return slice_find(line, '\r') < 0 && sip_status_line(line, status, reason) == SIP_E_NONE;
}

void sip_frag_put(struct sbuf *out, uint16_t status, struct slice reason) {
    sip_put_status(out, status, reason);
}
