/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * relay_fast: what the relay tells the kernel. Private to the relay; nothing happens where nothing is shared.
 */
#ifndef REFEREE_RTP_RELAY_FAST_H
#define REFEREE_RTP_RELAY_FAST_H

#include "rtp/relay.h"

/* The lock of fastpath.h, of what leaves to this stream's party; no such stream: none. Held for a few instructions,
 * never over another one. */
static inline void relay_lock(const struct relay *r, uint32_t stream) {
    while (r->shared && stream < r->count && __atomic_exchange_n(&r->out[stream].lock, 1, __ATOMIC_ACQUIRE))
        ;
}
static inline void relay_unlock(const struct relay *r, uint32_t stream) {
    if (r->shared && stream < r->count)
        __atomic_store_n(&r->out[stream].lock, 0, __ATOMIC_RELEASE);
}

/* Packets of this stream come up from now on. */
void relay_fast_off(struct relay *r, uint32_t stream);
/* What the kernel may do with packets of this stream, and where those to its party go, by the stream's state now. */
void relay_fast_sync(struct relay *r, uint32_t stream);
/* The listener forgets whom it heard. */
void relay_fast_unhear(struct relay *r, uint32_t listener);
/* Both entries anew, for another use of the slot. */
void relay_fast_clear(struct relay *r, uint32_t stream, uint32_t generation);
/* The kernel forwards packets of this slot already, for a process that is no more: true, and both entries stay but for
 * the number of their use. */
bool relay_fast_resume(struct relay *r, uint32_t stream, uint32_t generation);
/* The source that the kernel believes. */
struct addr relay_fast_source(const struct relay *r, uint32_t stream);
/* The gap to the party is measured afresh. */
void relay_fast_restart(struct relay *r, uint32_t stream);

/* Of relay.c: who hears the stream now, or NULL; where RTP to a party goes, false: nowhere; a payload type as the
 * listener numbers it, MEDIA_TYPE_DROP: not at all. */
struct relay_stream *relay_listener(const struct relay *r, uint32_t stream);
bool relay_rtp_destination(const struct relay_stream *to, struct addr *dst);
uint8_t relay_type(const struct media_types *types, uint8_t own);

#endif
