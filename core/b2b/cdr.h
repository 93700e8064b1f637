/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * cdr: call data records. One line of JSON (RFC 8259) for each call at its end, for each transfer at its end, and for
 * each REFER or Replaces that was refused; they name each other by the numbers of the calls. Times are wall clock, in
 * milliseconds since 1970. Lines go out as OUT_CDR; without cfg.cdr nothing is done at all. A record that finds no
 * buffer is lost and counted (cdr_lost); refusals are bounded to CDR_REFUSALS_A_SECOND, so that a flood of REFERs does
 * not become one of records.
 *
 *   {"type":"call","call":HEX,"bucket":N,"start":MS,"answer":MS|null,"end":MS,"caller":URI,"callee":URI,"status":N,
 *    "ended_by":"caller|callee|target|us","cause":"bye|cancel|lost|refused|drain|media|local","reason":TEXT|null,
 *    "transfers":N,"legs":[{"leg":N,"role":"caller|callee|target","call_id":TEXT,"uri":URI,"as":PRINCIPAL|null,
 *    "agent":TEXT|null,"start":MS,"answer":MS|null,"end":MS,"status":N,
 *    "media":MEDIA|null[,"moved_to":HEX]}...][,"legs_cut":true]}
 *   MEDIA, of the leg's first stream: {"srtp":SUITE|null,"in":PACKETS,"out":PACKETS,"lost":N,"jitter_ms":N,
 *    "mos":N.NN|null,"rtt_ms":N|null,"heard_lost":N|null,"heard_jitter_ms":N|null}: what came from the party as
 *    we saw it, an E-model estimate of it, and what the party's RTCP said last of what it hears
 *   {"type":"transfer","call":HEX,"consult_call":HEX|null,"refer":CSEQ,"mode":NAME,"transferor":WHO,"transferee":WHO,
 *    "target":WHO,"refer_to":URI|null,"referred_by":TEXT|null,"start":MS,"steps":{STEP:MS,...},"result":N|null,
 *    "reinvites":N,"gap_ms":N|null,"depth":N}                          WHO is {"uri":URI,"as":PRINCIPAL|null} or null
 *   {"type":"refused","what":"refer|replaces","call":HEX|null,"at":MS,"by":WHO,"refer_to":TEXT|null,
 *    "replaces":TEXT|null,"status":N,"reason":TEXT|null}
 *
 * Steps: accepted, target_offer, ringing, target_ok, transferee_offer, transferee_ok, commit, result, notified, done.
 */
#ifndef REFEREE_B2B_CDR_H
#define REFEREE_B2B_CDR_H

#include "core/b2b/leg.h"
#include "core/b2b/transfer_fsm.h"

#define CDR_REFUSALS_A_SECOND 100
#define CDR_LINE_MAX 14000

/* ---- a call */

/* An event that may end it; before anything else is done about it. */
void cdr_note_event(struct engine *e, const struct leg *l, const struct leg_event *ev);
/* A leg leaves the call: it is dead, or goes on in `to`. */
void cdr_leg(struct engine *e, struct call *c, const struct leg *l, const struct call *to);
/* At the end of each step in which the call changed. */
void cdr_note_legs(struct engine *e, struct call *c);
/* The call is over: writes its line, frees what was kept for it. */
void cdr_call(struct engine *e, struct call *c);
/* The call goes without a line. */
void cdr_call_free(struct engine *e, struct call *c);

/* ---- a transfer */

void cdr_step(struct engine *e, struct transfer *t, enum cdr_step step);
void cdr_party(struct engine *e, struct transfer *t, const struct leg *l, enum transfer_role role);
/* It was read from a record, which has no history: its call, and the parties that are here. */
void cdr_taken_over(struct engine *e, struct transfer *t);
void cdr_state(struct engine *e, struct transfer *t, enum transfer_state to);
void cdr_event(struct engine *e, struct transfer *t, enum transfer_event ev);
/* Also told to the flight recorder (failure.h), as the end is. */
void cdr_result(struct engine *e, struct transfer *t, uint16_t status);
/* Just before the transferee hears the target. */
void cdr_commit(struct engine *e, struct transfer *t);
void cdr_transfer(struct engine *e, struct transfer *t);
void cdr_transfer_free(struct engine *e, struct transfer *t);
const char *cdr_mode_name(unsigned mode);

/* ---- what was refused */

struct cdr_refusal {
    const char *what;           /* "refer", "replaces" */
    const struct leg *leg;      /* in whose dialog; NULL: outside */
    struct slice principal;     /* of who asked, if leg is NULL */
    const struct sip_msg *msg;
    uint16_t status;
    struct slice reason;
};
/* False: too many a second; this one is not told. */
bool cdr_refused(struct engine *e, const struct cdr_refusal *r);

#endif
