/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/sim_srtp.h"

#include "parser/sdp_crypto.h"

#define SUITE SRTP_AES_CM_128_HMAC_SHA1_80

/* Of the seed alone: what other draws give stays as it was. The last phone but one is the first user's, and the last is
 * the gateway, which has no user. */
void srtp_make(struct sim_setup *u, uint64_t seed) {
    struct sim_rng r = { sim_mix(seed, 92) };
    bool on = sim_chance(&r, 25);
    for (unsigned i = 0; i < SIM_PHONES; i++)
        on = on && u->speaks[i] == SPEAKS_RTP && u->users_anchor[i] == ANCHOR_DEFAULT;
    for (unsigned i = 0; i + 2 < SIM_PHONES; i++)
        u->srtp[i] = on && u->anchor == ANCHOR_AUTO && sim_chance(&r, 40);
    u->srtp[SIM_PHONES - 2] = u->srtp[0];
}

static void make_key(const struct phone *ph, const struct pdlg *d, uint8_t number, struct sdp_crypto *c) {
    for (unsigned i = 0; i < srtp_key_bytes(SUITE); i++)
        c->key[i] = (uint8_t)(sim_mix(ph->index * 65536u + d->port, number) >> (8 * (i % 8)) ^ i);
}

static uint64_t hash_of(const uint8_t *key) {
    return sim_hash(slice_of((const char *)key, srtp_key_bytes(SUITE)));
}

/* Now and then with a key of its own. */
void srtp_offer(struct world *w, const struct phone *ph, const struct pdlg *d, struct phone_sdp *out) {
    out->srtp = ph->srtp;
    out->tag = 1;
    out->key = d->mine.key;
    if (ph->srtp && sim_draw_chance(w, ph->index, 20))
        out->key++;
}

void srtp_put(struct sbuf *b, const struct phone *ph, const struct pdlg *d, const struct phone_sdp *as) {
    struct sdp_crypto c = { .tag = as->tag, .suite = SUITE };
    make_key(ph, d, as->key, &c);
    sdp_crypto_put(b, &c);
}

void srtp_read(const struct sdp *s, struct phone_sdp *out) {
    struct slice rest = s->media[0].lines;
    struct sdp_crypto c;
    out->srtp = slice_eq(s->media[0].proto, SL("RTP/SAVP"));
    if (!out->srtp || !sdp_crypto_next(&rest, &c) || c.suite != SUITE)
        return;
    out->tag = (uint8_t)c.tag;
    out->key_hash = hash_of(c.key);
}

void srtp_note(struct world *w, const struct media_cmd *cmd) {
    if (w->script.setup.nodes)
        return;
    if (cmd->verb == MEDIA_OPEN || cmd->verb == MEDIA_CLOSE)
        w->keys[cmd->stream] = (struct srtp_keys){ 0 };
    else if (cmd->verb == MEDIA_SRTP)
        w->keys[cmd->stream] = cmd->keys;
}

void srtp_check(struct world *w, const struct leg *l, const struct phone *ph, const struct pdlg *d) {
    const struct leg_stream *s = l->media.streams[0];
    /* Keys are noted of one relay. */
    if (!s->open || !(d->mine.live & d->theirs.live & 1) || w->script.setup.nodes)
        return;
    const struct srtp_keys *k = &w->keys[s->slot];
    struct sdp_crypto c;
    if (d->mine.srtp != ph->srtp || d->theirs.srtp != ph->srtp)
        sim_fail(w, "a phone of SRTP alone speaks RTP, or the other way round");
    if (k->suite != (ph->srtp ? SUITE : SRTP_NONE) || w->relay->streams[s->slot].srtp != ph->srtp)
        sim_fail(w, "the relay speaks suite %u with a phone of SRTP %u", k->suite, ph->srtp);
    if (!ph->srtp)
        return;
    make_key(ph, d, d->mine.key, &c);
    if (memcmp(c.key, k->in, srtp_key_bytes(SUITE)) != 0)
        sim_fail(w, "the relay has not the phone's key");
    if (d->theirs.key_hash != hash_of(k->out))
        sim_fail(w, "the phone has not the relay's key");
}
