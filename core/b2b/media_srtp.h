/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media_srtp: the profile (RTP/AVP, RTP/SAVP) and the keys of each leg's m-lines. SRTP ends here on each leg: a party's
 * a=crypto (RFC 4568) crosses to nobody, and each is given keys of its own.
 *
 * Rule. An answer has the profile of its offer, the first of its suites that we know, and its tag. RTP/AVP with keys
 * beside it (RFC 8643) is SRTP too. An offer of ours has what was agreed with this leg before, else what enum srtp_mode
 * wants. A first offer with keys beside RTP that is refused with 488 or 606 is made again without them: not everybody
 * passes over what it does not know. A key of ours stays as long as its suite does; what is re-offered without a change
 * is the same to the byte. Where two descriptions speak of SRTP and have no key in common, nothing passes.
 *
 * The keys are in the descriptions, and so in the record; nothing else keeps them. They are written to no log.
 */
#ifndef REFEREE_B2B_MEDIA_SRTP_H
#define REFEREE_B2B_MEDIA_SRTP_H

#include "core/b2b/leg.h"
#include "parser/sdp.h"
#include "parser/sdp_crypto.h"

/* Of the leg's principal; asked for once. */
enum srtp_mode media_srtp_mode(const struct engine *e, struct leg *l);
/* The m-line can be relayed: not rejected, of RTP, and with a key we can use if its profile is a secure one. */
bool media_srtp_is_live(const struct sdp_media *m);
/* A party with this mode may say that. */
bool media_srtp_fits(enum srtp_mode mode, const struct sdp_media *m);
/* Why none of these m-lines fits, for the reason of a 488; absent: it is not about SRTP. */
struct slice media_srtp_refusal(enum srtp_mode mode, const struct sdp *s);

/* What both sides of a leg said last, for the lines of a description to it. */
struct media_srtp {
    bool concerned;               /* false: none of it is about SRTP, and the rest is not filled */
    bool answer;
    bool withdrawn;               /* keys that were offered beside RTP are taken back */
    enum srtp_mode mode;
    struct sdp said, told;
};
struct media_srtp_line {
    struct slice proto;           /* absent: as it is */
    struct slice crypto;          /* in mem; absent: none */
    char mem[2 * SDP_CRYPTO_LINE_MAX];
};
/* Some line has keys, or a secure profile. */
bool media_srtp_spoken(const struct sdp *s);
/* from: what the description is made of. */
void media_srtp_begin(const struct engine *e, struct leg *to, const struct sdp *from, struct media_srtp *out);
/* Our first offer to l, refused, had keys beside RTP, which it need not have: from now on its offers have none. False:
 * it was not so. */
bool media_srtp_withdraw(const struct engine *e, struct leg *l);
/* m-line i of it. False: it is rejected. */
bool media_srtp_line(struct engine *e, const struct media_srtp *x, unsigned i, const struct sdp_media *from,
                     struct media_srtp_line *out);

/* Tells the relay what the two descriptions have come to: said is the leg's peer's, ours is LEG_SDP_LOCAL. */
void media_srtp_settle(struct engine *e, struct leg *l, struct slice said);
/* The relay is told of the leg's streams anew: it knows no keys. */
void media_srtp_reopen(struct leg *l);
/* Name of the suite; "without-key" where nothing passes; absent for plain RTP. */
struct slice media_srtp_name(const struct leg_stream *s);
/* Rollover counters of a stream have changed. */
void media_srtp_rolled(struct engine *e, const struct event *ev);

#endif
