/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn: the transaction layer of one shard: RFC 3261 section 17 with RFC 6026 (Accepted, timers L and M) and RFC 4320
 * (100 to a non-INVITE only when Timer E has reached T2; never 408). Four total tables (txn_table.h) drive it.
 *
 * Data goes up by return value: txn_recv_*, txn_timer and txn_transport_error return one struct txn_event, and the TU
 * acts on it. Datagrams go into the outbox, each with its own buffer reference; if the outbox is full the datagram is
 * lost, as one on the wire. The TU holds handles only: a transaction that ended is simply not found any more (txn_get
 * gives NULL).
 *
 * What the TU must do itself: the ACK to a 2xx and its repetition (TXN_2XX_AGAIN), the repetition of its own 2xx
 * until the ACK (section 13.3.1.4), answering every TXN_NEW_REQUEST and TXN_CANCEL in time. What it must not do: 100
 * Trying (both server transactions send it), the ACK to a non-2xx, retransmissions.
 *
 * Time: uint64 microseconds, monotonic. `now` is the step's time.
 */
#ifndef REFEREE_SIP_TXN_H
#define REFEREE_SIP_TXN_H

#include "core/base/addr.h"
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/chain.h"
#include "core/base/metrics.h"
#include "core/base/outbox.h"
#include "core/base/pool.h"
#include "core/base/trace.h"
#include "core/base/wheel.h"
#include "core/sip/uas_head.h"
#include "parser/sip_msg.h"

enum txn_kind { TXN_ICT, TXN_NICT, TXN_IST, TXN_NIST, TXN_KIND_COUNT };

/* wheel_node.kind of our nodes: 1..TXN_TIMER_LAST; the rest of the engine uses 32 and up.. */
#define TXN_TIMERS(X)                                                                                                 \
    X(A) X(B) X(D) X(E) X(F) X(G) X(H) X(I) X(J) X(K) X(L) X(M)                                                       \
    X(CANCELLED) /* ICT: 64*T1 behind a CANCEL, section 9.1 */                                                        \
    X(TRYING)    /* NIST: time for 100, RFC 4320 section 4.1 */                                                       \
    X(EXPIRED)   /* NIST: 64*T1 without an answer, RFC 4320 section 4.2 */                                           \
    X(LINGER)    /* D, I, J, K, L or M of those in a queue that fall due; no event of a machine */
enum txn_timer_kind {
    TXN_TIMER_NONE,
#define X(name) TXN_TIMER_##name,
    TXN_TIMERS(X)
#undef X
    TXN_TIMER_END
};
#define TXN_TIMER_LAST 31
static inline bool txn_is_timer(const struct wheel_node *n) {
    return n->kind >= 1 && n->kind <= TXN_TIMER_LAST;
}

/* Section 17.1.1.1; all in microseconds. A zero takes the default of the RFC. */
struct txn_times {
    uint64_t t1;                  /* 500 ms */
    uint64_t t2;                  /* 4 s */
    uint64_t t4;                  /* 5 s */
    uint64_t d;                   /* Timer D, at least 32 s on a real network */
};

/* What it needs only until it has its final response; given back when it only lingers: ICT Accepted and Completed,
 * NICT Completed, IST Accepted and Confirmed, NIST Completed. Those are most, by far. */
struct txn_open {
    handle self;                  /* in the pool of these */
    struct buf *request;          /* client: what is sent again. Server: a copy of the request's bytes, until its final
                                     response was sent; then NULL */
    struct buf *head;             /* IST: see txn_head; while there is the request */
    struct buf *cancel;           /* ICT: a CANCEL that waits for a provisional response */
    handle peer;                  /* the TU's: for example the paired transaction of the other side */
    handle dst_next, dst_prev;    /* client: others to that address; txn_dst.c */
    uint64_t trace_call;          /* the TU's, for the trace; 0: none */
    uint64_t interval;            /* of the retransmission timer that runs */
    struct wheel_node retransmit; /* A, E, G, TRYING */
    struct wheel_node life;       /* B, F, H, CANCELLED, EXPIRED */
    uint32_t started;             /* client: the how manieth of the layer, from 1 */
    uint16_t src_port;            /* server: see txn_src */
    uint16_t bucket;              /* the TU's, of the call that it goes with, and 1 more; 0: of none */
    uint8_t tries;                /* the TU's: how often this request was sent before with another CSeq */
    uint8_t trace_leg;            /* the TU's, for the trace; 0xff: none */
    bool dst_linked;
    bool legacy;                  /* server: matched by RFC 2543's rules */
};

/* Transactions that only linger, all as long: in the order in which they end. The members are indices in the pool and
 * 1 more. */
struct txn_queue {
    uint32_t first, last;
    struct wheel_node timer;      /* set while there is one: LINGER; owner: which queue */
};
/* None, over a reliable transport (D, I, J, K); T4 (I, K); 64*T1 (J, L, M); D. */
enum txn_wait { TXN_WAIT_NONE, TXN_WAIT_T4, TXN_WAIT_64T1, TXN_WAIT_D, TXN_WAITS };

struct txn {
    handle self;
    uint64_t ctx;                 /* the TU's: who owns it. Set it after TXN_NEW_REQUEST through txn_get */
    union {
        struct txn_open *open;    /* not if it lingers: txn_open_of */
        struct { uint32_t next, prev; } queue; /* if it lingers */
    } u;
    struct buf *kept;             /* server: the last response, while it may have to be sent again. ICT that lingers:
                                     Completed the ACK; Accepted the TU's, see txn_keep_ack, or NULL */
    uint64_t ends_us;             /* if it lingers */
    struct key128 key;            /* what it is found by */
    struct addr dst;              /* where this transaction sends to */
    struct addr local;            /* our address it sends from; ADDR_NONE: any */
    struct chain_node by_key;
    uint32_t merge;               /* server: index in the pool of txn_merge and 1 more, or 0 */
    uint32_t cseq;
    uint16_t status;              /* of the last response sent (server) or passed up (client); 0: none */
    uint8_t ctx_kind;             /* the TU's */
    uint8_t kind;                 /* enum txn_kind */
    uint8_t state;                /* enum of that kind's machine, txn_table.h */
    uint8_t method;               /* enum sip_method */
    bool lingers : 1;
    bool cancelled : 1;           /* ICT: the TU asked for CANCEL; IST: a CANCEL came */
    uint8_t wait : 2;             /* enum txn_wait, if it lingers */
};
/* A call leaves four of them for half a minute. */
_Static_assert(sizeof(struct txn) <= 128, "transactions that linger are held by the million");

/* NULL: it only lingers. */
static inline struct txn_open *txn_open_of(const struct txn *t) {
    return t->lingers ? NULL : t->u.open;
}
/* Its request, or absent. */
static inline struct slice txn_request_of(const struct txn *t) {
    return t->lingers ? SLICE_NONE : buf_slice(t->u.open->request);
}
/* Of one that does more than linger. */
static inline void txn_set_peer(struct txn *t, handle peer) {
    if (!t->lingers)
        t->u.open->peer = peer;
}
static inline handle txn_peer(const struct txn *t) {
    return t->lingers ? HANDLE_NONE : t->u.open->peer;
}

/* Section 8.2.2.2: a request without To tag, by what it shares with those that came another way. */
struct txn_merge {
    uint64_t key;
    struct chain_node by_key;
};

#define TXN_DST_CHAINS 256

struct txn_layer {
    struct pool pool, open, merges; /* of struct txn, txn_open, txn_merge */
    struct chain by_key, by_merge;
    struct txn_queue queues[TXN_WAITS];
    struct siphash_key key;
    struct txn_times times;
    struct wheel *wheel;
    struct buf_pool *bufs;
    struct metrics *metrics;
    struct trace *trace;
    struct buf *refused;          /* see txn_refused */
    handle by_dst[TXN_DST_CHAINS];
    uint32_t started;             /* client transactions, ever; it wraps */
};

struct txn_layer_config {
    uint32_t count;               /* transactions at most, those that only linger among them */
    uint32_t open;                /* ... that do more than linger; 0, or more than `count`: all may */
    struct siphash_key key;       /* secret of the keys */
    struct txn_times times;
    struct wheel *wheel;          /* these four are borrowed for the layer's life */
    struct buf_pool *bufs;
    struct metrics *metrics;
    struct trace *trace;
};

/* While `a` counts, only the size is taken. */
void txn_layer_init(struct txn_layer *l, struct arena *a, const struct txn_layer_config *c);

enum txn_event_kind {
    TXN_NONE,                     /* absorbed; nothing to do */
    /* client */
    TXN_STRAY,                    /* a response that matches no transaction; its dialog re-ACKs a 2xx to INVITE */
    TXN_PROVISIONAL,              /* 100 to 199 */
    TXN_FINAL,                    /* the first final response; to a 2xx to INVITE the TU sends the ACK. other: `peer` */
    TXN_2XX_AGAIN,                /* INVITE: a further 2xx, repeated or of another fork (see its To tag): ACK it */
    TXN_TIMEOUT,                  /* `timer` tells: B, F: no answer (as 408); CANCELLED: no final behind a CANCEL;
                                     H: no ACK to our non-2xx; EXPIRED: the TU did not answer in 64*T1 */
    TXN_FAILED,                   /* transport error; as 503, section 8.1.3.1. other: `peer` of a NICT */
    /* server */
    TXN_NEW_REQUEST,              /* txn: the new IST or NIST; no ACK or CANCEL. `merged`: answer 482 (8.2.2.2) */
    TXN_CANCEL,                   /* txn: the CANCEL's own NIST; other: the IST it names or HANDLE_NONE (answer
                                     481). Answer 200 on txn; then 487 on other, if that has no final response yet.
                                     ctx and ctx_kind are other's */
    TXN_ACK_2XX,                  /* an ACK for the dialog; txn: the Accepted IST of that branch, or HANDLE_NONE */
    TXN_ACK_FAILURE,              /* the ACK to our non-2xx: absorbed, for the TU's information */
    TXN_FULL                      /* no room; answer 503 without a transaction (txn_response_dst). Not for ACK */
};

/* A copy of what the TU needs: the transaction itself may have ended (TXN_TIMEOUT, TXN_FAILED). */
struct txn_event {
    enum txn_event_kind kind;
    handle txn;
    handle other;
    uint64_t ctx;
    uint8_t ctx_kind;
    uint8_t tries;                /* the transaction's, of TXN_FINAL */
    uint8_t txn_kind;             /* enum txn_kind */
    uint8_t method;               /* enum sip_method of the transaction */
    uint8_t timer;                /* enum txn_timer_kind, of TXN_TIMEOUT */
    bool merged;
};

/* ---- client ---- */

struct txn_client {
    struct buf *request;          /* takes the reference, also on failure. Whole message, top Via with `branch` */
    enum sip_method method;       /* not ACK: that goes out without a transaction; not CANCEL: see txn_cancel */
    struct slice method_name;     /* for SIP_M_UNKNOWN only */
    struct slice branch;
    uint32_t cseq;
    const struct addr *dst;
    const struct addr *local;     /* NULL: any */
    uint8_t ctx_kind;
    uint8_t trace_leg;
    uint16_t bucket;
    uint64_t ctx;
    uint64_t trace_call;
};

/* Sends the request and arms the timers. HANDLE_NONE: no request (NULL), no room, or a transaction with this branch
 * and method exists. */
handle txn_client_start(struct txn_layer *l, struct outbox *o, uint64_t now, const struct txn_client *c);
/* The same in two steps, for a request that is held back: made it has no timer, and no response is for it; txn_cancel
 * is remembered until the INVITE was sent. A handle that is over is ignored. */
handle txn_client_make(struct txn_layer *l, const struct txn_client *c);
void txn_client_send(struct txn_layer *l, struct outbox *o, uint64_t now, handle txn);
/* One that was made of an INVITE which another process has sent, and had a provisional response to: Proceeding. */
void txn_client_adopt(struct txn_layer *l, handle txn);

/* Which one a response is for: by top Via branch and CSeq method (section 17.1.3). NULL: none that was sent here. */
const struct txn *txn_find_client(const struct txn_layer *l, const struct sip_msg *msg);
/* Of that one; that the Via is ours is for the caller to see (18.1.2). The ACK to a non-2xx is made and sent here
 * (17.1.1.3). msg is a response. */
struct txn_event txn_recv_response(struct txn_layer *l, struct outbox *o, uint64_t now, const struct sip_msg *msg);

/* CANCEL for a client INVITE (section 9.1). extra: whole header lines with CRLF (Reason ...), or SLICE_NONE. Sent now
 * if a provisional response has come, else when one comes; nothing is sent once a final one has. Returns the CANCEL's
 * own NICT (same ctx, method CANCEL: its events are for information) or HANDLE_NONE: not sent now. Only the first
 * call counts. 64*T1 after it was sent the INVITE ends with TXN_TIMEOUT, timer CANCELLED. A 2xx may still come: ACK
 * and BYE. */
handle txn_cancel(struct txn_layer *l, struct outbox *o, uint64_t now, handle invite, struct slice extra);

/* The request to which the TXN_FINAL just returned is 401, 407 or 422 the answer: what is sent again with a higher
 * CSeq. Good until txn_forget_refused, which the TU calls when it has dealt with that event. Absent: none. */
static inline struct slice txn_refused(const struct txn_layer *l) {
    return l->refused ? buf_slice(l->refused) : SLICE_NONE;
}
void txn_forget_refused(struct txn_layer *l);

/* The ACK to this INVITE's 2xx and where it goes, kept as `kept` and `dst` for a TU that will not be there when the
 * 2xx comes again. Takes the reference; without effect but in ICT Accepted. */
void txn_keep_ack(struct txn_layer *l, handle invite, struct buf *ack, const struct addr *dst);

/* A client transaction for an INVITE to which no response has come, not even 100. */
bool txn_heard_nothing(const struct txn_layer *l, handle invite);

/* ---- server ---- */

/* Section 17.2.3. src: where it came from; dst: our address it came to. IST: 100 Trying is sent at once. msg is a
 * request. */
struct txn_event txn_recv_request(struct txn_layer *l, struct outbox *o, uint64_t now, const struct sip_msg *msg,
                                  const struct addr *src, const struct addr *dst);

/* A request of this branch and method is being dealt with: it comes again, by section 17.2.3. *mark: a number that it
 * shares with its repetitions, and by chance with one in 2^64 others. */
bool txn_knows(const struct txn_layer *l, const struct sip_msg *request, uint64_t *mark);
/* An INVITE, its ACK or CANCEL: the INVITE is being dealt with. */
bool txn_knows_invite(const struct txn_layer *l, const struct sip_msg *request);

/* Sends a response of the TU and keeps it as long as needed. Takes the reference, always; NULL (no buffer) does
 * nothing. A stale handle, or a response behind a final one: dropped (17.2.2), but a 2xx again in Accepted is sent.
 * NIST: 1xx and 408 are never sent (RFC 4320); 408 ends the transaction. */
void txn_respond(struct txn_layer *l, struct outbox *o, uint64_t now, handle txn, struct buf *response,
                 uint16_t status);

/* Where a response to this request goes (section 18.2.2, RFC 3581), also for stateless answers. */
void txn_response_dst(const struct sip_msg *request, const struct addr *src, struct addr *out);

/* ---- both ---- */

/* For a popped node with txn_is_timer(n). A process that has slept, or may not send, comes late to it: where the end of
 * the transaction is due too, nothing is sent again before that. */
struct txn_event txn_timer(struct txn_layer *l, struct outbox *o, uint64_t now, struct wheel_node *n);

/* The kernel reported an error for dst: client transactions to it that wait for an answer fail, one event a call; call
 * until TXN_NONE. `started` is the layer's from before the first call: the error is not about what is sent on account
 * of it. */
struct txn_event txn_transport_error(struct txn_layer *l, uint64_t now, const struct addr *dst, uint32_t started);

/* NULL: ended. The pointer is good until the next call into the layer. */
static inline struct txn *txn_get(const struct txn_layer *l, handle h) {
    return (struct txn *)pool_get(&l->pool, h);
}
static inline uint32_t txn_count(const struct txn_layer *l) {
    return l->pool.used;
}
/* That many more find room; without the last eighth, if `spare`. */
static inline bool txn_has_room(const struct txn_layer *l, uint32_t more, bool spare) {
    const struct pool *all = &l->pool, *open = &l->open;
    return all->used + more <= all->count - (spare ? all->count / 8 : 0) &&
           open->used + more <= open->count - (spare ? open->count / 8 : 0);
}
/* Of a server transaction that does more than linger: where the request came from. Its responses go there, but for the
 * port (RFC 3581). */
static inline struct addr txn_src(const struct txn *t) {
    struct addr src = t->dst;
    src.port = t->lingers ? src.port : t->u.open->src_port;
    return src;
}
/* The request of a server transaction, to be parsed again for its response; p == NULL: final response sent, or
 * it ended. */
static inline struct slice txn_request(const struct txn_layer *l, handle h) {
    const struct txn *t = txn_get(l, h);
    return t && t->kind >= TXN_IST ? txn_request_of(t) : SLICE_NONE;
}
/* What responses to the INVITE of an IST take from it, as long as there is its request; NULL: there is not, or no
 * buffer. Good until a final response was sent. */
const struct uas_head *txn_head(const struct txn_layer *l, handle h);
/* A final response was sent (server) or passed up (client), or it ended. */
bool txn_is_done(const struct txn_layer *l, handle h);
/* Ends it at once without a word: for what was handed over or shut down. */
void txn_drop(struct txn_layer *l, handle h);

const char *txn_kind_name(unsigned kind);
const char *txn_state_name(unsigned kind, unsigned state);
const char *txn_timer_name(unsigned timer);
const char *txn_event_name(enum txn_event_kind kind);

#endif
