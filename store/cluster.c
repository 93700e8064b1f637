/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Redis Cluster: a connection to each master that has slots, and the map of slots, from CLUSTER SLOTS. A new map is
 * taken when nothing is on its way any more: else what is sent to a bucket's new server could overtake what its old
 * one still has.
 */
#include "store/redis_int.h"

#define MAP_RETRY_US UINT64_C(100000)
#define SLOTS 16384

/* CRC-16/XMODEM, as the cluster specification has it. */
static uint16_t crc16(struct slice s) {
    uint16_t crc = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        crc ^= (uint16_t)((uint8_t)s.p[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

uint32_t redis_slot_of(struct slice key) {
    int32_t open = slice_find(key, '{');
    if (open >= 0) {
        struct slice rest = slice_of(key.p + open + 1, key.n - (uint32_t)open - 1);
        int32_t close = slice_find(rest, '}');
        if (close > 0)
            key = slice_of(rest.p, (uint32_t)close);
    }
    return crc16(key) % SLOTS;
}

void redis_cluster_init(struct redis *s) {
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
        char digits[LIMIT_BUCKET_DIGITS];
        struct sbuf b = sbuf_on(digits, sizeof digits);
        sbuf_hex(&b, i, LIMIT_BUCKET_DIGITS);
        s->slot[i] = (uint16_t)redis_slot_of(sbuf_slice(&b));
    }
    s->slot[REDIS_BUCKET_LEASES] = (uint16_t)redis_slot_of(SL("n"));
    memset(s->map, REDIS_LANE_NONE, sizeof s->map);
    s->map_wanted = true;
}

bool redis_cluster_whole(const struct redis *s) {
    for (uint32_t i = 0; i <= LIMIT_BUCKETS; i++) {
        uint8_t at = s->map[s->slot[i]];
        if (at == REDIS_LANE_NONE || s->conns[at].state != CONN_READY)
            return false;
    }
    return true;
}

/* ---- connections */

static bool has_slots(const struct redis *s, const struct redis_conn *c) {
    uint8_t at = (uint8_t)(c - s->conns);
    return memchr(s->map, at, sizeof s->map) || (s->map_new && memchr(s->new_map, at, sizeof s->new_map));
}

static struct redis_conn *free_conn(struct redis *s) {
    struct redis_conn *c = s->conns, *end = c + STORE_CONNS_MAX;
    while (c < end && c->role != ROLE_UNUSED)
        c++;
    if (c < end)
        return c;
    for (c = s->conns; c < end; c++)
        if (c->state != CONN_READY && !has_slots(s, c) && !c->lane->queue.n) {
            redis_conn_unuse(s, c);
            return c;
        }
    return NULL;
}

static struct redis_conn *conn_to(struct redis *s, const struct addr *to) {
    struct redis_conn *c;
    for (c = s->conns; c < s->conns + STORE_CONNS_MAX; c++)
        if (c->role == ROLE_DATA && addr_eq(&c->addr, to))
            return c;
    c = free_conn(s);
    if (c)
        redis_conn_use(s, c, ROLE_DATA, to);
    else
        redis_notice(s, "more servers than connections; none to", to, SLICE_NONE);
    return c;
}

static struct redis_conn *ready_conn(struct redis *s) {
    for (uint32_t i = 0; i < STORE_CONNS_MAX; i++) {
        struct redis_conn *c = &s->conns[(s->server_next + i) % STORE_CONNS_MAX];
        if (c->role == ROLE_DATA && c->state == CONN_READY && redis_conn_has_room(c) && c->out.cap - c->out.n > 64)
            return c;
    }
    return NULL;
}

/* ---- the map */

static void ask_for_map(struct redis *s) {
    struct redis_conn *c = ready_conn(s);
    s->map_us = s->now_us + MAP_RETRY_US;
    if (!c) {
        (void)conn_to(s, &s->c.servers[s->server_next++ % s->c.server_count]);
        return;
    }
    s->server_next++;
    resp_words(&c->out, "CLUSTER SLOTS");
    if (c->pending_n == 0)
        c->heard_us = s->now_us;
    redis_conn_pend(c, PENDING_SLOTS, NULL);
    s->map_asked = c->asked = true;
    memset(s->new_map, REDIS_LANE_NONE, sizeof s->new_map);
}

static void take_map(struct redis *s) {
    struct redis_conn *c, *end = s->conns + STORE_CONNS_MAX;
    for (c = s->conns; c < end; c++)
        if (c->role == ROLE_DATA && c->pending_n)
            return;
    memcpy(s->map, s->new_map, sizeof s->map);
    s->map_new = false;
    redis_queue_reroute(s);
    for (c = s->conns; c < end; c++) {
        if (c->role != ROLE_DATA)
            continue;
        c->hold = c->probing = false;
        if (!has_slots(s, c))
            redis_conn_unuse(s, c);
    }
    s->bounced = true;
    redis_health(s);
}

static void map_read(struct redis *s) {
    bool any = false;
    for (uint32_t i = 0; i <= LIMIT_BUCKETS; i++)
        any |= s->new_map[s->slot[i]] != REDIS_LANE_NONE;
    if (!any)
        return;
    s->map_wanted = false;
    if (memcmp(s->map, s->new_map, sizeof s->map) == 0)
        return;
    s->map_new = true;
    for (struct redis_conn *c = s->conns; c < s->conns + STORE_CONNS_MAX; c++)
        if (c->role == ROLE_DATA && !c->hold) {
            c->hold = true;
            c->resume_us = s->now_us;
        }
}

static void on_master_host(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    s->slots_addr = (struct addr){ 0 };
    if (item->type == RESP_NIL || item->text.n == 0)
        s->slots_addr = c->addr;
    else if (!addr_parse_ip(item->text, &s->slots_addr))
        redis_notice(s, "a server's address is no IP address:", NULL, item->text);
}

static void on_master_port(struct redis *s, const struct resp_item *item) {
    if (s->slots_addr.family == ADDR_NONE || item->number <= 0 || item->number > 65535)
        return;
    s->slots_addr.port = (uint16_t)item->number;
    struct redis_conn *to = conn_to(s, &s->slots_addr);
    if (to && s->slots_from <= s->slots_to && s->slots_to < SLOTS)
        memset(s->new_map + s->slots_from, (int)(to - s->conns), s->slots_to - s->slots_from + 1);
}

/* [[from, to, [host, port, ...], replica, ...], ...] */
void redis_cluster_item(struct redis *s, struct redis_conn *c, const struct resp_item *item) {
    if (item->type == RESP_END) {
        s->map_asked = c->asked = false;
        map_read(s);
    } else if (item->depth == 0) {
        s->rejected |= item->type == RESP_ERROR && redis_fault_of(item->text) == FAULT_ACCESS;
        redis_notice(s, "no map of slots from", &c->addr, item->text);
        redis_reason(s, &c->addr, item->text);
    } else if (item->depth == 2 && item->index < 2) {
        uint32_t v = item->number < 0 || item->number >= SLOTS ? SLOTS : (uint32_t)item->number;
        *(item->index ? &s->slots_to : &s->slots_from) = v;
    } else if (item->depth == 3 && item->parent == 2 && item->index == 0) {
        on_master_host(s, c, item);
    } else if (item->depth == 3 && item->parent == 2 && item->index == 1) {
        on_master_port(s, item);
    }
}

/* "MOVED 3999 127.0.0.1:6381"; an empty host is the one that said so. */
struct redis_conn *redis_cluster_redirect(struct redis *s, struct redis_conn *from, struct slice error, bool ask) {
    struct addr to = from->addr;
    uint64_t port;
    for (int skip = 0; skip < 2; skip++) {
        int32_t blank = slice_find(error, ' ');
        if (blank < 0)
            return NULL;
        error = slice_of(error.p + blank + 1, error.n - (uint32_t)blank - 1);
    }
    if (error.n && error.p[0] == ':' && slice_u64(slice_of(error.p + 1, error.n - 1), 65535, &port))
        to.port = (uint16_t)port;
    else if (!addr_parse(error, 0, &to))
        return NULL;
    s->map_wanted |= !ask;
    return conn_to(s, &to);
}

/* ---- time */

void redis_cluster_tick(struct redis *s) {
    if (s->map_new)
        take_map(s);
    if (s->map_wanted && !s->map_asked && !s->map_new && s->map_us <= s->now_us)
        ask_for_map(s);
}

uint64_t redis_cluster_deadline(const struct redis *s) {
    if (s->map_new) {
        for (const struct redis_conn *c = s->conns; c < s->conns + STORE_CONNS_MAX; c++)
            if (c->role == ROLE_DATA && c->pending_n)
                return UINT64_MAX;
        return s->now_us;
    }
    return s->map_wanted && !s->map_asked ? s->map_us : UINT64_MAX;
}
