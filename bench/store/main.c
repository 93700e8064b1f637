/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-store [--seconds S] [--value BYTES] [--takeover RECORDS] [--survivors N] [--writes N [--batch N]]
 * Writes a second of one shard and of one Redis core by batch size, plain and fenced, beside redis-benchmark with the
 * same command on one connection; the client's cost; what a write waits; bytes a record. With --writes so many fenced
 * ones alone, at one batch size: to count instructions of, or to compare two builds by turns.
 *
 * The client's cost is all processor time of this process: the kernel's part of it as well, for the connection and for
 * waiting, since nothing else is done here while Redis works. What is written is ready before.
 */
#include "bench/store/client.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define KEYS 4096                  /* as many for redis-benchmark: a bucket each */
#define LATENCIES 20000

static const uint32_t batches[] = { 1, 8, 32, 128 };

struct options {
    double seconds;
    uint32_t value, takeover, survivors, writes, batch;
};

static struct client client;
static struct buf *value;

struct result {
    double rate, client_us, user_us, server_us;
};

/* Of the client's processor time, what is not the kernel's. */
static double user_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec * 1e6 + (double)u.ru_utime.tv_usec;
}

/* A batch out, all of its answers in, and again. */
static struct result measure(struct server *s, uint32_t batch, bool fenced, const struct options *o) {
    struct client *c = &client;
    uint64_t end = bench_us() + (uint64_t)(o->seconds * 1e6), n = 0, base = c->ok + c->bad, bad = c->bad;
    uint64_t most = o->writes ? o->writes : UINT64_MAX;
    uint64_t begin = bench_us(), cpu = bench_cpu_us(), server = bench_cpu_of(s->pid);
    double user = user_us();
    static uint32_t drawn = 1;
    while (n < most && (o->writes || bench_us() < end)) {
        for (uint32_t i = 0; i < batch; i++)
            client_put(c, (drawn = drawn * 1664525 + 1013904223) >> 8 & (KEYS - 1), value, fenced);
        n += batch;
        client_until(c, base + n);
    }
    double wall = (double)(bench_us() - begin);
    if (c->bad != bad)
        printf("%llu writes failed\n", (unsigned long long)(c->bad - bad));
    return (struct result){ (double)n / wall * 1e6, (double)(bench_cpu_us() - cpu) / (double)n,
                            (user_us() - user) / (double)n,
                            (double)(bench_cpu_of(s->pid) - server) / (double)n };
}

static void claim_all(struct client *c) {
    for (uint32_t i = 0; i < 4096; i++) {
        struct store_op claim = { .verb = STORE_CLAIM, .ticket = 1, .bucket = (uint16_t)i, .node = 1 };
        client_submit(c, &claim);
        if (i % 128 == 127)
            client_until(c, i + 1);
    }
}

/* The command as the store sends it, with random fields; the value with a header of the same size. Random versions
 * would be refused: all are the same. */
static void command_of(char *to, size_t n, bool fenced, uint32_t bytes, const char *sha) {
    char data[4096];
    memset(data, 'v', bytes);
    data[bytes] = 0;
    char header[] = "RF000000000000000001";
    if (fenced)
        snprintf(to, n, "evalsha %s 2 'referee:c:{__rand_int__}' 'referee:b:{__rand_int__}' 1.1 00000000deadbeef "
                 "%s%s 0", sha, header, data);
    else
        snprintf(to, n, "hset 'referee:c:{__rand_int__}' 00000000deadbeef %s%s", header, data);
}

static void compare(struct server *s, const struct options *o, bool fenced) {
    char command[8192], sha[41] = "";
    store_redis_put_digest(sha);
    command_of(command, sizeof command, fenced, o->value, sha);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        struct result r = measure(s, batches[i], fenced, o);
        double other = server_benchmark(s, batches[i], (uint32_t)(r.rate * o->seconds) + 1000, command);
        printf("%-7s %5u %10.0f %10.2f %10.2f %10.2f %12.0f %7.0f %%\n", fenced ? "fenced" : "plain", batches[i],
               r.rate, r.client_us, r.user_us, r.server_us, other, other > 0 ? r.rate / other * 100 : 0);
        fflush(stdout);
    }
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* What waits for its record waits so long: one write at a time. */
static void latency(void) {
    static uint32_t us[LATENCIES];
    struct client *c = &client;
    for (uint32_t i = 0; i < LATENCIES; i++) {
        uint64_t begin = bench_us();
        client_put(c, i, value, true);
        client_until(c, c->ok + c->bad + 1);
        us[i] = (uint32_t)(bench_us() - begin);
    }
    qsort(us, LATENCIES, sizeof *us, by_value);
    printf("one fenced write, from its order to its answer: p50 %u us, p99 %u us\n", us[LATENCIES / 2],
           us[LATENCIES / 100 * 99]);
}

static bool read_options(int argc, char **argv, struct options *o) {
    static const struct option options[] = {
        { "seconds", required_argument, NULL, 's' }, { "value", required_argument, NULL, 'v' },
        { "takeover", required_argument, NULL, 't' }, { "survivors", required_argument, NULL, 'n' },
        { "writes", required_argument, NULL, 'w' }, { "batch", required_argument, NULL, 'b' }, { 0 } };
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            o->seconds = strtod(optarg, NULL);
        else if (c == 'v')
            o->value = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 't')
            o->takeover = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'n')
            o->survivors = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'w')
            o->writes = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'b')
            o->batch = (uint32_t)strtoul(optarg, NULL, 10);
        else
            return false;
    }
    return optind == argc && o->value <= 3000 && o->survivors > 0 && o->batch > 0 && o->batch <= 1024;
}

static void some_writes(struct server *s, const struct options *o) {
    claim_all(&client);
    struct result r = measure(s, o->batch, true, o);
    printf("%u fenced writes at batch %u: %.0f a second, client %.3f us, redis %.3f us\n", o->writes, o->batch, r.rate,
           r.client_us, r.server_us);
}

static void writes(struct server *s, const struct options *o) {
    printf("records of %u bytes, one connection; redis-server on its own core\n", o->value);
    printf("%-7s %5s %10s %10s %10s %10s %12s %9s\n", "write", "batch", "writes/s", "client us", "its user", "redis us",
           "redis-bench", "of it");
    claim_all(&client);
    server_own(s);
    compare(s, o, false);
    compare(s, o, true);
    latency();
}

int main(int argc, char **argv) {
    struct options o = { .seconds = 2, .value = 600, .survivors = 2, .batch = 32 };
    struct server s = { 0 };
    if (!read_options(argc, argv, &o)) {
        fputs("bench-store [--seconds S] [--value BYTES] [--takeover RECORDS] [--survivors N] "
              "[--writes N [--batch N]]\n", stderr);
        return 2;
    }
    if (!server_start(&s, 1)) {
        fputs("no redis-server\n", stderr);
        return 1;
    }
    int status = 0;
    bench_pin(0);
    if (o.takeover) {
        status = bench_takeover(&s, o.takeover, o.survivors, o.value);
    } else if (client_open(&client, s.port, 4096)) {
        value = client_record(&client, o.value);
        (o.writes ? some_writes : writes)(&s, &o);
        client_close(&client);
        status = o.writes ? 0 : bench_takeover(&s, 100000, o.survivors, o.value);
    }
    server_stop(&s);
    return status;
}
