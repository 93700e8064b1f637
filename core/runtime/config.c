/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/config_schema.h"
#include "core/runtime/mailbox.h"
#include "core/runtime/player.h"
#include "core/runtime/udp.h"
#include "rtp/port_pool.h"

#include <nettle/sha2.h>
#include <sched.h>
#include <sys/random.h>

static bool fail(struct config_error *e, const char *key, const char *what, const char *value) {
    snprintf(e->text, sizeof e->text, "%s: \"%.100s\": %s", key, value, what);
    return false;
}

static bool is_auto(const char *text) {
    return strcmp(text, "auto") == 0;
}

static void put_host(char *to, size_t n, const struct addr *a) {
    struct sbuf b = sbuf_on(to, n - 1);
    addr_put_host(&b, a);
    to[b.n] = 0;
}

/* An address that others can send to: itself, or the LAN's, or loopback on a machine without a network. */
static struct addr reachable(const struct addr *bound) {
    struct addr a = *bound;
    if (addr_is_any(&a) && !udp_lan_address(bound->family, &a))
        (void)addr_parse_ip(bound->family == ADDR_V6 ? SL("::1") : SL("127.0.0.1"), &a);
    a.port = bound->port;
    return a;
}

/* "host", "host:port", an address, or auto. A name keeps the address that auto would give. */
static bool resolve_sip(struct config *c, struct config_error *e) {
    const struct addr *first = c->listen.items;
    struct engine_config *n = &c->engine;
    const char *text = c->sip_advertise;
    struct addr named;
    n->sip_addr = reachable(first);
    if (is_auto(text)) {
        put_host(n->sip_host, sizeof n->sip_host, &n->sip_addr);
        return true;
    }
    if (addr_parse(slice_str(text), first->port, &named)) {
        n->sip_addr = named;
        put_host(n->sip_host, sizeof n->sip_host, &named);
        return true;
    }
    size_t host = strcspn(text, ":");
    uint64_t port = first->port;
    if (host == 0 || strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") < host ||
        (text[host] && !slice_u64(slice_str(text + host + 1), 65535, &port)))
        return fail(e, "sip.advertise", "a host name, an address, with or without :port, or auto", text);
    snprintf(n->sip_host, sizeof n->sip_host, "%.*s", (int)host, text);
    n->sip_addr.port = (uint16_t)port;
    return true;
}

static const char *text_of(const struct config_list *l, uint32_t i) {
    return (const char *)l->items + (size_t)i * CONFIG_HOST_MAX;
}

/* Address i of media.address, and what goes into SDP for it. */
static bool resolve_media_address(struct config *c, uint32_t i, struct addr *bind, struct addr *told,
                                  struct config_error *e) {
    const struct addr *first = c->listen.items;
    const char *address = text_of(&c->media_address, i);
    const char *advertise = text_of(&c->media_advertise, c->media_advertise.count == 1 ? 0 : i);
    *bind = *first;
    if (!is_auto(address) && !addr_parse_ip(slice_str(address), bind))
        return fail(e, "media.address", "an IP address, or auto", address);
    if (!is_auto(advertise)) {
        if (!addr_parse_ip(slice_str(advertise), told))
            return fail(e, "media.advertise", "an IP address, or auto", advertise);
    } else if (addr_is_any(bind) && c->engine.sip_addr.family == bind->family) {
        *told = c->engine.sip_addr;
    } else {
        *told = reachable(bind);
    }
    bind->port = told->port = 0;
    for (uint32_t k = 0; k < i; k++) {
        const struct addr *other = &c->media_bind[k];
        if (addr_eq_ip(bind, other) ||
            (bind->family == other->family && (addr_is_any(bind) || addr_is_any(other))))
            return fail(e, "media.address", "covers another one of the list; each once", address);
    }
    return true;
}

static bool resolve_media(struct config *c, struct config_error *e) {
    struct engine_config *n = &c->engine;
    uint32_t count = c->media_address.count, told = c->media_advertise.count;
    if (told != count && !(told == 1 && is_auto(text_of(&c->media_advertise, 0))))
        return fail(e, "media.advertise", "auto, or as many as media.address has",
                    told ? text_of(&c->media_advertise, told - 1) : "");
    for (uint32_t i = 0; i < count; i++)
        if (!resolve_media_address(c, i, &c->media_bind[i], i ? &n->media_more[i - 1] : &n->media_addr, e))
            return false;
    n->media_more_count = count - 1;
    return true;
}

static bool random_bytes(void *to, size_t n) {
    return getrandom(to, n, 0) == (ssize_t)n;
}

static bool resolve_secret(struct config *c, struct config_error *e) {
    struct engine_config *n = &c->engine;
    if (!random_bytes(&n->seed, sizeof n->seed) || !random_bytes(n->secret, sizeof n->secret))
        return fail(e, "auth.secret", "the kernel gives no random numbers", "auto");
    if (is_auto(c->auth_secret))
        return true;
    if (strlen(c->auth_secret) < 16)
        return fail(e, "auth.secret", "at least 16 characters, or auto", "...");
    struct sha256_ctx h;
    sha256_init(&h);
    sha256_update(&h, strlen(c->auth_secret), (const uint8_t *)c->auth_secret);
    sha256_digest(&h, sizeof n->secret, n->secret);
    return true;
}

static bool resolve_cluster(struct config *c, struct config_error *e) {
    c->engine.shared = c->engine.node != 0;
    c->cluster_advertise.family = ADDR_NONE;
    if (c->engine.shared && is_auto(c->auth_secret))
        return fail(e, "cluster.node", "a cluster needs auth.secret", "the same text on every node");
    if (c->engine.shared && c->store_kind != STORE_KIND_REDIS)
        return fail(e, "cluster.node", "a cluster needs a store that all nodes share", "store.kind: redis");
    /* All nodes may have the same list. */
    for (uint32_t i = 0; i < c->media_vips.count; i++) {
        struct addr vip = ((const struct addr *)c->media_vips.items)[i];
        bool own = false;
        vip.port = 0;
        for (uint32_t k = 0; k < c->media_address.count; k++)
            own = own || addr_eq_ip(&vip, &c->media_bind[k]);
        if (!own)
            c->engine.media_vips[c->engine.media_vip_count++] = vip;
    }
    struct slice text = slice_str(c->cluster_advertise_text);
    if (!is_auto(c->cluster_advertise_text) && !addr_parse(text, 0, &c->cluster_advertise))
        return fail(e, "cluster.advertise", "not an address", "auto, or 192.0.2.1:7060");
    return true;
}

static uint32_t cores(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < MAILBOX_SHARDS_MAX ? (uint32_t)n : MAILBOX_SHARDS_MAX;
}

static bool resolve_shards(struct config *c, struct config_error *e) {
    struct engine_config *n = &c->engine;
    uint32_t pairs = port_pool_pairs(n->media_port_min, n->media_port_max), asked = c->shards;
    char text[16];
    snprintf(text, sizeof text, "%u", asked);
    if (asked > 1 && n->media_vip_count)
        return fail(e, "runtime.shards", "cluster.media_vips are for one shard so far", text);
    if (asked == 0)
        c->shards = n->media_vip_count ? 1 : cores();
    if (asked == 0 && pairs && c->shards > pairs)
        c->shards = pairs;
    if (c->shards > pairs && pairs)
        return fail(e, "runtime.shards", "each shard needs a pair of media.ports", text);
    uint32_t above = 65536 - c->shards;
    if (n->node && (c->cluster_listen.port > above || c->cluster_advertise.port > above))
        return fail(e, "runtime.shards", "each shard needs a port, from that of cluster.listen on", text);
    n->shards = (uint16_t)c->shards;
    n->shared = n->shared || c->shards > 1;
    return true;
}

static uint32_t power_of_two(uint32_t n) {
    uint32_t p = 1;
    while (p < n)
        p <<= 1;
    return p;
}

void config_point_policy(struct config *c) {
    c->engine.policy = (struct policy_config){
        .users = c->users.items, .user_count = c->users.count,
        .routes = c->routes.items, .route_count = c->routes.count,
        .peers = c->peers.items, .peer_count = c->peers.count,
        .domains = c->domains.items, .domain_count = c->domains.count,
        .echo = c->echo.items, .echo_count = c->echo.count,
        .emergency = c->emergency.items, .emergency_count = c->emergency.count,
        .quirks = c->quirks.items, .quirk_count = c->quirks.count,
        .rules = c->rules.items, .rule_count = c->rules.count,
    };
}

static void resolve_policy(struct config *c) {
    struct engine_config *n = &c->engine;
    const uint32_t *algorithm = c->algorithms.items;
    n->auth_md5 = n->auth_sha256 = false;
    for (uint32_t i = 0; i < c->algorithms.count; i++)
        *(algorithm[i] ? &n->auth_sha256 : &n->auth_md5) = true;
    n->refer = (enum refer_mode)c->refer;
    n->hold = (enum hold_mode)c->hold;
    n->announcement_us = player_length_us(c->announcement);
    n->transfer_ringback = c->ringback_choice != 0;
    player_country(c->ringback_choice, c->ringback);
    n->anchor = (enum anchor_mode)c->anchor;
    n->srtp = (enum srtp_mode)c->srtp;
    n->attended = (enum attended_mode)c->attended;
    n->splice = (enum splice_mode)c->splice;
    n->relay = (enum relay_variant)c->relay;
    n->relay_replaces = (enum relay_replaces)c->relay_replaces;
    n->early_uas_replace = c->early_uas_replace != 0;
    n->accept = (enum accept_code)c->accept;
    n->cdr = strcmp(c->cdr_file, "off") != 0;
    n->trace_level = (enum trace_level)c->log_level;
    n->trace_lines = power_of_two(n->trace_lines);
    config_point_policy(c);
}

bool config_resolve(struct config *c, struct config_error *e) {
    if (!resolve_sip(c, e) || !resolve_media(c, e) || !resolve_secret(c, e) || !resolve_cluster(c, e) ||
        !resolve_shards(c, e) || !config_resolve_store(c, e))
        return false;
    resolve_policy(c);
    return true;
}

bool config_override(struct config *c, const char *setting, struct config_error *e) {
    char path[64], why[300];
    size_t n = strcspn(setting, "=");
    snprintf(path, sizeof path, "%.*s", (int)n, setting);
    const struct config_key *k = config_key_find(path);
    const struct config_list_def *d = config_list_find(path);
    bool single = d && d->single;
    if ((!k && !single) || setting[n] != '=' || (k && config_list_of(k))) {
        snprintf(e->text, sizeof e->text, "%.100s: not KEY=VALUE with a key of the configuration that is no list",
                 setting);
        return false;
    }
    if (single ? config_list_set(c, d, setting + n + 1, why, sizeof why)
               : config_set(k, c, setting + n + 1, why, sizeof why))
        return true;
    snprintf(e->text, sizeof e->text, "%s: %s", path, why);
    return false;
}

static const char *type_text(const struct config_key *k) {
    static const char *const texts[] = {
        [CT_TEXT] = "text", [CT_BOOL] = "true or false", [CT_COUNT] = "number", [CT_BYTES] = "bytes",
        [CT_DURATION] = "time", [CT_CHOICE] = "", [CT_LISTEN] = "address:port", [CT_HOP] = "address:port",
        [CT_NET] = "address or network", [CT_PORTS] = "first-last", [CT_HEX] = "hex",
    };
    return k->choices ? k->choices : texts[k->type];
}

static void print_list_values(FILE *to, const char *standard) {
    fprintf(to, " [");
    for (const char *at = standard; *at;) {
        size_t n = strcspn(at, ",");
        fprintf(to, "%s\"%.*s\"", at == standard ? "" : ", ", (int)n, at);
        at += n + (at[n] == ',');
    }
    fprintf(to, "]\n");
}

/* `section` is what was printed last, as far as its first dot. */
static void print_key(FILE *to, const struct config_key *k, const char **section) {
    const struct config_list_def *d = config_list_of(k);
    size_t head = strcspn(k->path, ".["), list = d ? strlen(d->path) : 0;
    const char *leaf = strrchr(k->path, '.') ? strrchr(k->path, '.') + 1 : k->path;
    bool dotted = k->path[strcspn(k->path, ".")] == '.';
    if (dotted &&
        (strlen(*section) < head || strncmp(*section, k->path, head) != 0 || !strchr(".[", (*section)[head]))) {
        if (d && d->sections)
            fprintf(to, "\n# %s\n%.*s: []\n#  -\n", d->help, (int)head, k->path);
        else
            fprintf(to, "\n%.*s:\n", (int)head, k->path);
    }
    if (list > head && d->sections && strncmp(*section, k->path, list + 1) != 0)
        fprintf(to, "  # %s\n  %s: []\n#    -\n", d->help, d->path + head + 1);
    *section = k->path;
    const char *mark = d && d->sections ? "#    " : dotted ? "  " : "";
    fprintf(to, "%s# %s (%s)\n%s%.*s:", d && d->sections ? "#    " : mark, k->help, type_text(k), mark,
            (int)strcspn(leaf, "["), leaf);
    if (d && !d->sections)
        print_list_values(to, k->standard);
    else
        fprintf(to, k->type == CT_TEXT && strchr(k->standard, ':') ? " \"%s\"\n" : " %s\n", k->standard);
}

void config_print(FILE *to) {
    const char *section = "";
    fprintf(to, "# Every key of refereed's configuration, with its default.\n");
    for (uint32_t i = 0; i < config_key_count; i++)
        print_key(to, &config_keys[i], &section);
}
