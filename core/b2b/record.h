/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record: the versioned, encoded state of one call, in the format that record_format.h says. The same codec serves the
 * store, takeover by another node and moving a leg between shards. TLV: tag and length as varints, nested for legs and
 * streams; an unknown optional tag is kept and written again, an unknown critical one refuses the record (a reader must
 * not act on what it does not understand). Times in a record are wall-clock milliseconds.
 */
#ifndef REFEREE_B2B_RECORD_H
#define REFEREE_B2B_RECORD_H

#include "core/b2b/state.h"

/* Puts the call's record into the outbox (write point), and remembers that it is stored. */
void record_store(struct engine *e, struct call *c);
/* Deletes what record_store stored. */
void record_delete(struct engine *e, struct call *c);

/* Appends to out, which may not lie in e->ua.scratch. What is not in it: transactions but those of INVITEs, the ACK to
 * a 2xx, legs that have ended; with durability = off nothing in flight, and no leg that waits for the answer to its
 * BYE only. The same state gives the same bytes. False: does not fit; out is then to be thrown away. */
bool record_encode(struct engine *e, const struct call *c, struct sbuf *out);

#define RECORD_ERRORS(X)                                  \
    X(OK, "decoded")                                      \
    X(NOT_OURS, "not a record of ours")                   \
    X(VERSION, "of a version this one cannot read")       \
    X(TRUNCATED, "shorter than it says")                  \
    X(VALUE, "a value out of range")                      \
    X(CRITICAL, "an unknown critical field")              \
    X(EXISTS, "one of its dialogs is here already")       \
    X(NO_ROOM, "no room for its objects")
enum record_error {
#define X(name, text) RECORD_##name,
    RECORD_ERRORS(X)
#undef X
};
const char *record_error_text(enum record_error r);

/* Makes call, legs and transfer from a record, as they were, in whatever state; timers from absolute times. Nothing is
 * sent and the relay is told nothing. On an error nothing is left behind. *out is the call on RECORD_OK.
 *
 * - `bytes` may not lie in e->ua.scratch. The engine may be within a step or not.
 * - Ports are those of the record where they are free here; a leg that got others, or whose record names another media
 *   address, has session_unsure set.
 * - Parties of a transfer may be legs of another call. Whichever record is decoded last ties the two together; until
 *   then, and if the other never comes here, the reference is kept and written again.
 * - Unknown optional fields (RECORD_KEPT_MAX bytes of them) are kept in c->kept and written again with their object. */
enum record_error record_decode(struct engine *e, struct slice bytes, struct call **out);
/* The same for a look at it: no transfer of another call is tied to it, so record_drop leaves none behind with parties
 * that are gone. A leg that a newer record has in a call here is dead. Nothing but record_drop may follow. */
enum record_error record_peek(struct engine *e, struct slice bytes, struct call **out);

/* The packed part alone, for those who look at a record from outside: into the empty `mem`, which *fields borrows. */
enum record_error record_fields(const struct engine *e, struct slice bytes, struct sbuf *mem, struct slice *fields);

/* Forgets a call with its legs and transfer: nothing is sent or stored. For one that has just been decoded, or that
 * another owner has; open transactions then find no leg. Within a step if the transfer has legs of other calls: their
 * media goes on without it. */
void record_drop(struct engine *e, struct call *c);

/* A party of the transfer, or its consultation call, is in a record that has not been decoded here. */
bool transfer_awaits_party(const struct transfer *t);

/* CSeq numbers a former owner may have used since it wrote the record (RFC 3261 section 12.2.1.1: gaps are legal). */
#define RECORD_CSEQ_GAP 1000
/* The same of versions in o= that owners may have used who have written no record at all. */
#define RECORD_VERSION_GAP 1000
#define RECORD_UNWRITTEN_MAX 255 /* so many of them */
/* The call goes on here after its owner's death: CSeqs jump ahead, what was in flight is as recover.h says, the relay
 * is told of its streams, and the record is to be written again, so that the next owner jumps from there. Within a
 * step. */
void record_resume(struct engine *e, struct call *c);
/* The same in two parts, of which the second acts on other calls: of a transfer first all calls' legs. */
void record_resume_legs(struct engine *e, struct call *c);
void record_resume_rest(struct engine *e, struct call *c);
/* The next request of l has a CSeq, and an nc if any, above what another owner may have used: `gap` above ours. */
void record_outrun(struct leg *l, uint32_t gap);
/* Of a call that has just been decoded, and is not resumed yet: so many owners had it since who wrote nothing. It goes
 * on one gap of both for each of them further, up to RECORD_UNWRITTEN_MAX, also in what is stored next; where its media
 * is, its parties are told again. */
void record_pass_unwritten(struct engine *e, struct call *c, uint64_t owners);
/* Legs that have nobody to talk with, and are in no transfer, end. */
void record_end_alone(struct engine *e, struct call *c);
/* Some leg waits for a transfer whose call is not in this engine. */
bool record_awaits_transfer(const struct engine *e, const struct call *c);
/* The bucket of that transfer's call, by what the record says. False: no leg waits. */
bool record_transfer_bucket(const struct engine *e, const struct call *c, uint16_t *bucket);

#endif
