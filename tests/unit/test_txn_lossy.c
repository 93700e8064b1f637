/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Two transaction layers over a link that loses, doubles, delays and reorders, in virtual time: no BUG row is reached,
 * every client transaction ends exactly once, and at the end nothing is left. One seed is one run.
 */
#include "core/base/rng.h"
#include "tests/unit/txn_fixture.h"

#define CALLS 40
#define FLIGHT 512

struct packet {
    uint64_t at;                  /* 0: free */
    struct fix *to;
    char text[1500];
    uint32_t n;
};

struct link {
    struct rng rng;
    struct fix *a, *b;
    uint32_t loss_percent;
    struct packet flight[FLIGHT];
    handle client[CALLS];
    bool invite[CALLS];
    unsigned ended[CALLS];
    handle open[4 * CALLS];       /* server transactions without a final response */
    unsigned open_n;
};

static void put(struct link *l, struct fix *to, const struct fix_sent *s) {
    unsigned copies = rng_below(&l->rng, 10) == 0 ? 2 : 1;
    for (unsigned c = 0; c < copies; c++) {
        if (rng_below(&l->rng, 100) < l->loss_percent)
            continue;
        unsigned i = 0;
        while (i < FLIGHT && l->flight[i].at)
            i++;
        CU_ASSERT_FATAL(i < FLIGHT && s->n < sizeof l->flight[i].text);
        struct packet *p = &l->flight[i];
        p->at = s->at + (1 + rng_below(&l->rng, 400)) * MS;
        p->to = to;
        p->n = s->n;
        memcpy(p->text, s->text, s->n);
    }
}

static void carry(struct link *l, struct fix *from, struct fix *to) {
    fix_collect(from);
    for (unsigned i = 0; i < from->sent_n; i++)
        put(l, to, &from->sent[i]);
    from->sent_n = 0;
}

static void ended(struct link *l, handle h) {
    for (unsigned i = 0; i < CALLS; i++)
        if (l->client[i] == h)
            l->ended[i]++;
}

static void client_event(struct link *l, const struct txn_event *ev) {
    if (ev->kind == TXN_FINAL || ev->kind == TXN_TIMEOUT)
        ended(l, ev->txn);
    else if (ev->kind == TXN_PROVISIONAL && rng_below(&l->rng, 4) == 0)
        txn_cancel(&l->a->layer, &l->a->outbox, l->a->now, ev->txn, SLICE_NONE);
}

static void answer(struct link *l, handle h) {
    static const uint16_t some[] = { 180, 183, 200, 200, 404, 408, 486, 487 };
    struct fix *b = l->b;
    struct txn *t = txn_get(&b->layer, h);
    if (!t || !txn_request_of(t).p)
        return;
    uint16_t status = some[rng_below(&l->rng, 8)];
    const struct sip_msg *m = fix_parse(txn_request(&b->layer, h));
    char method[16] = "", branch[64] = "";
    memcpy(method, m->method_name.p, m->method_name.n);
    memcpy(branch, m->via.branch.p, m->via.branch.n);
    struct buf *r = buf_copy(&b->bufs, fix_response(status, method, branch, "us"));
    txn_respond(&b->layer, &b->outbox, b->now, h, r, status);
    if (status < 200 && l->open_n < 4 * CALLS)
        l->open[l->open_n++] = h;
}

static void server_event(struct link *l, const struct txn_event *ev) {
    if (ev->kind != TXN_NEW_REQUEST && ev->kind != TXN_CANCEL)
        return;
    CU_ASSERT_FATAL(l->open_n < 4 * CALLS);
    l->open[l->open_n++] = ev->txn;
}

static void deliver(struct link *l, struct packet *p, uint64_t now) {
    p->to->now = now;
    struct txn_event ev = fix_recv(p->to, slice_of(p->text, p->n));
    p->at = 0;
    if (p->to == l->a)
        client_event(l, &ev);
    else
        server_event(l, &ev);
}

static void side_timers(struct link *l, struct fix *f, uint64_t now) {
    struct wheel_node *n;
    f->now = now;
    while ((n = wheel_pop(&f->wheel, now))) {
        struct txn_event ev = txn_timer(&f->layer, &f->outbox, now, n);
        if (f == l->a)
            client_event(l, &ev);
    }
}

static void start_some(struct link *l, unsigned i) {
    char branch[32];
    snprintf(branch, sizeof branch, "z9hG4bK%u", i);
    l->invite[i] = rng_below(&l->rng, 2);
    l->client[i] = fix_start(l->a, l->invite[i] ? SIP_M_INVITE : SIP_M_INFO, branch);
    CHECK_TRUE(l->client[i] != HANDLE_NONE);
}

static void run(uint64_t seed, uint32_t loss_percent) {
    struct link *l = calloc(1, sizeof *l);
    rng_init(&l->rng, (struct siphash_key){ seed, 99 });
    l->a = fix_new_sized(3 * CALLS);
    l->b = fix_new_sized(8 * CALLS);
    l->loss_percent = loss_percent;
    uint64_t t0 = l->a->now;
    unsigned started = 0;
    for (uint64_t now = t0; now < t0 + 300 * SEC; now += 20 * MS) {
        l->a->now = l->b->now = now;
        if (started < CALLS && rng_below(&l->rng, 50) == 0)
            start_some(l, started++);
        side_timers(l, l->a, now);
        side_timers(l, l->b, now);
        if (l->open_n && rng_below(&l->rng, 20) == 0) {
            unsigned k = (unsigned)rng_below(&l->rng, l->open_n);
            handle h = l->open[k];
            l->open[k] = l->open[--l->open_n];
            answer(l, h);
        }
        for (unsigned i = 0; i < FLIGHT; i++)
            if (l->flight[i].at && l->flight[i].at <= now)
                deliver(l, &l->flight[i], now);
        carry(l, l->a, l->b);
        carry(l, l->b, l->a);
    }
    CHECK_EQ(started, CALLS);
    for (unsigned i = 0; i < CALLS; i++)
        CHECK_TRUE(l->ended[i] == 1 || (l->invite[i] && l->ended[i] == 0 && txn_get(&l->a->layer, l->client[i])));
    fix_end(l->a);
    fix_end(l->b);
    free(l);
}

static void test_clean(void) { run(1, 0); }
static void test_some_loss(void) {
    for (uint64_t seed = 1; seed <= 20; seed++)
        run(seed, 20);
}
static void test_heavy_loss(void) {
    for (uint64_t seed = 1; seed <= 20; seed++)
        run(seed, 60);
}
static void test_nothing_arrives(void) { run(1, 100); }

int main(void) {
    return UNIT_RUN("txn_lossy", UNIT(test_clean), UNIT(test_some_loss), UNIT(test_heavy_loss),
                    UNIT(test_nothing_arrives));
}
