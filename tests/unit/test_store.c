/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/store.h"
#include "tests/unit/unit.h"

#define ENTRIES 4
#define BYTES 4096

static struct store *store;
static struct buf_pool bufs;
static uint64_t now;

static void fresh(void) {
    static void *memory, *buf_memory;
    size_t buf_bytes = 1 << 20;
    struct siphash_key key = { 1, 2 };
    struct arena a;
    arena_init(&a, NULL, 0);
    CHECK_TRUE(store_memory_new(&a, ENTRIES, BYTES, key) == NULL);
    size_t need = a.used;
    free(memory);
    free(buf_memory);
    memory = aligned_alloc(64, need);
    buf_memory = aligned_alloc(64, buf_bytes);
    memset(memory, 0xa5, need);
    arena_init(&a, memory, need);
    store = store_memory_new(&a, ENTRIES, BYTES, key);
    CHECK_TRUE(store != NULL && a.used <= need);
    arena_init(&a, buf_memory, buf_bytes);
    buf_pool_init(&bufs, &a, (const uint32_t[BUF_CLASSES]){ 8, 0, 8, 0, 8, 8, 2, 2 });
    now = 1000;
}

static void submit(enum store_verb verb, uint64_t ticket, const char *table, const char *id, struct slice value) {
    struct store_op op = { .verb = verb, .ticket = ticket, .table = slice_str(table) };
    op.key = buf_copy(&bufs, slice_str(id));
    op.value = value.p ? buf_copy(&bufs, value) : NULL;
    store_submit(store, &op, now);
    /* The store took copies. */
    memset(op.key->data, 'x', op.key->len);
    buf_unref(&bufs, &op.key);
    buf_unref(&bufs, &op.value);
}

static void put_until(uint64_t ticket, const char *table, const char *id, const char *value, uint64_t expires_ms) {
    struct store_op op = { .verb = STORE_PUT, .ticket = ticket, .table = slice_str(table), .expires_ms = expires_ms };
    op.key = buf_copy(&bufs, slice_str(id));
    op.value = buf_copy(&bufs, slice_str(value));
    store_submit(store, &op, now);
    buf_unref(&bufs, &op.key);
    buf_unref(&bufs, &op.value);
}

static struct event answer(uint64_t ticket, enum store_status status) {
    struct event ev = { 0 };
    CHECK_TRUE(store_answer(store, &ev));
    CHECK_EQ(ev.kind, EV_STORE);
    CHECK_EQ(ev.u.store.ticket, ticket);
    CHECK_EQ(ev.u.store.status, status);
    return ev;
}

static void test_put_get_delete(void) {
    struct event ev;
    fresh();
    submit(STORE_GET, 1, "call", "a", SLICE_NONE);
    answer(1, STORE_MISSING);
    submit(STORE_PUT, 2, "call", "a", SL("one"));
    answer(2, STORE_OK);
    submit(STORE_GET, 3, "call", "a", SLICE_NONE);
    ev = answer(3, STORE_OK);
    CHECK_SLICE(ev.u.store.value, "one");
    submit(STORE_GET, 4, "aor", "a", SLICE_NONE);
    answer(4, STORE_MISSING);
    submit(STORE_PUT, 5, "call", "a", SL("two"));
    answer(5, STORE_OK);
    submit(STORE_GET, 6, "call", "a", SLICE_NONE);
    ev = answer(6, STORE_OK);
    CHECK_SLICE(ev.u.store.value, "two");
    submit(STORE_DELETE, 7, "call", "a", SLICE_NONE);
    answer(7, STORE_OK);
    submit(STORE_DELETE, 8, "call", "a", SLICE_NONE);
    answer(8, STORE_OK);
    CHECK_EQ(store_count(store, SLICE_NONE, now), 0);
    CHECK_FALSE(store_answer(store, &ev));
}

static void test_no_ticket_no_answer(void) {
    struct event ev;
    fresh();
    submit(STORE_PUT, 0, "call", "a", SL("one"));
    CHECK_FALSE(store_answer(store, &ev));
    CHECK_EQ(store_count(store, SL("call"), now), 1);
}

/* Answers stand for the moment of the operation, in its order. */
static void test_answers_keep_what_they_found(void) {
    struct event ev;
    fresh();
    submit(STORE_PUT, 1, "call", "a", SL("one"));
    submit(STORE_GET, 2, "call", "a", SLICE_NONE);
    submit(STORE_PUT, 3, "call", "a", SL("two"));
    submit(STORE_GET, 4, "call", "a", SLICE_NONE);
    submit(STORE_DELETE, 5, "call", "a", SLICE_NONE);
    answer(1, STORE_OK);
    ev = answer(2, STORE_OK);
    CHECK_SLICE(ev.u.store.value, "one");
    answer(3, STORE_OK);
    ev = answer(4, STORE_OK);
    CHECK_SLICE(ev.u.store.value, "two");
    answer(5, STORE_OK);
}

static void test_expiry(void) {
    fresh();
    put_until(1, "aor", "a", "v", now + 50);
    answer(1, STORE_OK);
    put_until(2, "aor", "b", "v", now + 500);
    answer(2, STORE_OK);
    now += 49;
    CHECK_EQ(store_count(store, SL("aor"), now), 2);
    now += 1;
    submit(STORE_GET, 3, "aor", "a", SLICE_NONE);
    answer(3, STORE_MISSING);
    CHECK_EQ(store_count(store, SL("aor"), now), 1);
    CHECK_EQ(store_count(store, SL("call"), now), 0);
    CHECK_EQ(store_count(store, SLICE_NONE, now + 1000), 0);
}

static void test_bound_of_entries(void) {
    static const char *const ids[] = { "a", "b", "c", "d" };
    fresh();
    for (int i = 0; i < ENTRIES; i++) {
        put_until(1, "aor", ids[i], "v", i == 0 ? now + 100 : 0);
        answer(1, STORE_OK);
    }
    put_until(2, "aor", "e", "v", 0);
    answer(2, STORE_REFUSED);
    put_until(3, "aor", "d", "w", 0);
    answer(3, STORE_OK);
    now += 2000;
    put_until(4, "aor", "e", "v", 0);
    answer(4, STORE_OK);
    CHECK_EQ(store_count(store, SLICE_NONE, now), ENTRIES);
}

static void test_long_values_and_bound_of_bytes(void) {
    static char big[3000], huge[5000];
    struct event ev;
    fresh();
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7);
    /* Many times over: chunks of replaced values must come back. */
    for (int i = 0; i < 100; i++) {
        submit(STORE_PUT, 1, "call", "a", slice_of(big, (size_t)(i % 4) * 239 + 1));
        answer(1, STORE_OK);
    }
    submit(STORE_DELETE, 0, "call", "a", SLICE_NONE);
    submit(STORE_PUT, 2, "call", "a", slice_of(big, sizeof big));
    answer(2, STORE_OK);
    submit(STORE_GET, 3, "call", "a", SLICE_NONE);
    ev = answer(3, STORE_OK);
    CHECK_TRUE(slice_eq(ev.u.store.value, slice_of(big, sizeof big)));
    submit(STORE_PUT, 4, "call", "b", slice_of(big, sizeof big));
    answer(4, STORE_REFUSED);
    submit(STORE_PUT, 5, "call", "c", slice_of(huge, sizeof huge));
    answer(5, STORE_REFUSED);
    submit(STORE_GET, 6, "call", "a", SLICE_NONE);
    ev = answer(6, STORE_OK);
    CHECK_TRUE(slice_eq(ev.u.store.value, slice_of(big, sizeof big)));
}

static void test_empty_value(void) {
    struct event ev;
    fresh();
    submit(STORE_PUT, 1, "call", "a", SL(""));
    answer(1, STORE_OK);
    submit(STORE_GET, 2, "call", "a", SLICE_NONE);
    ev = answer(2, STORE_OK);
    CHECK_SLICE(ev.u.store.value, "");
}

/* ---- owners */

static struct event answer_to(struct store_op op, const char *id) {
    struct event ev = { 0 };
    op.ticket = 1;
    op.bucket = 7;
    op.table = SL("call");
    op.key = buf_copy(&bufs, slice_str(id));
    op.value = buf_copy(&bufs, SL("v"));
    store_submit(store, &op, now);
    buf_unref(&bufs, &op.key);
    buf_unref(&bufs, &op.value);
    CHECK_TRUE(store_answer(store, &ev));
    return ev;
}

static struct event as_owner(enum store_verb verb, uint32_t node, uint64_t epoch, uint64_t version, const char *id) {
    return answer_to((struct store_op){ .verb = verb, .node = node, .epoch = epoch, .version = version }, id);
}

static struct event claim(uint32_t node, uint32_t former, uint64_t epoch) {
    return answer_to((struct store_op){ .verb = STORE_CLAIM, .node = node, .former = former, .epoch = epoch }, "");
}

static void check_owner(uint32_t node, uint64_t epoch) {
    struct event ev = as_owner(STORE_OWNER, 0, 0, 0, "");
    CHECK_EQ(ev.u.store.status, STORE_OK);
    CHECK_EQ(ev.u.store.node, node);
    CHECK_EQ(ev.u.store.epoch, epoch);
}

static void test_claim(void) {
    struct event ev;
    fresh();
    check_owner(0, 0);
    ev = claim(1, 0, 0);
    CHECK_EQ(ev.u.store.status, STORE_OK);
    CHECK_EQ(ev.u.store.epoch, 1);
    check_owner(1, 1);
    ev = claim(2, 0, 0);
    CHECK_EQ(ev.u.store.status, STORE_FENCED);
    CHECK_EQ(ev.u.store.node, 1);
    CHECK_EQ(ev.u.store.epoch, 1);
    ev = claim(2, 3, 1); /* it was somebody else's by that epoch, once */
    CHECK_EQ(ev.u.store.status, STORE_FENCED);
    CHECK_EQ(ev.u.store.node, 1);
    CHECK_EQ(claim(2, 0, 1).u.store.status, STORE_FENCED);
    CHECK_EQ(claim(2, 1, 1).u.store.epoch, 2);
    CHECK_EQ(as_owner(STORE_RELEASE, 1, 1, 0, "").u.store.status, STORE_FENCED);
    CHECK_EQ(as_owner(STORE_RELEASE, 2, 2, 0, "").u.store.status, STORE_OK);
    check_owner(0, 2);
    CHECK_EQ(claim(1, 0, 2).u.store.epoch, 3);
}

/* Who was owner once writes nothing more, and the owner nothing older than what is there. */
static void test_fence(void) {
    fresh();
    CHECK_EQ(as_owner(STORE_PUT, 1, 1, 1, "a").u.store.status, STORE_FENCED);
    CHECK_EQ(claim(1, 0, 0).u.store.epoch, 1);
    CHECK_EQ(as_owner(STORE_PUT, 1, 1, 5, "a").u.store.status, STORE_OK);
    CHECK_EQ(as_owner(STORE_PUT, 1, 1, 4, "a").u.store.status, STORE_FENCED);
    CHECK_EQ(as_owner(STORE_DELETE, 1, 1, 4, "a").u.store.status, STORE_FENCED);
    CHECK_EQ(claim(2, 1, 1).u.store.epoch, 2);
    CHECK_EQ(as_owner(STORE_PUT, 1, 1, 6, "a").u.store.status, STORE_FENCED);
    CHECK_EQ(as_owner(STORE_DELETE, 1, 1, 6, "a").u.store.status, STORE_FENCED);
    CHECK_EQ(store_count(store, SL("call"), now), 1);
    CHECK_EQ(as_owner(STORE_PUT, 2, 2, 1, "a").u.store.status, STORE_OK);
    CHECK_EQ(as_owner(STORE_DELETE, 2, 2, 1, "a").u.store.status, STORE_OK);
    CHECK_EQ(store_count(store, SL("call"), now), 0);
}

static void test_load(void) {
    struct event ev;
    fresh();
    as_owner(STORE_PUT, 0, 0, 0, "a");
    as_owner(STORE_PUT, 0, 0, 0, "bb");
    submit(STORE_PUT, 2, "call", "other bucket", SL("w"));
    answer(2, STORE_OK);
    ev = as_owner(STORE_LOAD, 0, 0, 0, "");
    CHECK_TRUE(ev.u.store.more);
    CHECK_SLICE(ev.u.store.key, "a");
    CHECK_SLICE(ev.u.store.value, "v");
    ev = answer(1, STORE_OK);
    CHECK_TRUE(ev.u.store.more);
    CHECK_SLICE(ev.u.store.key, "bb");
    ev = answer(1, STORE_MISSING);
    CHECK_FALSE(ev.u.store.more);
    CHECK_FALSE(store_answer(store, &ev));
}

/* Who reads it later is told by which epoch it was written, whoever owns the bucket by now. */
static void test_by_which_epoch(void) {
    fresh();
    CHECK_EQ(as_owner(STORE_PUT, 0, 0, 0, "n").u.store.status, STORE_OK);
    CHECK_EQ(as_owner(STORE_GET, 0, 0, 0, "n").u.store.epoch, 0);
    CHECK_EQ(as_owner(STORE_DELETE, 0, 0, 0, "n").u.store.status, STORE_OK);
    CHECK_EQ(claim(1, 0, 0).u.store.epoch, 1);
    CHECK_EQ(as_owner(STORE_PUT, 1, 1, 1, "a").u.store.status, STORE_OK);
    CHECK_EQ(claim(2, 1, 1).u.store.epoch, 2);
    CHECK_EQ(claim(3, 2, 2).u.store.epoch, 3);
    CHECK_EQ(as_owner(STORE_GET, 0, 0, 0, "a").u.store.epoch, 1);
    CHECK_EQ(as_owner(STORE_LOAD, 0, 0, 0, "").u.store.epoch, 1);
    CHECK_EQ(answer(1, STORE_MISSING).u.store.epoch, 0);
    CHECK_EQ(as_owner(STORE_PUT, 3, 3, 1, "a").u.store.status, STORE_OK);
    CHECK_EQ(as_owner(STORE_GET, 0, 0, 0, "a").u.store.epoch, 3);
}

static struct event renew(uint32_t node, const char *value, uint64_t for_ms) {
    struct store_op op = { .verb = STORE_LEASE, .ticket = 1, .node = node, .expires_ms = for_ms };
    struct event ev = { 0 };
    op.value = buf_copy(&bufs, slice_str(value));
    store_submit(store, &op, now);
    buf_unref(&bufs, &op.value);
    CHECK_TRUE(store_answer(store, &ev));
    CHECK_EQ(ev.u.store.status, STORE_OK);
    return ev;
}

static void test_leases(void) {
    struct event ev;
    fresh();
    renew(2, "two", 3000);
    ev = renew(1, "one", 3000);
    CHECK_TRUE(slice_eq(ev.u.store.value, SL("\0\0\0\1\0\3one\0\0\0\2\0\3two")));
    now += 2000;
    renew(1, "one", 3000);
    now += 1000;
    ev = renew(1, "uno", 3000);
    CHECK_TRUE(slice_eq(ev.u.store.value, SL("\0\0\0\1\0\3uno")));
    ev = renew(1, "", 0);
    CHECK_EQ(ev.u.store.value.n, 0);
}

int main(void) {
    return UNIT_RUN("store", UNIT(test_put_get_delete), UNIT(test_no_ticket_no_answer),
                    UNIT(test_answers_keep_what_they_found), UNIT(test_expiry), UNIT(test_bound_of_entries),
                    UNIT(test_long_values_and_bound_of_bytes), UNIT(test_empty_value), UNIT(test_claim),
                    UNIT(test_fence), UNIT(test_load), UNIT(test_by_which_epoch), UNIT(test_leases));
}
