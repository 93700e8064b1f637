/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * unread: records that are of a newer release than this one. They are left where they are, for a node that can read
 * them (store/lease.h), but not for ever: one goes when a party of its call has hung up, which gets 481 as for any call
 * that is not here, or after UNREAD_KEEP_US. Those of another product are no business of ours, and not in here.
 */
#ifndef REFEREE_B2B_UNREAD_H
#define REFEREE_B2B_UNREAD_H

#include "core/b2b/record.h"

#define UNREAD_MAX 1024 /* what is more than that stays */
/* As long as a stub of a leg (moved.h): who still talks then has been without any answer for a day. */
#define UNREAD_KEEP_US 86400000000

void unread_init(struct engine *e, struct arena *a);
/* A record of the table "call" that could not be decoded. */
void unread_note(struct engine *e, uint16_t bucket, struct slice key, enum record_error why);
/* A request within a dialog that is not here. */
void unread_on_request(struct engine *e, const struct sip_msg *msg);
void unread_on_timer(struct engine *e);
/* Those of buckets that are not ours any more. */
void unread_forget_lost(struct engine *e);

#endif
