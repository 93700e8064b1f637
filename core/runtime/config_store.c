/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/config.h"

#include <string.h>

static bool fail(struct config_error *e, const char *key, const char *what, const char *value) {
    snprintf(e->text, sizeof e->text, "%s: \"%.100s\": %s", key, value, what);
    return false;
}

/* The first line of the file. */
static bool read_password(struct config *c, struct config_error *e) {
    const char *path = c->store_password_file;
    char line[REDIS_TEXT_MAX + 2] = "";
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(line, sizeof line, f);
    if (f)
        fclose(f);
    size_t n = strcspn(line, "\r\n");
    if (!ok || n == 0 || n >= sizeof c->redis.password)
        return fail(e, "store.password_file", "no file with a password in its first line, 127 bytes at most", path);
    memcpy(c->redis.password, line, n);
    c->redis.password[n] = 0;
    memset(line, 0, sizeof line);
    return true;
}

bool config_resolve_store(struct config *c, struct config_error *e) {
    struct store_redis_config *r = &c->redis;
    bool redis = c->store_kind == STORE_KIND_REDIS;
    c->engine.durability = c->store_durability ? (enum durability)(c->store_durability - 1)
                           : redis             ? DURABILITY_CONFIRMED
                                               : DURABILITY_OFF;
    c->engine.records = redis || c->engine.durability != DURABILITY_OFF;
    if (!redis)
        return true;
    if (c->store_servers.count == 0)
        return fail(e, "store.servers", "at least one is needed for store.kind: redis", "");
    if (c->store_cluster && r->master[0])
        return fail(e, "store.sentinel", "a cluster has no Sentinel", r->master);
    if (c->store_cluster && r->db)
        return fail(e, "store.db", "a cluster has database 0 only", "not 0");
    if (strpbrk(r->prefix, "{}"))
        return fail(e, "store.prefix", "without braces", r->prefix);
    if (r->replica_wait_ms * 1000 >= r->timeout_us)
        return fail(e, "store.replica_wait", "shorter than store.timeout", "too long");
    if (c->store_password_file[0] && !read_password(c, e))
        return false;
    r->topology = c->store_cluster ? REDIS_CLUSTER : r->master[0] ? REDIS_SENTINEL : REDIS_SINGLE;
    r->server_count = c->store_servers.count;
    memcpy(r->servers, c->store_servers.items, r->server_count * sizeof *r->servers);
    r->key = c->engine.seed;
    return true;
}
