/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/uas_head.h"

#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

/* Names, separators, received and rport, rounded up. */
#define FIXED 320u

static uint32_t expected_length(const struct sip_msg *m) {
    return m->from.value.n + m->to.value.n + m->call_id.n + m->cseq_method_name.n + sip_copied_length(m, SIP_H_VIA) +
           sip_copied_length(m, SIP_H_RECORD_ROUTE) + FIXED;
}

/* False: it does not fit. */
static bool write_into(struct buf *b, const struct sip_msg *request, const struct addr *src) {
    struct uas_head *h = (struct uas_head *)(void *)b->data;
    struct sbuf t = sbuf_on(h->text, b->cap - sizeof *h);
    sip_put_vias(&t, request, src);
    h->vias = t.n;
    sip_put_copy(&t, request, SIP_H_RECORD_ROUTE);
    h->routes = t.n;
    sip_put_hdr(&t, SL("From"), request->from.value);
    sip_put_from_to(&t, SL("To"), request->to.value, SLICE_NONE);
    h->to = t.n - 2;
    sip_put_hdr(&t, SL("Call-ID"), request->call_id);
    sip_put_cseq(&t, request->cseq, request->cseq_method_name);
    h->end = t.n;
    b->len = (uint32_t)sizeof *h + t.n;
    return !t.overflow;
}

/* Those of the two options that stand in a list: rel100_is_supported and session_asked would each walk it. */
static void note_options(const struct sip_msg *m, enum sip_hdr_id id, bool *rel100, bool *timer) {
    struct sip_values cur = { .started = false };
    struct slice tag;
    while (sip_hdr_first(m, id) && sip_values_next(m, id, &cur, &tag)) {
        *rel100 = *rel100 || slice_ieq(tag, SL("100rel"));
        *timer = *timer || slice_ieq(tag, SL("timer"));
    }
}

static void note_questions(struct uas_head *h, const struct sip_msg *request) {
    bool rel100 = false, timer = false;
    note_options(request, SIP_H_REQUIRE, &rel100, &timer);
    h->rel100_required = rel100;
    note_options(request, SIP_H_SUPPORTED, &rel100, &timer);
    h->rel100_supported = rel100;
    h->tagged = request->to_tag.p != NULL;
    h->described = request->body.n != 0;
    h->method = (uint8_t)request->method;
    h->session = session_asked(request, timer);
}

/* Many Via in one header, each of which gets a line of its own, may need more than was expected. */
static struct buf *make_long(struct buf_pool *bufs, const struct sip_msg *request, const struct addr *src) {
    struct buf *room = buf_get(bufs, SIP_MESSAGE_MAX), *b = NULL;
    if (room && write_into(room, request, src))
        b = buf_copy(bufs, buf_slice(room));
    buf_unref(bufs, &room);
    return b;
}

struct buf *uas_head_make(struct buf_pool *bufs, const struct sip_msg *request, const struct addr *src) {
    struct buf *b = buf_get(bufs, sizeof(struct uas_head) + expected_length(request));
    if (b && !write_into(b, request, src)) {
        buf_unref(bufs, &b);
        b = make_long(bufs, request, src);
    }
    if (b)
        note_questions((struct uas_head *)(void *)b->data, request);
    return b;
}

static struct slice piece(const struct uas_head *h, uint32_t from, uint32_t to) {
    return slice_of(h->text + from, to - from);
}

void uas_head_put(struct sbuf *b, const struct uas_head *h, bool routes, struct slice tag) {
    bool tags = tag.p && !h->tagged;
    if (routes) {
        sbuf_put(b, piece(h, 0, tags ? h->to : h->end));
    } else {
        sbuf_put(b, piece(h, 0, h->vias));
        sbuf_put(b, piece(h, h->routes, tags ? h->to : h->end));
    }
    if (!tags)
        return;
    sbuf_lit(b, ";tag=");
    sbuf_put(b, tag);
    sbuf_put(b, piece(h, h->to, h->end));
}
