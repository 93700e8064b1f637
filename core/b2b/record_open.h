/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record_open: a request of ours or of a peer's that was in flight when its call's owner died, as a record holds it.
 */
#ifndef REFEREE_B2B_RECORD_OPEN_H
#define REFEREE_B2B_RECORD_OPEN_H

#include "core/b2b/state.h"

struct record_open {
    struct slice bytes;
    struct addr addr; /* where it goes, or came from */
    bool provisional; /* a provisional response to it has come */
};

/* From the fields of enum record_open_tag; bytes are copied to e->ua.headers, since texts of legs move. False: it holds
 * nothing. */
bool record_open_read(struct engine *e, struct slice in, struct record_open *o);
/* Our request on leg l goes out again, byte by byte the same, and its transaction lives; with a provisional response
 * that is only waited for. HANDLE_NONE: it is no such request, or no room. */
handle record_open_send(struct engine *e, struct leg *l, const struct record_open *o, enum sip_method method,
                        enum txn_purpose purpose);

#endif
