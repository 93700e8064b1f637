/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A record that is of a newer release: left alone, until a party of its call hangs up or a day is over.
 */
#include "core/b2b/recover.h"
#include "core/b2b/ticket.h"
#include "core/b2b/unread.h"
#include "tests/unit/record_rig.h"

#define BUCKET 0x123

static struct rig r;
static struct rig_dialog a, b;

static uint64_t counted(enum metric m) {
    return metrics_get(engine_metrics(r.e), m);
}

/* A call is up; then an engine that knows nothing of it reads its record with that byte for a format. */
static void read_as(uint8_t format) {
    struct engine_config config;
    char key[16];
    struct sbuf k = sbuf_on(key, sizeof key);
    rig_config(&config);
    config.durability = DURABILITY_ASYNC;
    rig_start(&r, &config);
    r.arg = &config;
    rig_call(&r, &a, &b, ALICE, BOB);
    struct call *c = rig_only_call(r.e);
    struct record_bytes record = record_of(r.e, c);
    sbuf_hex(&k, c->id, sizeof key);
    struct record_twin twin = record_twin_of(&r);
    free(r.mem);
    r.e = twin.e;
    r.mem = twin.mem;
    r.op_n = 0;
    ((char *)(uintptr_t)record.slice.p)[3] = (char)format;
    struct event ev = { .kind = EV_STORE };
    ev.u.store.ticket = ticket_of(TICKET_LOAD, BUCKET + 1);
    ev.u.store.more = true;
    ev.u.store.key = sbuf_slice(&k);
    ev.u.store.value = record.slice;
    rig_step(&r, &ev);
    rig_step(&r, &ev); /* read twice, there once */
    record_free(&record);
}

static void check_deleted(void) {
    CHECK_EQ(r.op_n, 1);
    CHECK_EQ(r.ops[0].verb, STORE_DELETE);
    CHECK_EQ(counted(M_records_unread_deleted), 1);
    CHECK_EQ(r.e->unread.used, 0);
}

static void test_hung_up(void) {
    read_as(RECORD_FORMAT + 1);
    CHECK_EQ(counted(M_records_unreadable), 2);
    CHECK_EQ(r.e->unread.used, 1);
    rig_request(&r, &a, "OPTIONS", "", "");
    CHECK_TRUE(rig_last(&r, ALICE, "SIP/2.0 481", "OPTIONS") != NULL);
    CHECK_EQ(r.op_n, 0);
    rig_request(&r, &a, "BYE", "", "");
    CHECK_TRUE(rig_last(&r, ALICE, "SIP/2.0 481", "BYE") != NULL);
    check_deleted();
    rig_request(&r, &b, "BYE", "", "");
    CHECK_TRUE(rig_last(&r, BOB, "SIP/2.0 481", "BYE") != NULL);
    CHECK_EQ(r.op_n, 1);
    rig_stop(&r);
}

static void test_nobody_comes(void) {
    read_as(RECORD_FORMAT + 1);
    rig_wait(&r, UNREAD_KEEP_US - 10000000);
    CHECK_EQ(r.op_n, 0);
    rig_wait(&r, 20000000);
    check_deleted();
    rig_stop(&r);
}

/* What is only broken, or nothing of ours at all, may be somebody's: it stays. */
static void test_not_newer(void) {
    read_as(0x80 | 'x');
    CHECK_EQ(r.e->unread.used, 1); /* some format */
    struct event ev = { .kind = EV_STORE };
    ev.u.store.ticket = ticket_of(TICKET_LOAD, BUCKET + 1);
    ev.u.store.more = true;
    ev.u.store.key = SL("0123456789abcdef");
    ev.u.store.value = SL("another product's");
    rig_step(&r, &ev);
    ev.u.store.value = SL("RFR\1\177");
    rig_step(&r, &ev);
    CHECK_EQ(counted(M_records_unreadable), 4);
    CHECK_EQ(r.e->unread.used, 1);
    ev.u.store.key = SL("not a call's key");
    ev.u.store.value = SL("RFR\177\1");
    rig_step(&r, &ev);
    CHECK_EQ(r.e->unread.used, 1);
    rig_stop(&r);
}

int main(void) {
    return UNIT_RUN("unread", UNIT(test_hung_up), UNIT(test_nobody_comes), UNIT(test_not_newer));
}
