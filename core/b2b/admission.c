/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/admission.h"

#include "core/b2b/policy.h"
#include "core/b2b/wire.h"

static void set_principal(struct admission *a, struct slice kind, struct slice name) {
    struct sbuf b = sbuf_on(a->memory, sizeof a->memory);
    sbuf_put(&b, kind);
    sbuf_put(&b, name);
    if (b.overflow)
        return;
    a->principal = sbuf_slice(&b);
    if (slice_eq(kind, SL("user:")))
        a->user = slice_of(b.p + kind.n, b.n - kind.n);
}

static void answer(struct engine *e, const struct sip_msg *msg, handle txn, uint16_t status, struct slice extra) {
    struct uas_response r = { .status = status, .extra = extra };
    wire_answer(e, txn, msg, &r);
}

static void challenge(struct engine *e, const struct sip_msg *msg, handle txn, bool stale) {
    bool proxy = msg->method != SIP_M_REGISTER;
    struct sbuf h = ua_headers(&e->ua);
    struct auth_challenge c = { .now_ms = e->wall_ms, .salt = rng_u64(&e->rng), .proxy = proxy, .stale = stale };
    auth_challenge_put(&h, &e->auth, &c);
    metrics_add(&e->metrics, M_auth_challenges, 1);
    answer(e, msg, txn, proxy ? 407 : 401, sbuf_slice(&h));
}

static enum auth_result verify(struct engine *e, const struct sip_msg *msg, const struct sip_digest *d) {
    const struct user_config *u = policy_user(e, d->username);
    struct auth_user known = { 0 };
    if (u) {
        known.username = slice_str(u->name);
        known.password = u->password[0] ? slice_str(u->password) : SLICE_NONE;
        known.ha1[AUTH_MD5] = u->ha1_md5[0] ? slice_str(u->ha1_md5) : SLICE_NONE;
        known.ha1[AUTH_SHA256] = u->ha1_sha256[0] ? slice_str(u->ha1_sha256) : SLICE_NONE;
    }
    return auth_verify(&e->auth, msg, d, u ? &known : NULL, e->wall_ms);
}

static void check_digest(struct engine *e, const struct sip_msg *msg, handle txn, struct admission *out) {
    struct sip_digest d;
    enum auth_result r = auth_find(&e->auth, msg, msg->method != SIP_M_REGISTER, &d);
    if (r == AUTH_NONE) {
        challenge(e, msg, txn, false);
        return;
    }
    if (r == AUTH_OK)
        r = verify(e, msg, &d);
    if (r == AUTH_STALE || r == AUTH_REPLAY) {
        challenge(e, msg, txn, true);
    } else if (r != AUTH_OK) {
        metrics_add(&e->metrics, M_auth_failures, 1);
        answer(e, msg, txn, 403, SLICE_NONE);
    } else {
        out->admitted = true;
        set_principal(out, SL("user:"), d.username);
    }
}

void admission_check(struct engine *e, const struct sip_msg *msg, handle txn, struct admission *out) {
    const struct txn *t = txn_get(&e->txns, txn);
    struct addr src = t ? txn_src(t) : (struct addr){ .family = ADDR_NONE };
    const struct peer_config *peer = t ? policy_peer(e, &src) : NULL;
    memset(out, 0, sizeof *out);
    if (peer && peer->trusted) {
        out->admitted = true;
        set_principal(out, SL("peer:"), slice_str(peer->name));
    } else if (e->cfg.auth_required) {
        check_digest(e, msg, txn, out);
    } else {
        out->admitted = true;
        if (policy_user(e, msg->from.uri.user))
            set_principal(out, SL("user:"), msg->from.uri.user);
    }
}
