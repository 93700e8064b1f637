/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * state: the objects of one engine: call, leg, transfer, and the engine that holds their pools. Data only; what is done
 * with them is in leg.h, call.h, bridge.h, transfer.h, media.h, policy.h, registrar.h. Private to core/b2b.
 *
 * Ownership: the engine owns every pool. A call owns its legs (by handle, in `legs`). A transfer belongs to the call of
 * its transferee. Everything else holds handles, which may be stale: a look-up that finds nothing is an ordinary
 * answer. Objects die at the end of a step only (engine_reap), so a pointer is good for the whole step.
 */
#ifndef REFEREE_B2B_STATE_H
#define REFEREE_B2B_STATE_H

#include "core/b2b/config.h"
#include "core/b2b/engine.h"
#include "core/b2b/hand.h"
#include "core/b2b/leg_fsm.h"
#include "core/b2b/load.h"
#include "core/b2b/move_left.h"
#include "core/b2b/owner_over_state.h"
#include "core/b2b/owner_wait.h"
#include "core/b2b/record_format.h"
#include "core/b2b/sdp_memo.h"
#include "core/b2b/source.h"
#include "core/base/limits.h"
#include "core/base/chain.h"
#include "core/base/map.h"
#include "core/base/rng.h"
#include "core/base/trace.h"
#include "core/base/wheel.h"
#include "core/sip/auth.h"
#include "core/sip/dialog.h"
#include "core/sip/offer_answer.h"
#include "core/sip/steer.h"
#include "core/sip/session_timer.h"
#include "core/sip/txn.h"
#include "rtp/port_pool.h"

#define LEG_STREAMS 3   /* m-lines of a leg that are relayed; further ones are rejected */
#define TRANSFER_RATES 1024 /* parties whose rate of transfers is known at a time, in sets of TRANSFER_RATE_WAYS */
#define TRANSFER_RATE_WAYS 4
#define TOMBSTONES 1024 /* dialogs that ended lately: Replaces to them gets 603, not 481 (RFC 3891 section 3) */

/* Fields of a leg's strs behind those of its dialog. */
enum leg_field {
    LEG_PRINCIPAL = DLG_FIELDS, /* "user:name" or "peer:name": who it is, for who may replace whom; absent: nobody */
    LEG_SDP_REMOTE,             /* the last description the peer sent */
    LEG_SDP_FULL,               /* its last offer: what it can do at all; absent if it only ever answered */
    LEG_SDP_LOCAL,              /* the last description we sent it */
    LEG_SDP_BEFORE,             /* LEG_SDP_REMOTE from before the peer's offer that is open now */
    LEG_SDP_WANTED,             /* of a leg_reoffer that waits: becomes LEG_SDP_LOCAL when it is sent */
    LEG_AGENT,                  /* its User-Agent or Server */
    LEG_CHALLENGE,              /* its last one that we have an answer to; see leg_auth.c */
    LEG_CREDENTIALS,            /* header line of our last INVITE, for its ACK (section 22.1); absent: none */
    LEG_TRANSFER_AT,            /* the transfer it takes part in, where that is not in this engine; see record.h */
    LEG_MEDIA_FLOWS,            /* media_flow.h */
    LEG_OPEN_OUT,               /* of a record, until record_resume: what was in flight; enum record_open_tag */
    LEG_OPEN_IN,
    LEG_OPEN_OK,
    LEG_FIELDS
};

enum leg_role { ROLE_CALLER, ROLE_CALLEE, ROLE_TARGET };
enum transfer_role {
    TR_NONE,
    TR_TRANSFEROR,
    TR_TRANSFEREE,
    TR_TARGET,
    TR_CONSULT,
    TR_REPLACED,
    TR_SUBSCRIBER, /* hears the NOTIFYs and is not the transferor's own leg: a REFER outside its dialog */
};

struct leg_stream {
    uint32_t slot;
    uint32_t generation;
    bool open;
    bool told;                       /* LEG_SDP_LOCAL has been written with its port and address; false: perhaps */
    bool resumed;                    /* from a record: a former owner has used its keys */
    uint8_t suite;                   /* enum srtp_suite; this and the rest: last told to the relay */
    uint32_t key_in, key_out;        /* marks of the keys; media_srtp.h */
    struct srtp_roc in_roc, out_roc; /* last told by it */
    struct addr rtp, rtcp;
};

/* Never written to. */
extern const struct leg_stream leg_no_stream;

struct leg_media {
    uint64_t session_id;   /* of our o= line to this leg */
    uint64_t version;      /* of what was sent last; rises by one when the description changes (RFC 3264 section 8) */
    uint8_t own_direction; /* enum sdp_direction of the peer's last offer: what it wants by itself */
    uint64_t agreed_us;    /* when the peer last said what it sends */
    uint8_t own_before;    /* the same, with LEG_SDP_BEFORE */
    bool said_srtp, told_srtp; /* false: nothing in LEG_SDP_REMOTE, in LEG_SDP_LOCAL, is about SRTP */
    struct leg_stream *streams[LEG_STREAMS]; /* leg_no_stream: of a line that never had ports; media_ports.h */
};

/* How `ok` of a leg is repeated. */
struct leg_repeat {
    struct addr dst;
    uint64_t interval;
    struct wheel_node timer;
};

struct leg {
    handle self, call;
    handle peer;            /* the leg it talks with; HANDLE_NONE: nobody */
    uint8_t number;         /* in its token */
    uint8_t state;          /* enum leg_state */
    uint8_t role;           /* enum leg_role */
    uint8_t oa;             /* enum oa_state */
    uint8_t transfer_role;  /* enum transfer_role in `transfer` */
    uint8_t srtp;           /* enum srtp_mode of its party, once it was asked for; media_srtp.h */
    bool supports_replaces; /* listed in its last INVITE or 2xx */
    bool allows_refer;      /* the same, in Allow */
    bool allows_update;
    bool session_out;       /* a refresh by UPDATE is unanswered */
    bool early_answer;      /* offer and answer of its INVITE were done before the 2xx (RFC 3262 section 5) */
    bool forked;            /* ... or were begun by more than one phone that rings for it */
    bool no_rel100;         /* our INVITE does not offer it */
    bool refreshing;        /* the open re-INVITE is the session timer's */
    bool offer_lost;        /* the last re-INVITE had one, and was given up, unanswered: its 2xx may still come */
    bool not_now;           /* ... or refused by 491, or agreed to late: session_unsure, but it may be told */
    bool keep_on_bye;       /* a subscription outlives the INVITE usage */
    bool heard;             /* it has answered a request of ours since the last re-INVITE or refresh went out */
    bool late_offer;        /* our open INVITE had no SDP: the ACK brings the answer */
    bool own_invite;        /* the open re-INVITE is ours, not the peer leg's */
    uint8_t agreeing;       /* rounds that are left, while a re-offer of agree.h is out */
    bool untold;            /* what it answered last waits for its answer to that */
    bool reoffer_waits;     /* a re-INVITE of ours waits for its turn */
    bool read_late;         /* its last re-INVITE was read when it may have given that up: see recover.h */
    bool asks_offer;        /* the re-INVITE of ours that is not decided has no description: leg_ask_offer */
    bool session_unsure;    /* LEG_SDP_LOCAL was refused: not what the peer goes by */
    bool reanchors;         /* it waits for its turn to be told of other ports: see reanchor.h */
    bool adopts;            /* what rings for it was offered another caller's description, whose place it took */
    bool echo;
    bool adopted;           /* its open INVITE is a former owner's, and no response has come */
    uint8_t moves;          /* from one call to another */
    bool elsewhere;         /* it goes here, and lives in a call of another engine: owner_over_moved.h */
    bool direct;            /* its media does not come here: see media.h */
    bool keys_withdrawn;    /* its party refused keys beside RTP; see media_srtp.h */
    bool holds_here;        /* its hold was answered by us: the other party hears music */
    uint16_t refused_status; /* forked call: its final answer, kept to choose the best */
    handle transfer;
    struct chain_node by_tag, party, by_remote; /* leg_index, party.h, recover.h */
    struct dialog dlg;
    handle invite_in;     /* open INVITE or re-INVITE from the peer */
    handle invite_out;    /* open INVITE or re-INVITE to the peer */
    handle update_in;     /* UPDATE from the peer whose offer was passed on; its txn.peer is the one there. Open while
                             OA_OFFER_RCVD without invite_in */
    uint32_t auth_nc;     /* requests sent with the nonce of LEG_CHALLENGE */
    uint32_t invite_cseq; /* of our last INVITE */
    uint32_t lost_cseq;     /* of the last one that was given up, unanswered */
    uint32_t refer_done;  /* the highest CSeq of its REFERs whose transfers are over; 0: none */
    struct buf *ok;       /* our 2xx, repeated until its ACK (section 13.3.1.4) */
    uint32_t ok_cseq;     /* while there is none: of the last one to a re-INVITE that has had it */
    bool ok_offers; /* its description is an offer: the ACK brings the answer */
    bool ok_adopted;  /* a former owner's, as it sent it */
    bool ok_doubtful; /* a former owner's: it may have its ACK, which does not come again; see recover.h */
    uint64_t ok_until; /* 0: no ACK is waited for */
    struct leg_repeat *repeat; /* while there is `ok`; else NULL */
    uint32_t rseq;        /* of our last reliable 18x, which is `ok` until its PRACK; 0: none */
    bool rel_sdp;         /* ... carried a description */
    bool rel_wait_sdp;    /* ... and so does rel_wait */
    uint16_t rel_wait_status;
    struct buf *rel_wait; /* the next one, until then */
    struct buf *rel_ok;   /* the 2xx, until then */
    struct buf *early;    /* struct rel100_early: early dialogs of our INVITE */
    uint32_t prack_rseq;  /* 18x with an offer that we have not acknowledged; 0: none */
    bool prack_waits;     /* ... until the other party has answered it */
    struct buf *ack; /* the ACK to the last 2xx, repeated with it: until it is sent, or if it has an answer */
    bool ack_answers;
    uint32_t ack_cseq;
    handle ack_invite; /* the re-INVITE of ours that a 2xx came to last */
    struct wheel_node timer; /* Timer C of a call, or the wait of section 14.1 */
    uint64_t retry_until;  /* leg_reoffer's, while it is not decided; else 0 */
    uint64_t quiet_until;  /* the network did not deliver a transfer's, or an UPDATE: no INVITE of ours before */
    uint64_t invite_until; /* the open re-INVITE's: it may ring for ever by the RFC, but not here */
    struct leg_media media;
    struct session_timer session;
    uint64_t session_ends; /* no refresh until then: BYE; 0: it does not expire */
    struct wheel_node session_timer;
    uint64_t created_us, answered_us;
    uint64_t ended_us;     /* 0: its session lives */
    uint16_t final_status; /* of its first INVITE, whoever answered it; 0: none yet */
    uint32_t taken_cseq;   /* what our last request's was by the record that it was read from */
    uint32_t heard_cseq;   /* and what the party's was: that one may come again */
};

/* Who ended a call, for its record. The last one that left somebody alone counts, so that a transferor does not. */
enum call_end_kind { CALL_END_LOCAL, CALL_END_BYE, CALL_END_CANCEL, CALL_END_LOST, CALL_END_REFUSED, CALL_END_DRAIN,
                     CALL_END_MEDIA };
#define CALL_REASON_MAX 64

struct call_history {
    struct buf *texts;   /* once it comes to an end: struct call_texts in cdr.c */
    uint64_t ended_ms;   /* 0: some leg lives */
    uint8_t end;         /* enum call_end_kind */
    uint8_t end_role;    /* enum leg_role of who ended it */
    bool legs_cut;
    uint16_t status;     /* final one of the caller's INVITE */
    uint8_t reason_n;    /* of the Reason header of the BYE or CANCEL, in `texts` */
};

struct call {
    handle self;
    uint64_t id; /* in its tokens and record */
    struct chain_node by_id, by_bucket;
    uint16_t bucket;
    uint8_t leg_count;
    uint8_t next_leg;
    uint8_t read_next_leg; /* by the record that it was read from here; and its version, below */
    uint8_t depth; /* transfers so far */
    bool dirty, answered, record_stored, record_changed;
    bool emergency; /* what is kept for such calls is for it. Once a transfer led there, for good */
    uint32_t over;  /* place of its struct over_kept in the pool, from 1; 0: it has none. owner_over_kept.h */
    handle next_dirty;
    handle legs[LIMIT_LEGS_PER_CALL];
    handle transfer; /* of which a leg of this call is the transferee */
    uint64_t version, stored, refused; /* of its record: written last, and the last ones that the store has taken, and
                                          has not; see barrier.h */
    uint64_t stored_us;       /* when it took one last; 0: never */
    bool unprotected;         /* something was promised that is not stored */
    bool rewrite;             /* its record could not be written: when the store is back */
    bool resuming, resume_ready; /* read from a record, and nothing done yet: another call of its transfer is needed */
    bool arrived;             /* from another node, with all that it had */
    uint8_t takeovers;        /* attempts to go on with it after an owner's death */
    uint8_t unwritten;        /* owners in between who had written nothing, when it was read; see record.h */
    bool word_holds;          /* a request of its parties waits for what word_until waits for */
    uint64_t attempt;         /* by the record that it was read from: REC_ATTEMPT */
    uint64_t taken_us;
    uint64_t read_version;    /* 0: it was not read here: move_left.h */
    uint64_t epoch;           /* of its bucket when it began, was read or arrived here; owner_over.h */
    uint64_t word_until;      /* until then we offer its parties nothing: another engine may have; owner_over.h */
    handle held_first, held_last; /* struct held, in the order of sending */
    handle awaited_by;        /* a call of which something waits for this one's record too */
    struct wheel_node held_timer;
    struct buf *kept; /* what its record held and this version does not know; see record.h */
    uint64_t created_ms, answered_ms;
    struct call_history history;
};

enum transfer_mode {
    MODE_BLIND,
    MODE_REPLACE,  /* INVITE with Replaces to the target of the consultation */
    MODE_JOIN,     /* re-INVITE of the target's own leg */
    MODE_SEMI,     /* the consultation still rings: its own ringing leg, then as join */
    MODE_FOREIGN,  /* Replaces of a dialog that is not ours */
    MODE_ECHO,
    MODE_RELAY,    /* the REFER was passed to the transferee: only tokens and NOTIFYs are ours (transfer_relay.c) */
    MODE_TAKEOVER, /* not a REFER: INVITE with Replaces of a dialog of ours (RFC 3891); the target is who sent it, the
                      transferee whom it wants to talk with, `consult` the leg that it replaces */
};

enum transfer_party {
    PARTY_TRANSFEROR,
    PARTY_TRANSFEREE,
    PARTY_TARGET,
    PARTY_CONSULT,  /* transferor's leg of the consultation call */
    PARTY_REPLACED, /* target's */
    PARTY_COUNT
};

enum transfer_field {
    TRF_REFER_TO,
    TRF_REFERRED_BY,
    TRF_REPLACES,
    TRF_EXTRA,
    TRF_TARGET_SDP,
    TRF_TRANSFEREE_SDP,
    TRF_TOKEN,     /* relayed: user part of the Refer-To that the transferee got */
    TRF_RECALL,    /* whom to ring when the transfer has failed and the transferor is gone */
    TRF_PRINCIPAL, /* relayed: of the transferee, who alone may use the token */
    TRF_AT, /* and PARTY_COUNT - 1 more: a party that is a leg of a call not in this engine; see record.h */
    TRF_CALL_AT = TRF_AT + PARTY_COUNT, /* the same for consult_call */
    TRF_BY, /* principal of the transferor, who may be gone before the end */
    TRF_REASON, /* reason phrase of the target's latest response, for the NOTIFY; not in the record */
    TRF_OPEN_REFER, /* of a record, until transfer_resume: what `relay_txn` is in memory; record_open.h */
};

enum cdr_step {
    STEP_ACCEPTED,
    STEP_TARGET_OFFER,
    STEP_RINGING,
    STEP_TARGET_OK,
    STEP_TRANSFEREE_OFFER,
    STEP_TRANSFEREE_OK,
    STEP_COMMIT,
    STEP_RESULT,
    STEP_NOTIFIED,
    STEP_DONE,
    STEP_COUNT
};

/* For its record and the flight recorder; nothing is decided by it. */
struct transfer_history {
    struct strs who;            /* enum cdr_party in cdr.c: names of parties, which may be gone at the end */
    uint64_t at_us[STEP_COUNT]; /* first time; 0: never */
    uint64_t call_id, consult_id;
    uint64_t heard_us; /* when the transferee was sent its last packet before the splice */
    uint64_t failure;  /* its number in the flight recorder; 0: it has not failed */
    uint16_t result;   /* of a relayed one too */
    uint16_t reinvites;
};

struct transfer {
    handle self, call;
    uint8_t state; /* enum transfer_state, transfer_fsm.h */
    uint8_t mode;  /* enum transfer_mode */
    handle transferor, transferee, target;
    handle subscriber; /* who hears the NOTIFYs: the transferor, or a leg for that alone */
    uint64_t order_conn; /* an operator waits for the result; 0: none */
    handle consult_call;          /* of `consult`: where ringing targets may be */
    handle consult, replaced; /* transferor's and target's legs of the consultation call */
    handle early;        /* the ringing target that the transferee hears */
    handle refer_txn;    /* relayed: the transferor's REFER, unanswered */
    handle relay_txn;    /* relayed: our own, unanswered */
    uint32_t relay_cseq; /* relayed: of our REFER, id of the transferee's NOTIFYs */
    uint32_t relay_behind; /* ... the transferee's last CSeq when it was sent: its NOTIFYs have higher ones */
    uint8_t recall_step; /* 0: not recalling; 1: the transferor; 2: the fallback; 3: the announcement */
    bool relay_auto, relay_answered, relay_ended, token_used;
    bool relay_last;     /* the final NOTIFY is on its way to the transferor */
    bool relay_again;    /* our REFER is a former owner's, and has been sent again */
    bool relay_unsure;   /* ... and it is not known what the transferee has made of it */
    bool asked, joined; /* the transferee for a fresh offer; the target with an offer that is on record */
    uint32_t refer_cseq;      /* id of the subscription */
    uint32_t max_forwards;
    bool silent;    /* no NOTIFY: Refer-Sub: false, or a quirk */
    bool outside;   /* not asked for in the transferor's dialog: the CSeqs of that say nothing of it */
    uint8_t quirks; /* enum quirk, of the transferor; policy.h */
    bool transferor_gone, committed, succeeded;
    bool end_transferor;   /* BYE follows the final NOTIFY */
    bool require_replaces; /* in the Refer-To */
    uint16_t result;       /* final status, 0: none yet */
    uint16_t progress;     /* last 1xx told */
    uint16_t queued;       /* status for the next NOTIFY, 0: none */
    uint16_t reason_of;    /* whose phrase TRF_REASON is */
    bool notifying;        /* a NOTIFY is unanswered; the next one waits */
    bool notified_here;    /* the last one went out here: whether it arrives will be known */
    bool final_sent;
    bool resuming;         /* of a record, and not all its parties are here yet */
    uint64_t deadline_us;  /* ... of its timer, which counts that wait meanwhile; 0: none */
    uint8_t held_event;    /* ... and this is what happened meanwhile: enum transfer_event + 1; 0: nothing */
    uint16_t held_status;
    uint64_t expires_us;
    struct strs s; /* enum transfer_field */
    struct chain_node awaits[PARTY_COUNT + 1]; /* party.h */
    struct wheel_node timer;
    uint64_t started_us;
    struct transfer_history history;
};

struct tombstone {
    struct key128 key; /* of Call-ID and both tags */
    uint64_t until_us;
};

/* full_us: when its bucket is full again; in the past: it is. */
struct transfer_rate {
    struct key128 who;
    uint64_t full_us;
};

struct failure;
struct failure_ring {
    struct failure *items; /* number n at n % count */
    uint32_t count;
    uint64_t last;
};

/* What the barrier holds back, and what of the store is not answered yet; see barrier.h. */
struct barrier {
    struct pool held, writes;
    struct chain over;    /* writes that end the record of a call which is over, by the call's id */
    struct wheel_node retry;
    uint64_t backoff_us;
    uint32_t failures;    /* in a row */
    uint32_t unprotected; /* calls */
    uint32_t undeleted;   /* records of calls that are over: writes without a call that failed */
    uint32_t cursor;      /* of calls to be written again */
    struct gone *gone;    /* a ring of gone_max records that were deleted last; gone_n ever */
    uint32_t gone_n, gone_max;
    uint64_t said_us;     /* when the latest write was sent that it took */
    uint64_t lost_us;     /* since when the store may be down; 0: it is not, or nothing was written again yet */
    bool down;
};

/* wheel_node.kind; 1..31 are the transaction layer's. */
enum engine_timer {
    TIMER_LEG_OK = 32,
    TIMER_LEG,
    TIMER_TRANSFER,
    TIMER_BINDING,
    TIMER_DRAIN,
    TIMER_SESSION,
    TIMER_OWNER,
    TIMER_MOVE,
    TIMER_MOVED,
    TIMER_HELD,
    TIMER_STORE,
    TIMER_STRAYS,
    TIMER_REANCHOR,
    TIMER_UNREAD,
    TIMER_WAIT,
    TIMER_REREAD,
    TIMER_LEFT,
    TIMER_OVER
};

/* txn.ctx_kind: what a client transaction of a leg is for. txn.ctx is the leg. */
enum txn_purpose { FOR_NONE, FOR_INVITE, FOR_REINVITE, FOR_BYE, FOR_BRIDGED, FOR_NOTIFY, FOR_REFER, FOR_REFRESH,
                   FOR_PRACK, FOR_PRACK_SDP /* with a description, or to a 18x with one */ };

struct registrar;

/* A call of the bucket was taken for another node's, by word of before our claim perhaps, which the store may have
 * forgotten: its records are read again once the claim is there, and when that has failed. */
enum reread { REREAD_NOT, REREAD_WANTED, REREAD_ASKED, REREAD_FAILED };

/* owner.h. `of`: an engine that shares nothing owns all, by what zeroed memory says. */
#define OWNER_MINE 0
#define OWNER_NOBODY UINT32_MAX
#define OWNER_LOADING (UINT32_MAX - 1)
struct owners {
    bool shared;               /* there are other engines */
    bool suspended, lost;      /* lost: some bucket, whose calls are still to be forgotten */
    uint8_t hops;              /* of the message that is worked on; 0: from the wire */
    uint16_t here;             /* its bucket */
    uint32_t from;             /* the peer that has passed it on; PEER_NONE */
    uint64_t live_us;          /* no bucket with calls is given before, but to be rid of it */
    uint64_t word_until;       /* the latest of the calls' */
    uint32_t giving;           /* buckets to be finished with */
    struct steering steering;
    struct wheel_node timer;
    uint32_t of[LIMIT_BUCKETS];      /* the peer, or one of the three above */
    uint32_t next[LIMIT_BUCKETS];    /* to be given to; PEER_NONE: not */
    uint64_t epoch[LIMIT_BUCKETS];
    uint64_t since[LIMIT_BUCKETS];   /* LOADING: of the first of our claims, see owner_since; 0: not known, or some call
                                        of it was read, and forgotten again */
    uint64_t told[LIMIT_BUCKETS];    /* the latest that was heard of, whoever has it */
    uint64_t give_until[LIMIT_BUCKETS]; /* 0: only when it has no calls */
    uint8_t reread[LIMIT_BUCKETS]; /* enum reread */
};

/* moved.h */
#define MOVED_ENDED_MAX 64
struct moved {
    struct pool stubs;
    struct map by_key;
    struct wheel_node timer;
    uint32_t looked_at, again, over; /* stubs that the timer is for; to be written once more; of legs that ended */
    struct key128 ended[MOVED_ENDED_MAX]; /* tokens of legs whose end was told last, one of them next */
    uint32_t ended_next;
};

/* reanchor.h: legs that wait, first come first served. */
struct reanchor_queue {
    handle *legs;
    uint32_t count, first, used;
};
struct reanchor {
    struct reanchor_queue talking, others;
    uint64_t next_us; /* no re-INVITE before */
    struct wheel_node timer;
};

/* Values of Allow that were read lately, each at the place of its length: leg_note_abilities. */
#define ALLOW_LISTS 16
struct allow_list {
    uint16_t n;
    bool refer, update;
    char text[252];
};

/* The same of Supported. */
#define OPTION_LISTS 16
struct option_list {
    uint16_t n;
    bool replaces;
    char text[124];
};

struct engine {
    struct engine_config cfg;
    struct policy_config policy;
    bool own_srtp; /* some user or peer has a media.srtp of its own */
    struct ua ua;
    struct wheel wheel;
    struct buf_pool bufs;
    struct rng rng;
    struct siphash_key map_key;
    struct metrics metrics;
    struct trace trace;
    struct txn_layer txns;
    struct auth_server auth;
    struct pool calls, legs, transfers;
    struct pool streams, repeats; /* as many as all legs can have */
    struct chain calls_by_id, calls_by_bucket;
    struct chain parties, awaited[PARTY_COUNT + 1]; /* party.h */
    struct chain leg_map; /* local tag -> leg */
    struct chain by_remote; /* Call-ID and the peer's tag -> leg; see recover_repeated */
    struct port_pool ports;
    uint32_t ports_withheld; /* pairs that could not be bound */
    bool ports_come;         /* of the record that is being read, which a sibling has sent: with it come its ports */
    uint32_t next_anchor; /* of the next leg; anchor.h */
    uint32_t vips_here; /* bit k: engine_config.media_vips[k] is at this node now */
    char host_text[CONFIG_HOST_MAX + 8];
    struct registrar *registrar;
    struct allow_list allowed[ALLOW_LISTS];
    struct option_list supported[OPTION_LISTS];
    struct tombstone tombstones[TOMBSTONES];
    uint32_t tombstone_next;
    handle dirty;     /* calls to be reaped at the end of the step */
    struct owners owners;
    struct owner_wait wait;
    struct overs overs;
    struct hang_ups hang_ups;
    struct over_all over;
    struct lefts arrivals, left_elsewhere; /* that are here, and that others have */
    struct wheel_node left_timer;          /* of arrivals */
    struct moved moved;
    struct pool moves;        /* move.h */
    struct pool unread;       /* unread.h */
    struct wheel_node unread_timer;
    struct wheel_node reread_timer; /* of owners.reread */
    struct buf *move_body;    /* of the REFER that is worked on */
    struct failure_ring failures;
    struct transfer_rate rates[TRANSFER_RATES];
    uint64_t cdr_second;   /* in which cdr_refusals were written */
    uint32_t cdr_refusals;
    uint32_t records; /* stored and not yet deleted */
    uint32_t resuming; /* calls */
    struct wheel_node strays_timer; /* recover_on_timer */
    struct barrier barrier;
    struct record_format format;
    struct reanchor reanchor;
    struct load_gate load;
    struct hand hand;
    struct source_gate sources;
    uint64_t faults_second, faults; /* malformed messages in this second */
    bool draining;
    uint64_t drain_until;
    bool drain_unknown; /* only those that no record knows */
    struct wheel_node drain_timer;
    const struct relay *relay;
    /* of the current step */
    struct sdp_memo *descriptions;
    struct outbox *out;
    uint64_t now, wall_ms;
    struct addr here;    /* our address that the last datagram came to */
    struct sip_msg msg;   /* what came in */
    struct sip_msg again; /* a request parsed again for its response; wire_parse_again */
    handle again_of;      /* the server transaction that has it; HANDLE_NONE: it is of something else */
};

static inline struct leg *leg_get(const struct engine *e, handle h) {
    return (struct leg *)pool_get(&e->legs, h);
}
static inline struct call *call_get(const struct engine *e, handle h) {
    return (struct call *)pool_get(&e->calls, h);
}
static inline struct transfer *transfer_get(const struct engine *e, handle h) {
    return (struct transfer *)pool_get(&e->transfers, h);
}
/* sdp_parse, but each text once a step; see sdp_memo.h. */
static inline int32_t engine_sdp(const struct engine *e, struct slice text, struct sdp *out) {
    return sdp_memo_parse(e->descriptions, text, out);
}
static inline struct call *leg_call(const struct engine *e, const struct leg *l) {
    return call_get(e, l->call);
}
static inline struct slice leg_str(const struct leg *l, unsigned field) {
    return strs_get(&l->dlg.s, field);
}
/* A field set, or false: no memory. */
static inline bool leg_set(struct engine *e, struct leg *l, unsigned field, struct slice v) {
    return strs_set(&l->dlg.s, &e->bufs, field, v);
}

#endif
