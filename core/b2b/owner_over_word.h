/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * owner_over_word: the bytes of a word of PEER_OVER. Pure: the same bytes are the same word at each node. Private to
 * owner_over.h.
 *
 * Call, and in two digits each: the number that its next leg would have had; those of the legs that live. In hex. No
 * leg at all: it was never known, and a party has hung up. Behind them '@', the epoch since which it was known, how
 * many owners had written nothing then, and of each of those legs, in four bytes, the version in o= that its party was
 * told last. Then '#', and the dialogs of the legs that are over, the last leg's first, in two bytes each
 * (over_dialog), 0: not known; at most of as many as a call can have. Behind them '>', and of those of these legs that
 * live in another call (owner_over_moved.h), while there is room in OVER_LEN, the number, in one byte, the bucket of
 * the other call in two, 0xffff: no record of it has the leg, that call in eight, and in four the version in o= that
 * the party was told last. Bytes are the most significant one first. Releases of before do not say these versions,
 * dialogs and calls, nor read them; some say the number of such owners only where there was one, and some nothing
 * behind the legs.
 *
 * Of a call that is over in whole: UINT8_MAX in the place of the number, which is that of any leg; behind it, if it is
 * known, in one byte that number, and at once the dialogs. Releases of before read no leg in that, and say nothing.
 */
#ifndef REFEREE_B2B_OWNER_OVER_WORD_H
#define REFEREE_B2B_OWNER_OVER_WORD_H

#include "core/b2b/owner_over_state.h"
#include "core/base/sbuf.h"

struct over_said {
    uint64_t call;
    bool unknown;       /* it was never known, and a party has hung up: nothing else is said */
    bool all;           /* UINT8_MAX is said in the place of the number */
    uint8_t next_leg;   /* the legs before it are over, but for those that live */
    uint8_t unwritten;  /* owners that had written nothing */
    uint64_t since;     /* the epoch; 0: it is not said */
    bool has_more;      /* something is said behind that: the versions, if any leg lives */
    uint8_t living_n, ended_n;
    struct over_living {
        uint8_t number;
        uint32_t version;   /* 0: it is not said */
    } living[LIMIT_LEGS_PER_CALL];
    struct over_ended {
        uint8_t number;
        bool is_moved;      /* it lives in another call: there */
        uint16_t dialog;    /* 0: not known; of one that is moved what it is not (over_moved_mask) */
        struct over_moved there;
    } ended[LIMIT_LEGS_PER_CALL]; /* the last ones, the last one first, of which the dialog is said */
};

/* False: that is no word. What is cut off or none is not said. */
bool over_said_read(struct slice bytes, struct over_said *s);
/* OVER_LEN bytes are room for any; what is moved is left out where they are not. */
void over_said_write(const struct over_said *s, struct sbuf *b);
bool over_said_lives(const struct over_said *s, uint64_t number);
/* NULL: nothing is said of such a leg. */
const struct over_ended *over_said_ended(const struct over_said *s, uint64_t number);

#endif
