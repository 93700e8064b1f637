/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "bench/call/call.h"
#include "core/runtime/udp.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TARGET_CPU 0
#define GENERATOR_CPU 2
#define READY_LIMIT_US 90000000ull

const char *const target_names[T_ADDRESS] = {
    [T_REFEREE] = "referee", [T_REFEREE_2] = "referee-2", [T_REFEREE_REDIS] = "referee-redis",
    [T_KAMAILIO] = "kamailio", [T_DIRECT] = "direct", [T_SIPP] = "sipp",
};

bool target_is(struct target *t, const char *name) {
    t->name = name;
    for (t->kind = 0; t->kind < T_ADDRESS; t->kind++)
        if (strcmp(name, target_names[t->kind]) == 0)
            return true;
    return addr_parse(slice_str(name), 5060, &t->addr);
}

bool target_is_referee(const struct target *t) {
    return t->kind <= T_REFEREE_REDIS;
}

const char *target_refuses(const struct target *t, enum scenario s) {
    if (t->kind == T_SIPP && s != SC_CALL)
        return "SIPp's own parties know calls only";
    if (t->kind == T_KAMAILIO && s != SC_CALL && s != SC_HOLD)
        return "it is a proxy here: calls and holds";
    if (t->kind == T_DIRECT && s != SC_CALL && s != SC_HOLD)
        return "nothing is there that could transfer, register or dial";
    return NULL;
}

/* Shards of referee-2 have a processor each; the generator one that is neither's, where there are three. */
void target_pin(const struct target *t) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(TARGET_CPU, &set);
    if (t->kind == T_REFEREE_2)
        CPU_SET(TARGET_CPU + 1, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

void target_pin_generator(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    bench_pin(n > GENERATOR_CPU ? GENERATOR_CPU : (int)n - 1);
}

uint16_t target_free_port(void) {
    struct addr any = { .ip = { 127, 0, 0, 1 }, .family = ADDR_V4 }, bound = { .port = 0 };
    struct udp_options o = { .rcvbuf = 0 };
    int fd = udp_open(&any, &o);
    if (fd < 0)
        return 0;
    udp_bound(fd, &bound);
    close(fd);
    return bound.port;
}

static _Noreturn void child(const struct target *t, const char *config) {
    char log[160];
    snprintf(log, sizeof log, "%s/log", t->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    target_pin(t);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    if (target_is_referee(t))
        execl(t->program, t->program, "-c", config, (char *)NULL);
    else
        execlp("kamailio", "kamailio", "-f", config, "-DD", "-E", "-m", "2048", "-M", "64", "-x", "fm", "-X", "fm",
               "-Y", t->dir, (char *)NULL);
    _exit(127);
}

/* One OPTIONS, whatever its answer will be. */
static void ping(const struct target *t, int fd) {
    static const char form[] = "OPTIONS sip:ping@127.0.0.1 SIP/2.0\r\n"
                               "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK%lx;rport\r\nMax-Forwards: 0\r\n"
                               "From: <sip:ping@127.0.0.1>;tag=1\r\nTo: <sip:ping@127.0.0.1>\r\n"
                               "Call-ID: ping\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    char text[512];
    struct udp_msg m;
    int n = snprintf(text, sizeof text, form, (unsigned long)clock_us());
    udp_fill(&m, text, (size_t)n, &t->addr, &(struct addr){ .family = ADDR_NONE });
    (void)!sendmsg(fd, &m.h, 0); /* until it listens */
}

/* The socket stays the same, so that no answer meets a closed one. */
static bool wait_for_answer(const struct target *t) {
    struct addr any = { .ip = { 127, 0, 0, 1 }, .family = ADDR_V4 };
    struct udp_options o = { .rcvbuf = 0 };
    char bytes[2048];
    int fd = udp_open(&any, &o);
    bool ok = false;
    uint64_t limit = clock_us() + READY_LIMIT_US;
    for (unsigned i = 0; fd >= 0 && !ok && clock_us() < limit && waitpid(t->pid, NULL, WNOHANG) == 0; i++) {
        if (i % 50 == 0)
            ping(t, fd);
        usleep(10000);
        ok = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0;
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

static void print_log(const struct target *t) {
    char path[160], line[512];
    snprintf(path, sizeof path, "%s/log", t->dir);
    FILE *f = fopen(path, "re");
    if (f && fseek(f, -2000, SEEK_END) != 0)
        rewind(f);
    while (f && fgets(line, sizeof line, f))
        fputs(line, stderr);
    if (f)
        fclose(f);
}

bool target_make_folder(struct target *t) {
    snprintf(t->dir, sizeof t->dir, "/tmp/bench-call.XXXXXX");
    return mkdtemp(t->dir) != NULL;
}

void target_remove_folder(struct target *t) {
    DIR *dir = opendir(t->dir);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", t->dir, e->d_name);
        unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(t->dir);
}

bool target_start(struct target *t, const struct load *l) {
    char config[160];
    if (t->kind == T_DIRECT || t->kind == T_ADDRESS)
        return true;
    t->addr = (struct addr){ .ip = { 127, 0, 0, 1 }, .family = ADDR_V4, .port = target_free_port() };
    if (t->kind == T_REFEREE_REDIS && !server_start(&t->redis, TARGET_CPU)) {
        fputs("bench-call: no redis-server\n", stderr);
        return false;
    }
    if (!target_make_folder(t) || !configure_target(t, l, config))
        return false;
    t->pid = fork();
    if (t->pid == 0)
        child(t, config);
    if (wait_for_answer(t))
        return true;
    fprintf(stderr, "bench-call: %s does not run; its last words:\n", t->name);
    print_log(t);
    return false;
}

/* At once: one that is asked to end takes its time for what its calls leave behind. */
void target_stop(struct target *t) {
    if (t->pid <= 0)
        return;
    kill(-t->pid, SIGKILL);
    waitpid(t->pid, NULL, 0);
    target_remove_folder(t);
    t->pid = 0;
    server_stop(&t->redis);
    t->redis.pid = 0;
}
