/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/shard.h"

#include <stdio.h>

static void answer(struct shard *s, uint64_t conn, const char *text, bool last) {
    admin_answer(&s->admin, conn, slice_str(text), last);
}

static void answer_node(struct shard *s, uint64_t conn, void (*describe)(const struct node *n, struct sbuf *text)) {
    static char text[LIMIT_BUCKETS * 16];
    struct sbuf b = sbuf_on(text, sizeof text);
    describe(&s->node, &b);
    admin_answer(&s->admin, conn, sbuf_slice(&b), true);
}

bool shard_order(struct shard *s, const struct admin_order *order) {
    char text[256];
    if (slice_eq(order->line, SL("version"))) {
        snprintf(text, sizeof text, "refereed %s, %s, %s\n", s->version, s->config->node_name, io_describe(s->io));
        answer(s, order->conn, text, true);
    } else if (slice_eq(order->line, SL("nodes"))) {
        answer_node(s, order->conn, node_describe);
    } else if (slice_eq(order->line, SL("buckets"))) {
        answer_node(s, order->conn, node_describe_buckets);
    } else if (slice_eq(order->line, SL("store"))) {
        char lines[4096];
        struct sbuf b = sbuf_on(lines, sizeof lines);
        store_describe(s->store, &b);
        admin_answer(&s->admin, order->conn, sbuf_slice(&b), true);
    } else if (slice_eq(order->line, SL("drain"))) {
        answer(s, order->conn, "draining\n", true);
        shard_drain(s);
    } else if (slice_eq(order->line, SL("reload"))) {
        answer(s, order->conn, "reloading; the log tells\n", true);
        shard_reload(s);
    } else {
        return false;
    }
    return true;
}

void shard_reload(struct shard *s) {
    struct config_error e;
    if (!s->config_path) {
        log_line(&s->log, TRACE_WARN, "reload", "there is no configuration file");
        return;
    }
    struct config *new = config_load(s->config_path, &e);
    if (!new || !config_resolve(new, &e)) {
        log_line(&s->log, TRACE_ERROR, "reload", "nothing was changed: %s", e.text);
        config_free(new);
        return;
    }
    engine_reload(s->engine, &new->engine.policy);
    log_line(&s->log, TRACE_INFO, "reload", "%u users, %u routes, %u peers; all other keys need a restart",
             new->users.count, new->routes.count, new->peers.count);
    /* The engine reads the new lists from now on; the rest of the old configuration stays in force. */
    struct config *old = s->config;
    struct config_list *lists[][2] = { { &old->users, &new->users }, { &old->routes, &new->routes },
                                       { &old->peers, &new->peers }, { &old->domains, &new->domains },
                                       { &old->echo, &new->echo },
                                       { &old->rules, &new->rules }, { &old->quirks, &new->quirks } };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct config_list swapped = *lists[i][0];
        *lists[i][0] = *lists[i][1];
        *lists[i][1] = swapped;
    }
    config_free(new);
}
