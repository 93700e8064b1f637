/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Where the master is. conns[0] is the master's, conns[1] a Sentinel's, which is asked once and then listened to; what
 * it says after that, or its silence, leads to the next Sentinel.
 */
#include "store/redis_int.h"

#define SENTINEL 1

void redis_sentinel_greet(struct redis *s, struct redis_conn *c) {
    resp_array(&c->out, 3);
    resp_bulk(&c->out, SL("SENTINEL"));
    resp_bulk(&c->out, SL("get-master-addr-by-name"));
    resp_bulk(&c->out, slice_str(s->c.master));
    redis_conn_pend(c, PENDING_MASTER, NULL);
    resp_words(&c->out, "SUBSCRIBE +switch-master");
    redis_conn_pend(c, PENDING_SUBSCRIBED, NULL);
    s->told_host_n = 0;
}

static void use_master(struct redis *s, struct slice host, struct slice port) {
    struct redis_conn *data = &s->conns[0];
    struct addr to = { 0 };
    uint64_t number;
    if (!addr_parse_ip(host, &to) || !slice_u64(port, 65535, &number)) {
        redis_notice(s, "master's address is no IP address:", NULL, host);
        return;
    }
    to.port = (uint16_t)number;
    if (data->role == ROLE_DATA && addr_eq(&data->addr, &to))
        return;
    if (data->role == ROLE_DATA) {
        redis_notice(s, "the master is now", &to, SLICE_NONE);
        redis_conn_unuse(s, data);
    }
    redis_conn_use(s, data, ROLE_DATA, &to);
}

static void on_master(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    if (item->type == RESP_ERROR || item->type == RESP_NIL) {
        redis_conn_fail(s, c, item->type == RESP_ERROR ? item->text : SL("it knows no master of that name"));
    } else if (item->depth == 1 && item->index == 0) {
        s->told_host_n = item->text.n < sizeof s->told_host ? item->text.n : 0;
        if (s->told_host_n)
            memcpy(s->told_host, item->text.p, s->told_host_n);
    } else if (item->depth == 1 && item->index == 1) {
        c->state = CONN_READY;
        c->failures = 0;
        use_master(s, slice_of(s->told_host, s->told_host_n), item->text);
    }
}

/* "name old-ip old-port new-ip new-port" */
static void on_switch(struct redis *s, struct slice text) {
    struct slice word[5] = { { NULL, 0 } };
    for (int i = 0; i < 5; i++) {
        int32_t blank = slice_find(text, ' ');
        uint32_t n = blank < 0 ? text.n : (uint32_t)blank;
        word[i] = slice_of(text.p, n);
        text = blank < 0 ? slice_of(text.p + n, 0) : slice_of(text.p + n + 1, text.n - n - 1);
    }
    if (slice_eq(word[0], slice_str(s->c.master)))
        use_master(s, word[3], word[4]);
}

static void on_push(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    c->subscribed = true;
    if (item->type == RESP_ERROR)
        redis_conn_fail(s, c, item->text);
    else if (item->depth == 1 && item->index == 2 && item->type == RESP_STRING)
        on_switch(s, item->text);
}

void redis_sentinel_item(struct redis *s, struct redis_conn *c, enum pending_kind kind, const struct resp_item *item) {
    if (item->type == RESP_END)
        return;
    if (kind == PENDING_MASTER)
        on_master(s, c, item);
    else
        on_push(s, c, item);
}

void redis_sentinel_again(struct redis *s, struct redis_conn *lost) {
    struct redis_conn *c = &s->conns[SENTINEL];
    struct addr next = s->c.servers[++s->server_next % s->c.server_count];
    if (lost == c) {
        c->addr = next;
    } else if (c->state == CONN_READY && lost->failures >= 1) {
        /* The one that is listened to cannot be asked. */
        redis_conn_reset(s, c);
        redis_conn_use(s, c, ROLE_SENTINEL, &next);
    }
}
