/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The mailbox between shards: order, bounds, wrapping, and that nobody sleeps over a message. test_threads is what
 * `make tsan` looks at.
 */
#include "core/runtime/mailbox.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define THREADS 3
#define MESSAGES 40000
#define LONGEST 3000

static bool put_text(struct mailbox *m, uint32_t from, uint32_t to, uint64_t number, const char *text, bool urgent) {
    struct mail mail = { .kind = 1, .number = number, .bytes = slice_str(text) };
    return mailbox_put(m, from, to, &mail, urgent);
}

static void test_order(void) {
    struct mailbox *m = mailbox_new(2);
    struct mail got;
    CU_ASSERT_FATAL(m != NULL);
    CHECK_FALSE(mailbox_next(m, 1, &got));
    CHECK_TRUE(put_text(m, 0, 1, 1, "one", false));
    CHECK_FALSE(mailbox_next(m, 1, &got)); /* not flushed */
    CHECK_TRUE(put_text(m, 0, 1, 2, "", false));
    mailbox_flush(m, 0);
    CHECK_TRUE(mailbox_next(m, 1, &got));
    CHECK_EQ(got.number, 1);
    CHECK_EQ(got.from, 0);
    CHECK_SLICE(got.bytes, "one");
    CHECK_TRUE(mailbox_next(m, 1, &got));
    CHECK_EQ(got.number, 2);
    CHECK_EQ(got.bytes.n, 0);
    CHECK_FALSE(mailbox_next(m, 1, &got));
    CHECK_FALSE(mailbox_next(m, 0, &got));
    mailbox_free(m);
}

/* Every field of it. */
static void test_whole(void) {
    struct mailbox *m = mailbox_new(3);
    int something;
    struct mail mail = { .kind = 7, .what = 1, .hops = 2, .flag = true, .bucket = 0xabc, .number = UINT64_MAX - 1,
                         .pointer = &something, .bytes = SL("x") }, got;
    CU_ASSERT_FATAL(m != NULL);
    CHECK_TRUE(addr_parse(SL("192.0.2.1:5060"), 0, &mail.src));
    CHECK_TRUE(addr_parse(SL("[2001:db8::1]:5061"), 0, &mail.dst));
    CHECK_TRUE(mailbox_put(m, 2, 0, &mail, false));
    mailbox_flush(m, 2);
    CHECK_TRUE(mailbox_next(m, 0, &got));
    CHECK_TRUE(got.kind == 7 && got.what == 1 && got.hops == 2 && got.flag && got.bucket == 0xabc && got.from == 2);
    CHECK_TRUE(got.number == UINT64_MAX - 1 && got.pointer == &something);
    CHECK_TRUE(addr_eq(&got.src, &mail.src) && addr_eq(&got.dst, &mail.dst));
    CHECK_SLICE(got.bytes, "x");
    mailbox_free(m);
}

static uint32_t fill(struct mailbox *m, struct slice bytes, bool urgent) {
    struct mail mail = { .kind = 1, .bytes = bytes };
    uint32_t n = 0;
    while (mailbox_put(m, 0, 1, &mail, urgent))
        n++;
    return n;
}

static void test_full(void) {
    static char text[1000];
    struct mailbox *m = mailbox_new(2);
    struct mail got;
    uint32_t taken = 0;
    CU_ASSERT_FATAL(m != NULL);
    uint32_t ordinary = fill(m, slice_of(text, sizeof text), false);
    CHECK_TRUE(ordinary > MAILBOX_RING_BYTES / 4 * 3 / 1200 && ordinary < MAILBOX_RING_BYTES / 4 * 3 / 1000);
    uint32_t urgent = fill(m, slice_of(text, sizeof text), true);
    CHECK_TRUE(urgent > MAILBOX_RING_BYTES / 4 / 1200);
    mailbox_flush(m, 0);
    while (mailbox_next(m, 1, &got))
        taken++;
    CHECK_EQ(taken, ordinary + urgent);
    CHECK_TRUE(fill(m, slice_of(text, sizeof text), false) >= ordinary - 1); /* one may not fit before the end */
    mailbox_free(m);
}

static void test_too_long(void) {
    static char text[MAILBOX_RING_BYTES];
    struct mailbox *m = mailbox_new(2);
    struct mail mail = { .kind = 1, .bytes = { text, MAILBOX_RING_BYTES / 4 } }, got;
    CU_ASSERT_FATAL(m != NULL);
    CHECK_FALSE(mailbox_put(m, 0, 1, &mail, true));
    mail.bytes.n = 70000;
    for (unsigned i = 0; i < 100; i++) {
        CHECK_TRUE(mailbox_put(m, 0, 1, &mail, true));
        mailbox_flush(m, 0);
        CHECK_TRUE(mailbox_next(m, 1, &got) && got.bytes.n == 70000);
        CHECK_FALSE(mailbox_next(m, 1, &got));
    }
    mail.bytes.n = 1;
    CHECK_FALSE(mailbox_put(m, 0, 0, &mail, true));
    CHECK_FALSE(mailbox_put(m, 0, 2, &mail, true));
    mailbox_free(m);
}

/* Round the ring many times, with lengths that meet its end in every way. */
static void test_wrap(void) {
    static char text[LONGEST];
    struct mailbox *m = mailbox_new(2);
    struct mail got;
    CU_ASSERT_FATAL(m != NULL);
    for (unsigned i = 0; i < LONGEST; i++)
        text[i] = (char)i;
    for (unsigned i = 0; i < 30000; i++) {
        struct mail mail = { .kind = 1, .number = i, .bytes = { text, i * 7 % LONGEST } };
        CHECK(mailbox_put(m, 0, 1, &mail, false));
        mailbox_flush(m, 0);
        CHECK(mailbox_next(m, 1, &got) && got.number == i && got.bytes.n == mail.bytes.n);
        CHECK(!got.bytes.n || memcmp(got.bytes.p, text, got.bytes.n) == 0);
    }
    CHECK_FALSE(mailbox_next(m, 1, &got));
    mailbox_free(m);
}

static bool is_rung(struct mailbox *m, uint32_t me) {
    struct pollfd p = { .fd = mailbox_fd(m, me), .events = POLLIN };
    uint64_t n;
    return poll(&p, 1, 0) == 1 && read(p.fd, &n, sizeof n) == sizeof n;
}

/* Only who sleeps is rung, and once. */
static void test_wake(void) {
    struct mailbox *m = mailbox_new(3);
    struct mail got;
    CU_ASSERT_FATAL(m != NULL);
    CHECK_TRUE(put_text(m, 0, 1, 1, "", false));
    mailbox_flush(m, 0);
    CHECK_FALSE(is_rung(m, 1));
    CHECK_FALSE(mailbox_sleep(m, 1)); /* there is something */
    CHECK_TRUE(mailbox_next(m, 1, &got));
    CHECK_TRUE(mailbox_sleep(m, 1));
    CHECK_TRUE(put_text(m, 0, 1, 2, "", false));
    CHECK_FALSE(is_rung(m, 1));
    mailbox_flush(m, 0);
    CHECK_TRUE(put_text(m, 2, 1, 3, "", false));
    mailbox_flush(m, 2);
    CHECK_TRUE(is_rung(m, 1));
    CHECK_FALSE(is_rung(m, 1));
    mailbox_awake(m, 1);
    CHECK_TRUE(mailbox_next(m, 1, &got));
    CHECK_TRUE(mailbox_next(m, 1, &got));
    CHECK_TRUE(mailbox_sleep(m, 1));
    mailbox_awake(m, 1);
    mailbox_flush(m, 0); /* nothing was put */
    CHECK_FALSE(is_rung(m, 1));
    mailbox_free(m);
}

/* ---- threads */

struct member {
    struct mailbox *m;
    uint32_t me;
    uint64_t sent[THREADS], got[THREADS], bad, refused;
    pthread_t thread;
};

static void send_some(struct member *s) {
    char text[LONGEST];
    for (uint32_t to = 0; to < THREADS; to++) {
        for (unsigned i = 0; to != s->me && i < 16 && s->sent[to] < MESSAGES; i++) {
            uint64_t n = s->sent[to];
            struct mail mail = { .kind = 1, .number = n, .bytes = { text, (uint32_t)(n * 13 % LONGEST) } };
            memset(text, (int)n, mail.bytes.n);
            if (!mailbox_put(s->m, s->me, to, &mail, false)) {
                s->refused++;
                break;
            }
            s->sent[to]++;
        }
    }
    mailbox_flush(s->m, s->me);
}

static void read_some(struct member *s) {
    struct mail got;
    while (mailbox_next(s->m, s->me, &got)) {
        uint64_t n = s->got[got.from]++;
        bool ok = got.number == n && got.bytes.n == n * 13 % LONGEST;
        for (uint32_t i = 0; ok && i < got.bytes.n; i += 97)
            ok = (uint8_t)got.bytes.p[i] == (uint8_t)n;
        s->bad += !ok;
    }
}

static bool is_done(const struct member *s) {
    for (uint32_t i = 0; i < THREADS; i++)
        if (i != s->me && (s->sent[i] < MESSAGES || s->got[i] < MESSAGES))
            return false;
    return true;
}

static bool has_to_send(const struct member *s) {
    for (uint32_t i = 0; i < THREADS; i++)
        if (i != s->me && s->sent[i] < MESSAGES)
            return true;
    return false;
}

static void *run(void *arg) {
    struct member *s = arg;
    while (!is_done(s)) {
        send_some(s);
        read_some(s);
        if (!has_to_send(s) && !is_done(s) && mailbox_sleep(s->m, s->me)) {
            struct pollfd p = { .fd = mailbox_fd(s->m, s->me), .events = POLLIN };
            uint64_t n;
            if (poll(&p, 1, 20000) != 1 || read(p.fd, &n, sizeof n) != sizeof n)
                s->bad++; /* slept over a message */
            mailbox_awake(s->m, s->me);
        }
    }
    return NULL;
}

static void test_threads(void) {
    static struct member members[THREADS];
    struct mailbox *m = mailbox_new(THREADS);
    CU_ASSERT_FATAL(m != NULL);
    for (uint32_t i = 0; i < THREADS; i++) {
        members[i] = (struct member){ .m = m, .me = i };
        CU_ASSERT_FATAL(pthread_create(&members[i].thread, NULL, run, &members[i]) == 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(members[i].thread, NULL);
        CHECK_EQ(members[i].bad, 0);
    }
    mailbox_free(m);
}

int main(void) {
    return UNIT_RUN("mailbox", UNIT(test_order), UNIT(test_whole), UNIT(test_full), UNIT(test_too_long),
                    UNIT(test_wrap), UNIT(test_wake), UNIT(test_threads));
}
