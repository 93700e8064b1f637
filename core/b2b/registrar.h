/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * registrar: bindings of addresses of record (RFC 3261 section 10.3). Held in the engine and written through to the
 * store, table "aor", and to the other engines. The users of the configuration are the addresses of record.
 */
#ifndef REFEREE_B2B_REGISTRAR_H
#define REFEREE_B2B_REGISTRAR_H

#include "core/b2b/state.h"

struct registrar_binding {
    struct slice contact; /* URI; valid for the step */
    struct addr flow;     /* where the REGISTER came from */
};

/* Laid out once; while `a` counts, only the size is taken. */
struct registrar *registrar_new(struct arena *a, uint32_t bindings);
/* Answers a REGISTER that has passed authentication as `user`. */
void registrar_on_register(struct engine *e, const struct sip_msg *msg, handle txn, struct slice user);
/* Live bindings of a user, latest first. */
uint32_t registrar_find(struct engine *e, struct slice user, struct registrar_binding *out, uint32_t max);
void registrar_on_timer(struct engine *e, struct wheel_node *n);
/* What another engine has written, or had: replaces all bindings of the user. */
void registrar_learn(struct engine *e, struct slice user, struct slice value);
void registrar_on_peer(struct engine *e, struct slice bytes);
uint32_t registrar_count(const struct engine *e);

#endif
