/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * move_state: what move.c (the side that a call leaves) and move_arrive.c (the one that it comes to) share.
 */
#ifndef REFEREE_B2B_MOVE_STATE_H
#define REFEREE_B2B_MOVE_STATE_H

#include "core/b2b/move.h"
#include "core/b2b/ticket.h"

/* PEER_MOVE: id, the call's id, its bucket so far, size of the record, all in hex; record; REFER. */
#define MOVE_ID_LEN 16
#define MOVE_SIZE_LEN 8
#define MOVE_BUCKET_AT (2 * MOVE_ID_LEN)
#define MOVE_SIZE_AT (MOVE_BUCKET_AT + LIMIT_BUCKET_DIGITS)
#define MOVE_HEAD_LEN (MOVE_SIZE_AT + MOVE_SIZE_LEN)
/* PEER_GO: id; to a sibling also the pairs of ports that were left to it, in hex. */
#define MOVE_PAIR_LEN 8
#define MOVE_GO_MAX (MOVE_ID_LEN + LIMIT_LEGS_PER_CALL * LEG_STREAMS * MOVE_PAIR_LEN)
_Static_assert(MOVE_HEAD_LEN == RECORD_ARRIVING_AT, "who reads a bucket looks there");

enum move_state {
    MOVE_WAITS,    /* for a call that is stable, or an engine to go to */
    MOVE_OFFERED,  /* PEER_MOVE is out */
    MOVE_STUBBED,  /* the stubs are being stored; the call is here still, and what comes for it is held off */
    MOVE_ARRIVING, /* "arriving" is being stored */
    MOVE_HERE,     /* PEER_ARRIVED is out */
    MOVE_ASKS,     /* the store for the call's record in its bucket so far */
    MOVE_ASKS_STUB,/* ... and then for the stub */
    MOVE_SETTLED,  /* decided: "arriving" is to go */
};

struct move {
    handle self;
    uint8_t state;
    bool as_read;             /* leaving: to its transfer, from its record, without leg and txn */
    uint16_t bucket;          /* of the consultation, or that transfer */
    uint32_t peer;
    uint64_t id;              /* of this attempt */
    handle call, leg, txn;    /* leaving: of the REFER */
    struct key128 digest;     /* leaving: of the record as it was offered */
    uint8_t stub_count;       /* leaving: what comes for them is held off until GO is sent */
    handle stubs[LIMIT_LEGS_PER_CALL];
    uint64_t until_us;
    uint64_t offered_us, offered_ms; /* leaving: mono and wall; an ARRIVED that is late is void */
    bool left;                /* arriving: no record was there any more when the stub was asked for */
    uint64_t written;         /* arriving: by which epoch of the bucket "arriving" was; 0: in nobody's name */
    struct buf *body;         /* arriving: PEER_MOVE's bytes */
    char key[MOVE_ID_LEN];    /* arriving: of its record, the call's id */
    struct addr src, dst;     /* arriving: of the REFER */
    struct wheel_node timer;
};

static inline uint64_t move_ticket(const struct move *m) {
    return ticket_of(TICKET_OWNER, m->self);
}
struct move *move_new(struct engine *e, enum move_state state);
void move_free(struct engine *e, struct move *m);
struct move *move_find(struct engine *e, uint64_t id);
void move_say(struct engine *e, enum peer_kind what, uint32_t to, uint64_t id);

/* move.c */
void move_arrived(struct engine *e, struct move *m);
void move_refused(struct engine *e, struct move *m);

/* move_arrive.c */
void arrive_on_timer(struct engine *e, struct move *m);
void arrive_on_store(struct engine *e, struct move *m, const struct event *ev);

#endif
