/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/anchor.h"

#include "core/b2b/leg.h"
#include "core/b2b/reanchor.h"
#include "parser/sdp.h"

uint32_t anchor_of(const struct engine *e, const struct leg *l) {
    for (unsigned i = 0; i < LEG_STREAMS; i++)
        if (l->media.streams[i]->open && l->media.streams[i]->slot != PORT_POOL_NONE)
            return anchor_of_slot(e, l->media.streams[i]->slot);
    return ANCHOR_NOWHERE;
}

const struct addr *anchor_addr(const struct engine *e, uint32_t k) {
    uint32_t own = anchor_own_count(&e->cfg);
    if (k >= own)
        return &e->cfg.media_vips[k - own];
    return k ? &e->cfg.media_more[k - 1] : &e->cfg.media_addr;
}

uint32_t anchor_index(const struct engine *e, const struct addr *a) {
    for (uint32_t k = 0; k < anchor_count(&e->cfg); k++)
        if (addr_eq_ip(a, anchor_addr(e, k)))
            return k;
    return ANCHOR_NOWHERE;
}

static bool has_family(const struct engine *e, uint8_t family) {
    for (uint32_t k = 0; k < anchor_own_count(&e->cfg); k++)
        if (anchor_addr(e, k)->family == family)
            return true;
    return false;
}

/* That a description names; ADDR_NONE: none, or one to which nothing is sent for now. */
static uint8_t family_in(const struct engine *e, struct slice text) {
    struct sdp s;
    bool readable = text.p && engine_sdp(e, text, &s) >= 0;
    for (unsigned i = 0; readable && i < s.media_count; i++)
        if (s.media[i].port && s.media[i].connection.family != ADDR_NONE && !addr_is_any(&s.media[i].connection))
            return s.media[i].connection.family;
    return ADDR_NONE;
}

/* ADDR_NONE: any. */
static uint8_t family_of(const struct engine *e, const struct leg *l) {
    uint8_t said = family_in(e, leg_str(l, LEG_SDP_REMOTE)), family = said != ADDR_NONE ? said : l->dlg.flow.family;
    return has_family(e, family) ? family : ADDR_NONE;
}

static bool may_have_kept(const struct engine *e, const struct leg *l) {
    const struct call *c = leg_call(e, l);
    return c && c->emergency;
}

static bool has_ports(const struct engine *e, uint32_t k, uint32_t streams, bool kept) {
    return kept ? port_pool_has_kept(&e->ports, k, streams, e->now) : port_pool_has(&e->ports, k, streams, e->now);
}

static uint32_t choose(struct engine *e, const struct leg *l, uint32_t streams, bool kept) {
    uint32_t own = anchor_own_count(&e->cfg);
    uint8_t family = own > 1 ? family_of(e, l) : ADDR_NONE;
    for (uint32_t i = 0; i < own; i++) {
        uint32_t k = (e->next_anchor + i) % own;
        if ((family != ADDR_NONE && anchor_addr(e, k)->family != family) || !has_ports(e, k, streams, kept))
            continue;
        e->next_anchor = (k + 1) % own;
        return k;
    }
    return ANCHOR_NOWHERE;
}

uint32_t anchor_choose(struct engine *e, const struct leg *l, uint32_t streams) {
    uint32_t at = choose(e, l, streams, false);
    if (at == ANCHOR_NOWHERE && may_have_kept(e, l))
        at = choose(e, l, streams, true);
    metrics_add(&e->metrics, M_ports_exhausted, at == ANCHOR_NOWHERE);
    return at;
}

uint32_t anchor_take(struct engine *e, const struct leg *l, uint32_t at, uint32_t *generation) {
    return may_have_kept(e, l) ? port_pool_take_kept(&e->ports, at, e->now, generation)
                               : port_pool_take_at(&e->ports, at, e->now, generation);
}

bool anchor_is_other_family(const struct engine *e, const struct leg *l) {
    uint32_t at = anchor_of(e, l);
    uint8_t family = e->cfg.media_more_count && at != ANCHOR_NOWHERE ? family_of(e, l) : ADDR_NONE;
    return family != ADDR_NONE && anchor_addr(e, at)->family != family &&
           (!leg_str(l, LEG_SDP_LOCAL).p || family == family_in(e, leg_str(l, LEG_SDP_REMOTE)));
}

bool anchor_is_lost_by(const struct engine *e, const struct leg *l, struct slice text) {
    uint32_t at = anchor_of(e, l);
    uint8_t family = at != ANCHOR_NOWHERE ? family_in(e, text) : ADDR_NONE;
    if (family == ADDR_NONE || family == anchor_addr(e, at)->family || has_family(e, family))
        return false;
    uint8_t before = family_in(e, leg_str(l, LEG_SDP_REMOTE));
    return before != ADDR_NONE && before != family;
}

bool anchor_is_here(const struct engine *e, uint32_t k) {
    uint32_t own = anchor_own_count(&e->cfg);
    return k == ANCHOR_NOWHERE || k < own || (e->vips_here >> (k - own) & 1);
}

void anchor_on_address(struct engine *e, const struct event *ev) {
    uint32_t bit = 1u << ev->u.address.index, cursor = 0;
    handle h;
    e->vips_here = ev->u.address.here ? e->vips_here | bit : e->vips_here & ~bit;
    for (struct leg *l; !ev->u.address.here && (l = pool_next(&e->legs, &cursor, &h));)
        if (anchor_of(e, l) == anchor_own_count(&e->cfg) + ev->u.address.index && leg_is_live(l))
            reanchor(e, l);
}
