/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * failure: the flight recorder of failed transfers. Of the last cfg.failures of them it keeps what nobody can ask for
 * afterwards: each leg of both calls as it was when the transfer failed, with its offer/answer state, and the ladder
 * from the REFER to the end. Laid out at start; the oldest gives way. Transaction lines are left out of the ladder.
 */
#ifndef REFEREE_B2B_FAILURE_H
#define REFEREE_B2B_FAILURE_H

#include "core/b2b/state.h"

#define FAILURE_LINES 96     /* of a ladder; of a longer one the last ones */
#define FAILURE_TEXT 3072    /* legs, one line each */

struct failure {
    uint64_t number; /* 1 is the first since the start, of shard 0; 0: not used yet */
    uint64_t wall_ms;
    uint64_t call_id, consult_id; /* consult_id 0: none */
    uint16_t result;
    uint8_t mode;  /* enum transfer_mode */
    uint8_t state; /* enum transfer_state in which it failed */
    bool complete; /* the transfer is over; until then there is no ladder */
    uint16_t line_count, text_n;
    uint32_t lines_before; /* that found no room */
    char text[FAILURE_TEXT];
    struct trace_line lines[FAILURE_LINES];
};

void failure_init(struct engine *e, struct arena *a, uint32_t count);
/* The transfer has failed; nothing has been undone yet. Once a transfer. */
void failure_note(struct engine *e, struct transfer *t, uint16_t status);
/* It is over: the ladder is taken. Nothing for one that did not fail. */
void failure_finish(struct engine *e, struct transfer *t);
/* NULL: there is none of this number, or no more. */
const struct failure *failure_get(const struct engine *e, uint64_t number);
/* Of this engine's own ones, which are counted from 1 to failures.last; the first that may still be there. */
const struct failure *failure_nth(const struct engine *e, uint64_t nth);
uint64_t failure_first(const struct engine *e);

#endif
