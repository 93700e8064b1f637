/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * kind: what a kind of store is made of; its struct begins with a struct store. Seen by store/ only. Functions are
 * those of store.h; from `tick` on they are NULL in a kind without a server.
 */
#ifndef REFEREE_STORE_KIND_H
#define REFEREE_STORE_KIND_H

#include "store/store.h"

struct store_kind {
    void (*submit)(struct store *s, const struct store_op *op, uint64_t wall_ms);
    bool (*answer)(struct store *s, struct event *ev);
    uint32_t (*count)(struct store *s, struct slice table, uint64_t wall_ms);
    void (*tick)(struct store *s, uint64_t mono_us, uint64_t wall_ms);
    uint64_t (*deadline)(const struct store *s);
    bool (*wants)(struct store *s, struct store_want *w);
    void (*opened)(struct store *s, uint32_t conn);
    void (*lost)(struct store *s, uint32_t conn, struct slice why);
    void (*input)(struct store *s, uint32_t conn, struct slice bytes);
    struct slice (*output)(struct store *s, uint32_t conn);
    void (*sent)(struct store *s, uint32_t conn, uint32_t n);
    enum store_health (*health)(const struct store *s);
    bool (*notice)(struct store *s, struct sbuf *line);
    void (*describe)(const struct store *s, struct sbuf *text);
    void (*free)(struct store *s);
};

struct store {
    const struct store_kind *kind;
};

extern const struct store_kind store_kind_memory;

#endif
