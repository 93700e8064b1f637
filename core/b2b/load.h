/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * load: what an overloaded engine refuses, by 503 with Retry-After and without a transaction. First requests that begin
 * a call (INVITE, REFER outside a dialog), then REGISTER and INVITE with Replaces, which ends a call as it begins one;
 * never what belongs to a call that there is, ACK, CANCEL, retransmissions, or emergency calls (urn:service:sos of RFC
 * 5031 and policy_config.emergency), also where a REFER asks for one.
 *
 * Two measures. What has arrived and waits in the sockets is told by the shell in each turn while it is much: from a
 * half of their room on calls are refused, from three quarters registrations too, all of them until it is less; a
 * refusal costs a tenth of a call, so that the queue stays where it is, nothing is lost, and all the time that is left
 * is the calls'. A queue that stays longer than that of a burst makes each answer late, and takes half of the room for
 * what comes while the loop stands still: from then on calls are refused above a tenth, which is work for some
 * milliseconds, until for a second none had to be. And how much is admitted follows the load that is measured over some
 * time (EV_LOAD, several times a second) and how full the engine's queue of writes is: by the part that is too much it
 * falls, by steps it rises again; it begins when the load was too much twice running.
 *
 * Of the calls, legs and ports a part is kept for emergency calls (engine_config.emergency_reserve), of the
 * transactions an eighth for them and for what belongs to a call.
 *
 * Who has refused a request refuses its repetitions, as long as there may be any: its sender may have heard, and would
 * not know of a call that the second one began. There is a mark of each, one of many thousand; if too many are refused
 * meanwhile, the oldest are forgotten.
 */
#ifndef REFEREE_B2B_LOAD_H
#define REFEREE_B2B_LOAD_H

#include "core/base/arena.h"
#include "core/base/event.h"
#include "parser/sip_msg.h"

struct call;
struct engine;
struct engine_config;

enum load_class { LOAD_CALLS, LOAD_REGISTRATIONS, LOAD_CLASSES };

struct load_gate {
    uint16_t admit[LOAD_CLASSES];  /* of 1000; a zeroed one is open, see `closed` */
    uint16_t credit[LOAD_CLASSES]; /* of the next one, in thousandths */
    bool high;                     /* the load was too much when it was told last */
    bool closed;                   /* something is refused: `admit` holds */
    uint16_t waiting;              /* of 1000: the shell told it last */
    uint64_t above_us;             /* since when that is more than a burst should leave; 0: it is not */
    uint64_t standing_us;          /* when it last had been for long; 0: nothing was refused for that lately */
    uint64_t *marks, mark_mask;    /* of what was refused, and when */
    uint64_t refused_us;           /* the last one */
    uint64_t told_us, told;        /* since when so many refusals were traced */
    uint32_t kept_calls, kept_legs;
};

/* The pools are there. */
void load_init(struct engine *e, struct arena *a, const struct engine_config *c, uint32_t txns);

/* EV_LOAD. */
void load_on_event(struct engine *e, const struct event *ev);
/* Whether the request is to be refused: nobody has seen it yet. A repeated one of a transaction that there is never is.
 * AGAIN: it was refused before. */
enum load_verdict { LOAD_ADMITS, LOAD_REFUSES, LOAD_AGAIN };
enum load_verdict load_judge(struct engine *e, const struct sip_msg *msg);
/* ... and it is. */
void load_note_refused(struct engine *e, const struct sip_msg *msg);
/* New calls are being refused, not each one perhaps. */
bool load_is_high(const struct engine *e);
/* The call may have one more. */
bool load_leaves_legs(const struct engine *e, const struct call *c);
/* To refuse it: what its answer's To-tag is, in `mem`. The same each time the request is repeated, for want of a
 * transaction, and nobody else's (RFC 3261 sections 8.2.7 and 19.3): a keyed hash of what names the request. By it the
 * ACK to that answer is known and forgotten. */
#define LOAD_TAG_LEN 21
struct slice load_tag(const struct engine *e, const struct sip_msg *msg, char mem[LOAD_TAG_LEN]);
bool load_is_ack(const struct engine *e, const struct sip_msg *msg);
/* Of refusals the first ones of each second are traced: all of them would drive out what else the recorder has. */
bool load_is_told(struct engine *e);

#endif
