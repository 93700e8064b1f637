/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * phone: a small SIP user agent on our own parser: registers with digest, calls, answers, holds, refers, is replaced.
 * It does no I/O: bytes and time come in (phone_input, phone_tick), bytes go out through phone_io.send, what happened
 * is queued as events. Media is not here: a dialog says where its audio goes and comes from (struct phone_audio), the
 * owner moves it.
 *
 * Everything is bounded and lies inside struct phone: no allocation, no global; one thread at a time. UDP only. Times
 * are microseconds of a monotonic clock, never 0.
 *
 * What it does by itself: retransmission and time-outs (RFC 3261 section 17), ACK, one answer to a 401 or 407, ringing
 * and answering after `answer_us`, the answer to every re-INVITE, 200 to BYE, NOTIFY and OPTIONS, 487 to CANCEL;
 * a REFER in a dialog is accepted, its call made and its NOTIFYs sent (RFC 3515, one subscription a dialog); and
 * RFC 3891: an INVITE that replaces a confirmed dialog is answered 200 at once and that dialog is ended by BYE.
 */
#ifndef REFEREE_BENCH_PHONE_H
#define REFEREE_BENCH_PHONE_H

#include "core/base/addr.h"
#include "core/base/rng.h"
#include "parser/sdp.h"
#include "parser/sip_msg.h"

#define PHONE_DIALOGS 6
#define PHONE_TXNS 24
#define PHONE_EVENTS 32
#define PHONE_TEXT_MAX 256
#define PHONE_ROUTE_MAX 512
#define PHONE_MSG_MAX 2048
#define PHONE_CODECS 8

struct phone_text {
    uint16_t n;
    char s[PHONE_TEXT_MAX];
};

enum phone_codec_kind { PHONE_ULAW, PHONE_ALAW, PHONE_OTHER_AUDIO, PHONE_DTMF };

struct phone_codec {
    uint8_t payload_type;
    enum phone_codec_kind kind;
    const char *rtpmap;           /* "PCMU/8000" */
};

struct phone;

/* One message as it passes; also each one sent again. */
enum phone_seen_flag {
    PHONE_SEEN_AGAIN = 1u,        /* a retransmission, ours or the peer's */
    PHONE_SEEN_AUTH = 2u          /* part of a digest round: the challenge, its ACK, the request sent again */
};
struct phone_seen {
    bool sent;
    unsigned flags;
    int dialog;                   /* -1: none */
    const struct sip_msg *msg;    /* valid during the call only */
};

struct phone_io {
    void *arg;
    void (*send)(void *arg, struct phone *ph, const struct addr *to, struct slice bytes);
    void (*seen)(void *arg, struct phone *ph, const struct phone_seen *seen);  /* NULL: nobody looks */
};

struct phone_config {
    const char *name, *password;  /* user part and digest user */
    const char *domain;           /* of its address of record: host[:port] */
    struct addr local, proxy;     /* proxy: registrar and first hop; family ADDR_NONE: straight to the URI's address */
    uint16_t media_port;          /* dialog slot i uses media_port + 2 * i */
    struct phone_codec codecs[PHONE_CODECS];   /* in order of preference */
    unsigned codec_count;
    bool replaces;                /* lists and honours replaces */
    uint16_t refuse;              /* every new INVITE with this status, also one that replaces; 0: none */
    bool manual;                  /* neither rings nor answers by itself */
    uint64_t answer_us;           /* from INVITE to 200 */
    uint32_t t1_us;               /* RFC 3261 T1; 0: 500 ms */
    uint32_t expires;             /* of a binding, seconds */
    struct siphash_key seed;
};

enum phone_event_kind {
    PHONE_EV_NONE,
    PHONE_EV_REGISTERED,          /* status */
    PHONE_EV_UNREGISTERED,
    PHONE_EV_REGISTER_FAILED,     /* status; 0: no answer */
    PHONE_EV_INCOMING,            /* a new dialog */
    PHONE_EV_PROGRESS,            /* status 1xx to our INVITE */
    PHONE_EV_ANSWERED,            /* 2xx came and ACK went */
    PHONE_EV_CONFIRMED,           /* ACK to our 2xx came */
    PHONE_EV_FAILED,              /* our INVITE or re-INVITE: status; 0: no answer */
    PHONE_EV_AUDIO,               /* dialog.audio changed */
    PHONE_EV_REFER_ANSWERED,      /* status; 0: no answer */
    PHONE_EV_NOTIFY,              /* status of the sipfrag; `final` when the subscription ended */
    PHONE_EV_REPLACED,            /* other = the dialog that the new one took the place of */
    PHONE_EV_ENDED,               /* BYE either way, or CANCEL; the slot is free afterwards */
    PHONE_EV_REQUEST_FAILED       /* BYE or another request: status; 0: no answer */
};

struct phone_event {
    enum phone_event_kind kind;
    int dialog, other;
    uint16_t status;
    bool final;
};

/* One dialog's audio, as both descriptions have it. */
struct phone_audio {
    uint16_t local_port;
    struct addr remote;           /* port 0: none */
    uint8_t payload_type;         /* to send with */
    enum phone_codec_kind kind;
    enum sdp_direction direction; /* ours: what we may send and receive now */
};

enum phone_dialog_state {
    PHONE_D_FREE, PHONE_D_CALLING, PHONE_D_EARLY, PHONE_D_INCOMING, PHONE_D_CONFIRMED, PHONE_D_ENDING
};

struct phone_dialog {
    enum phone_dialog_state state;
    uint64_t born;                /* order of creation */
    struct phone_text call_id, local_tag, remote_tag;
    struct phone_text local_uri, remote_uri, target;   /* name-addr without tag; remote target URI */
    uint16_t route_n;
    char route[PHONE_ROUTE_MAX];  /* value of Route, empty: none */

    uint32_t cseq, remote_cseq, invite_cseq;
    int invite_txn;               /* the INVITE or re-INVITE that is open, ours or theirs; -1: none */
    bool we_offered;              /* our own offer is open */
    bool held_by_us;
    bool peer_replaces;           /* the peer lists replaces */
    int replaces;                 /* dialog to end once this one is answered; -1: none */
    int referred;                 /* dialog with the REFER that this call follows, until that is over; -1: none */
    uint32_t refer_cseq;          /* of that REFER, the id of its subscription */
    bool subscription;            /* made by our REFER outside a dialog: no call, ends with its final NOTIFY */
    uint64_t answer_at;           /* 0: not by itself */
    uint64_t sdp_id, sdp_version, sdp_digest;   /* digest: of what the version stands for */
    uint64_t peer_sdp_id, peer_sdp_version, peer_sdp_digest;   /* of the peer's last description; id 0: none yet */
    struct phone_audio audio;
    uint64_t resend_at, resend_interval, resend_until;  /* of our 2xx, until its ACK; 0: none */
    struct addr ok_to;
    uint16_t ok_n, ack_n;
    uint32_t ack_cseq;
    char ok[PHONE_MSG_MAX];       /* our 2xx */
    char ack[PHONE_MSG_MAX];      /* our ACK to their 2xx */
};

enum phone_txn_state { PHONE_T_FREE, PHONE_T_CALLING, PHONE_T_PROCEEDING, PHONE_T_COMPLETED };

struct phone_txn {
    enum phone_txn_state state;
    bool client, challenged;
    enum sip_method method;
    uint32_t cseq;
    int dialog;
    struct addr peer;
    struct phone_text branch;
    uint64_t resend_at, interval, until;   /* resend_at 0: no resending */
    uint16_t request_n, reply_n;
    char request[PHONE_MSG_MAX];
    char reply[PHONE_MSG_MAX];    /* server: last response; client: ACK to a non-2xx */
};

struct phone_counters {
    uint64_t sent, received, resent, bad, stray;
    uint64_t origin_faults;       /* o= of the peer that does not go as RFC 3264 section 8 has it */
};

struct phone {
    struct phone_config config;
    struct phone_io io;
    struct rng rng;
    uint64_t now, born;
    struct phone_text register_call_id, register_tag, contact, aor;
    uint32_t register_cseq, nonce_count;
    uint32_t register_expires;
    struct phone_dialog dialogs[PHONE_DIALOGS];
    struct phone_txn txns[PHONE_TXNS];
    struct phone_event events[PHONE_EVENTS];
    unsigned event_head, event_count;
    unsigned next_slot;
    struct phone_counters counters;
};

void phone_init(struct phone *ph, const struct phone_config *c, const struct phone_io *io);
/* One datagram. Bytes need not outlive the call. */
void phone_input(struct phone *ph, struct slice bytes, const struct addr *src, uint64_t now);
/* Everything that is due; then phone_due says when to come again (UINT64_MAX: nothing is awaited). */
void phone_tick(struct phone *ph, uint64_t now);
uint64_t phone_due(const struct phone *ph);
/* Oldest event; false: none. When the queue is full the oldest is lost. */
bool phone_event_next(struct phone *ph, struct phone_event *out);

/* All of these return a dialog or 0, or -1 when that is not possible now (no slot, wrong state, an offer open). They
 * take the time of the last phone_tick or phone_input, so the owner ticks first. */
int phone_register(struct phone *ph, uint32_t expires);
/* to: URI without <>.
 * replaces.p != NULL: value of a Replaces header to send, with Require. */
int phone_call(struct phone *ph, struct slice to, struct slice replaces);
int phone_ring(struct phone *ph, int dialog);
int phone_answer(struct phone *ph, int dialog);
int phone_reject(struct phone *ph, int dialog, uint16_t status);
int phone_hold(struct phone *ph, int dialog, bool on);
/* Refer-To is written as given, with <> added; Referred-By is our address of record. */
int phone_refer(struct phone *ph, int dialog, struct slice refer_to);
/* REFER outside a dialog (RFC 7647): `to` is asked to call refer_to. Its dialog, without media, ends with the last
 * NOTIFY. */
int phone_refer_outside(struct phone *ph, struct slice to, struct slice refer_to);
/* BYE; CANCEL while our INVITE rings. */
int phone_hang_up(struct phone *ph, int dialog);

/* "uri?Replaces=..." for a Refer-To that names `dialog` as we know it (RFC 3891 section 3, escaped once). */
void phone_put_refer_to(const struct phone *ph, int dialog, struct slice uri, struct sbuf *out);
/* Value of a Replaces that names it so, for an INVITE to the other end. */
void phone_put_replaces(const struct phone *ph, int dialog, struct sbuf *out);
/* Dialogs that are not free. */
unsigned phone_dialog_count(const struct phone *ph);

static inline struct slice phone_text_slice(const struct phone_text *t) {
    return slice_of(t->s, t->n);
}

#endif
