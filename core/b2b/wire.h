/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * wire: the last step of a message out of the engine, and the trace line that each message in or out leaves.
 */
#ifndef REFEREE_B2B_WIRE_H
#define REFEREE_B2B_WIRE_H

#include "core/b2b/state.h"
#include "core/sip/uas.h"

/* Puts one datagram into the outbox; takes no reference of the caller's (adds its own). NULL buffers are ignored. */
void wire_send(struct engine *e, struct buf *b, const struct addr *dst, const struct addr *src);
/* A response on a server transaction. req == NULL: to the transaction's own request, by its head or parsed again. leg:
 * for the trace, may be NULL. False: no memory, or the transaction is over. */
bool wire_respond(struct engine *e, handle txn, const struct sip_msg *req, const struct uas_response *r,
                  const struct leg *leg);
/* A response to a request that no leg has: with a To tag of its own. */
void wire_answer(struct engine *e, handle txn, const struct sip_msg *req, const struct uas_response *r);
/* Some message into e->again, as sip_parse. */
int32_t wire_parse_again(struct engine *e, struct slice bytes, struct sip_fault *fault);
/* The request of a server transaction in e->again, where it may be already; NULL: over. */
const struct sip_msg *wire_request_again(struct engine *e, handle txn);
/* A response without a transaction; told: to the trace. */
void wire_respond_stateless(struct engine *e, const struct sip_msg *req, const struct addr *src, const struct addr *dst,
                            const struct uas_response *r, bool told);
/* "recv" or "send" line of one message; leg may be NULL. */
void wire_trace(struct engine *e, const char *what, const struct leg *leg, struct slice message,
                const struct addr *other);

#endif
