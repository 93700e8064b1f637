/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "bench/store/server.h"

#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void bench_pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static uint16_t free_port(void) {
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? ntohs(a.sin_port) : 0;
}

/* The first line of the command's output that begins with `name`, without it. */
static bool ask(const char *command, const char *name, char *to, size_t n) {
    char line[512];
    bool found = false;
    FILE *f = popen(command, "re");
    while (f && fgets(line, sizeof line, f))
        if (!found && strncmp(line, name, strlen(name)) == 0) {
            snprintf(to, n, "%s", line + strlen(name));
            found = true;
        }
    if (f)
        pclose(f);
    return found;
}

static _Noreturn void child(const struct server *s, int cpu, pid_t parent) {
    char port[8];
    snprintf(port, sizeof port, "%u", s->port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || !freopen("/dev/null", "w", stdout))
        _exit(126);
    if (sysconf(_SC_NPROCESSORS_ONLN) > cpu)
        bench_pin(cpu);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s->folder,
           (char *)NULL);
    _exit(127);
}

bool server_start(struct server *s, int cpu) {
    char folder[] = "/tmp/bench-store.XXXXXX", command[128], answer[64];
    if (!mkdtemp(folder))
        return false;
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    s->port = free_port();
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid == 0)
        child(s, cpu, parent);
    snprintf(command, sizeof command, "redis-cli -p %u ping 2>&1", s->port);
    for (int tries = 0; tries < 100; tries++) {
        if (ask(command, "PONG", answer, sizeof answer))
            return true;
        usleep(50000);
    }
    return false;
}

void server_stop(struct server *s) {
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    rmdir(s->folder);
}

uint64_t server_info(const struct server *s, const char *section, const char *name) {
    char command[128], key[64], answer[64] = "0";
    snprintf(command, sizeof command, "redis-cli -p %u info %s", s->port, section);
    snprintf(key, sizeof key, "%s:", name);
    (void)ask(command, key, answer, sizeof answer);
    return strtoull(answer, NULL, 10);
}

void server_own(const struct server *s) {
    char command[256], answer[64];
    snprintf(command, sizeof command, "redis-cli -p %u eval \"for i=0,4095 do "
             "redis.call('set',string.format('referee:b:{%%012d}',i),'1.1') end return 'done'\" 0", s->port);
    (void)ask(command, "done", answer, sizeof answer);
}

void server_flush(const struct server *s) {
    char command[128], answer[64];
    snprintf(command, sizeof command, "redis-cli -p %u flushall", s->port);
    (void)ask(command, "OK", answer, sizeof answer);
}

double server_benchmark(const struct server *s, uint32_t batch, uint32_t n, const char *command) {
    char line[4096], answer[64] = "0";
    snprintf(line, sizeof line, "taskset -c 0 redis-benchmark -p %u -c 1 -P %u -n %u -r 4096 --csv %s 2>/dev/null",
             s->port, batch, n, command);
    FILE *f = popen(line, "re");
    double rate = 0;
    /* "the command","requests a second",... */
    while (f && fgets(line, sizeof line, f)) {
        char *at = strstr(line, "\",\"");
        if (at && at[3] >= '0' && at[3] <= '9') {
            snprintf(answer, sizeof answer, "%.60s", at + 3);
            rate = strtod(answer, NULL);
        }
    }
    if (f)
        pclose(f);
    return rate;
}
