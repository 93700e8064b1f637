/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What a target costs: each process of its group.
 */
#define _GNU_SOURCE
#include "bench/call/call.h"

#include <dirent.h>
#include <string.h>

/* Fields of /proc/PID/stat behind the name: group, user and system time in ticks. */
static bool read_stat(const char *pid, long *group, uint64_t *ticks) {
    char path[64], text[1024];
    unsigned long user, system;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %*c %*d %ld %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", group, &user, &system) != 3)
        return false;
    *ticks = user + system;
    return true;
}

static uint64_t rss_of(const char *pid) {
    char path[64], line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "/proc/%.20s/smaps_rollup", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %lu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

/* What each thread ran and waited to run, by its schedstat; ticks would be too coarse for a short run. */
static void add_sched(const char *pid, struct sched *sum) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%.20s/task", pid);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        unsigned long ran = 0, waited = 0;
        snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/schedstat", pid, e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%lu %lu", &ran, &waited) == 2) {
            sum->ran_us += ran / 1000;
            sum->waited_us += waited / 1000;
        }
        if (f)
            fclose(f);
    }
    if (dir)
        closedir(dir);
}

/* kib: or NULL, which spares a walk through the target's pages. */
static void measure(const struct target *t, struct sched *cpu, uint64_t *kib) {
    DIR *dir = t->pid > 0 ? opendir("/proc") : NULL;
    *cpu = (struct sched){ 0 };
    if (kib)
        *kib = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        long group;
        uint64_t ticks;
        if (e->d_name[0] < '0' || e->d_name[0] > '9' || !read_stat(e->d_name, &group, &ticks) || group != t->pid)
            continue;
        add_sched(e->d_name, cpu);
        if (kib)
            *kib += rss_of(e->d_name);
    }
    if (dir)
        closedir(dir);
}

void target_sched(const struct target *t, struct sched *out) {
    measure(t, out, NULL);
}

uint64_t target_redis_cpu_us(const struct target *t) {
    struct sched cpu = { 0 };
    char pid[24];
    snprintf(pid, sizeof pid, "%d", (int)t->redis.pid);
    if (t->redis.pid > 0)
        add_sched(pid, &cpu);
    return cpu.ran_us;
}

void own_sched(struct sched *out) {
    *out = (struct sched){ 0 };
    add_sched("self", out);
}

uint64_t target_cpu_us(const struct target *t) {
    struct sched cpu;
    measure(t, &cpu, NULL);
    return cpu.ran_us;
}

uint64_t target_rss_kib(const struct target *t) {
    struct sched cpu;
    uint64_t kib;
    measure(t, &cpu, &kib);
    return kib;
}
