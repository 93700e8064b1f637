/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * registrar_int: what registrar.c (REGISTER, look-up) and registrar_share.c (store, other engines) share.
 */
#ifndef REFEREE_B2B_REGISTRAR_INT_H
#define REFEREE_B2B_REGISTRAR_INT_H

#include "core/b2b/registrar.h"

enum binding_field { BIND_USER, BIND_CONTACT, BIND_CALL_ID };

struct binding {
    handle self;
    handle next; /* of the same user, latest first */
    struct strs s;
    struct addr flow;
    uint32_t cseq;
    uint64_t expires_us, expires_ms;
    uint16_t q;
    struct wheel_node timer;
};

struct registrar {
    struct pool bindings;
    struct map users; /* user -> first binding */
};

struct binding *registrar_get(const struct engine *e, handle h);
/* The latest of a user's; NULL: none. */
struct binding *registrar_first(const struct engine *e, struct slice user);
/* In front of the others; NULL: no room. */
struct binding *registrar_add(struct engine *e, struct slice user);
void registrar_drop(struct engine *e, struct binding *b);

/* Writes the user's bindings, as they are now, to the store and to the other engines. */
void registrar_share(struct engine *e, struct slice user);

#endif
