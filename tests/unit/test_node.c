/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Nodes of a cluster with links over real TCP on loopback, one embedded store between them, and time as the test says.
 */
#include "core/base/member.h"
#include "core/runtime/node.h"
#include "tests/unit/unit.h"

#include <unistd.h>

#define NODES 3
#define STEP_US 20000
#define TAG 100
#define START_US 1000000000

struct member {
    struct node n;
    struct config c;
    struct io *io;
    struct buf_pool bufs;
    struct metrics metrics;
    struct log log;
    void *mem;
    bool runs, suspended;
    bool cut, deaf;              /* from the store; to the other nodes */
    bool mine[LIMIT_BUCKETS];
    uint32_t peer_n;
    struct event last;
    char bytes[4096];
};

static struct member *members[NODES];
static uint32_t numbers[NODES];  /* 0: one more than the index */
static struct mailbox *mailbox;  /* of members 0 and 1, shards of one node; NULL: they are nodes */
static struct store *store;
static void *store_mem;
static uint64_t now;

static uint32_t number_of(unsigned i) {
    return numbers[i] ? numbers[i] : i + 1;
}

static void store_open(void) {
    struct arena a;
    struct siphash_key key = { 1, 2 };
    arena_init(&a, NULL, 0);
    store_memory_new(&a, 64, 1 << 16, key);
    store_mem = aligned_alloc(64, (a.used + 63) / 64 * 64);
    arena_init(&a, store_mem, a.used);
    store = store_memory_new(&a, 64, 1 << 16, key);
}

static struct member *start_at(unsigned i, uint8_t secret, uint16_t port) {
    static uint8_t pool[NODES][1 << 18];
    struct member *m = calloc(1, sizeof *m);
    struct arena a;
    const char *why;
    CU_ASSERT_FATAL(m != NULL);
    log_init(&m->log, TRACE_ERROR, NULL);
    m->c.engine.node = number_of(i);
    memset(m->c.engine.secret, secret, sizeof m->c.engine.secret);
    CHECK_TRUE(addr_parse(SL("127.0.0.1:0"), 0, &m->c.cluster_listen));
    m->c.cluster_listen.port = port;
    CHECK_TRUE(node_open(&m->n, &m->c, &m->log));
    if (mailbox && i < 2)
        node_share(&m->n, mailbox, i, 2);
    arena_init(&a, NULL, 0);
    node_lay_out(&m->n, &a, &m->c, now);
    m->mem = aligned_alloc(64, (a.used + 63) / 64 * 64);
    arena_init(&a, m->mem, a.used);
    node_lay_out(&m->n, &a, &m->c, now);
    arena_init(&a, pool[i], sizeof pool[i]);
    buf_pool_init(&m->bufs, &a, (const uint32_t[BUF_CLASSES]){ 8, 0, 4, 0, 4, 4, 1, 0 });
    m->io = io_new(&(struct io_options){ IO_EPOLL, LINK_TAGS + 8, &m->metrics, &m->bufs }, &why);
    CU_ASSERT_FATAL(m->io != NULL);
    CHECK_TRUE(node_start(&m->n, m->io, TAG));
    m->runs = true;
    return members[i] = m;
}

static struct member *start(unsigned i, uint8_t secret) {
    return start_at(i, secret, 0);
}

static void stop(unsigned i) {
    struct member *m = members[i];
    if (!m)
        return;
    node_close(&m->n);
    io_free(m->io);
    free(m->mem);
    free(m);
    members[i] = NULL;
}

static void on_event(struct member *m, const struct event *ev) {
    if (ev->kind == EV_ACT)
        m->suspended = ev->u.act.suspended;
    if (ev->kind != EV_BUCKET)
        return;
    enum bucket_event what = ev->u.bucket.what;
    struct out given = { .kind = OUT_BUCKET, .u.bucket = { BUCKET_GIVEN, ev->u.bucket.bucket } };
    if (what != BUCKET_RECORD)
        m->mine[ev->u.bucket.bucket] = what == BUCKET_MINE;
    if (what == BUCKET_GIVE)
        node_on_out(&m->n, &given);
}

static void carry_out(struct member *m) {
    struct event ev, answer;
    for (uint32_t i = 0; i < m->n.out.n; i++)
        if (node_event(&m->n, i, &ev))
            on_event(m, &ev);
    struct store_op ops[LEASE_OUT_MAX];
    uint32_t n = m->n.out.op_n;
    memcpy(ops, m->n.out.ops, n * sizeof ops[0]);
    for (uint32_t i = 0; i < n; i++) {
        if (m->cut) {
            answer = (struct event){ .kind = EV_STORE,
                                     .u.store = { .ticket = ops[i].ticket, .status = STORE_UNAVAILABLE } };
            if (node_on_store(&m->n, &answer))
                carry_out(m);
            continue;
        }
        store_submit(store, &ops[i], 1700000000000 + now / 1000);
        while (store_answer(store, &answer))
            if (node_on_store(&m->n, &answer))
                carry_out(m);
    }
}

static void turn_mail(struct member *m) {
    struct mail mail;
    while (m->n.mailbox && mailbox_next(mailbox, m->n.shard, &mail))
        node_on_mail(&m->n, &mail);
}

static void turn(struct member *m) {
    struct io_event events[IO_EVENTS_MAX];
    struct event ev;
    node_tell_time(&m->n, now, 1700000000000 + now / 1000);
    turn_mail(m);
    while (node_work(&m->n))
        carry_out(m);
    if (m->n.mailbox)
        mailbox_flush(mailbox, m->n.shard);
    uint32_t n = io_turn(m->io, 200, events);
    for (uint32_t i = 0; i < n; i++)
        if (events[i].kind == IO_READY)
            link_ready(&m->n.link, events[i].tag - TAG);
    for (struct link_frame f; m->deaf && link_next(&m->n.link, &f);)
        ;
    while (node_next(&m->n, &ev)) {
        m->peer_n++;
        m->last = ev;
        snprintf(m->bytes, sizeof m->bytes, "%.*s", SLICE_FMT(ev.u.peer.bytes));
    }
}

static unsigned owned(unsigned i) {
    unsigned n = 0;
    for (unsigned b = 0; members[i] && b < LIMIT_BUCKETS; b++)
        n += members[i]->mine[b];
    return n;
}

static void turn_all(void) {
    now += STEP_US;
    for (unsigned i = 0; i < NODES; i++)
        if (members[i] && members[i]->runs)
            turn(members[i]);
}

/* Until `c`, for at most so many seconds of the nodes' time. */
#define UNTIL(c, seconds)                                                  \
    for (uint64_t end_ = now + (seconds)*UINT64_C(1000000); !(c) && now < end_;) \
    turn_all()

static void begin(unsigned nodes) {
    now = START_US;
    store_open();
    for (unsigned i = 0; i < nodes; i++)
        start(i, 7);
}

static void end(void) {
    for (unsigned i = 0; i < NODES; i++)
        stop(i);
    free(store_mem);
}

static bool linked(unsigned i, unsigned k) {
    return link_is_up(&members[i]->n.link, number_of(k));
}

/* ---- */

static void check_same(const struct link_frame *f) {
    uint8_t mem[1024];
    struct link_frame got;
    uint32_t n = link_frame_put(mem, sizeof mem, f);
    CHECK_TRUE(n > 0);
    for (uint32_t i = 0; i < n; i++)
        CHECK_EQ(link_frame_get(mem, i, &got), 0);
    CHECK_EQ(link_frame_get(mem, n, &got), n);
    CHECK_TRUE(got.kind == f->kind && got.what == f->what && got.hops == f->hops && got.flag == f->flag);
    CHECK_TRUE(got.bucket == f->bucket && got.node == f->node && got.epoch == f->epoch);
    CHECK_TRUE(addr_eq(&got.src, &f->src) && addr_eq(&got.dst, &f->dst));
    CHECK_TRUE(slice_eq(got.bytes, f->bytes));
}

static void test_frames(void) {
    struct link_frame f = { .kind = LINK_PEER, .what = PEER_DATAGRAM, .hops = 2, .bucket = 4095, .bytes = SL("hello") };
    addr_parse(SL("192.0.2.1:5060"), 0, &f.src);
    addr_parse(SL("192.0.2.9:5061"), 0, &f.dst);
    check_same(&f);
    addr_parse(SL("[2001:db8::1]:5060"), 0, &f.src);
    addr_parse(SL("[2001:db8::2]:5062"), 0, &f.dst);
    check_same(&f);
    check_same(&(struct link_frame){ .kind = LINK_OWNER, .bucket = 7, .node = 3, .epoch = UINT64_MAX });
    check_same(&(struct link_frame){ .kind = LINK_STATE, .flag = true });
}

/* Any one byte otherwise: a frame, or nonsense, but never more than was there. */
static void test_frames_mutated(void) {
    struct link_frame f = { .kind = LINK_PEER, .bytes = SL("hello") }, got;
    uint8_t mem[256];
    addr_parse(SL("192.0.2.1:5060"), 0, &f.src);
    f.dst = f.src;
    uint32_t n = link_frame_put(mem, sizeof mem, &f);
    for (uint32_t i = 0; i < n; i++)
        for (unsigned v = 0; v < 256; v++) {
            uint8_t *exact = malloc(n);
            memcpy(exact, mem, n);
            exact[i] = (uint8_t)v;
            uint32_t used = link_frame_get(exact, n, &got);
            CHECK_TRUE(used == 0 || used == UINT32_MAX || used <= n);
            free(exact);
        }
}

static void test_shared_and_linked(void) {
    begin(2);
    UNTIL(owned(0) + owned(1) == LIMIT_BUCKETS && linked(0, 1) && linked(1, 0), 20);
    CHECK_TRUE(owned(0) > LIMIT_BUCKETS / 3 && owned(1) > LIMIT_BUCKETS / 3);
    CHECK_TRUE(linked(0, 1) && linked(1, 0));
    char text[512];
    struct sbuf b = sbuf_on(text, sizeof text - 1);
    node_describe(&members[0]->n, &b);
    text[b.n] = '\0';
    CHECK_TRUE(strstr(text, "node 2 at 127.0.0.1:") && strstr(text, ", linked"));
    end();
}

static struct buf *buffer(struct member *m, const char *text) {
    return buf_copy(&m->bufs, slice_str(text));
}

static bool knows(unsigned i, unsigned k) {
    const struct link *l = &members[i]->n.link;
    bool any = false;
    for (unsigned c = 0; c < LINK_NODES_MAX; c++)
        any = any || l->to[c].node == k + 1;
    return any;
}

/* What is sent before the first connection stands goes by it. */
static void datagram(bool early) {
    begin(2);
    UNTIL(early ? knows(0, 1) : linked(0, 1), 20);
    CHECK_EQ(linked(0, 1), !early);
    struct out o = { .kind = OUT_PEER, .u.peer = { .what = PEER_DATAGRAM, .to = 2, .bucket = 77, .hops = 1 } };
    addr_parse(SL("192.0.2.1:5060"), 0, &o.u.peer.src);
    addr_parse(SL("192.0.2.9:5061"), 0, &o.u.peer.dst);
    o.u.peer.buf = buffer(members[0], "OPTIONS sip:x SIP/2.0\r\n\r\n");
    node_on_out(&members[0]->n, &o);
    buf_unref(&members[0]->bufs, &o.u.peer.buf);
    UNTIL(members[1]->peer_n, 5);
    const struct event *ev = &members[1]->last;
    CHECK_EQ(members[1]->peer_n, 1);
    CHECK_EQ(ev->u.peer.from, 1);
    CHECK_EQ(ev->u.peer.bucket, 77);
    CHECK_EQ(ev->u.peer.hops, 1);
    CHECK_TRUE(addr_eq(&ev->u.peer.src, &o.u.peer.src) && addr_eq(&ev->u.peer.dst, &o.u.peer.dst));
    CHECK_TRUE(strcmp(members[1]->bytes, "OPTIONS sip:x SIP/2.0\r\n\r\n") == 0);
    end();
}

static void test_datagram(void) {
    datagram(false);
    datagram(true);
}

/* It was away for so short a time that nobody missed it: who had tried to reach it in vain does so once it is back. */
static void test_soon_back(void) {
    begin(2);
    UNTIL(linked(0, 1) && linked(1, 0), 20);
    uint16_t port = members[0]->n.at.port;
    stop(0);
    uint64_t back = now + 700000;
    UNTIL(now >= back, 1);
    CHECK_FALSE(linked(1, 0));
    start_at(0, 7, port);
    UNTIL(linked(0, 1), 1);
    CHECK_TRUE(linked(0, 1));
    back = now;
    UNTIL(linked(1, 0), 5);
    CHECK_TRUE(linked(1, 0) && now - back <= 200000);
    end();
}

static void test_death_and_return(void) {
    begin(3);
    UNTIL(owned(0) + owned(1) + owned(2) == LIMIT_BUCKETS, 20);
    stop(0);
    UNTIL(owned(1) + owned(2) == LIMIT_BUCKETS, 10);
    CHECK_EQ(owned(1) + owned(2), LIMIT_BUCKETS);
    start(0, 7);
    UNTIL(owned(0) > LIMIT_BUCKETS / 4 && linked(1, 0) && linked(0, 2), 20);
    CHECK_TRUE(owned(0) > LIMIT_BUCKETS / 4 && linked(1, 0) && linked(0, 2));
    end();
}

static bool says(unsigned i, void (*describe)(const struct node *n, struct sbuf *text), const char *what) {
    static char text[LIMIT_BUCKETS * 16];
    struct sbuf b = sbuf_on(text, sizeof text - 1);
    describe(&members[i]->n, &b);
    text[b.n] = '\0';
    return strstr(text, what) != NULL;
}

/* A node is alone and sleeps; another one starts, and has it all. */
static void fall_asleep(void) {
    begin(1);
    UNTIL(owned(0) == LIMIT_BUCKETS, 20);
    members[0]->runs = false;
    start(1, 7);
    UNTIL(owned(1) == LIMIT_BUCKETS, 20);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    CHECK_FALSE(says(1, node_describe, "node 1 "));
}

/* The store goes away for both, and the sleeper wakes: the other one lets it hear that it has been passed, though it
 * has not lived for long by the last list. */
static void test_wakes_passed(void) {
    for (unsigned seconds = 0; seconds < 10; seconds += 3) {
        bool acted = false;
        fall_asleep();
        members[0]->cut = members[1]->cut = true;
        UNTIL(false, seconds);
        members[0]->runs = true;
        UNTIL(linked(1, 0) || members[0]->suspended, 1);
        CHECK_TRUE(members[0]->suspended);
        for (uint64_t until = now + 8000000; now < until; acted = acted || !members[0]->suspended)
            turn_all();
        CHECK_FALSE(acted || members[1]->suspended || says(1, node_describe, "node 1 "));
        CHECK_FALSE(linked(1, 0));
        members[0]->cut = members[1]->cut = false;
        UNTIL(linked(1, 0) && linked(0, 1) && !members[0]->suspended, 10);
        CHECK_TRUE(linked(1, 0) && linked(0, 1) && !members[0]->suspended);
        end();
    }
}

/* It does not sleep, but hears of nobody. Then it does, and the store is away for the other one too: whose word is no
 * reason to act, as that has taken all meanwhile. */
static void test_heard_again(void) {
    begin(2);
    UNTIL(linked(0, 1) && linked(1, 0) && owned(0) + owned(1) == LIMIT_BUCKETS, 20);
    members[0]->cut = members[0]->deaf = true;
    UNTIL(owned(1) == LIMIT_BUCKETS, 20);
    CHECK_TRUE(owned(1) == LIMIT_BUCKETS && members[0]->suspended);
    members[1]->cut = true;
    UNTIL(false, 5);
    members[0]->deaf = false;
    UNTIL(!members[0]->suspended, 5);
    CHECK_TRUE(members[0]->suspended && !members[1]->suspended);
    end();
}

/* The lease's word comes before the engine hears that the store is there again, which would have it act in that step
 * for what may be another's by now; any other answer that is the engine's leaves nothing to be carried out. */
static void test_store_up(void) {
    struct event up = { .kind = EV_STORE_UP }, own = { .kind = EV_STORE, .u.store = { .ticket = 1 } };
    begin(1);
    UNTIL(owned(0) == LIMIT_BUCKETS, 20);
    struct member *m = members[0];
    CHECK_FALSE(node_on_store(&m->n, &up));
    CHECK_EQ(m->n.out.n, 1);
    carry_out(m);
    CHECK_TRUE(m->suspended);
    CHECK_FALSE(node_on_store(&m->n, &own));
    CHECK_EQ(m->n.out.n + m->n.out.op_n, 0);
    UNTIL(!m->suspended, 5);
    CHECK_FALSE(m->suspended);
    CHECK_EQ(owned(0), LIMIT_BUCKETS);
    end();
}

/* Not for ever, and not who has said goodbye. */
static void test_gone(void) {
    fall_asleep();
    CHECK_TRUE(knows(1, 0));
    UNTIL(!knows(1, 0), LINK_GONE_US / 1000000 + 1);
    CHECK_FALSE(knows(1, 0));
    end();
    begin(2);
    UNTIL(linked(1, 0) && owned(0) + owned(1) == LIMIT_BUCKETS, 20);
    node_drain(&members[0]->n);
    UNTIL(members[0]->n.drained, 20);
    stop(0);
    UNTIL(!says(1, node_describe, "node 1 "), 5);
    CHECK_FALSE(knows(1, 0));
    end();
}

static void test_other_secret(void) {
    begin(1);
    start(1, 8);
    UNTIL(owned(0) + owned(1) == LIMIT_BUCKETS, 20);
    for (unsigned i = 0; i < 100; i++)
        turn_all();
    struct out o = { .kind = OUT_PEER, .u.peer = { .what = PEER_DATAGRAM, .to = 2, .buf = buffer(members[0], "x") } };
    node_on_out(&members[0]->n, &o);
    buf_unref(&members[0]->bufs, &o.u.peer.buf);
    for (unsigned i = 0; i < 100; i++)
        turn_all();
    CHECK_EQ(members[1]->peer_n, 0);
    end();
}

static void test_drain(void) {
    begin(2);
    UNTIL(owned(0) + owned(1) == LIMIT_BUCKETS, 20);
    node_drain(&members[0]->n);
    UNTIL(members[0]->n.drained, 20);
    CHECK_TRUE(members[0]->n.drained);
    CHECK_FALSE(node_may_end(&members[0]->n));
    UNTIL(owned(1) == LIMIT_BUCKETS, 10);
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    end();
}

/* Until all that it had has an owner, and for a while: then nothing comes here any more. Where nobody is to have it
 * there is nobody to wait for. */
static void test_drained_last(void) {
    begin(2);
    UNTIL(owned(0) + owned(1) == LIMIT_BUCKETS, 20);
    node_drain(&members[0]->n);
    UNTIL(node_may_end(&members[0]->n), 20);
    CHECK_TRUE(node_may_end(&members[0]->n));
    CHECK_EQ(owned(1), LIMIT_BUCKETS);
    node_drain(&members[1]->n);
    stop(0);
    UNTIL(members[1]->n.drained, 20);
    UNTIL(node_may_end(&members[1]->n), 1);
    CHECK_TRUE(node_may_end(&members[1]->n));
    end();
}

/* Two shards of node 1, and node 2. */
static void begin_shards(void) {
    mailbox = mailbox_new(2);
    CU_ASSERT_FATAL(mailbox != NULL);
    numbers[1] = member_of(1, 1);
    numbers[2] = 2;
    begin(3);
    UNTIL(owned(0) + owned(1) + owned(2) == LIMIT_BUCKETS && linked(0, 2) && linked(1, 2) && linked(2, 0) &&
              linked(2, 1), 20);
}

static void end_shards(void) {
    end();
    mailbox_free(mailbox);
    mailbox = NULL;
    memset(numbers, 0, sizeof numbers);
}

/* They are members like others, but for their links; who asks sees nodes. */
static void test_shards(void) {
    begin_shards();
    for (unsigned i = 0; i < NODES; i++)
        CHECK_TRUE(owned(i) > LIMIT_BUCKETS / 4);
    CHECK_TRUE(linked(0, 2) && linked(1, 2) && linked(2, 0) && linked(2, 1));
    CHECK_FALSE(linked(0, 1) || linked(1, 0));
    CHECK_TRUE(node_is_sibling(&members[0]->n, numbers[1]) && !node_is_sibling(&members[0]->n, 2) &&
               !node_is_sibling(&members[0]->n, PEER_NONE) && !node_is_sibling(&members[2]->n, 1));
    CHECK_TRUE(says(0, node_describe, ", shards 2, buckets ") && says(0, node_describe, "node 2 at 127.0.0.1:"));
    CHECK_TRUE(says(2, node_describe, ", shards 2, buckets ") && !says(2, node_describe, "65537"));
    CHECK_TRUE(says(2, node_describe_records, "node 1 takes up to") && !says(2, node_describe_records, "65537"));
    CHECK_TRUE(says(2, node_describe_buckets, " 1\n") && !says(2, node_describe_buckets, "65537"));
    end_shards();
}

/* Each word of a lease reaches the sibling: who owns what is known there before anybody is asked. */
static void test_shards_tell(void) {
    begin_shards();
    UNTIL(false, 1);
    for (unsigned b = 0; b < LIMIT_BUCKETS; b++)
        CHECK_EQ(lease_owner(members[0]->n.lease, (uint16_t)b, NULL),
                 lease_owner(members[1]->n.lease, (uint16_t)b, NULL));
    end_shards();
}

static void test_shards_drain(void) {
    begin_shards();
    UNTIL(false, 3);
    node_drain(&members[0]->n);
    node_drain(&members[1]->n);
    UNTIL(members[0]->n.drained && members[1]->n.drained, 5);
    UNTIL(node_may_end(&members[0]->n) && node_may_end(&members[1]->n), 5);
    CHECK_TRUE(node_may_end(&members[0]->n) && node_may_end(&members[1]->n));
    CHECK_EQ(owned(2), LIMIT_BUCKETS);
    end_shards();
}

int main(void) {
    return UNIT_RUN("node", UNIT(test_frames), UNIT(test_frames_mutated), UNIT(test_shared_and_linked),
                    UNIT(test_datagram), UNIT(test_death_and_return), UNIT(test_soon_back),
                    UNIT(test_wakes_passed), UNIT(test_heard_again), UNIT(test_store_up), UNIT(test_gone),
                    UNIT(test_other_secret), UNIT(test_drain), UNIT(test_drained_last), UNIT(test_shards),
                    UNIT(test_shards_tell), UNIT(test_shards_drain));
}
