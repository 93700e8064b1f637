/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * move_left: a call that has left its bucket, and a server that was promoted and has seen neither its stubs nor that
 * its record has gone. Who sent it away writes both again; if that one is gone too, the bucket's next owner reads the
 * record of before and takes the call for its own, and two have it.
 *
 * So whoever a call has come to says so (PEER_LEFT) to whom it hears to have that bucket next, and which version of the
 * record left: what is read there up to that version is of before. Where it is being gone on with already it is
 * forgotten, and the word goes back that its parties have had another one's requests and ports (owner_over.h).
 */
#ifndef REFEREE_B2B_MOVE_LEFT_H
#define REFEREE_B2B_MOVE_LEFT_H

#include "core/base/slice.h"

struct call;
struct engine;

/* Calls that were in another bucket before; where there is no room an old one goes. */
#define LEFTS_MAX 64
struct lefts {
    uint32_t used, oldest;
    struct left {
        uint64_t call, version, until_us;
        uint64_t epoch; /* by which `from` was the one's who was told last, or before it had left */
        uint16_t from, to;
        uint8_t again; /* so often the word is to be repeated */
    } items[LEFTS_MAX];
};

/* The call has come here, as its record there says. */
void move_left_arrived(struct engine *e, const struct call *c, uint16_t from);
/* The bucket is another engine's by this epoch; `news`: it was not so far. Whose it was may have claimed it anew, since
 * it has started again, and nobody has missed it. Within a step. */
void move_left_tell(struct engine *e, uint16_t bucket, uint64_t epoch, bool news);
void move_left_on_timer(struct engine *e);
/* A promoted server may have again what had left: whose bucket it is by now is told, be it by the same epoch as before,
 * or deletes it if that is we. Who sent it away may not do so any more. Within a step. */
void move_left_again(struct engine *e);
/* PEER_LEFT, from that engine. Within a step. */
void move_left_heard(struct engine *e, uint32_t peer, uint16_t bucket, struct slice bytes);
/* A call as a record of that bucket says: where it has gone since. TOKEN_BUCKETS: nobody says so. */
uint16_t move_left_where(const struct engine *e, const struct call *c, uint16_t bucket);

#endif
