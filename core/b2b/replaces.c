/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/replaces.h"

#include "core/b2b/policy.h"
#include "core/b2b/transfer.h"

/* A dialog without a tag is named by "0" (RFC 3891 section 3). */
static struct slice remote_tag_of(const struct leg *l) {
    struct slice tag = leg_str(l, DLG_REMOTE_TAG);
    return tag.p ? tag : SL("0");
}

bool replaces_is_right(const struct sip_replaces *r, const struct leg *l) {
    return slice_eq(r->to_tag, leg_str(l, DLG_LOCAL_TAG)) && slice_eq(r->from_tag, remote_tag_of(l)) &&
           slice_eq(r->call_id, leg_str(l, DLG_CALL_ID));
}

/* One that a relayed REFER has given another name: the token stands for its Call-ID. */
static struct leg *by_token(const struct engine *e, const struct sip_replaces *r) {
    uint32_t cursor = 0;
    handle h;
    if (!slice_has_prefix(r->call_id, SL(TRANSFER_TOKEN_PREFIX)))
        return NULL;
    for (struct transfer *t; (t = pool_next(&e->transfers, &cursor, &h));) {
        struct leg *l = leg_get(e, t->consult);
        if (t->mode == MODE_RELAY && l && slice_eq(strs_get(&t->s, TRF_TOKEN), r->call_id) &&
            slice_eq(r->to_tag, leg_str(l, DLG_LOCAL_TAG)) && slice_eq(r->from_tag, leg_str(l, DLG_REMOTE_TAG)))
            return l;
    }
    return NULL;
}

static bool tag_fits(struct slice said, struct slice tag) {
    return !said.p || slice_eq(said, tag);
}

/* A tag is missing: the only live leg of this party that fits what is there. */
static struct leg *without_tags(const struct engine *e, const struct sip_replaces *r, struct slice principal) {
    struct leg *found = NULL;
    uint32_t cursor = 0;
    handle h;
    if (!principal.p)
        return NULL;
    for (struct leg *l; (l = pool_next(&e->legs, &cursor, &h));) {
        if (!leg_is_live(l) || !slice_eq(leg_str(l, DLG_CALL_ID), r->call_id) ||
            !slice_eq(leg_str(l, LEG_PRINCIPAL), principal) || !tag_fits(r->to_tag, leg_str(l, DLG_LOCAL_TAG)) ||
            !tag_fits(r->from_tag, leg_str(l, DLG_REMOTE_TAG)))
            continue;
        if (found)
            return NULL;
        found = l;
    }
    return found;
}

struct leg *replaces_find(const struct engine *e, const struct sip_replaces *r, unsigned quirks,
                          struct slice principal) {
    if (!r->to_tag.p || !r->from_tag.p)
        return quirks & QUIRK_REPLACES_TAGLESS ? without_tags(e, r, principal) : NULL;
    struct leg *l = leg_find_named(e, r->call_id, r->to_tag, r->from_tag);
    if (!l && (quirks & QUIRK_REPLACES_SWAPPED))
        l = leg_find_named(e, r->call_id, r->from_tag, r->to_tag);
    return l ? l : by_token(e, r);
}

static void put(struct sbuf *b, struct slice call_id, struct slice to_tag, struct slice from_tag) {
    sbuf_put(b, call_id);
    sbuf_lit(b, ";to-tag=");
    sbuf_put(b, to_tag);
    sbuf_lit(b, ";from-tag=");
    sbuf_put(b, from_tag);
}

void replaces_put(struct sbuf *b, const struct leg *l, struct slice call_id) {
    put(b, call_id, leg_str(l, DLG_LOCAL_TAG), remote_tag_of(l));
}

void replaces_put_far(struct sbuf *b, const struct leg *l) {
    put(b, leg_str(l, DLG_CALL_ID), remote_tag_of(l), leg_str(l, DLG_LOCAL_TAG));
}
