/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * store: where records live. Stepped: operations in, answers out; no I/O here. Kinds: `memory` (this file's only one so
 * far; lives and dies with the process). The engine sees tickets only.
 */
#ifndef REFEREE_STORE_STORE_H
#define REFEREE_STORE_STORE_H

#include "core/base/event.h"
#include "core/base/outbox.h"

struct store;

/* Bounds: entries and bytes of values held. Memory comes from `a` (counting allowed, see arena.h: result is NULL
 * then). */
struct store *store_memory_new(struct arena *a, uint32_t entries, size_t bytes, struct siphash_key key);
/* Takes the operation; its key and value are copied, the caller keeps its references. The answer, if op->ticket != 0,
 * is queued. PUT over the bounds: STORE_REFUSED. */
void store_submit(struct store *s, const struct store_op *op, uint64_t wall_ms);
/* Next answer into *ev (kind EV_STORE; mono_us and wall_ms left to the caller); its value is valid until the next call
 * of any function of the store. False: none. */
bool store_answer(struct store *s, struct event *ev);
/* Live entries, of one table, or of all with table.p == NULL; expired ones are removed first. */
uint32_t store_count(struct store *s, struct slice table, uint64_t wall_ms);

#endif
