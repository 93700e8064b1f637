/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * load: what an overloaded engine refuses, by 503 with Retry-After and without a transaction. First requests that begin
 * a call (INVITE, REFER outside a dialog), then REGISTER and INVITE with Replaces, which ends a call as it begins one;
 * never what belongs to a call that there is, ACK, CANCEL, retransmissions, or emergency calls (urn:service:sos of RFC
 * 5031 and policy_config.emergency).
 *
 * How much is admitted follows the load that the shell measures (EV_LOAD, several times a second) and how full the
 * engine's queue of writes is: by the part that is too much it falls, by steps it rises again; it begins when the
 * load was too much twice running. Beside that the last sixty-fourth of the calls is kept for emergency calls.
 */
#ifndef REFEREE_B2B_LOAD_H
#define REFEREE_B2B_LOAD_H

#include "core/base/event.h"
#include "parser/sip_msg.h"

struct engine;

enum load_class { LOAD_CALLS, LOAD_REGISTRATIONS, LOAD_CLASSES };

struct load_gate {
    uint16_t admit[LOAD_CLASSES];  /* of 1000; a zeroed one is open, see `closed` */
    uint16_t credit[LOAD_CLASSES]; /* of the next one, in thousandths */
    bool high;                     /* the load was too much when it was told last */
    bool closed;                   /* something is refused: `admit` holds */
};

/* EV_LOAD. */
void load_on_event(struct engine *e, const struct event *ev);
/* The request is to be refused: nobody has seen it yet. A repeated one of a transaction that there is never is. */
bool load_refuses(struct engine *e, const struct sip_msg *msg);

#endif
