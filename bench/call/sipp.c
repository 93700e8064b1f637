/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * SIPp's own caller and callee (-sn uac, -sn uas) with nothing between them: INVITE, 180, 200, ACK, BYE, 200. The
 * callee is on the target's processor and is measured like one; the caller is where our generator would be. SIPp's
 * clock has milliseconds, and what it calls response time begins when the INVITE is sent, not when it was due.
 */
#define _GNU_SOURCE
#include "bench/call/call.h"
#include "core/runtime/udp.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_LIMIT_US 10000000ull
#define GRACE_S 6               /* for what is repeated at the end */
#define BUFFER "4194304"
#define COLUMNS_MAX 128
#define TIMES_AT_ONCE 50        /* so many are written at a time; what is left at the end is not */

static void quiet(const struct target *t) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(t->dir) < 0)
        _exit(126);
}

static _Noreturn void callee(const struct target *t) {
    char port[8];
    snprintf(port, sizeof port, "%u", t->addr.port);
    setpgid(0, 0);
    target_pin(t);
    quiet(t);
    execlp("sipp", "sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", port, "-nostdin", "-buff_size", BUFFER,
           (char *)NULL);
    _exit(127);
}

static _Noreturn void caller(const struct target *t, const struct load_options *o) {
    char to[32], rate[16], calls[24], limit[16], batch[16], hold[24];
    double seconds = (double)o->seconds_us / 1e6;
    snprintf(to, sizeof to, "127.0.0.1:%u", t->addr.port);
    snprintf(rate, sizeof rate, "%.0f", o->rate);
    unsigned long batches = (unsigned long)(o->rate * seconds) / TIMES_AT_ONCE + 1;
    snprintf(calls, sizeof calls, "%lu", batches * TIMES_AT_ONCE);
    snprintf(batch, sizeof batch, "%d", TIMES_AT_ONCE);
    snprintf(limit, sizeof limit, "%.0f", seconds + (double)o->hold_us / 1e6 + GRACE_S);
    snprintf(hold, sizeof hold, "%lu", (unsigned long)o->hold_us / 1000);
    quiet(t);
    execlp("sipp", "sipp", "-sn", "uac", "-i", "127.0.0.1", to, "-nostdin", "-r", rate, "-m", calls, "-l", "1000000",
           "-d", hold, "-timeout", limit, "-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_rtt", "-rtt_freq",
           batch, "-buff_size", BUFFER, (char *)NULL);
    _exit(127);
}

/* By the kernel's table of sockets: SIPp would take anything that is sent to it for a call. */
static bool listens(uint16_t port) {
    char line[256];
    unsigned at;
    bool found = false;
    FILE *f = fopen("/proc/net/udp", "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = sscanf(line, " %*u: %*x:%x", &at) == 1 && at == port;
    if (f)
        fclose(f);
    return found;
}

static bool wait_for_callee(const struct target *t) {
    for (uint64_t limit = clock_us() + READY_LIMIT_US; clock_us() < limit && waitpid(t->pid, NULL, WNOHANG) == 0;) {
        if (listens(t->addr.port))
            return true;
        usleep(10000);
    }
    fputs("bench-call: sipp does not run\n", stderr);
    return false;
}

/* ---- what it has written */

static unsigned split(char *line, char *out[COLUMNS_MAX]) {
    unsigned n = 0;
    for (char *s; n < COLUMNS_MAX && (s = strsep(&line, ";"));)
        out[n++] = s;
    return n;
}

static double column(char *const names[], unsigned n, char *const values[], const char *name) {
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return strtod(values[i], NULL);
    return -1;
}

/* The last line has the whole run. */
static bool read_counts(const struct target *t, struct result *r) {
    char path[160], head[8192] = "", line[8192], last[8192] = "";
    char *names[COLUMNS_MAX], *values[COLUMNS_MAX];
    snprintf(path, sizeof path, "%s/stat.csv", t->dir);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(head, sizeof head, f);
    while (ok && fgets(line, sizeof line, f))
        memcpy(last, line, sizeof last);
    if (f)
        fclose(f);
    unsigned n = split(head, names);
    if (!ok || split(last, values) < n)
        return false;
    double started = column(names, n, values, "TotalCallCreated"), done = column(names, n, values, "SuccessfulCall(C)");
    double resent = column(names, n, values, "Retransmissions(C)");
    if (started < 1 || done < 0 || resent < 0)
        return false;
    r->t.started = (uint64_t)started;
    r->t.done = (uint64_t)done;
    r->t.resent = (uint64_t)resent;
    r->t.failed = r->t.started - r->t.done; /* what had not ended at the limit among them */
    return true;
}

/* Response times; and as carried what was answered within the time that the calls had to begin. */
static void add_times(const char *path, uint64_t for_us, struct result *r) {
    char line[256];
    double at, ms, first = -1;
    uint64_t in_time = 0;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lf;%lf;1", &at, &ms) != 2)
            continue;
        first = first < 0 ? at - ms : first;
        hist_add(&r->t.setup, (uint64_t)(1000 * ms));
        in_time += 1000 * (at - first) <= (double)for_us;
    }
    r->carried = (double)in_time * 1e6 / (double)for_us;
    if (f)
        fclose(f);
}

static void read_times(const struct target *t, uint64_t for_us, struct result *r) {
    DIR *dir = opendir(t->dir);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", t->dir, e->d_name);
        if (strstr(e->d_name, "_rtt.csv"))
            add_times(path, for_us, r);
    }
    if (dir)
        closedir(dir);
}

/* ---- the run */

static double cpu_of(const struct rusage *u) {
    return 1e6 * (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static bool call(struct target *t, const struct load_options *o, struct result *r) {
    struct rusage used;
    int status;
    uint64_t cpu = target_cpu_us(t), from = clock_us();
    pid_t pid = fork();
    if (pid == 0)
        caller(t, o);
    if (pid < 0 || wait4(pid, &status, 0, &used) != pid || !WIFEXITED(status) || !read_counts(t, r)) {
        fputs("bench-call: sipp's caller does not run\n", stderr);
        return false;
    }
    double done = r->t.done ? (double)r->t.done : 1;
    r->own = cpu_of(&used) / (double)(clock_us() - from);
    r->cpu_us = (double)(target_cpu_us(t) - cpu) / done;
    r->caller_us = cpu_of(&used) / done;
    r->offered = o->rate;
    read_times(t, o->seconds_us, r);
    return true;
}

bool sipp_run(struct target *t, const struct load_options *o, struct result *r) {
    if (!target_make_folder(t))
        return false;
    t->addr = (struct addr){ .ip = { 127, 0, 0, 1 }, .family = ADDR_V4, .port = target_free_port() };
    t->pid = fork();
    if (t->pid == 0)
        callee(t);
    bool ok = wait_for_callee(t) && call(t, o, r);
    target_stop(t);
    return ok;
}
