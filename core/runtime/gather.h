/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * gather: one answer to an operator's order out of those that each shard gave.
 */
#ifndef REFEREE_RUNTIME_GATHER_H
#define REFEREE_RUNTIME_GATHER_H

#include "core/base/sbuf.h"

/* metrics, leftover   summed line by line, in the order of the first answer; the bindings, which every shard holds
 *                     all of, are the first answer's
 * registrations       the first answer, for the same reason
 * anything else       behind one another, without the errors: of a call one shard knows. Errors alone: one of them,
 *                     rather not one that only says that it has no such thing.
 * False: `out` is too small; the lengths of the answers together always suffice. */
bool gather_merge(struct slice order, const struct slice *answers, uint32_t n, struct sbuf *out);

#endif
