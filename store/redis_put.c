/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The same bytes as write_put's, from a prepared head: a third of the instructions. */
#include "core/base/text.h"
#include "store/redis_int.h"

#define NUMBERS_MAX 64 /* lengths of the value and of the time to live, that time, and the ends of lines */

static uint32_t add_key(struct redis_head *h, const struct redis_key *k) {
    uint32_t digits = h->n + k->digits;
    memcpy(h->text + h->n, k->text, k->n);
    h->n += k->n;
    return digits;
}

void redis_put_init(struct redis *s) {
    struct redis_head *h = &s->put_head;
    struct sbuf b = sbuf_on(h->text, sizeof h->text);
    resp_array(&b, 9);
    resp_bulk(&b, SL("EVALSHA"));
    resp_bulk(&b, slice_of(s->sha[SCRIPT_PUT], sizeof s->sha[SCRIPT_PUT]));
    resp_bulk(&b, SL("2"));
    h->n = b.n;
    h->records = add_key(h, &s->call_key);
    h->owner = add_key(h, &s->owner_key);
}

static char *put(char *to, const char *p, uint32_t n) {
    memcpy(to, p, n);
    return to + n;
}

static void put_digits(char *to, uint16_t bucket) {
    static const char digits[] = "0123456789abcdef";
    to[0] = digits[bucket >> 8 & 15];
    to[1] = digits[bucket >> 4 & 15];
    to[2] = digits[bucket & 15];
}

/* What stands between the keys and the field: of most writes the same as of the one before. */
static void frame_owner(struct redis_owner *o, const struct redis_op *op) {
    char text[40];
    struct sbuf name = sbuf_on(text, sizeof text), b = sbuf_on(o->text, sizeof o->text);
    sbuf_u64(&name, op->node);
    sbuf_char(&name, '.');
    sbuf_u64(&name, op->epoch);
    resp_bulk(&b, sbuf_slice(&name));
    sbuf_char(&b, '$');
    sbuf_u64(&b, op->key_n);
    sbuf_lit(&b, "\r\n");
    o->node = op->node;
    o->epoch = op->epoch;
    o->key_n = op->key_n;
    o->n = b.n;
}

static char *put_owner(struct redis_owner *o, char *to, const struct redis_op *op) {
    if (o->n == 0 || o->node != op->node || o->epoch != op->epoch || o->key_n != op->key_n)
        frame_owner(o, op);
    return put(to, o->text, o->n);
}

static char *put_value(char *to, struct slice value, const struct redis_op *op) {
    to = text_u64(text_lit(to, "\r\n$"), REDIS_HEADER + value.n);
    to = text_lit(to, "\r\n");
    redis_header_put(to, op);
    return put(to + REDIS_HEADER, value.p, value.n);
}

static char *put_ttl(char *to, uint32_t ttl) {
    if (!ttl)
        return text_lit(to, "\r\n$1\r\n0\r\n");
    to = text_u64(text_lit(to, "\r\n$"), text_digits(ttl));
    return text_lit(text_u64(text_lit(to, "\r\n"), ttl), "\r\n");
}

bool redis_put(struct redis *s, struct sbuf *out, const struct redis_op *op) {
    const struct redis_head *h = &s->put_head;
    struct slice key = redis_op_key(op), value = redis_op_value(op);
    char *from = sbuf_room(out, (size_t)h->n + sizeof s->owner.text + key.n + value.n + REDIS_HEADER + NUMBERS_MAX);
    if (!from)
        return false;
    char *to = put(from, h->text, h->n);
    put_digits(from + h->records, op->bucket);
    put_digits(from + h->owner, op->bucket);
    to = put_owner(&s->owner, to, op);
    to = put(to, key.p, key.n);
    to = put_value(to, value, op);
    sbuf_wrote(out, put_ttl(to, redis_ttl_due(s, op)));
    return true;
}
