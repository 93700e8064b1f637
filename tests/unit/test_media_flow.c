/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the relay says of a stream whose source has changed is in the record, and told to the next owner's relay. */
#include "core/b2b/leg.h"
#include "tests/unit/record_rig.h"

static struct rig r;
static struct engine_config config;
static struct rig_dialog a, b;
static struct media_cmd opens[16];
static uint32_t open_n;

static void on_out(struct rig *rig, const struct out *o) {
    (void)rig;
    if (o->kind == OUT_MEDIA && o->u.media.verb == MEDIA_OPEN && open_n < sizeof opens / sizeof *opens)
        opens[open_n++] = o->u.media;
}

static void tell(const struct leg *l, struct media_flow flow) {
    struct event ev = { .kind = EV_MEDIA };
    ev.u.media.what = MEDIA_EV_FLOW;
    ev.u.media.stream = l->media.streams[0]->slot;
    ev.u.media.generation = l->media.streams[0]->generation;
    ev.u.media.flow = flow;
    rig_step(&r, &ev);
}

/* Another engine goes on with this record, `later` on; r is that one from now on. */
static void take_over(struct record_bytes *record, uint64_t later_us) {
    struct record_twin twin = record_twin_of(&r);
    struct event ev = { .kind = EV_RECORD };
    ev.u.record.key = SL("00");
    ev.u.record.value = record->slice;
    rig_stop(&r);
    r.e = twin.e;
    r.mem = twin.mem;
    r.now += later_us;
    open_n = 0;
    rig_step(&r, &ev);
    rig_wait(&r, 1000000);
}

static const struct media_cmd *opened(const struct leg *l) {
    for (uint32_t i = 0; i < open_n; i++)
        if (opens[i].stream == l->media.streams[0]->slot)
            return &opens[i];
    return NULL;
}

static void test_next_owner(void) {
    const struct media_flow first = { 0x1111, 0x2222, 5, 600, 8000, 7, 65500 };
    const struct media_flow last = { 0x1111, 0x3333, 0xfffffff0, 1000, 8000, 65000, 65530 };
    rig_config(&config);
    rig_start(&r, &config);
    r.arg = &config;
    r.on_out = on_out;
    rig_call(&r, &a, &b, ALICE, BOB);
    struct leg *l = leg_get(r.e, rig_only_call(r.e)->legs[0]);
    struct record_bytes plain = record_of(r.e, rig_only_call(r.e));
    tell(l, first);
    tell(l, last);
    struct record_bytes record = record_of(r.e, rig_only_call(r.e));
    CHECK_TRUE(record.n > plain.n && record.n < plain.n + 50);
    take_over(&record, 2000000);
    CHECK_TRUE(rig_only_call(r.e) != NULL);
    l = leg_get(r.e, rig_only_call(r.e)->legs[0]);
    const struct media_cmd *c = opened(l), *other = opened(leg_get(r.e, rig_only_call(r.e)->legs[1]));
    CHECK_TRUE(c && c->resume && other && other->resume);
    CHECK_EQ(c->flow.ssrc, 0x1111);
    CHECK_EQ(c->flow.source_ssrc, 0x3333);
    CHECK_EQ(c->flow.seq_offset, 65000);
    CHECK_EQ(c->flow.ts_offset, 0xfffffff0);
    CHECK_EQ(c->flow.clock_rate, 8000);
    /* Ahead of all that may have been sent meanwhile. */
    CHECK_EQ(c->flow.last_seq, (uint16_t)(65530 + 200));
    CHECK_EQ(c->flow.last_ts, 1000 + 16000);
    CHECK_EQ(other->flow.clock_rate, 0);
    record_free(&plain);
    record_free(&record);
    rig_stop(&r);
}

int main(void) {
    return UNIT_RUN("media_flow", UNIT(test_next_owner));
}
