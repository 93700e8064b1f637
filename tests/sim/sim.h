/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sim: phones, a network, a store and an engine in one process under virtual time, driven from one seed.
 *
 *   sim_rand    the one generator; every draw is keyed by who draws and when, so that leaving an event of a scenario
 *               out does not disturb the rest
 *   sim_script  what people do: calls, holds, transfers, and what comes in between, made from the seed
 *   sim_net     paths between phones and engine: loss, duplication, reordering, delay, clogs, cuts
 *   sim_phone   user agents that do what real ones do and misdo
 *   sim_extras  those of them that know session timers and reliable provisional responses
 *   sim_direct  those with DTLS and ICE, whose media goes from party to party
 *   sim_world   the queue of events, the engine with store and relay, one run from a seed to the end
 *   sim_store   the store's delays and failures, and whether what is promised was stored
 *   sim_node    the engine's death and the next one; sim_cluster several engines with leases; sim_shards those that
 *               share a node
 *   sim_vip     media addresses that move among the nodes
 *   sim_promote the store's replica in the place of its server
 *   sim_check   what must hold after every step and at the end
 *   sim_cover   which cells of the engine's tables were reached
 *   sim_shrink  the fewest events that still fail
 *
 * Same seed, same bytes on every path, on every compiler: no order by address, ties by sequence number.
 */
#ifndef REFEREE_SIM_H
#define REFEREE_SIM_H

#include "core/b2b/state.h"
#include "parser/sip_hdr.h"
#include "rtp/relay.h"
#include "store/store.h"
#include "tests/sim/sim_faults.h"

#include <setjmp.h>

#define SIM_PHONES 8
#define SIM_ENGINE 0xff           /* as a node of the network */
#define SIM_PACKET_MAX 4096
#define SIM_PACKETS 2048
#define SIM_ITEMS 16384
#define SIM_EVENTS 4096
#define SIM_SCENES 180
#define SIM_PORT_PAIRS 200        /* of each media address */
#define SIM_PORT_MIN 30000
#define SIM_ORDER_CONN 1000       /* EV_ADMIN.conn of orders that are answered later */
#define SIM_START_US 1000000ull
#define SIM_WALL_MS 1800000000000ull

struct world;

/* ---- sim_rand ---- */

struct sim_rng {
    uint64_t s;
};
uint64_t sim_mix(uint64_t a, uint64_t b);
uint64_t sim_next(struct sim_rng *r);
/* [0, n) */
uint32_t sim_below(struct sim_rng *r, uint32_t n);
/* True in `percent` of the cases. */
bool sim_chance(struct sim_rng *r, uint32_t percent);
/* A draw of the running world by `who`. */
uint32_t sim_draw(struct world *w, uint32_t who, uint32_t n);
bool sim_draw_chance(struct world *w, uint32_t who, uint32_t percent);

/* ---- script ---- */

/* ACT(name): what a phone, or the world, is made to do. */
#define SIM_ACTIONS(X)                                                                                        \
    X(CALL) X(LATE_CALL) X(HOLD) X(RESUME) X(REOFFER) X(LATE_REINVITE) X(BLIND) X(ATTENDED) X(ODD_REFER)      \
    X(FORGED_REFER) X(INVITE_REPLACES) X(BYE) X(CANCEL) X(UPDATE) X(INFO) X(MESSAGE) X(OPTIONS) X(SUBSCRIBE)  \
    X(UNSUBSCRIBE) X(ODD_REQUEST) X(REGISTER) X(UNREGISTER) X(POWER_OFF) X(POWER_ON) X(CUT) X(CLOG) X(ICMP)   \
    X(GARBAGE) X(RELOAD) X(ADMIN) X(OUTSIDE_REFER) X(TARGET_DIALOG) X(QUIET_REFER) X(PICKUP) X(ORDER) X(DRAIN) \
    X(SCENE_OVER) X(STORE_DOWN) X(DIE) X(PROMOTE)
enum sim_action {
#define X(n) ACT_##n,
    SIM_ACTIONS(X)
#undef X
    SIM_ACTION_COUNT
};

/* SEEN(name): what a phone sees, that an event may wait for. */
#define SIM_SEEN(X)                                                                                           \
    X(NOW) X(INVITE) X(REPLACES) X(RINGING) X(ANSWERED) X(ACK) X(REINVITE) X(REANSWERED) X(ACCEPTED) X(NOTIFY) \
    X(BYE)
enum sim_seen {
#define X(n) SEEN_##n,
    SIM_SEEN(X)
#undef X
    SIM_SEEN_COUNT
};

struct sim_event {
    uint64_t at;                  /* SEEN_NOW: then; else armed from then on */
    uint32_t delay;               /* behind what was seen */
    uint8_t seen;                 /* enum sim_seen */
    uint8_t action;               /* enum sim_action */
    uint8_t phone;
    uint8_t other;                /* phone or variant the action is about */
    uint8_t scene, call;          /* which of the phone's dialogs: of this scene, call 1 or 2 */
    bool fired;
};

/* What all worlds of a seed have: drawn first, so that a shrunk run has the same. */
struct sim_setup {
    uint32_t loss, dup, reorder;  /* per mille */
    uint32_t delay_us, jitter_us;
    bool durable;                 /* what is promised waits for the store */
    bool faults;                  /* ... which fails, and engines die */
    uint8_t nodes;                /* of a cluster, an engine each; 0: one engine alone */
    uint8_t shards;               /* bit i: node i has a second engine */
    bool lone;                    /* its one node is in no cluster */
    bool steered;                 /* the kernel gives each message to the shard of its bucket */
    uint32_t mail_us, mail_loss;  /* between shards: how late at most; per mille of what comes again */
    uint8_t balance;              /* phones reach one of them by chance, or by their Call-ID */
    bool vips;                    /* a node's media address moves to another one when it is gone */
    bool replicas;                /* what counts as stored has a replica of the store, too */
    uint32_t store_delay_us, store_fails; /* per mille */
    bool auth, join, late_offer, progress, recall, hold_local;
    uint8_t accept;               /* enum accept_code */
    uint8_t refer, relay;         /* enum refer_mode, relay_variant */
    bool music, ringback, fallback, rules;
    uint8_t depth, per_minute, pending; /* 0: as by default */
    uint8_t users_refer[SIM_PHONES], users_hold[SIM_PHONES];
    uint8_t odd_agents;           /* what is done otherwise for the user agent "Odd": bits of sim_config.c */
    bool storm;                   /* much comes in between */
    bool hot;                     /* more of it, and of what meets offers and answers */
    bool hard;                    /* events that lose whole dialogs: power, cuts */
    uint8_t extras[SIM_PHONES];   /* enum sim_extra bits */
    uint8_t anchor, users_anchor[SIM_PHONES]; /* enum anchor_mode */
    uint8_t speaks[SIM_PHONES];   /* enum sim_speaks bits */
    bool srtp[SIM_PHONES];        /* speaks that alone */
    bool announces;               /* a recall in vain ends with an announcement */
    uint8_t session_s;            /* the engine's session timer; 0: it asks for none */
    bool session_us;
    uint64_t quirks[SIM_PHONES];  /* enum sim_quirk bits */
    uint64_t end;                 /* everybody hangs up */
};

struct sim_script {
    struct sim_setup setup;
    bool nodes, shards;           /* only worlds of several engines; and of a node with several */
    bool hot, mortal;             /* --hot, --mortal */
    uint32_t n;
    uint32_t first[SIM_SCENES + 1]; /* of each scene's events, which lie together */
    struct sim_event ev[SIM_EVENTS];
};
void sim_script_make(struct sim_script *s, uint64_t seed);
const char *sim_action_name(unsigned a);
const char *sim_seen_name(unsigned s);

/* ---- net ---- */

struct packet {
    struct packet *next;
    uint32_t n;
    uint8_t from, to;             /* nodes */
    bool garbage;                 /* may be unreadable */
    bool parsed;                  /* msg is what data says: read once, for the observer and the phone */
    char data[SIM_PACKET_MAX];
    struct sip_msg msg;
};

struct sim_path {
    uint64_t last;                /* arrival of the last packet: order is kept unless reordering is drawn */
    uint64_t cut_until, clog_until;
};

/* ---- phone ---- */

#define SIM_QUIRKS(X)                                                                                         \
    X(NO_ACK) X(NO_NOTIFY_ANSWER) X(NOTIFY_481) X(NO_BYE_ANSWER) X(GLARE) X(GLARE_ALWAYS) X(REFUSE_REINVITE)  \
    X(LATE_OFFER) X(NO_REPLACES) X(REFUSE_REPLACES) X(IGNORE_REPLACES) X(KEEPS_REPLACED) X(EARLY_BYE) X(NO_BYE) \
    X(BYE_AT_NOTIFY) X(FORKS) X(SWAPS_TAGS) X(ODD_URI) X(RETRANSMITS) X(REDIRECTS) X(SLOW) X(NARROW) X(VIDEO)  \
    X(REOFFERS) X(NO_PROVISIONAL) X(EARLY_MEDIA) X(CHALLENGES) X(NO_REFER_SUB) X(RFC2543_HOLD) X(SESSION_422) \
    X(REFUSES_REFER) X(NO_ALLOW_REFER) X(NOTIFY_FIRST) X(NO_FINAL_NOTIFY) X(FORGETS_TOKEN) X(ODD_AGENT) X(VERBOSE)  \
    X(TRYING)
enum sim_quirk_bit {
#define X(n) QUIRK_##n,
    SIM_QUIRKS(X)
#undef X
    SIM_QUIRK_COUNT
};

/* What a phone knows beyond the least. */
enum sim_extra { EXTRA_TIMER = 1, EXTRA_RELIABLE = 2, EXTRA_NO_UPDATE = 4 };

/* What media a phone knows. */
enum sim_speaks { SPEAKS_RTP = 1, SPEAKS_DTLS = 2 };

#define PHONE_DIALOGS 12
#define PHONE_CLIENTS 24
#define PHONE_SERVERS 24

struct txt {
    uint16_t n;
    char p[158];
};
static inline struct slice txt_slice(const struct txt *t) {
    return slice_of(t->p, t->n);
}
/* What does not fit is cut: the phones' own strings are short. */
void txt_set(struct txt *t, struct slice s);
static inline bool txt_eq(const struct txt *t, struct slice s) {
    return slice_eq(txt_slice(t), s);
}

/* PH_SUB: a subscription alone, of a REFER outside a dialog. */
enum phone_state { PH_FREE, PH_CALLING, PH_RINGING, PH_ANSWERED, PH_UP, PH_ENDING, PH_SUB };

/* One side of a session as the phone knows it. */
struct phone_sdp {
    uint8_t codecs;               /* bit i: codec i of sim_sdp.c; 0: nothing agreed */
    uint8_t dir;                  /* enum sdp_direction */
    uint8_t lines;                /* m= lines */
    uint8_t live;                 /* bit i: m= line i has a port */
    uint16_t port;                /* of the first */
    uint8_t host;                 /* of one that was read: the last number of its address */
    bool zero;                    /* held by 0.0.0.0, with no direction */
    bool dtls;
    bool srtp;                    /* of the first line: with this tag and key */
    uint8_t tag, key;             /* number of one of ours */
    uint64_t key_hash;            /* of one that was read */
    uint64_t text;                /* of what was read: hash of all but o= and rejected lines */
};

struct pdlg {
    uint8_t state;                /* enum phone_state */
    uint8_t scene, call;          /* 0xff: of none */
    bool uac, held, late, no_ack, refer_open;
    bool early, unacknowledged;   /* offer and answer were done in a reliable 18x; which waits for its PRACK */
    uint32_t rseq;                /* of the last reliable 18x to us */
    uint32_t forged_cseq;         /* of its REFER that names a dialog of somebody else's; 0: none */
    uint32_t gen;
    struct txt call_id, local_tag, remote_tag, target, remote_uri;
    uint32_t cseq, invite_cseq, remote_cseq, ok_cseq, refer_cseq;
    uint32_t sdp_version;
    uint16_t port;
    struct phone_sdp mine, theirs, offered, got; /* agreed twice; our open offer; the peer's open offer */
    bool offer_open;
    bool ok_offers;               /* the open offer is in our 2xx: its ACK answers */
    bool stubborn;                /* refused what it was offered last */
    bool hung_up;                 /* by BYE while it was early: a 2xx that comes yet does not take that back */
    bool bye_in;                  /* a BYE came, which it has not answered: it stays up for its own part */
    uint8_t invite_client;        /* index + 1 of our open INVITE */
    uint8_t invite_server;        /* index + 1 of theirs */
    uint16_t outcome;             /* of a ringing call, drawn when it came */
    uint32_t refer_in;            /* CSeq of the REFER that it has accepted and not yet told the end of; 0: none */
    uint8_t for_dlg;              /* index + 1 of the dialog whose REFER made this call; 0: none */
    uint32_t for_gen;
    struct txt replaces;          /* dialog to be ended when this one is answered: its Call-ID */
};

struct pclient {
    bool used, provisional, completed, cancelled, retried;
    uint8_t method, dlg;          /* dlg: index, 0xff: none */
    uint32_t dlg_gen, gen, branch, cseq;
    uint64_t interval, until;
    struct packet *req;
};

struct pserver {
    bool used, repeats, ok;       /* repeats: until its ACK */
    uint8_t dlg, method;
    uint32_t dlg_gen, gen, cseq;
    uint64_t key, interval, until;
    struct packet *req;           /* of an INVITE, until its final response */
    struct packet *rsp;           /* last response */
};

struct phone {
    uint8_t index;
    bool off;
    uint8_t extras;
    uint8_t speaks;
    bool srtp;
    uint64_t quirks;
    struct addr addr;
    struct txt user, uri, contact, sent_by;
    uint32_t next_branch, next_tag, next_call;
    uint32_t register_cseq;
    uint32_t nc;
    struct pdlg dlg[PHONE_DIALOGS];
    struct pclient client[PHONE_CLIENTS];
    struct pserver server[PHONE_SERVERS];
    uint64_t over[32];            /* hashes of Call-IDs of dialogs that are over */
    uint32_t over_n;
};

/* ---- world ---- */

enum sim_item_kind { ITEM_PACKET, ITEM_EVENT, ITEM_CLIENT, ITEM_SERVER, ITEM_ANSWER, ITEM_BYE, ITEM_ACT, ITEM_HANGUP,
                     ITEM_STORE, ITEM_RISE, ITEM_FLY, ITEM_START, ITEM_WAKE, ITEM_SURVIVED, ITEM_PROMOTE,
                     ITEM_ADDRESS, ITEM_ENDS };

struct sim_item {
    uint64_t at, seq;
    uint8_t kind;
    uint8_t who;                  /* phone */
    uint8_t index;                /* of dialog or transaction */
    uint8_t arg;
    uint32_t gen;                 /* of it; or the number of an event */
    struct packet *packet;
    struct sim_fly *fly;
};

/* ---- check: what was seen on the wires ---- */

#define SEEN_DIALOGS 4096
#define SEEN_BRANCHES 65536
#define SEEN_OKS 4096
#define SEEN_SUBS 512

struct seen_dialog {
    uint64_t key;                 /* Call-ID and the engine's tag; 0: free */
    uint64_t branch;              /* of the last new request out */
    uint64_t invite_branch;       /* of the engine's open INVITE; 0: none */
    uint64_t opened_branch;       /* the one that invite_at is of */
    uint64_t final_branch;        /* of its last one that has got a final response, even if it was not read yet */
    uint64_t invite_at;
    uint64_t refresh_branch;      /* of the engine's last UPDATE without an offer, if unanswered; 0: none */
    uint64_t refresh_at;
    uint64_t in_invite;           /* branch of the peer's open INVITE; 0: none */
    uint64_t sdp, session, version;
    uint64_t ok_at;               /* the engine's 2xx without ACK; 0: none */
    uint32_t cseq;
    uint64_t ok_tag;              /* the peer's, of that dialog: a fork has another */
    uint32_t ok_cseq, ok_cseq_last, acked_cseq;
    uint32_t provisional_cseq;    /* INVITE that had a 1xx delivered */
    uint64_t bye_tag;             /* the peer's, of the dialog that the engine hung up on last */
    bool hung_up;                 /* the peer, in the dialog that an owner had: the next one may still call it */
    bool bye_out, unheard;        /* unheard: its open INVITE is excused, but goes on */
    uint64_t gone_at;             /* the peer said last that there is no such dialog; 0: never */
    bool unsure;                  /* an owner died, and no record says which CSeq it had come to */
    bool leaps;                   /* what comes next of another description may be more than the next version */
};

struct seen_ok {
    uint64_t key, tag;
    uint32_t cseq;
    uint64_t at;
    bool acked;
};

struct seen_sub {
    uint64_t key;
    uint32_t id;
    uint32_t notify_cseq;         /* of the last NOTIFY out */
    bool open, final, excused;    /* open: a NOTIFY without answer, and nothing has come that may be why */
    bool unanswered, lapsed;      /* the same, whatever has come; it was so, and its sender may be gone */
    bool was_final;               /* ... the final one: whoever goes on may not repeat it if its answer comes */
    bool unread;                  /* its answer waits in a node that may go, or it is sent again behind its answer */
    bool unsaid;                  /* no record says that the final one was answered: the next owner repeats it */
    uint64_t sent_at, at;
    unsigned node;                /* of a cluster, that sent the last NOTIFY */
    uint64_t to_tag;              /* the peer's: a fork that is refused has another */
    bool relayed;                 /* the transferee is the notifier */
};

struct sim_seen_all {
    struct seen_dialog dialogs[SEEN_DIALOGS];
    uint64_t branches[SEEN_BRANCHES];
    struct seen_ok oks[SEEN_OKS];
    struct seen_sub subs[SEEN_SUBS];
    uint32_t ok_n, sub_n, branch_n, hops, hops_step; /* hops: that came with the call or REFER of this step */
    bool early; /* what comes in this step is of a call that is still being read, whatever the step's timers do */
};

struct sim_options {
    uint64_t seed, count, seconds;
    bool faults, nodes, shards, mix, hot, mortal, verbose, hash, no_shrink, survey, cover, engine_trace, stop_on_first;
    const char *only, *explained;
};

struct world {
    uint64_t seed, now, steps, seq, hash;
    struct sim_options opt;
    struct sim_script script;
    bool masked[SIM_EVENTS];
    bool calm;                    /* the time of hanging up has come */
    bool lost_peer;               /* some phone forgot a dialog without a BYE that arrived */
    uint64_t draw_at;
    uint32_t draw_n;
    struct sim_item heap[SIM_ITEMS];
    uint32_t heap_n;
    struct packet packets[SIM_PACKETS];
    struct packet *free_packets, *arriving;
    uint32_t packets_used;        /* ever: those behind are as good as free */
    struct sim_path path[SIM_PHONES][2]; /* 0: to the engine */
    struct phone phones[SIM_PHONES];
    struct sim_store faults;
    bool dead;                    /* no engine is there */
    uint8_t *memory;
    size_t memory_n, store_at, store_n; /* of the store: where in it, and how much */
    struct engine *e;
    struct store *store;
    struct relay one_relay, *relay;
    struct srtp_keys keys[SIM_PORT_PAIRS]; /* that it was told */
    struct sim_cluster *cluster;  /* never NULL */
    struct outbox out;
    struct engine_config config;
    struct user_config users[SIM_PHONES];
    struct route_config route;
    struct peer_config peer;
    struct transfer_rule rules[2];
    struct quirk_config odd;
    uint64_t transfers, messages, virtual_us;
    uint32_t same_time;
    uint64_t trace_seen;
    struct sim_seen_all seen;
    uint64_t orders, orders_open; /* of an operator: how many; not answered, bits by number modulo 64 */
    bool drained;                 /* before its end */
    jmp_buf fail;
    char failure[400];
    uint32_t failure_kind;        /* of the text, without numbers: the shrinker looks for the same */
};

/* True: nothing was broken. */
bool world_run(struct world *w, uint64_t seed);
_Noreturn void sim_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_push(struct world *w, const struct sim_item *item);
/* A packet with room, or a failure of the simulator itself. */
struct packet *packet_new(struct world *w);
/* With what p says, not read. */
struct packet *packet_copy(struct world *w, const struct packet *p);
/* NULL: it cannot be read. */
struct sip_msg *packet_read(struct packet *p);
void packet_free(struct world *w, struct packet *p);
/* Takes the packet. */
void net_send(struct world *w, struct packet *p);
void net_act(struct world *w, const struct sim_event *ev);
void world_step_engine(struct world *w, const struct event *ev);
void world_say(struct world *w, const char *what, const struct packet *p);
void world_hash(struct world *w, const void *p, size_t n);
extern const struct addr sim_engine_addr;
/* A phone has seen something: events that wait for it. */
void world_seen(struct world *w, const struct phone *ph, enum sim_seen what, unsigned scene);

/* ---- sim_store, sim_node: see sim_faults.h, too ---- */

/* A new engine and relay beside the old store. */
void world_renew(struct world *w);
/* Whoever asked the engine for something may wait in vain, and what it had open is not known. */
void check_died(struct world *w);
/* What w->e has just stepped may be a record that is older than what owners in between have said, or a call has just
 * `arrived` as one. What it sends is not looked at yet: where the store is down the call goes on at once. */
void check_unwritten(struct world *w, const struct event *ev, bool arrived);
/* A node that has slept still has its calls: a NOTIFY whose time was over meanwhile is not sent again, and it was the
 * last one. Before it acts. */
void check_woken(struct world *w, const struct engine *e);
/* Word of call `id` has come to w->e from an owner by a claim that a promoted server has not seen. */
void check_undone(struct world *w, uint64_t id);
/* w->e hears a former owner's word of the call: what lives is not ended by it. Around that step; not of one that is
 * kept until it is sure whose the call is. */
void check_over_begins(struct world *w, uint64_t id);
void check_over_ends(struct world *w);
const struct leg *leg_of_tag(const struct engine *e, struct slice call_id, struct slice tag);

/* ---- config: what the engine is told, and by whom ---- */

void config_fill(struct world *w);
/* Orders of an operator, reloads, drain. */
void config_act(struct world *w, const struct sim_event *ev);

/* ---- phone: for the world ---- */

void phone_init(struct world *w, unsigned index);
void phone_recv(struct world *w, struct phone *ph, struct packet *p);
void phone_timer(struct world *w, const struct sim_item *item);
void phone_act(struct world *w, struct phone *ph, const struct sim_event *ev);
void phone_hangup_all(struct world *w, struct phone *ph);
bool phone_is_idle(const struct phone *ph);

/* ---- phone: private to sim_phone*.c and sim_sdp.c ---- */

static inline bool phone_quirk(struct world *w, const struct phone *ph, enum sim_quirk_bit q) {
    return !w->calm && (ph->quirks >> q & 1) && sim_draw_chance(w, ph->index, 60);
}
struct pdlg *phone_dialog_new(struct world *w, struct phone *ph);
void phone_dialog_over(struct world *w, struct phone *ph, struct pdlg *d);
struct pdlg *phone_dialog_find(struct phone *ph, struct slice call_id, struct slice local_tag);
uint8_t phone_dialog_index(const struct phone *ph, const struct pdlg *d);
struct pclient *phone_client_of(struct phone *ph, const struct pdlg *d);

struct phone_request {
    struct slice method, extra, type, body;
    struct slice ruri;            /* absent: the dialog's target */
    uint32_t cseq;                /* 0: the next */
    bool no_contact;
};
/* In the dialog d; NULL when no transaction is free. ACK makes none. */
struct pclient *phone_send(struct world *w, struct phone *ph, struct pdlg *d, const struct phone_request *r);
void phone_ack(struct world *w, struct phone *ph, struct pdlg *d, struct slice sdp);
void phone_bye(struct world *w, struct phone *ph, struct pdlg *d);
void phone_cancel(struct world *w, struct phone *ph, struct pdlg *d);
void phone_register(struct world *w, struct phone *ph, uint32_t expires, bool star);
bool phone_invite(struct world *w, struct phone *ph, struct pdlg *d, struct slice extra, bool late);
void phone_end(struct world *w, struct phone *ph, struct pdlg *d);

struct phone_call {
    uint8_t scene, call;
    bool late;
    struct slice target, extra;
};
/* NULL: it cannot. */
struct pdlg *phone_call(struct world *w, struct phone *ph, const struct phone_call *c);
struct pdlg *phone_dialog_at(struct phone *ph, unsigned scene, unsigned call);
/* The URI by which others know phone `who`; from 200 on odd ones. */
void phone_put_user(struct world *w, struct sbuf *b, unsigned who);
/* A REFER outside a dialog, with Target-Dialog of o or (NULL) to whom it may concern. */
void phone_refer_outside(struct world *w, struct phone *ph, const struct sim_event *ev, const struct pdlg *o);
void phone_subscribe_at(struct world *w, struct phone *ph, struct slice uri);
/* As transferee: the REFER, and what became of the call that it made. */
void phone_on_refer(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m);
void phone_refer_result(struct world *w, struct phone *ph, const struct pdlg *made, uint16_t status);
/* One header line. */
void headers_put(struct world *w, struct phone *ph, struct sbuf *b);
void phone_answer_plain(struct world *w, struct phone *ph, struct pserver *s, const struct sip_msg *m, uint16_t status);

struct phone_response {
    uint16_t status;
    struct slice tag, extra, body;
    bool contact, repeats, last;
};
void phone_respond(struct world *w, struct phone *ph, struct pserver *s, const struct sip_msg *req,
                   const struct phone_response *r);
void phone_on_request(struct world *w, struct phone *ph, struct packet *p, const struct sip_msg *msg);
void phone_on_response(struct world *w, struct phone *ph, const struct sip_msg *msg);
void phone_answer(struct world *w, struct phone *ph, struct pdlg *d);
void phone_server_free(struct world *w, struct pserver *s);
void phone_client_free(struct world *w, struct pclient *c);

/* Writes a description; `as` is what it says. */
struct slice sdp_write(struct sbuf *b, const struct phone *ph, struct pdlg *d, const struct phone_sdp *as);
bool sdp_read(struct slice text, struct phone_sdp *out);
void sdp_offer(struct world *w, const struct phone *ph, const struct pdlg *d, struct phone_sdp *out);
/* False: no codec in common. */
bool sdp_answer(struct world *w, const struct phone *ph, const struct pdlg *d, const struct phone_sdp *offer,
                struct phone_sdp *out);

/* RFC 3264 section 6: as many m-lines, none that was rejected, no direction that was not offered. */
void sdp_check_answer(struct world *w, const struct phone_sdp *offer, const struct phone_sdp *answer);

/* ---- check ---- */

void check_start(struct world *w);
/* Once the engine has seen it, before what it sends. NULL: cannot be read. */
void check_early(struct world *w, const struct sip_msg *msg); /* before the step that it comes in; NULL: nothing */
void check_in(struct world *w, const struct sip_msg *msg);
void check_out(struct world *w, const struct sip_msg *msg, uint8_t to);
/* A final response that went out before. */
bool check_is_repeated(struct world *w, const struct sip_msg *response);
/* After every step. */
void check_step(struct world *w);
/* Everybody has hung up and every timer but those of bindings has run out. */
void check_end(struct world *w);
void check_drained(struct world *w);
/* A dialog as the wires name it: its Call-ID and the engine's tag. */
uint64_t check_key(struct slice call_id, struct slice tag);
struct seen_dialog *check_dialog(struct world *w, uint64_t key);
/* The requests that are open may fail for a reason of the network's. */
void check_excuse(struct world *w);
void check_media(struct world *w);
/* Every leg of the engine, as it stands. */
void check_dump(const struct world *w);
void check_wires_end(struct world *w);
/* When its final NOTIFY goes out. */
void check_outcome(struct world *w, const struct transfer *t, uint16_t status);
uint64_t sim_hash(struct slice s);
/* Of a header without an id of its own; absent: none. */
struct slice sim_header(const struct sip_msg *m, struct slice name);

/* ---- cover ---- */

/* Explained rows, from a file; false: it cannot be read. */
bool cover_load(const char *path);
/* False: a row is neither reached, in enough transfers, nor explained, or one is reached that is explained. */
bool cover_report(bool rows, bool enough);

/* ---- shrink ---- */

/* w has failed with its script; leaves in w->masked what can be left out. */
void sim_shrink(struct world *w);

/* ---- extras: phones with session timers and 100rel ---- */

void extras_make(struct sim_setup *u, uint64_t seed);
void extras_config(struct engine_config *c, const struct sim_setup *u);
/* Header lines of a phone's request, or of its response to one. */
void extras_put(const struct phone *ph, struct sbuf *b, bool request, enum sip_method method, uint16_t status);
/* Rings with a reliable 183; false: as ever. */
bool extras_rings(struct world *w, struct phone *ph, struct pdlg *d, struct pserver *s, const struct sip_msg *m);
/* Status of the answer to a PRACK. */
uint16_t extras_on_prack(struct phone *ph, struct pdlg *d, const struct sip_msg *m);
/* A response to the phone's INVITE, before it takes its To tag. */
void extras_responded(const struct world *w, struct pdlg *d, const struct sip_msg *m);
/* A 18x to the phone: its PRACK. */
void extras_provisional(struct world *w, struct phone *ph, struct pdlg *d, const struct sip_msg *m);
void extras_check_2xx(struct world *w, const struct pdlg *d, const struct sip_msg *m);

#endif
