/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Values are chains of chunks, never changed once written and counted by references: a PUT makes a new chain, so that a
 * GET that waits for its answer keeps what it found.
 */
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/map.h"
#include "store/kind.h"

#define CHUNK_DATA 240
#define CHUNK_NONE UINT32_MAX
#define ANSWERS_MAX 1024          /* of two: more than the operations of one outbox */
#define VALUE_MAX 65536           /* of key and value together */
#define LEASES_MAX LIMIT_MEMBERS
#define LEASE_VALUE_MAX 64

struct chunk {
    uint32_t next;
    uint32_t refs;                /* of the chain, in its first chunk; n as well */
    uint32_t n;
    uint32_t unused;
    char data[CHUNK_DATA];
};

struct entry {
    struct key128 key;
    struct slice table;           /* static string */
    uint64_t expires_ms, epoch, version;
    uint32_t value;               /* first chunk; the key stands in front of it */
    uint32_t key_n;
    uint16_t bucket;
};

struct owner {
    uint64_t epoch;
    uint32_t node;
};

struct lease {
    uint64_t until_ms;
    uint32_t node;
    uint8_t value_n;
    char value[LEASE_VALUE_MAX];
};

struct answer {
    uint64_t ticket, epoch;
    enum store_status status;
    uint32_t value;               /* holds a reference; CHUNK_NONE: no value */
    uint32_t key_n, node;
    uint32_t cursor;              /* LOAD: where in the pool it goes on */
    uint16_t bucket;
    uint8_t verb;
    struct slice table;
};

struct memory {
    struct store base;
    struct siphash_key key;
    struct pool entries;
    struct map by_key;
    struct chunk *chunks;
    uint32_t chunk_count;
    uint32_t chunk_free;          /* first free one */
    uint32_t chunks_left;
    uint64_t swept_ms;
    struct owner owners[LIMIT_BUCKETS];
    uint32_t held[LIMIT_BUCKETS]; /* entries of each bucket */
    struct lease leases[LEASES_MAX]; /* in rising order of nodes */
    uint32_t lease_n;
    uint32_t first, waiting;      /* of answers */
    struct answer answers[ANSWERS_MAX];
    char value[VALUE_MAX];        /* of the answer given last */
};

struct store *store_memory_new(struct arena *a, uint32_t entries, size_t bytes, struct siphash_key key) {
    struct memory counted, *s = arena_take(a, sizeof *s);
    struct memory *at = s ? s : &counted;
    at->chunk_count = at->chunks_left = (uint32_t)(bytes / CHUNK_DATA) + 1;
    at->chunks = arena_take(a, (size_t)at->chunk_count * sizeof *at->chunks);
    pool_init(&at->entries, a, entries, sizeof(struct entry));
    map_init(&at->by_key, a, entries);
    if (!s)
        return NULL;
    s->base.kind = &store_kind_memory;
    s->key = key;
    for (uint32_t i = 0; i < s->chunk_count; i++)
        s->chunks[i].next = i + 1 < s->chunk_count ? i + 1 : CHUNK_NONE;
    return &s->base;
}

static uint32_t chunks_for(size_t n) {
    return n ? (uint32_t)((n + CHUNK_DATA - 1) / CHUNK_DATA) : 1;
}

/* There are enough free chunks. */
static uint32_t value_write(struct memory *s, struct slice key, struct slice v) {
    uint32_t head = s->chunk_free, last = head, n = key.n + v.n;
    s->chunks_left -= chunks_for(n);
    for (uint32_t at = 0, i = 0; i < chunks_for(n); i++) {
        struct chunk *c = &s->chunks[s->chunk_free];
        last = s->chunk_free;
        s->chunk_free = c->next;
        for (uint32_t j = 0; j < CHUNK_DATA && at < n;) {
            struct slice from = at < key.n ? slice_of(key.p + at, key.n - at) : slice_of(v.p + at - key.n, n - at);
            uint32_t part = from.n < CHUNK_DATA - j ? from.n : CHUNK_DATA - j;
            memcpy(c->data + j, from.p, part);
            at += part;
            j += part;
        }
    }
    s->chunks[last].next = CHUNK_NONE;
    s->chunks[head].refs = 1;
    s->chunks[head].n = n;
    return head;
}

static struct slice value_read(struct memory *s, uint32_t head) {
    uint32_t n = s->chunks[head].n;
    for (uint32_t at = 0, i = head; at < n; i = s->chunks[i].next) {
        uint32_t part = n - at < CHUNK_DATA ? n - at : CHUNK_DATA;
        memcpy(s->value + at, s->chunks[i].data, part);
        at += part;
    }
    return slice_of(s->value, n);
}

static void value_unref(struct memory *s, uint32_t head) {
    if (head == CHUNK_NONE || --s->chunks[head].refs)
        return;
    uint32_t last = head;
    s->chunks_left += chunks_for(s->chunks[head].n);
    while (s->chunks[last].next != CHUNK_NONE)
        last = s->chunks[last].next;
    s->chunks[last].next = s->chunk_free;
    s->chunk_free = head;
}

static struct slice bytes_of(const struct buf *b) {
    return b ? slice_of(b->data, b->len) : SLICE_NONE;
}

static struct key128 key_of(const struct memory *s, const struct store_op *op) {
    struct slice key = bytes_of(op->key);
    struct siphash h;
    siphash_init(&h, s->key, true);
    siphash_add(&h, op->table.p, op->table.n);
    siphash_add(&h, "", 1);
    siphash_add(&h, &op->bucket, sizeof op->bucket);
    if (key.n)
        siphash_add(&h, key.p, key.n);
    return siphash_end(&h);
}

static void remove_entry(struct memory *s, handle h) {
    struct entry *e = pool_get(&s->entries, h);
    value_unref(s, e->value);
    s->held[e->bucket]--;
    CHECK(map_del(&s->by_key, e->key));
    pool_free(&s->entries, h);
}

static bool is_expired(const struct entry *e, uint64_t wall_ms) {
    return e->expires_ms && e->expires_ms <= wall_ms;
}

/* HANDLE_NONE when absent; what has expired goes now. */
static handle find_live(struct memory *s, struct key128 key, uint64_t wall_ms) {
    handle h = map_get(&s->by_key, key);
    if (h != HANDLE_NONE && is_expired(pool_get(&s->entries, h), wall_ms)) {
        remove_entry(s, h);
        return HANDLE_NONE;
    }
    return h;
}

static void sweep(struct memory *s, uint64_t wall_ms) {
    struct entry *e;
    handle h;
    for (uint32_t cursor = 0; (e = pool_next(&s->entries, &cursor, &h));)
        if (is_expired(e, wall_ms))
            remove_entry(s, h);
    s->swept_ms = wall_ms;
}

static bool has_room(const struct memory *s, uint32_t chunks, bool new_entry) {
    return s->chunks_left >= chunks && (!new_entry || s->entries.used < s->entries.count);
}

static bool is_owner(const struct memory *s, const struct store_op *op) {
    const struct owner *o = &s->owners[op->bucket];
    return op->node == 0 || (o->node == op->node && o->epoch == op->epoch);
}

static bool is_older(const struct store_op *op, const struct entry *e) {
    return op->node && e && (op->epoch < e->epoch || (op->epoch == e->epoch && op->version < e->version));
}

static enum store_status put(struct memory *s, const struct store_op *op, struct key128 key, uint64_t wall_ms) {
    struct slice id = bytes_of(op->key), v = bytes_of(op->value);
    uint32_t n = id.n + v.n;
    handle h = find_live(s, key, wall_ms);
    if (is_older(op, pool_get(&s->entries, h)))
        return STORE_FENCED;
    /* A full store is searched for expired entries at most once a second: who fills it must not make us scan each
     * time. */
    if (!has_room(s, chunks_for(n), h == HANDLE_NONE) && wall_ms - s->swept_ms >= 1000) {
        sweep(s, wall_ms);
        h = find_live(s, key, wall_ms);
    }
    if (n > VALUE_MAX || !has_room(s, chunks_for(n), h == HANDLE_NONE))
        return STORE_REFUSED;
    struct entry *e = h != HANDLE_NONE ? pool_get(&s->entries, h) : pool_alloc(&s->entries, &h);
    CHECK(e);
    if (map_get(&s->by_key, key) == HANDLE_NONE) {
        CHECK(map_put(&s->by_key, key, h));
        s->held[op->bucket]++;
        *e = (struct entry){ .key = key, .value = CHUNK_NONE, .bucket = op->bucket, .key_n = id.n };
    }
    uint32_t value = value_write(s, id, v);
    value_unref(s, e->value);
    e->value = value;
    e->table = op->table;
    e->expires_ms = op->expires_ms;
    e->epoch = op->epoch;
    e->version = op->version;
    return STORE_OK;
}

static void found(struct answer *a, const struct entry *e) {
    a->status = STORE_OK;
    a->value = e->value;
    a->key_n = e->key_n;
    a->epoch = e->epoch;
}

static void get(struct memory *s, struct key128 key, uint64_t wall_ms, struct answer *a) {
    const struct entry *e = pool_get(&s->entries, find_live(s, key, wall_ms));
    a->status = STORE_MISSING;
    if (e)
        found(a, e);
}

/* What is not there is as good as deleted. */
static enum store_status delete(struct memory *s, const struct store_op *op, struct key128 key, uint64_t wall_ms) {
    handle h = find_live(s, key, wall_ms);
    if (is_older(op, pool_get(&s->entries, h)))
        return STORE_FENCED;
    if (h != HANDLE_NONE)
        remove_entry(s, h);
    return STORE_OK;
}

/* ---- who owns what */

static void tell_owner(const struct memory *s, struct answer *a) {
    a->node = s->owners[a->bucket].node;
    a->epoch = s->owners[a->bucket].epoch;
}

static enum store_status claim(struct memory *s, const struct store_op *op) {
    struct owner *o = &s->owners[op->bucket];
    if (o->epoch != op->epoch || o->node != op->former)
        return STORE_FENCED;
    *o = (struct owner){ .node = op->node, .epoch = op->epoch + 1 };
    return STORE_OK;
}

static enum store_status release(struct memory *s, const struct store_op *op) {
    s->owners[op->bucket].node = 0;
    return STORE_OK;
}

static void end_leases(struct memory *s, uint32_t node, uint64_t wall_ms) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->lease_n; i++)
        if (s->leases[i].node != node && s->leases[i].until_ms > wall_ms)
            s->leases[n++] = s->leases[i];
    s->lease_n = n;
}

static enum store_status lease(struct memory *s, const struct store_op *op, uint64_t wall_ms) {
    struct slice v = bytes_of(op->value);
    uint32_t at = 0;
    end_leases(s, op->node, wall_ms);
    if (op->expires_ms == 0)
        return STORE_OK;
    if (s->lease_n == LEASES_MAX || v.n > LEASE_VALUE_MAX)
        return STORE_REFUSED;
    while (at < s->lease_n && s->leases[at].node < op->node)
        at++;
    memmove(&s->leases[at + 1], &s->leases[at], (s->lease_n++ - at) * sizeof *s->leases);
    s->leases[at] =
        (struct lease){ .until_ms = wall_ms + op->expires_ms, .node = op->node, .value_n = (uint8_t)v.n };
    if (v.n)
        memcpy(s->leases[at].value, v.p, v.n);
    return STORE_OK;
}

static struct slice list_leases(struct memory *s) {
    struct sbuf b = sbuf_on(s->value, sizeof s->value);
    for (uint32_t i = 0; i < s->lease_n; i++) {
        const struct lease *l = &s->leases[i];
        for (int shift = 24; shift >= 0; shift -= 8)
            sbuf_char(&b, (char)(l->node >> shift));
        sbuf_char(&b, 0);
        sbuf_char(&b, (char)l->value_n);
        sbuf_put(&b, slice_of(l->value, l->value_n));
    }
    return sbuf_slice(&b);
}

/* ---- the interface */

static enum store_status write_op(struct memory *s, const struct store_op *op, struct key128 key, uint64_t wall_ms) {
    if (op->verb != STORE_CLAIM && op->verb != STORE_LEASE && !is_owner(s, op))
        return STORE_FENCED;
    switch (op->verb) {
    case STORE_PUT: return put(s, op, key, wall_ms);
    case STORE_DELETE: return delete(s, op, key, wall_ms);
    case STORE_CLAIM: return claim(s, op);
    case STORE_RELEASE: return release(s, op);
    case STORE_LEASE: return lease(s, op, wall_ms);
    default: return STORE_OK;
    }
}

static void memory_submit(struct store *base, const struct store_op *op, uint64_t wall_ms) {
    struct memory *s = (struct memory *)base;
    struct key128 key = key_of(s, op);
    struct answer a = { .ticket = op->ticket, .value = CHUNK_NONE, .verb = op->verb, .bucket = op->bucket,
                        .table = op->table };
    CHECK(op->bucket < LIMIT_BUCKETS);
    if (op->verb == STORE_GET)
        get(s, key, wall_ms, &a);
    else if (op->verb != STORE_LOAD && op->verb != STORE_OWNER)
        a.status = write_op(s, op, key, wall_ms);
    if (op->ticket == 0)
        return;
    CHECK(s->waiting < ANSWERS_MAX);
    if (op->verb == STORE_OWNER || op->verb == STORE_CLAIM || a.status == STORE_FENCED)
        tell_owner(s, &a);
    if (a.value != CHUNK_NONE)
        s->chunks[a.value].refs++;
    s->answers[(s->first + s->waiting++) % ANSWERS_MAX] = a;
}

/* The next record of a LOAD, which stays the first answer until there is none. */
static bool load_next(struct memory *s, struct answer *a) {
    const struct entry *e;
    handle h;
    while (s->held[a->bucket] && (e = pool_next(&s->entries, &a->cursor, &h))) {
        if (e->bucket != a->bucket || !slice_eq(e->table, a->table))
            continue;
        found(a, e);
        s->chunks[a->value].refs++;
        return true;
    }
    a->status = STORE_MISSING;
    a->value = CHUNK_NONE;
    a->epoch = 0;
    return false;
}

static bool memory_answer(struct store *base, struct event *ev) {
    struct memory *s = (struct memory *)base;
    if (s->waiting == 0)
        return false;
    struct answer *first = &s->answers[s->first];
    bool more = first->verb == STORE_LOAD && load_next(s, first);
    struct answer a = *first;
    if (!more) {
        s->first = (s->first + 1) % ANSWERS_MAX;
        s->waiting--;
    }
    *ev = (struct event){ .kind = EV_STORE };
    ev->u.store.ticket = a.ticket;
    ev->u.store.status = a.status;
    ev->u.store.more = more;
    ev->u.store.node = a.node;
    ev->u.store.epoch = a.epoch;
    if (a.verb == STORE_LEASE && a.status == STORE_OK)
        ev->u.store.value = list_leases(s);
    if (a.value == CHUNK_NONE)
        return true;
    struct slice v = value_read(s, a.value);
    ev->u.store.key = slice_of(v.p, a.key_n);
    ev->u.store.value = slice_of(v.p + a.key_n, v.n - a.key_n);
    value_unref(s, a.value);
    return true;
}

static uint32_t memory_count(struct store *base, struct slice table, uint64_t wall_ms) {
    struct memory *s = (struct memory *)base;
    const struct entry *e;
    uint32_t n = 0;
    handle h;
    sweep(s, wall_ms);
    for (uint32_t cursor = 0; (e = pool_next(&s->entries, &cursor, &h));)
        n += !table.p || slice_eq(e->table, table);
    return n;
}

const struct store_kind store_kind_memory = {
    .submit = memory_submit, .answer = memory_answer, .count = memory_count
};
