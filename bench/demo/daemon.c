/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "bench/demo/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEDIA_PORTS 64
#define TAIL_LINES 40

static const char config_text[] =
    "# Made for one run of referee-demo.\n"
    "version: 1\n"
    "sip:\n"
    "  listen: ['127.0.0.1:%u']\n"
    "  realm: referee-demo\n"
    "  t1: 50ms\n"
    "  t4: 250ms\n"
    "auth:\n"
    "  required: true\n"
    "media:\n"
    "  address: 127.0.0.1\n"
    "  ports: '%u-%u'\n"
    "  quarantine: 500ms\n"
    "users:\n"
    "  - name: %s\n    password: %s\n"
    "  - name: %s\n    password: %s\n"
    "  - name: %s\n    password: %s\n"
    "drain:\n"
    "  timeout: 1s\n"
    "store: %s\n"
    "runtime:\n"
    "  shards: %u\n"
    "admin:\n"
    "  socket: %s\n"
    "log:\n"
    "  level: %s\n"
    "%s";

static const char *const users[][2] = {
    { "a", "alpha-secret" }, { "b", "bravo-secret" }, { "c", "charlie-secret" }
};

static bool make_paths(struct demo_daemon *dd) {
    char dir[] = "/tmp/referee-demo.XXXXXX";
    if (!mkdtemp(dir))
        return false;
    snprintf(dd->dir, sizeof dd->dir, "%s", dir);
    snprintf(dd->config, sizeof dd->config, "%s/refereed.yaml", dir);
    snprintf(dd->log, sizeof dd->log, "%s/refereed.log", dir);
    snprintf(dd->socket, sizeof dd->socket, "%s/admin.sock", dir);
    return true;
}

static bool write_config(const struct demo *d) {
    const struct demo_daemon *dd = &d->daemon;
    FILE *f = fopen(dd->config, "we");
    if (!f)
        return false;
    fprintf(f, config_text, dd->port, dd->media_first, dd->media_last, users[A][0], users[A][1], users[B][0],
            users[B][1], users[C][0], users[C][1], d->store, d->shards, dd->socket, d->verbose ? "wire" : "info",
            d->flow.config ? d->flow.config : "");
    return fclose(f) == 0;
}

static _Noreturn void child(const struct demo_daemon *dd, pid_t parent) {
    int log = open(dd->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (log < 0 || getppid() != parent || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    execl(dd->program, dd->program, "-c", dd->config, (char *)NULL);
    _exit(127);
}

static bool log_has(const struct demo_daemon *dd, const char *word) {
    char line[1024];
    bool found = false;
    FILE *f = fopen(dd->log, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = strstr(line, word) != NULL;
    if (f)
        fclose(f);
    return found;
}

bool daemon_alive(struct demo *d) {
    int status;
    struct demo_daemon *dd = &d->daemon;
    if (demo_interrupted())
        return false;
    if (!dd->program)
        return true;
    if (!dd->pid)
        return false;
    if (waitpid(dd->pid, &status, WNOHANG) != dd->pid)
        return true;
    dd->pid = 0;
    if (WIFSIGNALED(status))
        demo_say(d, false, "refereed was ended by signal %d", WTERMSIG(status));
    else
        demo_say(d, false, "refereed ended by itself with exit code %d", WEXITSTATUS(status));
    return false;
}

bool daemon_start(struct demo *d, const char *program) {
    struct demo_daemon *dd = &d->daemon;
    dd->program = program;
    dd->port = free_ports(d, 1);
    dd->media_first = free_ports(d, MEDIA_PORTS);
    dd->media_last = (uint16_t)(dd->media_first + MEDIA_PORTS - 1);
    if (access(program, X_OK) != 0 || !dd->port || !dd->media_first || !make_paths(dd) || !write_config(d)) {
        demo_say(d, false, "cannot prepare %s: %s", program, strerror(errno));
        return false;
    }
    snprintf(d->domain, sizeof d->domain, "127.0.0.1:%u", dd->port);
    d->registrar = d->local;
    d->registrar.port = dd->port;
    pid_t parent = getpid();
    dd->pid = fork();
    if (dd->pid == 0)
        child(dd, parent);
    uint64_t limit = clock_us() + DEMO_LIMIT_US;
    while (dd->pid > 0 && daemon_alive(d) && clock_us() < limit) {
        if (log_has(dd, "ready")) {
            demo_say(d, true, "refereed runs on %s, media ports %u to %u", d->domain, dd->media_first, dd->media_last);
            return true;
        }
        usleep(20000);
    }
    demo_fail(d, "refereed did not say that it is ready");
    return false;
}

void daemon_log_tail(const struct demo *d) {
    char lines[TAIL_LINES][1024];
    unsigned n = 0;
    FILE *f = d->daemon.log[0] ? fopen(d->daemon.log, "re") : NULL;
    if (!f)
        return;
    while (fgets(lines[n % TAIL_LINES], sizeof lines[0], f))
        n++;
    fclose(f);
    printf("\nthe last lines of refereed's log:\n");
    for (unsigned i = n > TAIL_LINES ? n - TAIL_LINES : 0; i < n; i++)
        printf("  | %s", lines[i % TAIL_LINES]);
}

/* ---- leftover: lines "name number" from the admin socket */

static int admin_connect(const char *path) {
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct timeval second = { .tv_sec = 1 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof sa.sun_path || fd < 0)
        return -1;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    close(fd);
    return -1;
}

FILE *daemon_order(const char *path, const char *order) {
    size_t n = strlen(order);
    int fd = admin_connect(path);
    if (fd < 0)
        return NULL;
    if (send(fd, order, n, MSG_NOSIGNAL) == (ssize_t)n) {
        FILE *f = fdopen(fd, "re");
        if (f)
            return f;
    }
    close(fd);
    return NULL;
}

bool leftover_ask(const char *path, struct leftover *out) {
    char line[256];
    FILE *f = daemon_order(path, "leftover\n");
    *out = (struct leftover){ 0 };
    while (f && out->n < LEFTOVER_MAX && fgets(line, sizeof line, f))
        if (sscanf(line, "%31s %llu", out->name[out->n], &out->value[out->n]) == 2)
            out->n++;
    if (f)
        fclose(f);
    return out->n > 0;
}

static const char *const must_be_zero[] = {
    "calls", "legs", "ports", "records", "transfers", "bindings", "transactions", "timers"
};
#define ENDED 2   /* the last ones: they run out by themselves */

/* What is not 0 or was not told; NULL: all is. */
const char *leftover_first(const struct leftover *l, bool ended_too) {
    unsigned n = sizeof must_be_zero / sizeof *must_be_zero - (ended_too ? 0 : ENDED);
    for (unsigned k = 0; k < n; k++) {
        bool zero = false;
        for (unsigned i = 0; i < l->n; i++)
            zero = zero || (strcmp(l->name[i], must_be_zero[k]) == 0 && l->value[i] == 0);
        if (!zero)
            return must_be_zero[k];
    }
    return NULL;
}

void leftover_print(const struct leftover *l, const char *where) {
    printf("\nleft over in %s:", where);
    for (unsigned i = 0; i < l->n; i++)
        printf("%s %s %llu", i ? "," : "", l->name[i], l->value[i]);
    putchar('\n');
}

bool daemon_leftover(struct demo *d) {
    struct leftover l = { 0 };
    uint64_t limit = clock_us() + 2 * DEMO_LIMIT_US;
    const char *left = "answer from the admin socket";
    while (left && clock_us() < limit && daemon_alive(d)) {
        demo_run(d, 200000);
        if (leftover_ask(d->daemon.socket, &l))
            left = leftover_first(&l, true);
    }
    leftover_print(&l, "refereed");
    if (left)
        demo_say(d, false, "left over, or not told: %s", left);
    else
        demo_say(d, true, "no dialog, timer, port or record is left over");
    return !left;
}

static void remove_files(const struct demo_daemon *dd) {
    unlink(dd->config);
    unlink(dd->log);
    unlink(dd->socket);
    rmdir(dd->dir);
}

bool daemon_stop(struct demo *d) {
    struct demo_daemon *dd = &d->daemon;
    bool good = false;
    int status = 0;
    if (dd->pid > 0) {
        pid_t pid = dd->pid;
        uint64_t limit = clock_us() + DEMO_LIMIT_US;
        pid_t got = 0;
        kill(pid, SIGTERM);
        while (got == 0 && clock_us() < limit) {
            got = waitpid(pid, &status, WNOHANG);
            usleep(10000);
        }
        if (got == 0) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        }
        dd->pid = 0;
        good = got == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        demo_say(d, good, "refereed ends on SIGTERM with exit code 0%s", got == 0 ? ": it did not end" : "");
    }
    if (d->failures)
        daemon_log_tail(d);
    if (!d->keep && dd->dir[0])
        remove_files(dd);
    else if (dd->dir[0])
        printf("kept: %s\n", dd->dir);
    return good;
}
