/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Values are chains of chunks, never changed once written and counted by references: a PUT makes a new chain, so that a
 * GET that waits for its answer keeps what it found.
 */
#include "core/base/check.h"
#include "core/base/map.h"
#include "store/store.h"

#define CHUNK_DATA 240
#define CHUNK_NONE UINT32_MAX
#define ANSWERS_MAX 1024          /* of two: more than the operations of one outbox */
#define VALUE_MAX 65536

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
    uint64_t expires_ms;
    uint32_t value;               /* first chunk */
};

struct answer {
    uint64_t ticket;
    enum store_status status;
    uint32_t value;               /* holds a reference; CHUNK_NONE: no value */
};

struct store {
    struct siphash_key key;
    struct pool entries;
    struct map by_key;
    struct chunk *chunks;
    uint32_t chunk_count;
    uint32_t chunk_free;          /* first free one */
    uint32_t chunks_left;
    uint64_t swept_ms;
    uint32_t first, waiting;      /* of answers */
    struct answer answers[ANSWERS_MAX];
    char value[VALUE_MAX];        /* of the answer given last */
};

struct store *store_memory_new(struct arena *a, uint32_t entries, size_t bytes, struct siphash_key key) {
    struct store counted, *s = arena_take(a, sizeof *s);
    struct store *at = s ? s : &counted;
    at->chunk_count = at->chunks_left = (uint32_t)(bytes / CHUNK_DATA) + 1;
    at->chunks = arena_take(a, (size_t)at->chunk_count * sizeof *at->chunks);
    pool_init(&at->entries, a, entries, sizeof(struct entry));
    map_init(&at->by_key, a, entries);
    if (!s)
        return NULL;
    s->key = key;
    for (uint32_t i = 0; i < s->chunk_count; i++)
        s->chunks[i].next = i + 1 < s->chunk_count ? i + 1 : CHUNK_NONE;
    return s;
}

static uint32_t chunks_for(size_t n) {
    return n ? (uint32_t)((n + CHUNK_DATA - 1) / CHUNK_DATA) : 1;
}

/* There are enough free chunks. */
static uint32_t value_write(struct store *s, struct slice v) {
    uint32_t head = s->chunk_free, last = head, at = 0;
    for (uint32_t left = chunks_for(v.n); left; left--) {
        struct chunk *c = &s->chunks[s->chunk_free];
        uint32_t n = v.n - at < CHUNK_DATA ? v.n - at : CHUNK_DATA;
        last = s->chunk_free;
        s->chunk_free = c->next;
        if (n)
            memcpy(c->data, v.p + at, n);
        at += n;
    }
    s->chunks_left -= chunks_for(v.n);
    s->chunks[last].next = CHUNK_NONE;
    s->chunks[head].refs = 1;
    s->chunks[head].n = v.n;
    return head;
}

static struct slice value_read(struct store *s, uint32_t head) {
    uint32_t n = s->chunks[head].n;
    for (uint32_t at = 0, i = head; at < n; i = s->chunks[i].next) {
        uint32_t part = n - at < CHUNK_DATA ? n - at : CHUNK_DATA;
        memcpy(s->value + at, s->chunks[i].data, part);
        at += part;
    }
    return slice_of(s->value, n);
}

static void value_unref(struct store *s, uint32_t head) {
    if (head == CHUNK_NONE || --s->chunks[head].refs)
        return;
    uint32_t last = head;
    s->chunks_left += chunks_for(s->chunks[head].n);
    while (s->chunks[last].next != CHUNK_NONE)
        last = s->chunks[last].next;
    s->chunks[last].next = s->chunk_free;
    s->chunk_free = head;
}

static struct key128 key_of(const struct store *s, const struct store_op *op) {
    struct siphash h;
    siphash_init(&h, s->key, true);
    siphash_add(&h, op->table.p, op->table.n);
    siphash_add(&h, "", 1);
    if (op->key)
        siphash_add(&h, op->key->data, op->key->len);
    return siphash_end(&h);
}

static void remove_entry(struct store *s, handle h) {
    struct entry *e = pool_get(&s->entries, h);
    value_unref(s, e->value);
    CHECK(map_del(&s->by_key, e->key));
    pool_free(&s->entries, h);
}

static bool is_expired(const struct entry *e, uint64_t wall_ms) {
    return e->expires_ms && e->expires_ms <= wall_ms;
}

/* HANDLE_NONE when absent; what has expired goes now. */
static handle find_live(struct store *s, struct key128 key, uint64_t wall_ms) {
    handle h = map_get(&s->by_key, key);
    if (h != HANDLE_NONE && is_expired(pool_get(&s->entries, h), wall_ms)) {
        remove_entry(s, h);
        return HANDLE_NONE;
    }
    return h;
}

static void sweep(struct store *s, uint64_t wall_ms) {
    struct entry *e;
    handle h;
    for (uint32_t cursor = 0; (e = pool_next(&s->entries, &cursor, &h));)
        if (is_expired(e, wall_ms))
            remove_entry(s, h);
    s->swept_ms = wall_ms;
}

static bool has_room(const struct store *s, uint32_t chunks, bool new_entry) {
    return s->chunks_left >= chunks && (!new_entry || s->entries.used < s->entries.count);
}

static enum store_status put(struct store *s, const struct store_op *op, struct key128 key, uint64_t wall_ms) {
    struct slice v = op->value ? slice_of(op->value->data, op->value->len) : SLICE_NONE;
    handle h = find_live(s, key, wall_ms);
    /* A full store is searched for expired entries at most once a second: who fills it must not make us scan each
     * time. */
    if (!has_room(s, chunks_for(v.n), h == HANDLE_NONE) && wall_ms - s->swept_ms >= 1000) {
        sweep(s, wall_ms);
        h = find_live(s, key, wall_ms);
    }
    if (v.n > VALUE_MAX || !has_room(s, chunks_for(v.n), h == HANDLE_NONE))
        return STORE_REFUSED;
    struct entry *e = h != HANDLE_NONE ? pool_get(&s->entries, h) : pool_alloc(&s->entries, &h);
    CHECK(e);
    if (map_get(&s->by_key, key) == HANDLE_NONE) {
        CHECK(map_put(&s->by_key, key, h));
        e->key = key;
        e->value = CHUNK_NONE;
    }
    uint32_t value = value_write(s, v);
    value_unref(s, e->value);
    e->value = value;
    e->table = op->table;
    e->expires_ms = op->expires_ms;
    return STORE_OK;
}

static enum store_status get(struct store *s, struct key128 key, uint64_t wall_ms, uint32_t *value) {
    const struct entry *e = pool_get(&s->entries, find_live(s, key, wall_ms));
    if (!e)
        return STORE_MISSING;
    *value = e->value;
    return STORE_OK;
}

/* What is not there is as good as deleted. */
static enum store_status delete(struct store *s, struct key128 key, uint64_t wall_ms) {
    handle h = find_live(s, key, wall_ms);
    if (h != HANDLE_NONE)
        remove_entry(s, h);
    return STORE_OK;
}

void store_submit(struct store *s, const struct store_op *op, uint64_t wall_ms) {
    struct key128 key = key_of(s, op);
    struct answer a = { .ticket = op->ticket, .value = CHUNK_NONE };
    switch (op->verb) {
    case STORE_PUT:
        a.status = put(s, op, key, wall_ms);
        break;
    case STORE_GET:
        a.status = get(s, key, wall_ms, &a.value);
        break;
    case STORE_DELETE:
        a.status = delete(s, key, wall_ms);
        break;
    }
    if (op->ticket == 0)
        return;
    CHECK(s->waiting < ANSWERS_MAX);
    if (a.value != CHUNK_NONE)
        s->chunks[a.value].refs++;
    s->answers[(s->first + s->waiting++) % ANSWERS_MAX] = a;
}

bool store_answer(struct store *s, struct event *ev) {
    if (s->waiting == 0)
        return false;
    struct answer a = s->answers[s->first];
    s->first = (s->first + 1) % ANSWERS_MAX;
    s->waiting--;
    ev->kind = EV_STORE;
    ev->u.store.ticket = a.ticket;
    ev->u.store.status = a.status;
    ev->u.store.value = a.value == CHUNK_NONE ? SLICE_NONE : value_read(s, a.value);
    value_unref(s, a.value);
    return true;
}

uint32_t store_count(struct store *s, struct slice table, uint64_t wall_ms) {
    const struct entry *e;
    uint32_t n = 0;
    handle h;
    sweep(s, wall_ms);
    for (uint32_t cursor = 0; (e = pool_next(&s->entries, &cursor, &h));)
        n += !table.p || slice_eq(e->table, table);
    return n;
}
