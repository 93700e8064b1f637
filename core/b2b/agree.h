/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * agree: two legs that were brought together, or back together, and what each of them believes. While a transfer ran
 * either may have been held, resumed or refused by us alone; the other does not know. Each is re-offered the other's
 * description until what one may send is what the other takes. One that has refused to hear of anything else keeps what
 * it has, and the other one is told what that says.
 */
#ifndef REFEREE_B2B_AGREE_H
#define REFEREE_B2B_AGREE_H

#include "core/b2b/leg.h"

/* Begins: nothing is sent if they agree already. */
void agree(struct engine *e, struct leg *a, struct leg *b);
/* l has agreed to what is void by now: it is offered what the other one says, unless it has that already, and so on
 * from there. */
void agree_anew(struct engine *e, struct leg *l, struct leg *other);
/* A re-offer of l outside any transfer was answered. Goes on while there is something to say, AGREE_ROUNDS times at
 * most: two parties that contradict each other are left with what they said last. */
#define AGREE_ROUNDS 4
void agree_on_answer(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* The same for an answer that whoever made the offer was told would not come. */
void agree_on_late_answer(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* l may not go by what it was told last, and has refused nothing: it is told what holds. */
void agree_if_unsure(struct engine *e, struct leg *l);
/* l has agreed to an UPDATE, or an INVITE before our last one, of which the network had said that it did not arrive: it
 * is told what holds, at once if it waits for that. */
void agree_on_late_2xx(struct engine *e, struct leg *l);
/* A re-INVITE of l was refused: what it had said before it stands. own: it was a re-offer outside any transfer; the
 * other one hears what l says, unless it has that already. */
void agree_on_refusal(struct engine *e, struct leg *l, bool own);

#endif
