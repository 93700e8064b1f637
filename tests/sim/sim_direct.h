/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sim_direct: media that goes from party to party, and announcements.
 */
#ifndef REFEREE_SIM_DIRECT_H
#define REFEREE_SIM_DIRECT_H

#include "parser/sdp.h"
#include "tests/sim/sim.h"

void direct_make(struct sim_setup *u, uint64_t seed);
void direct_config(struct world *w);
struct slice direct_proto(bool dtls);
/* Lines of an m-line with DTLS. */
void direct_put(struct sbuf *b, const struct phone *ph, uint16_t port);
/* With DTLS or without; and does the phone take that? */
bool direct_offers(struct world *w, const struct phone *ph, const struct pdlg *d);
bool direct_takes(const struct phone *ph, const struct phone_sdp *offer);
void direct_read(const struct sdp *s, struct phone_sdp *out);
/* Of two that talk: ports, and (b's phone is pb) that a was told what b says. */
void direct_check(struct world *w, const struct leg *l, const struct leg *p);
void direct_check_views(struct world *w, const struct phone *pa, const struct pdlg *a, const struct phone *pb,
                        const struct pdlg *b);
/* A request of the engine's. */
void direct_check_out(struct world *w, const struct sip_msg *m);
void direct_check_announced(struct world *w, const struct transfer *t);

#endif
