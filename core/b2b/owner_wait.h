/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * owner_wait: messages that nobody can handle for the moment: their bucket is on its way here, or nobody is known to
 * have it, or their call is being read from its record; and what had better wait for another engine's word
 * (owner_over.h). They are tried again every few milliseconds, so that a party need not send again, for OWNER_WAIT_US
 * at most. One that comes again meanwhile is the same.
 */
#ifndef REFEREE_B2B_OWNER_WAIT_H
#define REFEREE_B2B_OWNER_WAIT_H

#include "core/base/arena.h"
#include "core/base/event.h"
#include "core/base/wheel.h"

#define OWNER_WAITS_MAX 256
#define OWNER_WAIT_US 4000000

struct engine;
struct buf;

struct owner_waiting {
    struct buf *bytes;
    struct addr src, dst;
    uint64_t until_us;
    uint64_t epoch;          /* owners.told of `here` */
    uint32_t from;           /* owners.from, hops, here */
    uint16_t here;
    uint8_t hops;
};
/* First come, first served. */
struct owner_wait {
    struct owner_waiting *items;
    uint32_t first, used;
    bool tries, again;       /* the first one is being tried; it is to wait on */
    struct wheel_node timer;
};

/* While `a` counts only the size is taken; nothing where there is one engine alone. */
void owner_wait_init(struct engine *e, struct arena *a);
/* A datagram, as owners.hops and so on say. False: no room, or it has waited long enough. */
bool owner_wait_put(struct engine *e, const struct event *in);
/* The same of one that could be handled by now: half of the room stays for those that cannot. */
bool owner_wait_put_able(struct engine *e, const struct event *in);
/* Who has the bucket since that epoch has been told: if it is news, who passed a message for it on did not know. */
void owner_wait_told(struct engine *e, uint16_t bucket, uint64_t epoch);

/* On TIMER_WAIT: so many are to be tried. */
uint32_t owner_wait_count(const struct engine *e);
/* The first one, which *in borrows until owner_wait_tried; owners.hops and so on are as when it came. */
void owner_wait_try(struct engine *e, struct event *in);
void owner_wait_tried(struct engine *e);

#endif
