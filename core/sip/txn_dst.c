/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Client transactions by where they send to, so that an error of the network's finds its own without a walk through
 * all. Those that an error means nothing to any more are not among them: they only linger.
 */
#include "core/sip/txn_table.h"

static handle *chain_of(struct txn_layer *l, const struct addr *dst) {
    uint64_t ip[2];
    memcpy(ip, dst->ip, sizeof ip);
    uint64_t h = (ip[0] ^ l->key.k0) * UINT64_C(0x9e3779b97f4a7c15) ^ (ip[1] + dst->port + l->key.k1);
    return &l->by_dst[(h * UINT64_C(0xbf58476d1ce4e5b9)) >> 32 & (TXN_DST_CHAINS - 1)];
}

void txn_dst_link(struct txn_layer *l, struct txn *t) {
    handle *head = chain_of(l, &t->dst);
    struct txn *first = txn_get(l, *head);
    t->u.open->dst_next = *head;
    if (first)
        first->u.open->dst_prev = t->self;
    *head = t->self;
    t->u.open->dst_linked = true;
    t->u.open->started = ++l->started;
}

void txn_dst_unlink(struct txn_layer *l, struct txn *t) {
    struct txn_open *o = t->u.open;
    if (!o->dst_linked)
        return;
    struct txn *next = txn_get(l, o->dst_next), *prev = txn_get(l, o->dst_prev);
    if (next)
        next->u.open->dst_prev = o->dst_prev;
    if (prev)
        prev->u.open->dst_next = o->dst_next;
    else
        *chain_of(l, &t->dst) = o->dst_next;
    o->dst_linked = false;
}

struct txn_event txn_transport_error(struct txn_layer *l, uint64_t now, const struct addr *dst, uint32_t started) {
    struct txn_event ev = { .kind = TXN_NONE };
    handle next;
    for (struct txn *t = txn_get(l, *chain_of(l, dst)); t && ev.kind == TXN_NONE; t = txn_get(l, next)) {
        next = t->u.open->dst_next;
        if (!addr_eq(&t->dst, dst) || (int32_t)(t->u.open->started - started) > 0)
            continue;
        struct txn_step s = { .layer = l, .now = now, .txn = t, .ev = &ev };
        txn_run(&s, t->kind == TXN_ICT ? (unsigned)ICT_EV_ERROR : (unsigned)NICT_EV_ERROR);
    }
    return ev;
}
