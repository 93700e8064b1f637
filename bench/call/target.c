/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Each target is told the same: what calls "b" goes to party B, "c" to party C; callers are trusted.
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
#include <sys/wait.h>
#include <unistd.h>

#define TARGET_CPU 0
#define READY_LIMIT_US 90000000ull
#define STOP_LIMIT_US 60000000ull

static uint16_t free_port(void) {
    struct addr any = { .ip = { 127, 0, 0, 1 }, .family = ADDR_V4 }, bound = { .port = 0 };
    struct udp_options o = { .rcvbuf = 0 };
    int fd = udp_open(&any, &o);
    if (fd < 0)
        return 0;
    udp_bound(fd, &bound);
    close(fd);
    return bound.port;
}

static FILE *open_file(const struct target *t, const char *name, char path[160]) {
    snprintf(path, 160, "%s/%s", t->dir, name);
    return fopen(path, "we");
}

static bool is_referee(const struct target *t) {
    return strncmp(t->name, "referee", strlen("referee")) == 0;
}

static bool has_redis(const struct target *t) {
    return strcmp(t->name, "referee-redis") == 0;
}

/* With Redis what is promised is confirmed first, by default. */
static void store_config(const struct target *t, FILE *f) {
    if (has_redis(t))
        fprintf(f, "store:\n  kind: redis\n  servers: ['127.0.0.1:%u']\n", t->redis.port);
    else
        fprintf(f, "store:\n  records: 64k\n");
}

static bool referee_config(const struct target *t, const struct load *l, char path[160]) {
    FILE *f = open_file(t, "refereed.yaml", path);
    if (!f)
        return false;
    fprintf(f,
            "version: 1\nsip:\n  listen: ['127.0.0.1:%u']\nlog:\n  level: warn\n"
            "media:\n  address: 127.0.0.1\n  ports: '40000-47999'\n  quarantine: 10ms\n"
            "limits:\n  calls: 16k\n  transactions: 3000000\n  registrations: 10k\n"
            "  emergency: [" EMERGENCY_NUMBER "]\n"
            "routes:\n  - {name: bench, prefix: b, next_hop: '127.0.0.1:%u'}\n"
            "  - {name: bench, prefix: c, next_hop: '127.0.0.1:%u'}\n"
            "peers:\n  - {name: bench, address: 127.0.0.0/8, trusted: true}\n"
            "admin:\n  socket: %s/admin.sock\n%s",
            t->addr.port, l->addr[PARTY_B].port, l->addr[PARTY_C].port, t->dir, t->extra ? t->extra : "");
    store_config(t, f);
    if (l->o.scenario == SC_REGISTER) {
        fprintf(f, "users:\n");
        for (uint32_t i = 0; i < l->o.users; i++)
            fprintf(f, "  - {name: 'u%u', password: secret}\n", i);
    }
    return fclose(f) == 0;
}

static const char kamailio_text[] =
    "debug=0\nlog_stderror=yes\nfork=yes\nchildren=4\nauto_aliases=no\nlisten=udp:127.0.0.1:%u\ndisable_tcp=yes\n"
    "mpath=\"/usr/lib/x86_64-linux-gnu/kamailio/modules/\"\n"
    "loadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"rr.so\"\nloadmodule \"pv.so\"\n"
    "loadmodule \"maxfwd.so\"\nloadmodule \"textops.so\"\nloadmodule \"siputils.so\"\nloadmodule \"dialog.so\"\n"
    "modparam(\"dialog\", \"dlg_match_mode\", 0)\nmodparam(\"dialog\", \"db_mode\", 0)\n"
    "request_route {\n"
    "  if (!mf_process_maxfwd_header(\"70\")) {\n    sl_send_reply(\"483\", \"Too Many Hops\");\n    exit;\n  }\n"
    "  if (has_totag()) {\n    loose_route();\n    t_relay();\n    exit;\n  }\n"
    "  if (is_method(\"CANCEL\")) {\n    if (t_check_trans()) t_relay();\n    exit;\n  }\n"
    "  t_check_trans();\n  record_route();\n  if (is_method(\"INVITE\")) dlg_manage();\n"
    "  if ($rU == \"c\") $du = \"sip:127.0.0.1:%u\"; else $du = \"sip:127.0.0.1:%u\";\n  t_relay();\n}\n";

/* A stateful proxy that stays in the path and knows its dialogs, with the allocator that its users tune it with. */
static bool kamailio_config(const struct target *t, const struct load *l, char path[160]) {
    FILE *f = open_file(t, "kamailio.cfg", path);
    if (!f)
        return false;
    fprintf(f, kamailio_text,
            t->addr.port, l->addr[PARTY_C].port, l->addr[PARTY_B].port);
    return fclose(f) == 0;
}

static _Noreturn void child(const struct target *t, const char *config) {
    char log[160];
    snprintf(log, sizeof log, "%s/log", t->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    bench_pin(TARGET_CPU);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    if (is_referee(t))
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

bool target_start(struct target *t, const struct load *l) {
    char config[160];
    bool ours = is_referee(t), kamailio = strcmp(t->name, "kamailio") == 0;
    if (strcmp(t->name, "direct") == 0)
        return true;
    if (!ours && !kamailio)
        return addr_parse(slice_str(t->name), 5060, &t->addr);
    snprintf(t->dir, sizeof t->dir, "/tmp/bench-call.XXXXXX");
    t->addr = (struct addr){ .ip = { 127, 0, 0, 1 }, .family = ADDR_V4, .port = free_port() };
    if (has_redis(t) && !server_start(&t->redis, TARGET_CPU)) {
        fputs("bench-call: no redis-server\n", stderr);
        return false;
    }
    if (!mkdtemp(t->dir) || !(ours ? referee_config(t, l, config) : kamailio_config(t, l, config)))
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

static void remove_files(const struct target *t) {
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

void target_stop(struct target *t) {
    if (t->pid <= 0)
        return;
    kill(t->pid, SIGTERM);
    for (uint64_t limit = clock_us() + STOP_LIMIT_US; waitpid(t->pid, NULL, WNOHANG) == 0;) {
        if (clock_us() > limit)
            kill(-t->pid, SIGKILL);
        usleep(10000);
    }
    kill(-t->pid, SIGKILL);
    remove_files(t);
    t->pid = 0;
    server_stop(&t->redis);
    t->redis.pid = 0;
}

/* ---- what it costs: each process of the target's group */

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
