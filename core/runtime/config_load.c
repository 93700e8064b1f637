/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/config_schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <yaml.h>

#define PATH_MAX_BYTES 160

struct loader {
    const char *file;
    yaml_parser_t parser;
    yaml_event_t ev;            /* the current one */
    bool has_event;
    struct config *c;
    struct config_error *e;
    bool seen[CONFIG_KEYS_MAX]; /* by key */
    bool list_seen[CONFIG_LISTS_MAX];
};

static bool fail(struct loader *l, size_t line, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool fail(struct loader *l, size_t line, const char *key, const char *format, ...) {
    char what[360];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(l->e->text, sizeof l->e->text, "%s:%zu: %.100s%s%s", l->file, line, key, *key ? ": " : "", what);
    return false;
}

static size_t line_of(const struct loader *l) {
    return l->ev.start_mark.line + 1;
}

static bool next(struct loader *l) {
    if (l->has_event)
        yaml_event_delete(&l->ev);
    l->has_event = yaml_parser_parse(&l->parser, &l->ev);
    if (l->has_event)
        return true;
    return fail(l, l->parser.problem_mark.line + 1, "", "not YAML: %s",
                l->parser.problem ? l->parser.problem : "cannot be read");
}

/* A key that continues `path` after a dot; "" is the top. */
static const char *below(const struct config_key *k, const char *path) {
    size_t n = strlen(path);
    if (n == 0)
        return k->path;
    return strncmp(k->path, path, n) == 0 && k->path[n] == '.' ? k->path + n + 1 : NULL;
}

static bool is_section(const char *path) {
    for (uint32_t i = 0; i < config_key_count; i++)
        if (below(&config_keys[i], path))
            return true;
    return false;
}

/* The names allowed in a section; keys of one section stand together in the table, so a repetition is the last one. */
static void list_allowed(const char *section, char *to, size_t n) {
    size_t used = 0, last_n = 0;
    const char *last = "";
    to[0] = 0;
    for (uint32_t i = 0; i < config_key_count && used < n; i++) {
        const char *rest = below(&config_keys[i], section);
        size_t len = rest ? strcspn(rest, ".[") : 0;
        if (!rest || (len == last_n && memcmp(rest, last, len) == 0))
            continue;
        used += (size_t)snprintf(to + used, n - used, "%s%.*s", used ? ", " : "", (int)len, rest);
        last = rest;
        last_n = len;
    }
}

static bool unknown(struct loader *l, size_t line, const char *section, const char *path) {
    char allowed[280];
    list_allowed(section, allowed, sizeof allowed);
    return fail(l, line, path, "unknown key; allowed here: %s", allowed);
}

static const char *scalar(const struct loader *l) {
    return (const char *)l->ev.data.scalar.value;
}

static bool scalar_is_whole(const struct loader *l) {
    return strlen(scalar(l)) == l->ev.data.scalar.length;
}

static bool set_value(struct loader *l, const struct config_key *k, void *base) {
    char why[300];
    if (!scalar_is_whole(l))
        return fail(l, line_of(l), k->path, "holds a NUL byte; plain text");
    if (!config_set(k, base, scalar(l), why, sizeof why))
        return fail(l, line_of(l), k->path, "%s", why);
    return true;
}

static bool set_key(struct loader *l, const struct config_key *k, void *base) {
    bool *seen = &l->seen[k - config_keys];
    if (*seen)
        return fail(l, line_of(l), k->path, "given twice; once");
    *seen = true;
    return set_value(l, k, base);
}

static void *add_item(struct config *c, const struct config_list_def *d) {
    struct config_list *list = (struct config_list *)(void *)((uint8_t *)c + d->offset);
    if (list->count == d->max)
        return NULL;
    if ((list->count & (list->count - 1)) == 0) {
        void *grown = realloc(list->items, (list->count ? list->count * 2 : 1) * (size_t)d->item_size);
        if (!grown)
            return NULL;
        list->items = grown;
    }
    return memset((uint8_t *)list->items + (size_t)list->count++ * d->item_size, 0, d->item_size);
}

/* Defaults of the keys of one list's element (d), or of the file's own (d NULL). */
static bool set_defaults(struct loader *l, const struct config_list_def *d, void *base) {
    char why[300];
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (config_list_of(k) != d || !*k->standard)
            continue;
        if (!config_set(k, base, k->standard, why, sizeof why))
            return fail(l, 0, k->path, "default: %s", why);
    }
    return true;
}

static bool check_item(struct loader *l, const struct config_list_def *d, const void *item, size_t line) {
    const struct user_config *u = item;
    const struct route_config *r = item;
    const struct peer_config *p = item;
    if (strcmp(d->path, "users") == 0 && !u->name[0])
        return fail(l, line, "users[].name", "missing; every user needs a name");
    if (strcmp(d->path, "users") == 0 && !u->password[0] && !u->ha1_md5[0] && !u->ha1_sha256[0])
        return fail(l, line, "users[].password", "missing; a password, ha1_md5 or ha1_sha256");
    if (strcmp(d->path, "routes") == 0 && (r->next_hop.family == ADDR_NONE || r->next_hop.port == 0))
        return fail(l, line, "routes[].next_hop", "missing; every route needs an address and port to send to");
    if (strcmp(d->path, "peers") == 0 && (!p->name[0] || p->net.family == ADDR_NONE))
        return fail(l, line, "peers[]", "name or address missing; every peer needs both");
    if (strcmp(d->path, "peers") == 0 && !p->username[0] != !p->password[0])
        return fail(l, line, "peers[]", "username or password missing; both, or neither");
    return true;
}

static bool walk_map(struct loader *l, const char *section, void *base);

static bool walk_item(struct loader *l, const struct config_list_def *d) {
    char path[PATH_MAX_BYTES];
    size_t line = line_of(l);
    snprintf(path, sizeof path, "%s[]", d->path);
    void *item = add_item(l->c, d);
    if (!item)
        return fail(l, line, d->path, "too many; at most %u", d->max);
    if (!d->sections && l->ev.type == YAML_SCALAR_EVENT)
        return set_value(l, config_key_find(path), item);
    if (!d->sections || l->ev.type != YAML_MAPPING_START_EVENT)
        return fail(l, line, path, "has the wrong form; %s", d->sections ? "key: value pairs" : "one value a line");
    for (uint32_t i = 0; i < config_key_count; i++)
        if (config_list_of(&config_keys[i]) == d)
            l->seen[i] = false;
    return set_defaults(l, d, item) && walk_map(l, path, item) && check_item(l, d, item, line);
}

static bool once(struct loader *l, const struct config_list_def *d) {
    bool *seen = &l->list_seen[d - config_lists];
    if (*seen)
        return fail(l, line_of(l), d->path, "given twice; once");
    *seen = true;
    return true;
}

static bool walk_list(struct loader *l, const struct config_list_def *d) {
    if (!once(l, d))
        return false;
    while (next(l)) {
        if (l->ev.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (!walk_item(l, d))
            return false;
    }
    return false;
}

static bool walk_scalar(struct loader *l, const char *section, const char *path, void *base) {
    const struct config_key *k = config_key_find(path);
    const struct config_list_def *d = config_list_find(path);
    bool empty = l->ev.data.scalar.length == 0;
    if (k)
        return set_key(l, k, base);
    if (d && d->single && !empty)
        return once(l, d) && walk_item(l, d);
    if (d)
        return empty || fail(l, line_of(l), path, "takes a list; lines that begin with a dash, or [a, b]");
    if (is_section(path))
        return empty || fail(l, line_of(l), path, "is a section; its keys on lines of their own, indented");
    return unknown(l, line_of(l), section, path);
}

/* The event after a key. */
static bool walk_value(struct loader *l, const char *section, const char *path, void *base) {
    const struct config_list_def *d = config_list_find(path);
    switch (l->ev.type) {
    case YAML_SCALAR_EVENT:
        return walk_scalar(l, section, path, base);
    case YAML_SEQUENCE_START_EVENT:
        if (d)
            return walk_list(l, d);
        break;
    case YAML_MAPPING_START_EVENT:
        if (is_section(path))
            return walk_map(l, path, base);
        break;
    default:
        return fail(l, line_of(l), path, "is an alias; the value itself");
    }
    if (d || is_section(path) || config_key_find(path))
        return fail(l, line_of(l), path, "has the wrong form; %s",
                    d ? "a list" : config_key_find(path) ? "one value" : "a section");
    return unknown(l, line_of(l), section, path);
}

static bool walk_map(struct loader *l, const char *section, void *base) {
    char path[PATH_MAX_BYTES];
    while (next(l)) {
        if (l->ev.type == YAML_MAPPING_END_EVENT)
            return true;
        if (l->ev.type != YAML_SCALAR_EVENT)
            return fail(l, line_of(l), section, "a key has the wrong form; a plain name");
        snprintf(path, sizeof path, "%s%s%.64s", section, *section ? "." : "", scalar(l));
        size_t key_line = line_of(l);
        if (!config_key_find(path) && !config_list_find(path) && !is_section(path))
            return unknown(l, key_line, section, path);
        if (!next(l) || !walk_value(l, section, path, base))
            return false;
    }
    return false;
}

static bool walk_file(struct loader *l) {
    while (next(l)) {
        switch (l->ev.type) {
        case YAML_STREAM_END_EVENT:
            return true;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (line_of(l) > 1 && l->seen[0])
                return fail(l, line_of(l), "", "a second document; one");
            break;
        case YAML_MAPPING_START_EVENT:
            if (!walk_map(l, "", l->c))
                return false;
            break;
        default:
            if (l->ev.type != YAML_SCALAR_EVENT || l->ev.data.scalar.length)
                return fail(l, line_of(l), "", "no keys; sections with keys, such as sip:");
        }
    }
    return false;
}

bool config_list_set(struct config *c, const struct config_list_def *d, const char *text, char *why, size_t n) {
    char path[PATH_MAX_BYTES], one[CONFIG_HOST_MAX];
    snprintf(path, sizeof path, "%s[]", d->path);
    ((struct config_list *)(void *)((uint8_t *)c + d->offset))->count = 0;
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        snprintf(one, sizeof one, "%.*s", (int)length, at);
        void *item = add_item(c, d);
        if (!item)
            snprintf(why, n, "too many; at most %u", d->max);
        if (!item || !config_set(config_key_find(path), item, one, why, n))
            return false;
        at += length + (at[length] == ',');
    }
    return true;
}

/* A list that the file does not name gets its default elements. */
static bool fill_list(struct loader *l, const struct config_key *k, const struct config_list_def *d) {
    char why[300];
    return config_list_set(l->c, d, k->standard, why, sizeof why) || fail(l, 0, k->path, "default: %s", why);
}

static bool fill_lists(struct loader *l) {
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_list_def *d = config_list_of(&config_keys[i]);
        if (d && !d->sections && !l->list_seen[d - config_lists] && !fill_list(l, &config_keys[i], d))
            return false;
    }
    return true;
}

/* What one key alone cannot show. */
static bool check_whole(struct loader *l) {
    const struct engine_config *n = &l->c->engine;
    size_t last = l->ev.start_mark.line + 1;
    if (n->expires_min_s > n->expires_default_s || n->expires_default_s > n->expires_max_s)
        return fail(l, last, "registrar", "expires are out of order; min_expires <= default_expires <= max_expires");
    if (l->c->listen.count == 0)
        return fail(l, last, "sip.listen", "is empty; at least one address");
    if (l->c->media_address.count == 0)
        return fail(l, last, "media.address", "is empty; at least one address, or auto");
    if (l->c->algorithms.count == 0)
        return fail(l, last, "auth.algorithms", "is empty; md5, sha-256 or both");
    if (n->t1_us > n->t2_us)
        return fail(l, last, "sip.t1", "is above sip.t2; at most the same");
    return true;
}

static bool read_file(struct loader *l) {
    FILE *f = fopen(l->file, "rb");
    if (!f) {
        snprintf(l->e->text, sizeof l->e->text, "%s: cannot be opened: %s", l->file, strerror(errno));
        return false;
    }
    bool ok = yaml_parser_initialize(&l->parser);
    if (ok) {
        yaml_parser_set_input_file(&l->parser, f);
        ok = walk_file(l) && fill_lists(l) && check_whole(l);
        if (l->has_event)
            yaml_event_delete(&l->ev);
        yaml_parser_delete(&l->parser);
    }
    fclose(f);
    return ok;
}

struct config *config_load(const char *path, struct config_error *e) {
    struct loader *l = calloc(1, sizeof *l);
    struct config *c = calloc(1, sizeof *c);
    bool ok = l && c;
    if (ok) {
        *l = (struct loader){ .file = path ? path : "defaults", .c = c, .e = e };
        ok = set_defaults(l, NULL, c) && (path ? read_file(l) : fill_lists(l));
    }
    free(l);
    if (ok)
        return c;
    config_free(c);
    return NULL;
}

void config_free(struct config *c) {
    for (uint32_t i = 0; c && i < config_list_count; i++)
        free(((struct config_list *)(void *)((uint8_t *)c + config_lists[i].offset))->items);
    free(c);
}
