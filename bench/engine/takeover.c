/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A takeover of calls in transfer, without a store's time: each record names calls, legs and transfers of others, which
 * come later or have come. What it takes must not grow with their number.
 */
#include "bench/engine/bench_engine.h"

#include "core/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record {
    uint16_t bucket;
    struct slice key, value;
};

static struct slice copy(struct slice s) {
    char *mem = malloc(s.n + 1);
    if (mem)
        memcpy(mem, s.p, s.n);
    return slice_of(mem, mem ? s.n : 0);
}

static uint32_t read_bucket(struct store *s, uint16_t bucket, struct record *to, uint32_t room) {
    struct event answer;
    uint32_t n = 0;
    store_submit(s, &(struct store_op){ .verb = STORE_LOAD, .ticket = 1, .bucket = bucket, .table = SL("call") },
                 1800000000000);
    while (store_answer(s, &answer))
        if (answer.u.store.status == STORE_OK && n < room)
            to[n++] = (struct record){ bucket, copy(answer.u.store.key), copy(answer.u.store.value) };
    return n;
}

static void tell(struct engine *e, uint8_t what, const struct record *r) {
    struct event ev = { .kind = EV_BUCKET };
    ev.u.bucket.what = what;
    ev.u.bucket.bucket = r->bucket;
    ev.u.bucket.epoch = 2;
    ev.u.bucket.peer = 1;
    ev.u.bucket.table = SL("call");
    ev.u.bucket.key = r->key;
    ev.u.bucket.value = r->value;
    bench_engine_step(e, &ev);
}

int bench_engine_takeover(uint32_t transfers) {
    struct record *all = calloc(2 * (size_t)transfers + 1, sizeof *all);
    struct engine_cost before, after;
    uint32_t n = 0;
    if (!all)
        return 1;
    for (uint32_t b = 0; b < LIMIT_BUCKETS; b++)
        n += read_bucket(bench_engine_store(), (uint16_t)b, &all[n], 2 * transfers - n);
    struct engine *e = bench_engine_heir();
    if (!e)
        return 1;
    for (uint32_t b = 0; b < LIMIT_BUCKETS; b++)
        tell(e, BUCKET_LOADING, &(struct record){ .bucket = (uint16_t)b });
    bench_engine_cost(&before);
    for (uint32_t i = 0; i < n; i++)
        tell(e, BUCKET_RECORD, &all[i]);
    bench_engine_cost(&after);
    printf("takeover: %u records of %u transfers, %.0f ns a record; read: calls %u, legs %u, transfers %u\n", n,
           transfers, (double)(after.ns - before.ns) / n, after.census.calls, after.census.legs,
           after.census.transfers);
    return n == 2 * transfers && after.census.calls == n && after.census.transfers == transfers ? 0 : 1;
}
