/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * owner_over_state: what owner_over.h keeps in the engine, in a call and in a write of its end.
 */
#ifndef REFEREE_B2B_OWNER_OVER_STATE_H
#define REFEREE_B2B_OWNER_OVER_STATE_H

#include "core/base/limits.h"
#include "core/base/pool.h"
#include "core/base/wheel.h"

/* What was heard of calls that are still being read. The longest word: of a call whose legs all live but for one, which
 * is in another call. */
#define OVERS_MAX 64
#define OVER_MOVED_LEN (1 + 2 + 8 + 4)
#define OVER_LEN (16 + 4 + 17 + LIMIT_LEGS_PER_CALL * 6 + 1 + 2 * OVER_MOVED_LEN)
struct overs {
    uint32_t used;
    struct wheel_node timer;
    struct over {
        uint64_t until_us;
        uint16_t bucket;
        uint8_t len;
        char text[OVER_LEN];
    } items[OVERS_MAX];
};

/* Calls that nobody knows here, of which a party has hung up; where there is no room an old one goes. */
#define HANG_UPS_MAX 64
struct hang_ups {
    uint32_t used, oldest;
    struct hang_up {
        uint64_t call;
        uint16_t bucket;
    } items[HANG_UPS_MAX];
};

/* Of a call of which a leg is not in it any more: the last ones of those, each at its number modulo the size. */
struct over_kept {
    handle moved[LIMIT_LEGS_PER_CALL];     /* the leg, if it went to another call; it may be freed by now */
    uint16_t dialogs[LIMIT_LEGS_PER_CALL]; /* 0: not known */
    uint8_t numbers[LIMIT_LEGS_PER_CALL];
};

/* What the last legs of a call that is over were, the last one first; and the number that its next leg would have had,
 * 0: nothing is known. */
struct over_legs {
    handle moved; /* struct over_moved_legs; none, or gone: none of them lives in another call */
    uint16_t dialogs[LIMIT_LEGS_PER_CALL];
    uint8_t next_leg;
};
struct over_moved_legs {
    handle legs[LIMIT_LEGS_PER_CALL];
};

/* A leg that is in another call than the one that it left. Each has a place like its own in the pool of legs. */
#define OVER_NOWHERE UINT16_MAX
struct over_moved {
    handle leg;
    uint64_t since;   /* the version of that call's record when it came to it: the next one has it */
    bool forgotten;   /* the leg has gone from here, and has not ended; else these are not known yet: */
    uint16_t bucket;  /* of that call; OVER_NOWHERE: no record of it has the leg */
    uint32_t version; /* in o=, that its party was told last */
    uint64_t call;    /* that it is in */
};

/* All of it, where there are other engines. */
struct over_all {
    struct pool kept;         /* struct over_kept: one for each call that needs it */
    struct pool moved_legs;   /* struct over_moved_legs; where there is no room the oldest goes */
    uint32_t moved_legs_next;
    struct over_moved *moved; /* NULL: there are none */
};

#endif
