/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * refereectl: sends one order to refereed's socket and prints the answer.
 * Exit status: 0 answered, 1 the answer is an error or there is none, 2 wrong usage.
 */
#define _GNU_SOURCE
#include "core/runtime/admin.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char usage[] =
    "usage: refereectl [-s SOCKET | -c FILE] ORDER\n"
    "  -s, --socket SOCKET  of the daemon; without it the one that `admin.socket: auto` means\n"
    "  -c, --config FILE    the daemon's configuration, to find the socket\n"
    "orders:\n"
    "  calls          one line a call            show CALL      legs, states, counters and ladder of one call\n"
    "  failures       transfers that failed      failure NUMBER  legs and ladder of one of them\n"
    "  registrations  who is registered          metrics        all counters\n"
    "  leftover       what is held now           version        of the daemon\n"
    "  store          how the store is: servers, queues, latency, errors\n"
    "  transfer CALL LEG URI         that leg talks with URI; who it talked with is the transferor\n"
    "  transfer CALL LEG with CALL LEG  it talks with the other call's leg\n"
    "  shards         what each of them has\n"
    "  nodes          of the cluster             buckets        and who owns them\n"
    "  records        their format and who reads it  records N|auto  no node writes a higher one\n"
    "  drain          no new calls, then end     reload         users, routes and peers of the configuration\n";

static bool socket_of(const char *config, char *path, size_t n) {
    struct config_error e;
    struct config *c = config_load(config, &e);
    if (!c) {
        fprintf(stderr, "%s\n", e.text);
        return false;
    }
    if (strcmp(c->admin_socket, "auto") == 0)
        admin_default_path(path, n);
    else
        snprintf(path, n, "%s", c->admin_socket);
    config_free(c);
    return true;
}

static int open_socket(const char *path) {
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    fprintf(stderr, "refereectl: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Exit status; NO_ANSWER: there was none. */
#define NO_ANSWER (-1)

static int print_answer(int fd) {
    char text[4096];
    bool is_error = false;
    ssize_t n, total = 0;
    while ((n = read(fd, text, sizeof text)) > 0) {
        if (total == 0)
            is_error = slice_has_prefix(slice_of(text, (size_t)n), SL("error"));
        total += n;
        fwrite(text, 1, (size_t)n, is_error ? stderr : stdout);
    }
    return total == 0 ? NO_ANSWER : is_error;
}

static int ask(const char *path, int words, char **word) {
    char line[ADMIN_LINE_MAX];
    struct sbuf b = sbuf_on(line, sizeof line);
    for (int i = 0; i < words; i++) {
        sbuf_put(&b, slice_str(word[i]));
        sbuf_char(&b, i + 1 < words ? ' ' : '\n');
    }
    if (b.overflow) {
        fputs("refereectl: the order is too long\n", stderr);
        return 2;
    }
    int fd = open_socket(path);
    if (fd < 0)
        return 1;
    int rc = send(fd, line, b.n, MSG_NOSIGNAL) == (ssize_t)b.n ? print_answer(fd) : NO_ANSWER;
    if (rc == NO_ANSWER)
        fputs("refereectl: the daemon has gone without an answer; what was ordered may have begun, and goes on where "
              "its calls do\n", stderr);
    close(fd);
    return rc != 0;
}

int main(int argc, char **argv) {
    static const struct option longs[] = {
        { "socket", required_argument, NULL, 's' }, { "config", required_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    char path[CONFIG_PATH_MAX];
    int c;
    admin_default_path(path, sizeof path);
    while ((c = getopt_long(argc, argv, "+s:c:h", longs, NULL)) != -1) {
        if (c == 's') {
            snprintf(path, sizeof path, "%s", optarg);
        } else if (c == 'c') {
            if (!socket_of(optarg, path, sizeof path))
                return 2;
        } else {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return 2;
    }
    return ask(path, argc - optind, argv + optind);
}
