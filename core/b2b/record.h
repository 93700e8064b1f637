/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record: the versioned, encoded state of one call. The same codec serves the store, takeover by another node and
 * moving a leg between shards. TLV: tag and length as varints, nested for legs and streams; an unknown optional tag is
 * kept and written again, an unknown critical one refuses the record (a reader must not act on what it does not
 * understand). Times in a record are wall-clock milliseconds.
 */
#ifndef REFEREE_B2B_RECORD_H
#define REFEREE_B2B_RECORD_H

#include "core/b2b/state.h"

#define RECORD_FORMAT 1

/* Puts the call's record into the outbox (write point), and remembers that it is stored. */
void record_store(struct engine *e, struct call *c);
/* Deletes what record_store stored. */
void record_delete(struct engine *e, struct call *c);

/* False: does not fit. */
bool record_encode(const struct engine *e, const struct call *c, struct sbuf *out);

#define RECORD_ERRORS(X)                                                                                               \
    X(OK, "decoded")                                                                                                   \
    X(NOT_OURS, "not a record of ours") X(VERSION, "of a version this one cannot read")                                \
        X(TRUNCATED, "shorter than it says") X(VALUE, "a value out of range") X(CRITICAL, "an unknown critical field") \
            X(NO_ROOM, "no room for its objects")
enum record_error {
#define X(name, text) RECORD_##name,
    RECORD_ERRORS(X)
#undef X
};
const char *record_error_text(enum record_error r);

/* Makes call, legs and transfer from a record, as they were; timers from absolute times; open transactions are not part
 * of it. On an error nothing is left behind. *out is the call on RECORD_OK. */
enum record_error record_decode(struct engine *e, struct slice bytes, struct call **out);

#endif
