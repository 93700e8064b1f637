/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The same bytes as write_put's, from a prepared head: a third of the instructions. */
#include "store/redis_int.h"

#define SMALL_MAX 32 /* "$n\r\n" and what ends a string, of any length */

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

/* "$n\r\n" */
static char *put_length(char *to, uint32_t n) {
    char digits[10];
    uint32_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    *to++ = '$';
    to = put(to, digits + at, (uint32_t)sizeof digits - at);
    return put(to, "\r\n", 2);
}

static char *put_owner(struct redis *s, char *to, const struct redis_op *op) {
    struct redis_owner *o = &s->owner;
    if (o->node != op->node || o->epoch != op->epoch) {
        struct sbuf b = sbuf_on(o->text, sizeof o->text);
        sbuf_u64(&b, op->node);
        sbuf_char(&b, '.');
        sbuf_u64(&b, op->epoch);
        o->node = op->node;
        o->epoch = op->epoch;
        o->n = b.n;
    }
    return put(put(put_length(to, o->n), o->text, o->n), "\r\n", 2);
}

bool redis_put(struct redis *s, struct sbuf *out, const struct redis_op *op) {
    const struct redis_head *h = &s->put_head;
    struct slice key = redis_op_key(op), value = redis_op_value(op);
    char *to = out->p + out->n, *from = to;
    if (out->cap - out->n < (uint64_t)h->n + key.n + value.n + REDIS_HEADER + sizeof s->owner.text + 4 * SMALL_MAX)
        return false;
    to = put(to, h->text, h->n);
    put_digits(from + h->records, op->bucket);
    put_digits(from + h->owner, op->bucket);
    to = put_owner(s, to, op);
    to = put(put_length(to, key.n), key.p, key.n);
    to = put_length(put(to, "\r\n", 2), REDIS_HEADER + value.n);
    redis_header_put(to, op);
    to = put(to + REDIS_HEADER, value.p, value.n);
    uint32_t ttl = redis_ttl_due(s, op);
    struct sbuf end = sbuf_on(to, SMALL_MAX);
    if (ttl) {
        sbuf_lit(&end, "\r\n");
        resp_bulk_u64(&end, ttl);
    } else {
        sbuf_lit(&end, "\r\n$1\r\n0\r\n");
    }
    out->n += (uint32_t)(to - from) + end.n;
    return true;
}
