/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/redis_int.h"

#include <endian.h>
#include <nettle/sha1.h>

/* A script answers 1: done; 0: something later is there; a string: the owner, who is another one. Strings are not
 * compared by `<` in it: that goes by the server's locale. */
#define OWNED                                          \
    "local o=redis.call('get',KEYS[2])\n"              \
    "if o~=ARGV[1] then return o or '0.0' end\n"
#define NOT_OLDER(header)                                                                                       \
    "local v=redis.call('hget',KEYS[1],ARGV[2])\n"                                                              \
    "if v and #v>=20 and string.sub(v,1,2)=='RF' then\n"                                                        \
    " local e,n=struct.unpack('>I6I6',v,9)\n"                                                                   \
    " local f,m=struct.unpack('>I6I6'," header ")\n"                                                            \
    " if f<e or (f==e and m<n) then return 0 end\n"                                                             \
    "end\n"

/* The texts are part of what several versions of us share in one server only by their digests: each may change. */
static const char *const texts[SCRIPTS] = {
    /* KEYS: records, owner. ARGV: "node.epoch", field, header and value, seconds to live or 0. */
    [SCRIPT_PUT] = OWNED NOT_OLDER("ARGV[3],9")
        "redis.call('hset',KEYS[1],ARGV[2],ARGV[3])\n"
        "if ARGV[4]~='0' then redis.call('expire',KEYS[1],ARGV[4]) end\n"
        "return 1",
    /* ARGV: "node.epoch", field, epoch and version as in a header. */
    [SCRIPT_DELETE] = OWNED NOT_OLDER("ARGV[3],1")
        "redis.call('hdel',KEYS[1],ARGV[2])\n"
        "return 1",
    /* KEYS: owner. ARGV: "node.epoch" as it is, as it is to be. */
    [SCRIPT_CLAIM] =
        "local o=redis.call('get',KEYS[1]) or '0.0'\n"
        "if o~=ARGV[1] then return o end\n"
        "redis.call('set',KEYS[1],ARGV[2])\n"
        "return 1",
    /* ARGV: "node.epoch", "0.epoch". */
    [SCRIPT_RELEASE] =
        "local o=redis.call('get',KEYS[1])\n"
        "if o~=ARGV[1] then return o or '0.0' end\n"
        "redis.call('set',KEYS[1],ARGV[2])\n"
        "return 1",
    /* KEYS: leases. ARGV: node, milliseconds, value. Answers node, value, node, value, ... */
    [SCRIPT_LEASE] =
        "local t=redis.call('time')\n"
        "local now=t[1]*1000+math.floor(t[2]/1000)\n"
        "if ARGV[2]=='0' then redis.call('hdel',KEYS[1],ARGV[1])\n"
        "else redis.call('hset',KEYS[1],ARGV[1],string.format('%.0f ',now+ARGV[2])..ARGV[3]) end\n"
        "local all,live=redis.call('hgetall',KEYS[1]),{}\n"
        "for i=1,#all,2 do\n"
        " local till,v=string.match(all[i+1],'^(%d+) (.*)$')\n"
        " if till and tonumber(till)>now then live[#live+1]=all[i] live[#live+1]=v\n"
        " else redis.call('hdel',KEYS[1],all[i]) end\n"
        "end\n"
        "return live",
};

/* A record's hash lives this long after it was last renewed, which is done once in each time of that length. */
#define TTL_S 604800
#define TTL_RENEW_US UINT64_C(600000000)

const char *redis_script_text(enum redis_script which) {
    return texts[which];
}

static void digest_of(enum redis_script which, char to[40]) {
    struct sha1_ctx h;
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sbuf hex = sbuf_on(to, 40);
    sha1_init(&h);
    sha1_update(&h, strlen(texts[which]), (const uint8_t *)texts[which]);
    sha1_digest(&h, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        sbuf_hex(&hex, digest[i], 2);
}

void store_redis_put_digest(char to[40]) {
    digest_of(SCRIPT_PUT, to);
}

void redis_write_script_load(struct sbuf *out, enum redis_script which) {
    resp_array(out, 3);
    resp_bulk(out, SL("SCRIPT"));
    resp_bulk(out, SL("LOAD"));
    resp_bulk(out, slice_str(texts[which]));
}

/* ---- pieces of a command */

/* Its lower six bytes. */
static void big_endian_of(char *to, uint64_t v) {
    uint64_t big = htobe64(v << 16);
    memcpy(to, &big, 6);
}

static uint64_t big_endian(const char *p, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

void redis_header_put(char to[REDIS_HEADER], const struct redis_op *op) {
    memcpy(to, "RF", 2);
    big_endian_of(to + 2, op->expires_ms);
    big_endian_of(to + 8, op->epoch);
    big_endian_of(to + 14, op->version);
}

bool redis_header_read(struct slice v, uint64_t *expires_ms, uint64_t *epoch, uint64_t *version) {
    if (v.n < REDIS_HEADER || !slice_has_prefix(v, SL("RF")))
        return false;
    *expires_ms = big_endian(v.p + 2, 6);
    *epoch = big_endian(v.p + 8, 6);
    *version = big_endian(v.p + 14, 6);
    return true;
}

/* "$n prefix name:{000}": the digits are put in later. */
static void frame_key(const struct redis *s, struct redis_key *k, struct slice name) {
    struct slice prefix = slice_str(s->c.prefix);
    struct sbuf b = sbuf_on(k->text, sizeof k->text);
    sbuf_char(&b, '$');
    sbuf_u64(&b, prefix.n + name.n + 3 + LIMIT_BUCKET_DIGITS);
    sbuf_lit(&b, "\r\n");
    sbuf_put(&b, prefix);
    sbuf_put(&b, name);
    sbuf_lit(&b, ":{");
    k->digits = (uint16_t)b.n;
    sbuf_lit(&b, "000}\r\n");
    k->n = b.overflow ? 0 : (uint16_t)b.n;
}

static void put_key(struct sbuf *out, const struct redis_key *k, uint16_t bucket) {
    static const char digits[] = "0123456789abcdef";
    uint32_t at = out->n + k->digits;
    sbuf_put(out, slice_of(k->text, k->n));
    if (out->overflow)
        return;
    out->p[at] = digits[bucket >> 8];
    out->p[at + 1] = digits[bucket >> 4 & 15];
    out->p[at + 2] = digits[bucket & 15];
}

static void put_records_key(const struct redis *s, struct sbuf *out, const struct redis_op *op) {
    struct redis_key other;
    if (slice_eq(op->table, SL("call"))) {
        put_key(out, &s->call_key, op->bucket);
        return;
    }
    frame_key(s, &other, op->table);
    put_key(out, &other, op->bucket);
}

static void put_owner_key(const struct redis *s, struct sbuf *out, const struct redis_op *op) {
    put_key(out, &s->owner_key, op->bucket);
}

static void put_leases_key(const struct redis *s, struct sbuf *out) {
    char key[REDIS_TEXT_MAX + 8];
    struct sbuf k = sbuf_on(key, sizeof key);
    sbuf_str(&k, s->c.prefix);
    sbuf_lit(&k, "n:{n}");
    resp_bulk(out, sbuf_slice(&k));
}

static void put_owner(struct sbuf *out, uint32_t node, uint64_t epoch) {
    char text[40];
    struct sbuf t = sbuf_on(text, sizeof text);
    sbuf_u64(&t, node);
    sbuf_char(&t, '.');
    sbuf_u64(&t, epoch);
    resp_bulk(out, sbuf_slice(&t));
}

static void put_script(const struct redis *s, struct sbuf *out, enum redis_script which, uint32_t keys, uint32_t args) {
    resp_array(out, 3 + keys + args);
    sbuf_lit(out, "$7\r\nEVALSHA\r\n$40\r\n");
    sbuf_put(out, slice_of(s->sha[which], sizeof s->sha[which]));
    sbuf_put(out, keys == 2 ? SL("\r\n$1\r\n2\r\n") : SL("\r\n$1\r\n1\r\n"));
}

static void put_value(struct sbuf *out, const struct redis_op *op) {
    struct slice v = redis_op_value(op);
    char header[REDIS_HEADER];
    redis_header_put(header, op);
    sbuf_char(out, '$');
    sbuf_u64(out, REDIS_HEADER + v.n);
    sbuf_lit(out, "\r\n");
    sbuf_put(out, slice_of(header, sizeof header));
    sbuf_put(out, v);
    sbuf_lit(out, "\r\n");
}

/* ---- commands */

uint32_t redis_ttl_due(struct redis *s, const struct redis_op *op) {
    uint64_t *fresh = &s->ttl_fresh[op->bucket / 64], bit = UINT64_C(1) << op->bucket % 64;
    if (s->ttl_us <= s->now_us) {
        memset(s->ttl_fresh, 0, sizeof s->ttl_fresh);
        s->ttl_us = s->now_us + TTL_RENEW_US;
    }
    if (*fresh & bit)
        return 0;
    *fresh |= bit;
    return TTL_S;
}

static void write_put(struct redis *s, struct sbuf *out, const struct redis_op *op) {
    if (op->node == 0) {
        resp_array(out, 4);
        resp_bulk(out, SL("HSET"));
        put_records_key(s, out, op);
        resp_bulk(out, redis_op_key(op));
        put_value(out, op);
        return;
    }
    put_script(s, out, SCRIPT_PUT, 2, 4);
    put_records_key(s, out, op);
    put_owner_key(s, out, op);
    put_owner(out, op->node, op->epoch);
    resp_bulk(out, redis_op_key(op));
    put_value(out, op);
    struct sbuf fits = *out;
    resp_bulk_u64(&fits, TTL_S);
    resp_bulk_u64(out, fits.overflow ? 0 : redis_ttl_due(s, op));
}

static void write_delete(struct redis *s, struct sbuf *out, const struct redis_op *op) {
    char header[REDIS_HEADER];
    if (op->node == 0) {
        resp_array(out, 3);
        resp_bulk(out, SL("HDEL"));
        put_records_key(s, out, op);
        resp_bulk(out, redis_op_key(op));
        return;
    }
    put_script(s, out, SCRIPT_DELETE, 2, 3);
    put_records_key(s, out, op);
    put_owner_key(s, out, op);
    put_owner(out, op->node, op->epoch);
    resp_bulk(out, redis_op_key(op));
    redis_header_put(header, op);
    resp_bulk(out, slice_of(header + 8, 12));
}

static void write_owner_op(struct redis *s, struct sbuf *out, const struct redis_op *op) {
    if (op->verb == STORE_OWNER) {
        resp_array(out, 2);
        resp_bulk(out, SL("GET"));
        put_owner_key(s, out, op);
    } else if (op->verb == STORE_CLAIM) {
        put_script(s, out, SCRIPT_CLAIM, 1, 2);
        put_owner_key(s, out, op);
        put_owner(out, op->former, op->epoch);
        put_owner(out, op->node, op->epoch + 1);
    } else {
        put_script(s, out, SCRIPT_RELEASE, 1, 2);
        put_owner_key(s, out, op);
        put_owner(out, op->node, op->epoch);
        put_owner(out, 0, op->epoch);
    }
}

static void write_lease(struct redis *s, struct sbuf *out, const struct redis_op *op) {
    put_script(s, out, SCRIPT_LEASE, 1, 3);
    put_leases_key(s, out);
    resp_bulk_u64(out, op->node);
    resp_bulk_u64(out, op->expires_ms);
    resp_bulk(out, redis_op_value(op));
}

static void write_read(struct redis *s, struct sbuf *out, const struct redis_op *op) {
    resp_array(out, op->verb == STORE_GET ? 3 : 2);
    resp_bulk(out, op->verb == STORE_GET ? SL("HGET") : SL("HGETALL"));
    put_records_key(s, out, op);
    if (op->verb == STORE_GET)
        resp_bulk(out, redis_op_key(op));
}

bool redis_write_op(struct redis *s, struct sbuf *out, struct redis_op *op) {
    struct sbuf before = *out;
    if (op->verb == STORE_PUT && op->node && slice_eq(op->table, SL("call")))
        return redis_put(s, out, op);
    switch (op->verb) {
    case STORE_PUT: write_put(s, out, op); break;
    case STORE_DELETE: write_delete(s, out, op); break;
    case STORE_GET:
    case STORE_LOAD: write_read(s, out, op); break;
    case STORE_LEASE: write_lease(s, out, op); break;
    default: write_owner_op(s, out, op); break;
    }
    if (!out->overflow)
        return true;
    *out = before;
    return false;
}

void redis_scripts_init(struct redis *s) {
    for (int i = 0; i < SCRIPTS; i++)
        digest_of((enum redis_script)i, s->sha[i]);
    frame_key(s, &s->call_key, SL("c"));
    frame_key(s, &s->owner_key, SL("b"));
    redis_put_init(s);
}
