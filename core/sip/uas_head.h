/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * uas_head: what the responses to an INVITE take from it, as it goes into each of them (RFC 3261 section 8.2.6), and
 * what those who make them ask it: so that it is not parsed again for its 180 and for its 200.
 */
#ifndef REFEREE_SIP_UAS_HEAD_H
#define REFEREE_SIP_UAS_HEAD_H

#include "core/base/addr.h"
#include "core/base/buf.h"
#include "core/sip/session_timer.h"
#include "parser/sip_msg.h"

struct uas_head {
    uint32_t vias;               /* bytes of `text`: the Via lines, with received and rport */
    uint32_t routes;             /* ... the Record-Route lines behind them */
    uint32_t to;                 /* ... From, and To without its line end: a tag may follow */
    uint32_t end;                /* ... Call-ID and CSeq, behind the line end of To */
    bool tagged;                 /* To has a tag */
    bool described;              /* it has a body */
    bool rel100_supported, rel100_required; /* rel100.h */
    uint8_t method;              /* enum sip_method */
    struct session_asked session;
    char text[];
};

/* In a buffer of its own. src: where the request came from. NULL: no buffer, or too long for any. */
struct buf *uas_head_make(struct buf_pool *bufs, const struct sip_msg *request, const struct addr *src);
static inline const struct uas_head *uas_head_in(const struct buf *b) {
    return b ? (const struct uas_head *)(const void *)b->data : (const struct uas_head *)0;
}

/* The pieces into a response. Record-Route is for one that makes a dialog. tag.p == NULL: none; nor when it has one. */
void uas_head_put(struct sbuf *b, const struct uas_head *h, bool routes, struct slice tag);

#endif
