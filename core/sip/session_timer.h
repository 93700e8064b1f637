/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * session_timer: RFC 4028 for one dialog, without clock and without messages of its own: what Session-Expires, Min-SE
 * and refresher mean, in both roles of a request. A request here is an INVITE, re-INVITE or UPDATE, each of which
 * refreshes the session when it is answered with 2xx. The caller keeps the time and sends what is due.
 */
#ifndef REFEREE_SIP_SESSION_TIMER_H
#define REFEREE_SIP_SESSION_TIMER_H

#include "core/base/sbuf.h"
#include "parser/sip_msg.h"

/* "The absolute minimum for the Min-SE header field is 90 seconds" (section 5), also what no Min-SE means. */
#define SESSION_MIN_SE 90
#define SESSION_LINES_MAX 128 /* bytes of what is written here for one message */
#define SESSION_EXPIRES_MAX 604800 /* no peer's Min-SE takes us further: a week */

/* Who refreshes where the rules leave it open. AUTO: the peer where it can, and nobody where it cannot; US: we, also
 * for a peer that knows nothing of session timers; PEER: as AUTO, and it is asked to in our INVITE. */
enum session_refresher { SESSION_AUTO, SESSION_US, SESSION_PEER };

struct session_config {
    uint32_t expires_s; /* asked for; 0: nothing is asked for, who asks us is served */
    uint32_t min_se_s;  /* shorter intervals are refused with 422 */
    uint32_t refresher; /* enum session_refresher */
};

struct session_timer {
    uint32_t expires_s; /* session interval; 0: the session does not expire */
    uint32_t min_se_s;  /* largest Min-SE of a 422 in this dialog; 0: none */
    bool ours;          /* we are the refresher */
};

/* What a request says of its session, all that its answer depends on. */
enum session_by { SESSION_BY_NOBODY, SESSION_BY_UAC, SESSION_BY_UAS };
struct session_asked {
    uint32_t expires_s; /* 0: nothing, or nothing that can be read */
    uint32_t min_se_s;  /* the same */
    uint8_t refresher;  /* enum session_by */
    bool knows;         /* the sender understands session timers */
};
/* knows: session_is_known to its sender. */
struct session_asked session_asked(const struct sip_msg *request, bool knows);
/* "timer" in Supported or Require. */
bool session_is_known(const struct sip_msg *request);

/* A request whose interval is too short for us, from a peer that understands 422 (section 9). */
bool session_is_too_short(const struct session_config *c, const struct sip_msg *request);
/* "Min-SE: n\r\n" for that 422. */
void session_put_min_se(struct sbuf *b, const struct session_config *c);

/* Header lines of a request of ours (section 7.1, 7.4); first: of the one that makes the dialog, where no refresher is
 * named unless the configuration says so. */
void session_put_request(struct sbuf *b, const struct session_config *c, const struct session_timer *t, bool first);
/* Our 2xx to a request: its header lines, and what holds from now on (section 9, table 2). */
void session_answer(struct sbuf *b, const struct session_config *c, struct session_timer *t,
                    const struct session_asked *asked);
/* A 2xx to a request of ours: what holds from now on (section 7.2). */
void session_answered(const struct session_config *c, struct session_timer *t, const struct sip_msg *response);
/* A 422 (section 7.3): the next request asks for more. False: it does not say how much, or no more than was asked. */
bool session_raise(const struct session_config *c, struct session_timer *t, const struct sip_msg *response);

/* Seconds from a 2xx to the moment at which the refresher sends its next request, half the interval; and at which
 * either side gives the session up with BYE: a third of the interval or 32 s before it is over, whichever is shorter
 * (section 10). */
uint32_t session_refresh_after(const struct session_timer *t);
uint32_t session_end_after(const struct session_timer *t);

#endif
