/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record.h"

bool record_encode(const struct engine *e, const struct call *c, struct sbuf *out) {
    (void)e;
    sbuf_lit(out, "RFR");
    sbuf_char(out, RECORD_FORMAT);
    sbuf_hex(out, c->id, 16);
    return !out->overflow;
}
