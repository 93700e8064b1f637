/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * late: a leg that is asked for an offer (re-INVITE without a description), and what its ACK answers: RFC 3725 section
 * 4.4, flow IV. The ACK is owed from its 2xx on, while somebody else is shown the offer; it always goes out, with an
 * answer that fits (RFC 6337 section 3.1.2), whatever becomes of that.
 */
#ifndef REFEREE_B2B_LATE_H
#define REFEREE_B2B_LATE_H

#include "core/b2b/leg.h"

/* l's 2xx brought an offer: kept, as open. False: there is none, or none that can be relayed; it has got its ACK. */
bool late_offered(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* Its offer is answered with what `other` says. False: that does not fit, and the ACK is still owed. */
bool late_answer(struct engine *e, struct leg *l, const struct leg *other);
/* The ACK that was to answer l's offer will not come: its sender has been replaced by `other`, which was shown the
 * offer, and whose answer it gets. Or as late_decline. One that was asked for is answered behind the re-INVITE by which
 * `other` is still being shown it. */
void late_take_answer(struct engine *e, struct leg *l, const struct leg *other);
/* What l's ACK answers is not other's offer, but somebody else's in a former owner's 2xx, which is in no record: ours
 * was not read. The ACK that is owed refuses other's offer, and it is asked for one once more, for l to hear of. */
void late_unread(struct engine *e, struct leg *l, struct leg *other, struct slice answer);
/* Behind a transfer: an offer in l's first 2xx, which was answered by nobody before an owner died. No ACK of the other
 * one's will bring that now: l's goes without. */
void late_unanswered(struct engine *e, struct leg *l, const struct leg *other);
/* l is asked for an offer, to show it to the other one. Not if one of the two was asked before: what it offers settles
 * both, and two that were asked would wait for each other's answer. */
void late_ask(struct engine *e, struct leg *l, const struct leg *other);
/* Two legs whose media goes from party to party: if one does not know what the other says, a is asked for an offer and
 * b is shown it. */
void late_agree(struct engine *e, struct leg *a, struct leg *b);
/* Its offer is answered with the session as it was: formats, direction, and lines of before as far as the offer has
 * them. Nothing if no ACK is owed. True: it has a session as before; false: it must be told (leg_reoffer) what holds:
 * it has less, or its ACK has refused all (late_offered). */
bool late_decline(struct engine *e, struct leg *l);

#endif
