/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * policy: where a new call goes, and who a party is. Order: echo numbers, registered users of our domains, static
 * routes. A transferred leg asks here exactly as a new call does.
 */
#ifndef REFEREE_B2B_POLICY_H
#define REFEREE_B2B_POLICY_H

#include "core/b2b/leg.h"

enum policy_kind { POLICY_REFUSED, POLICY_ECHO, POLICY_LEGS };

struct policy_choice {
    enum policy_kind kind;
    uint16_t status; /* POLICY_REFUSED: 404, 480, 416 */
    struct slice reason;
    uint32_t count;                                 /* POLICY_LEGS: to be tried at once */
    struct leg_target targets[LIMIT_FORKS_PER_LEG]; /* uri, routes, principal and dst are filled */
    char memory[2048];                              /* what the slices point into, where not into the registrar's */
};

void policy_route(struct engine *e, const struct sip_uri *uri, struct policy_choice *out);
/* An emergency call: urn:service:sos, or a number of policy_config.emergency. */
bool policy_is_emergency(const struct engine *e, const struct sip_uri *uri);
/* The request is to make one: it is sent there, or a REFER asks for it. */
bool policy_asks_for_emergency(const struct engine *e, const struct sip_msg *msg);

/* The configured peer an address belongs to, or NULL. */
const struct peer_config *policy_peer(const struct engine *e, const struct addr *src);
/* What a challenge of this realm from there is answered with: of the peer that is the leg's principal, or has the
 * address. False: nothing. */
bool policy_credentials(const struct engine *e, struct slice principal, const struct addr *dst, struct slice realm,
                        struct auth_user *out);
const struct user_config *policy_user(const struct engine *e, struct slice name);
/* host is one of our domains or ourselves. */
bool policy_is_our_host(const struct engine *e, struct slice host);
/* What a REFER from a party with this principal gets: REFER_LOCAL or REFER_REJECT. */
enum refer_mode policy_refer_mode(const struct engine *e, struct slice principal);
enum anchor_mode policy_anchor_mode(const struct engine *e, struct slice principal);
enum srtp_mode policy_srtp_mode(const struct engine *e, struct slice principal);
/* Some user or peer has one that is not everybody's. */
bool policy_has_own_srtp(const struct policy_config *p);
/* HOLD_PASS or HOLD_LOCAL, for a hold by a party with this principal. */
enum hold_mode policy_hold_mode(const struct engine *e, struct slice principal);
/* Media of a party with this principal comes from its SDP's address and port, or is dropped. */
bool policy_media_strict(const struct engine *e, struct slice principal);

/* How many a party with this principal may ask for; 0: any number. */
uint32_t policy_transfers_per_minute(const struct engine *e, struct slice principal);

/* ---- policy_transfer.c: whose transfer, to where, how many */

/* May a party with this principal transfer somebody to this address? Absent: yes; else why not, for a 403. */
/* The same for a call of this party: by the rules that hold for calls. */
struct slice policy_call_denied(const struct engine *e, struct slice principal, const struct sip_uri *to);
struct slice policy_transfer_denied(const struct engine *e, struct slice principal, const struct sip_uri *to);
/* The same for one more transfer now: limits of those undecided, and of those a minute. Absent: yes, and it counts. The
 * rate is that of a bucket that holds policy_transfers_per_minute and fills at the same rate. Nobody (absent) is one
 * party. */
struct slice policy_transfer_limited(struct engine *e, struct slice principal);

/* ---- policy_quirk.c */

enum quirk { QUIRK_REPLACES_SWAPPED = 1, QUIRK_NO_NOTIFY = 2, QUIRK_BYE_AT_ONCE = 4, QUIRK_ACCEPT_200 = 8,
             QUIRK_REPLACES_TAGLESS = 16 };
/* enum quirk bits for a user agent that names itself so, of a party with this principal; either may be absent. */
unsigned policy_quirks(const struct engine *e, struct slice agent, struct slice principal);

#endif
