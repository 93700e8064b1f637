/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rtp/egress.h"

#include "rtp/egress_step.h"

enum egress_result egress_rtp(struct egress *e, const struct egress_source *source, uint8_t *p,
                              const struct rtp_view *v, uint64_t now_us) {
    struct egress_numbers heard;
    enum egress_result result = egress_step(e, source, v, now_us, &heard);
    if (result != EGRESS_LATE)
        rtp_patch(p, heard.seq, heard.timestamp, heard.ssrc, result == EGRESS_SPLICED);
    return result;
}
