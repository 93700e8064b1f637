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

/* Of a call: its last legs that are not in it any more, each at its number modulo the size. */
struct over_kept {
    handle moved[LIMIT_LEGS_PER_CALL];     /* the leg, if it went to another call; it may be freed by now */
    uint16_t dialogs[LIMIT_LEGS_PER_CALL]; /* 0: not known */
    uint8_t numbers[LIMIT_LEGS_PER_CALL];
};

/* What the last legs of a call that is over were, the last one first; and the number that its next leg would have had,
 * 0: nothing is known. */
struct over_legs {
    handle moved[LIMIT_LEGS_PER_CALL];
    uint16_t dialogs[LIMIT_LEGS_PER_CALL];
    uint8_t next_leg;
};

/* A leg that is in another call than the one that it left. Those whose call was forgotten here, which another engine
 * has, stand at their place in the pool of legs: none of them has ended. */
#define OVER_NOWHERE UINT16_MAX
struct over_moved {
    handle leg;
    uint64_t call;    /* that it is in */
    uint32_t version; /* in o=, that its party was told last */
    uint16_t bucket;  /* of that call; OVER_NOWHERE: no record of it has the leg */
};

#endif
