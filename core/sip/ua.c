/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/ua.h"

#include "parser/sip_write.h"

struct buf *ua_message(struct ua *ua, struct sbuf *head, struct slice content_type, struct slice body) {
    sip_put_body_head(head, content_type, body.n);
    if (head->overflow || !sbuf_room(head, body.n))
        return NULL;
    return buf_copy_two(ua->bufs, sbuf_slice(head), body);
}
