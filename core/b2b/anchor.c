/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/anchor.h"

#include "core/b2b/leg.h"
#include "core/b2b/reanchor.h"

uint32_t anchor_of(const struct engine *e, const struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (l->media.streams[i].open)
            return anchor_of_slot(e, l->media.streams[i].slot);
    return 0;
}

const struct addr *anchor_addr(const struct engine *e, uint32_t k) {
    return k ? &e->cfg.media_vips[k - 1] : &e->cfg.media_addr;
}

uint32_t anchor_index(const struct engine *e, const struct addr *a) {
    for (uint32_t k = 0; k <= e->cfg.media_vip_count; k++)
        if (addr_eq_ip(a, anchor_addr(e, k)))
            return k;
    return ANCHOR_NOWHERE;
}

bool anchor_is_here(const struct engine *e, uint32_t k) {
    return k == 0 || (e->vips_here >> (k - 1) & 1);
}

void anchor_on_address(struct engine *e, const struct event *ev) {
    uint32_t bit = 1u << ev->u.address.index, cursor = 0;
    handle h;
    e->vips_here = ev->u.address.here ? e->vips_here | bit : e->vips_here & ~bit;
    for (struct leg *l; !ev->u.address.here && (l = pool_next(&e->legs, &cursor, &h));)
        if (anchor_of(e, l) == ev->u.address.index + 1 && leg_is_live(l))
            reanchor(e, l);
}
