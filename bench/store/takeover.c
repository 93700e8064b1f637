/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A node dies with so many records: its survivors, each a process with a store of its own, claim its buckets and load
 * them. Every survivor asks for every bucket of its share; each bucket has one winner and each record one reader.
 */
#include "bench/store/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUCKETS 4096
#define IN_FLIGHT 8

static void fill(struct client *c, uint32_t records, uint32_t value_bytes) {
    struct buf *value = client_record(c, value_bytes);
    uint64_t before = c->ok + c->bad;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        struct store_op claim = { .verb = STORE_CLAIM, .ticket = 1, .bucket = (uint16_t)i, .node = 1 };
        client_submit(c, &claim);
        if (i % 128 == 127)
            client_until(c, before + i + 1);
    }
    before = c->ok + c->bad;
    for (uint32_t i = 0; i < records; i++) {
        client_put(c, i, value, true);
        if (i % 256 == 255)
            client_until(c, before + i + 1);
    }
    client_until(c, before + records);
    buf_unref(&c->bufs, &value);
}

static void take(struct client *c, uint32_t bucket, uint32_t node) {
    struct store_op claim = { .verb = STORE_CLAIM, .ticket = 1, .bucket = (uint16_t)bucket, .node = node, .epoch = 1,
                              .former = 1 };
    struct store_op load = { .verb = STORE_LOAD, .ticket = 2, .bucket = (uint16_t)bucket, .table = SL("call") };
    client_submit(c, &claim);
    client_submit(c, &load);
}

/* Its share, and the number of records by a pipe. */
static void survive(uint16_t port, uint32_t node, uint32_t survivors, int to) {
    static struct client c;
    uint64_t asked = 0;
    if (!client_open(&c, port, 1024))
        exit(1);
    for (uint32_t i = node; i < BUCKETS; i += survivors) {
        take(&c, i, node + 2);
        asked += 2;
        if (asked > 2 * IN_FLIGHT)
            client_until(&c, asked - 2 * IN_FLIGHT);
    }
    client_until(&c, asked);
    uint64_t result[2] = { c.records, c.bad };
    exit(write(to, result, sizeof result) != sizeof result);
}

int bench_takeover(struct server *s, uint32_t records, uint32_t survivors, uint32_t value_bytes) {
    static struct client c;
    int ends[2];
    uint64_t all = 0, bad = 0, result[2];
    server_flush(s);
    if (!client_open(&c, s->port, 1024) || pipe(ends) < 0)
        return 1;
    uint64_t before = server_info(s, "memory", "used_memory");
    fill(&c, records, value_bytes);
    uint64_t bytes = server_info(s, "memory", "used_memory") - before;
    printf("takeover: %u records of %u bytes in Redis, %.0f bytes each, all included\n", records, value_bytes,
           (double)bytes / records);
    fflush(stdout);
    uint64_t begin = bench_us();
    for (uint32_t i = 0; i < survivors; i++)
        if (fork() == 0)
            survive(s->port, i, survivors, ends[1]);
    for (uint32_t i = 0; i < survivors && read(ends[0], result, sizeof result) == sizeof result; i++) {
        all += result[0];
        bad += result[1];
    }
    double took = (double)(bench_us() - begin) / 1e6;
    while (wait(NULL) > 0 && 0)
        continue;
    printf("takeover: %llu records claimed and loaded by %u survivors in %.2f s (%llu refused)\n",
           (unsigned long long)all, survivors, took, (unsigned long long)bad);
    client_close(&c);
    return all != records || bad;
}
