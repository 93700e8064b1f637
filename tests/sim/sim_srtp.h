/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sim_srtp: phones that speak SRTP alone, with keys in their descriptions, among phones that speak RTP alone.
 */
#ifndef REFEREE_SIM_SRTP_H
#define REFEREE_SIM_SRTP_H

#include "parser/sdp.h"
#include "tests/sim/sim.h"

/* Behind direct_make: not where media goes from party to party. */
void srtp_make(struct sim_setup *u, uint64_t seed);
/* What a description to be written, or one that was read, says of it. */
void srtp_offer(struct world *w, const struct phone *ph, const struct pdlg *d, struct phone_sdp *out);
void srtp_put(struct sbuf *b, const struct phone *ph, const struct pdlg *d, const struct phone_sdp *as);
void srtp_read(const struct sdp *s, struct phone_sdp *out);
/* What the relay was told. */
void srtp_note(struct world *w, const struct media_cmd *cmd);
/* Of a leg that talks, and its phone's side of it: the relay has the keys that both agreed to. */
void srtp_check(struct world *w, const struct leg *l, const struct phone *ph, const struct pdlg *d);

#endif
