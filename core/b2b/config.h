/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What an engine is told at start, and what of it may change while it runs (policy_config). All strings are
 * NUL-terminated and owned by the shell, as are the arrays; they outlive the engine, or the engine_reload that replaces
 * them.
 */
#ifndef REFEREE_B2B_CONFIG_H
#define REFEREE_B2B_CONFIG_H

#include "core/base/addr.h"
#include "core/base/siphash.h"
#include "core/base/trace.h"
#include "core/sip/session_timer.h"

/* What is done with a REFER from this party: carried out here; refused; passed on to the transferee, who then calls
 * through us; or passed on where the transferee can do it, else, or if it will not, carried out here. */
enum refer_mode { REFER_DEFAULT, REFER_LOCAL, REFER_REJECT, REFER_RELAY, REFER_AUTO };
/* Relayed and attended: the target is re-INVITEd in its own dialog, or gets an INVITE with Replaces of it. */
enum relay_variant { RELAY_SPLICE, RELAY_FORWARD_REPLACES };
/* Attended transfer: a new INVITE with Replaces to the target, or a re-INVITE of its existing leg. */
enum attended_mode { ATTENDED_REPLACE, ATTENDED_JOIN };

/* What the Replaces of a relayed REFER names: our own dialog with the transferor, under its own Call-ID or a token for
 * it, in an INVITE that comes to us; or the target's, in an INVITE that goes straight there. */
enum relay_replaces { RELAY_KEEP, RELAY_FAR_LEG, RELAY_OPAQUE };

/* Joined legs: the target is offered what is on record of the transferee, or what the transferee says when asked (RFC
 * 3725 flow IV). */
enum splice_mode { SPLICE_OFFER, SPLICE_LATE };

/* Media goes through our relay, or from party to party: their descriptions pass as they are, and no port is taken.
 * Auto: from party to party where a description has DTLS, which nobody between could relay. */
enum anchor_mode { ANCHOR_DEFAULT, ANCHOR_YES, ANCHOR_NO, ANCHOR_AUTO };

/* SRTP with keys in the description (SDES, RFC 4568). Off: its m-lines are rejected. Accept: what a party offers is
 * taken, and what we offer is plain RTP. Offer: our offers are of RTP with keys beside it (RFC 8643), too. Require:
 * plain RTP is refused, and what we offer is SRTP. What a leg has agreed to stays, whatever this says. */
enum srtp_mode { SRTP_MODE_DEFAULT, SRTP_MODE_OFF, SRTP_MODE_ACCEPT, SRTP_MODE_OFFER, SRTP_MODE_REQUIRE };

/* A hold is passed on to the other party, or answered here while the other party hears music. */
enum hold_mode { HOLD_DEFAULT, HOLD_PASS, HOLD_LOCAL };

#define CONFIG_NAME_MAX 64
#define CONFIG_HOST_MAX 128

struct user_config {
    char name[CONFIG_NAME_MAX];     /* user part of the AoR and digest username */
    char password[CONFIG_NAME_MAX]; /* "" when only HA1s are given */
    char ha1_md5[33];               /* hex of H(user:realm:password), or "" */
    char ha1_sha256[65];
    char display[CONFIG_NAME_MAX];
    enum refer_mode refer;
    enum hold_mode hold;
    enum anchor_mode anchor;
    uint32_t transfers_per_minute; /* 0: as engine_config says */
    enum srtp_mode srtp;
};

/* Routes are tried in order: the first whose prefix and domain both fit (an empty one fits all). */
struct route_config {
    char name[CONFIG_NAME_MAX];
    char prefix[CONFIG_NAME_MAX]; /* of the user part */
    char domain[CONFIG_HOST_MAX]; /* host of the Request-URI, any case; "" = any */
    struct addr next_hop;
    uint8_t strip; /* characters taken off the front of the user part */
    char prepend[CONFIG_NAME_MAX];
};

/* A party known by its address: trunks, PBXs. trusted: not challenged; its name is the principal of its legs. */
struct peer_config {
    char name[CONFIG_NAME_MAX];
    struct addr net;
    uint8_t bits;
    bool trusted;
    bool deny; /* nothing that comes from there is read */
    bool media_strict;
    enum refer_mode refer;
    enum hold_mode hold;
    enum anchor_mode anchor;
    uint32_t transfers_per_minute; /* 0: as engine_config says */
    enum srtp_mode srtp;
    char username[CONFIG_NAME_MAX]; /* what its challenges are answered with; "": they are not */
    char password[CONFIG_NAME_MAX];
    char realm[CONFIG_HOST_MAX]; /* only challenges of this realm; "": any */
};

enum transfer_class { TRANSFER_TO_ANY, TRANSFER_TO_LOCAL, TRANSFER_TO_OUTSIDE };
enum transfer_verb { TRANSFER_ALLOW, TRANSFER_DENY };

/* Rules are tried in order: the first of which all fits decides (an empty text fits all); without one, allowed. */
struct transfer_rule {
    char from[CONFIG_NAME_MAX + 8]; /* principal of the transferor: "user:NAME", "peer:NAME", or "user:", "peer:" */
    char prefix[CONFIG_NAME_MAX];   /* of the destination's user part, escapes and visual separators taken out */
    char domain[CONFIG_HOST_MAX];   /* of the destination, any case */
    uint32_t to;                    /* enum transfer_class: our users and echo numbers, or all else */
    uint32_t action;                /* enum transfer_verb */
    bool calls;                     /* holds for calls too, by who calls */
};

/* User agents that need something done otherwise. What all entries say that fit holds together. */
struct quirk_config {
    char agent[CONFIG_NAME_MAX]; /* beginning of the User-Agent or Server; "": any */
    char peer[CONFIG_NAME_MAX];  /* name of a peer; "": any */
    bool replaces_swapped;       /* to-tag and from-tag of its Replaces may be the wrong way round */
    bool replaces_tagless;       /* ... or be missing: its only dialog of that Call-ID is meant */
    bool no_notify;              /* its REFER gets no NOTIFY at all */
    bool bye_at_once;            /* a transferor that waits for our BYE behind the final NOTIFY */
    bool accept_200;             /* its REFER gets 200, not 202 */
};

/* Of an accepted REFER: 202 in a dialog, where phones and scripts wait for it, and 200 outside or without a
 * subscription (RFC 7647 section 5); or always the same. */
enum accept_code { ACCEPT_AUTO, ACCEPT_200, ACCEPT_202 };

/* Replaced as a whole by engine_reload. */
struct policy_config {
    const struct user_config *users;
    uint32_t user_count;
    const struct route_config *routes;
    uint32_t route_count;
    const struct peer_config *peers;
    uint32_t peer_count;
    const char (*domains)[CONFIG_HOST_MAX]; /* that are ours; the advertised host always is */
    uint32_t domain_count;
    const char (*echo)[CONFIG_NAME_MAX]; /* user parts answered with an echo of the caller's media */
    uint32_t echo_count;
    const char (*emergency)[CONFIG_NAME_MAX]; /* user parts of emergency calls, beside urn:service:sos */
    uint32_t emergency_count;
    const struct transfer_rule *rules; /* of who may transfer where */
    uint32_t rule_count;
    const struct quirk_config *quirks;
    uint32_t quirk_count;
};

#define MEDIA_VIPS_MAX 15
#define MEDIA_MORE_MAX 7

/* When a record counts as kept; barrier.h. */
enum durability {
    DURABILITY_OFF,       /* written, and forgotten about */
    DURABILITY_ASYNC,     /* written again until it is stored; nothing waits */
    DURABILITY_CONFIRMED, /* what is promised waits, no longer than durability_budget_us */
};

/* Buckets that ought to be another node's go there with their calls, one after the other; or when they have none. */
enum rebalance { REBALANCE_LIVE, REBALANCE_IDLE };

struct engine_config {
    uint16_t shard;
    uint16_t shards;         /* engines of this process, numbered from 0; 0, 1: this one alone */
    uint16_t cluster_id;
    uint32_t node;           /* in whose name records are written, a member's number (member.h); 0: not fenced */
    bool shared;             /* one of several engines: it owns what EV_BUCKET says; see owner.h */
    struct siphash_key seed; /* random, or the simulator's */
    uint8_t secret[32];      /* of nonces, tokens and branches; shared by a cluster */

    struct addr sip_addr;           /* goes into Via and Contact */
    char sip_host[CONFIG_HOST_MAX]; /* its text; may be a name */
    char realm[CONFIG_HOST_MAX];
    char user_agent[CONFIG_NAME_MAX];
    uint32_t t1_us, t2_us, t4_us; /* RFC 3261 section 17.1.1.1 */

    bool auth_required; /* digest for REGISTER and for INVITEs from no trusted peer */
    bool auth_md5, auth_sha256;
    uint32_t nonce_lifetime_s;

    uint32_t expires_min_s, expires_max_s, expires_default_s; /* of registrations */

    struct session_config session; /* session timers */

    struct addr media_addr; /* goes into SDP; port ignored */
    struct addr media_more[MEDIA_MORE_MAX]; /* this node's further ones, each with the same range of ports */
    uint32_t media_more_count;
    uint16_t media_port_min, media_port_max;
    const bool *media_port_usable; /* per pair of the range at each address in turn, or NULL: all could be bound */
    uint32_t media_own_first, media_own_end; /* pairs of the range, the others are other shards'; end 0: all are ours */
    uint32_t media_quarantine_us;
    enum hold_mode hold; /* HOLD_PASS or HOLD_LOCAL */
    enum anchor_mode anchor; /* not ANCHOR_DEFAULT */
    enum srtp_mode srtp; /* not SRTP_MODE_DEFAULT */
    bool media_nat; /* send to where a party's media comes from */
    uint64_t media_timeout_us; /* a party silent for so long ends its call; 0: never */
    struct addr media_vips[MEDIA_VIPS_MAX]; /* media addresses of other nodes, which may come here; see anchor.h */
    uint32_t media_vip_count;
    uint32_t media_vip_wait_us; /* for one of them, after a takeover; then its parties are told of media_addr */
    uint32_t reinvites_per_second; /* of legs whose ports are others after a takeover; 0: any number */
    bool media_strict; /* no source but what the SDP names, of anybody */

    enum refer_mode refer; /* REFER_LOCAL or REFER_REJECT */
    enum attended_mode attended;
    enum relay_variant relay;
    enum relay_replaces relay_replaces;
    bool early_uas_replace; /* an INVITE may replace a caller that waits, though its dialog is not of our making */
    enum splice_mode splice;
    enum accept_code accept;
    bool transfer_music;         /* the transferee hears MEDIA_SOURCE_MUSIC while the target is called ... */
    bool transfer_ringback;      /* ... and MEDIA_SOURCE_RINGBACK when it rings */
    bool transfer_early_media;   /* it hears what the target sends before it answers */
    bool notify_progress;        /* 18x of the target as NOTIFY */
    uint64_t replace_timeout_us; /* target silent on INVITE with Replaces: join */
    uint64_t ring_timeout_us;    /* target rings: transfer fails with 408 */
    uint64_t bye_wait_us;        /* transferor's BYE after the final NOTIFY */
    bool recall;                 /* the transferor is gone and the transfer fails: ring it again, then recall_uri */
    uint64_t recall_time_us;     /* each of them */
    char recall_uri[CONFIG_HOST_MAX]; /* "": none */
    uint64_t announcement_us;    /* length of MEDIA_SOURCE_ANNOUNCEMENT, heard by who is recalled in vain; 0: none */
    uint32_t subscription_s;     /* expires of the first NOTIFY */
    uint8_t max_depth;           /* transfers of one call */
    uint32_t transfers_per_minute; /* of one user or peer that has no number of its own; 0: any number */
    uint32_t transfers_pending;    /* of one user or peer, undecided at a time; 0: any number */

    enum rebalance rebalance;
    uint32_t record_format; /* no higher one is written (record_format.h); 0: any that all nodes read */
    bool records; /* of calls are written to the store: no need where nobody else can read it */
    enum durability durability;
    uint64_t durability_budget_us;

    bool cdr; /* call data records are wanted (OUT_CDR) */

    uint64_t invite_timeout_us; /* Timer C: unanswered calls are cancelled (section 16.6) */
    uint32_t per_source;   /* datagrams a second of one address; 0: any number */
    uint32_t busy_percent; /* of its time that the shell's loop may be busy, see load.h; 0: any part of it */
    uint32_t lag_us;       /* that something may wait for its turn there; 0: as long as you like */
    uint32_t calls_max;
    uint32_t emergency_reserve; /* percent of calls, legs and ports that emergency calls alone may have */
    uint32_t txns_max;
    uint32_t bindings_max; /* of the whole node */
    uint32_t failures;     /* failed transfers that the flight recorder keeps */
    uint32_t trace_lines;  /* power of two */
    enum trace_level trace_level;

    struct policy_config policy; /* the first one */
};

/* Every field with its default; the caller fills seed, secret, addresses and policy. */
void engine_config_defaults(struct engine_config *c);

#endif
