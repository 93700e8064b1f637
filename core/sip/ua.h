/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * ua: what every user agent of one engine shares when it writes messages: who we are, and one scratch area in which a
 * message is put together before it is copied once into a buffer of its size.
 */
#ifndef REFEREE_SIP_UA_H
#define REFEREE_SIP_UA_H

#include "core/base/addr.h"
#include "core/base/buf.h"
#include "core/base/siphash.h"
#include "parser/sip_msg.h"

#define UA_ALLOW "INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, INFO, UPDATE, MESSAGE, SUBSCRIBE, PRACK"
/* Only what is built. Nothing of it is ever required of a peer but replaces, where a dialog is to be replaced. */
#define UA_SUPPORTED_LESS "replaces, timer, norefersub, nosub, explicitsub"
#define UA_SUPPORTED "100rel, " UA_SUPPORTED_LESS

/* Where the host of a URI is, by its text: a trunk's Contact is the same in call after call. */
#define UA_TARGETS 64
struct ua_target {
    struct addr addr;
    uint16_t n;                   /* 0: none */
    char text[102];
};

struct ua {
    struct buf_pool *bufs;
    struct slice sent_by;          /* host:port for Via and Contact */
    struct slice host;             /* of sent_by */
    struct slice agent;            /* User-Agent and Server */
    struct siphash_key branch_key; /* seeds of dialogs are made from it */
    struct ua_target targets[UA_TARGETS];
    char scratch[SIP_MESSAGE_MAX + 1];
    char headers[SIP_MESSAGE_MAX + 1]; /* for the caller's extra header lines */
    char body[SIP_MESSAGE_MAX + 1];    /* for the caller's body */
};

static inline struct sbuf ua_headers(struct ua *ua) {
    return sbuf_on(ua->headers, sizeof ua->headers);
}
static inline struct sbuf ua_body(struct ua *ua) {
    return sbuf_on(ua->body, sizeof ua->body);
}

/* The message of start line and headers in `head`, which lies in ua->scratch: its last headers, the empty line and the
 * body, which is copied once. NULL: no buffer, or too long. */
struct buf *ua_message(struct ua *ua, struct sbuf *head, struct slice content_type, struct slice body);

#endif
