/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * phone_int: what the files of the phone share among themselves; nobody else includes it.
 */
#ifndef REFEREE_BENCH_PHONE_INT_H
#define REFEREE_BENCH_PHONE_INT_H

#include "bench/phone/phone.h"
#include "parser/sip_frag.h"
#include "parser/sip_hdr.h"
#include "parser/sip_uri.h"
#include "parser/sip_write.h"

#define PHONE_T1_US 500000u
#define PHONE_T2_US 4000000u
#define PHONE_T4_US 5000000u
#define PHONE_RING_LIMIT_US 180000000u
#define PHONE_SDP_MAX 1024

/* One request or response as it goes through the phone. */
struct phone_in {
    const struct sip_msg *msg;
    struct addr src;
};

/* phone.c */
bool text_set(struct phone_text *t, struct slice s);
void text_token(struct phone *ph, struct phone_text *t, struct slice prefix);
void phone_push(struct phone *ph, struct phone_event e);
/* flags: enum phone_seen_flag */
void phone_transmit(struct phone *ph, const struct addr *to, struct slice bytes, int dialog, unsigned flags);
void phone_tell(struct phone *ph, const struct phone_in *in, int dialog, unsigned flags);

/* phone_txn.c: transactions (RFC 3261 section 17) */
int txn_new(struct phone *ph, bool client, enum sip_method method, int dialog);
/* A client transaction of a dialog, its destination and next CSeq found; -1: not possible. */
int txn_in_dialog(struct phone *ph, enum sip_method method, int dialog);
/* t->request is written; sends it and starts its timers. */
void txn_send_request(struct phone *ph, int i, const struct sbuf *b, unsigned flags);
/* The response in `b` becomes the transaction's last one and goes out. */
void txn_send_reply(struct phone *ph, int i, const struct sbuf *b, uint16_t status);
int txn_client_find(const struct phone *ph, const struct sip_msg *m);
int txn_server_find(const struct phone *ph, const struct sip_msg *m, enum sip_method method);
int txn_server_new(struct phone *ph, const struct phone_in *in, int dialog);
void txn_on_response(struct phone *ph, int i, const struct phone_in *in);
void txn_on_again(struct phone *ph, int i);
void txn_on_ack(struct phone *ph, int i);
void txn_tick(struct phone *ph, int i);
uint64_t txn_due(const struct phone_txn *t);
uint32_t txn_t1(const struct phone *ph);
/* The request it keeps, parsed again; false: none. */
bool txn_request(const struct phone_txn *t, struct sip_msg *m);

/* phone_dialog.c: dialogs (RFC 3261 section 12), the frame of every message */
int dialog_new(struct phone *ph);
/* A dialog that we are about to make with `to`; -1: no room. */
int dialog_out(struct phone *ph, struct slice to);
void dialog_free(struct phone *ph, int d);
int dialog_find(const struct phone *ph, struct slice call_id, struct slice local_tag, struct slice remote_tag);
void dialog_from_request(struct phone *ph, int d, const struct sip_msg *m);
void dialog_from_response(struct phone *ph, int d, const struct sip_msg *m);
void dialog_refresh_target(struct phone *ph, int d, const struct sip_msg *m);
bool dialog_dest(const struct phone *ph, const struct phone_dialog *d, struct addr *out);
bool uri_dest(const struct phone *ph, struct slice uri, struct addr *out);
/* Start line to CSeq and Contact; t->cseq and t->branch are used. */
void request_begin(struct phone *ph, int txn, struct sbuf *b);
void request_put_dialog(const struct phone_dialog *d, struct sbuf *b);
/* A request in a dialog without headers of its own. */
int request_simple(struct phone *ph, int d, enum sip_method method);
void reply_begin(struct phone *ph, const struct sip_msg *request, const struct addr *src, uint16_t status,
                 struct slice tag, struct sbuf *b);
void reply_simple(struct phone *ph, int txn, const struct sip_msg *request, uint16_t status);
void put_capabilities(const struct phone *ph, struct sbuf *b);

/* phone_call.c: INVITE, hold, REFER, BYE by us */
void call_on_response(struct phone *ph, int txn, const struct phone_in *in);
/* No final response in time. */
void call_on_timeout(struct phone *ph, int txn);
bool call_again_2xx(struct phone *ph, const struct sip_msg *m);

/* A new call; extra: whole header lines for its INVITE. The dialog, or -1. */
int call_start(struct phone *ph, struct slice to, struct slice extra);

/* phone_refer.c: REFER by us and to us, its NOTIFYs */
void serve_refer(struct phone *ph, int d, int txn, const struct sip_msg *m);
/* What has become of a call that follows a REFER. */
void refer_progress(struct phone *ph, int d, uint16_t status);
/* The final response to our REFER; NULL: none came. */
void refer_on_response(struct phone *ph, int d, const struct sip_msg *m);

/* phone_serve.c: requests of the peer */
void serve_request(struct phone *ph, const struct phone_in *in);

/* phone_register.c, phone_auth.c */
void register_on_response(struct phone *ph, int txn, const struct sip_msg *m);
/* Answers a 401 or 407: the request goes out again as a new transaction. False: it cannot be answered. */
bool auth_retry(struct phone *ph, int txn, const struct sip_msg *challenge);

/* phone_sdp.c: offer and answer (RFC 3264) */
void sdp_put_offer(struct phone *ph, int d, struct sbuf *b);
/* False: nothing in it that we can take (488). */
bool sdp_put_answer(struct phone *ph, int d, struct slice offer, struct sbuf *b);
bool sdp_take_answer(struct phone *ph, int d, struct slice answer);

#endif
