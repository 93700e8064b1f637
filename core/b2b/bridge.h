/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bridge: what crosses between the two legs of a call, and what is answered here. The table of headers and methods in
 * bridge_table.c is the product's transparency; the README shows it.
 */
#ifndef REFEREE_B2B_BRIDGE_H
#define REFEREE_B2B_BRIDGE_H

#include "core/b2b/leg.h"

/* One event of a leg that no transfer has taken. */
void bridge_on_event(struct engine *e, struct leg *l, const struct leg_event *ev);
/* A re-INVITE answered by us alone: hold, resume and refresh while a transfer runs, and legs that talk with nobody. */
void bridge_answer_alone(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* leg_on_stray_2xx said so. An offer is answered with the session as it is, or refused and l told anew what holds; of
 * an answer the other party hears if it is another one than before. */
void bridge_came_late(struct engine *e, struct leg *l, const struct sip_msg *msg);
/* An UPDATE of l's peer was not answered in its time: its offer, if it brought one, is over. */
void bridge_update_expired(struct engine *e, struct leg *l);
/* Ends whoever talks with l, with the Reason of msg (NULL: none). */
void bridge_end_peers(struct engine *e, struct leg *l, const struct sip_msg *msg);

/* Header lines of msg that cross, in e->ua.headers; good until that is used again. */
struct slice bridge_headers(struct engine *e, const struct sip_msg *msg);
/* True if a header of this id crosses in requests / in responses. */
bool bridge_passes(enum sip_hdr_id id, bool response);
/* The table says something of this id; false is a gap that its test finds. */
bool bridge_has_row(enum sip_hdr_id id);
/* What is done with an in-dialog request of this method: pass it, or answer here. */
enum bridge_action { BRIDGE_PASS, BRIDGE_HERE, BRIDGE_REFUSE };
enum bridge_action bridge_method(enum sip_method m);

/* Leg l has answered the caller: from here on they are a call, what else rings for the caller is cancelled. */
void bridge_connect(struct engine *e, struct leg *caller, struct leg *l);

#endif
