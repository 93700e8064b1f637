/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * refereed: options, one configuration, its shards.
 * Exit status: 0 drained or told to stop, 1 could not start, 2 wrong option or configuration; also when the store's
 * server refuses user, password or database.
 */
#define _GNU_SOURCE
#include "core/base/check.h"
#include "core/runtime/config.h"
#include "core/runtime/shards.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#define VERSION "0.1.0"
#define DEFAULT_CONFIG "/etc/referee/refereed.yaml"

#define SETTINGS_MAX 32

struct options {
    const char *config;
    const char *check;
    const char *traced;
    const char *settings[SETTINGS_MAX];
    int setting_count;
    bool print_config, version, help;
};

static const char usage[] =
    "usage: refereed [-c FILE] [--set KEY=VALUE]... [--trace CALL]\n"
    "  -c, --config FILE   configuration; without it " DEFAULT_CONFIG " if it is there, else the defaults\n"
    "      --set KEY=VALUE over what the configuration says, such as runtime.backend=epoll\n"
    "      --check FILE    say whether FILE is right, and end\n"
    "      --print-config  print every key with its default and what it is for, and end\n"
    "      --trace CALL    log every message of the calls whose Call-ID contains CALL, or whose number ends with it\n"
    "      --version       print the version, and end\n"
    "  -h, --help          this\n";

static bool parse(int argc, char **argv, struct options *o) {
    static const struct option longs[] = {
        { "config", required_argument, NULL, 'c' }, { "check", required_argument, NULL, 'k' },
        { "print-config", no_argument, NULL, 'p' }, { "trace", required_argument, NULL, 't' },
        { "set", required_argument, NULL, 's' },    { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    int c;
    while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 'k':
            o->check = optarg;
            break;
        case 't':
            o->traced = optarg;
            break;
        case 's':
            if (o->setting_count == SETTINGS_MAX)
                return false;
            o->settings[o->setting_count++] = optarg;
            break;
        case 'p':
            o->print_config = true;
            break;
        case 'v':
            o->version = true;
            break;
        case 'h':
            o->help = true;
            break;
        default:
            return false;
        }
    }
    return optind == argc;
}

static bool override(struct config *c, const struct options *o, struct config_error *e) {
    for (int i = 0; i < o->setting_count; i++)
        if (!config_override(c, o->settings[i], e))
            return false;
    return true;
}

/* NULL: what is wrong was printed. */
static struct config *load(const char *path, const struct options *o) {
    struct config_error e;
    struct config *c = config_load(path, &e);
    if (!c) {
        fprintf(stderr, "%s\n", e.text);
    } else if (!override(c, o, &e) || !config_resolve(c, &e)) {
        fprintf(stderr, "%s: %s\n", path ? path : "defaults", e.text);
        config_free(c);
        c = NULL;
    }
    return c;
}

static int check(const struct options *o) {
    struct config *c = load(o->check, o);
    if (!c)
        return 2;
    printf("%s: OK\n", o->check);
    config_free(c);
    return 0;
}

static void on_failed_check(void *arg, const char *file, int line, const char *expr) {
    (void)arg;
    shards_dump();
    fprintf(stderr, "refereed: check failed at %s:%d: %s\n", file, line, expr);
}

/* What a newcomer needs next: where a phone registers, and where its media will go. */
static void tell_phones(const struct config *c) {
    char sip[CONFIG_HOST_MAX + 8], media[CONFIG_HOST_MAX];
    struct sbuf s = sbuf_on(sip, sizeof sip), m = sbuf_on(media, sizeof media);
    sbuf_str(&s, c->engine.sip_host);
    sbuf_char(&s, ':');
    sbuf_u64(&s, c->engine.sip_addr.port);
    addr_put_ip(&m, &c->engine.media_addr);
    fprintf(stderr, "phones register at %.*s by UDP; media is relayed at %.*s\n", (int)s.n, s.p, (int)m.n, m.p);
}

static int run(const struct options *o) {
    const char *path = o->config;
    if (!path && access(DEFAULT_CONFIG, R_OK) == 0)
        path = DEFAULT_CONFIG;
    struct config *c = load(path, o);
    if (!c)
        return 2;
    struct shards *all = shards_new(c, path, o->traced, VERSION);
    if (!all)
        return 1;
    check_set_hook(on_failed_check, NULL);
    if (shards_open(all)) {
        tell_phones(shards_config(all));
        fprintf(stderr, "refereed %s ready: %s\n", VERSION, path ? path : "with defaults");
        shards_run(all);
    }
    int status = shards_close(all);
    check_set_hook(NULL, NULL);
    return status;
}

int main(int argc, char **argv) {
    struct options o = { 0 };
    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    if (o.help)
        fputs(usage, stdout);
    else if (o.version)
        printf("refereed %s\n", VERSION);
    else if (o.print_config)
        config_print(stdout);
    else
        return o.check ? check(&o) : run(&o);
    return 0;
}
