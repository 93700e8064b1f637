/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/steer.h"

#include "core/sip/branch.h"
#include "parser/sip_hdr.h"
#include "parser/sip_uri.h"

#define AOR_MAX 256

uint16_t steer_hash(const struct steering *s, struct slice text) {
    return (uint16_t)(siphash64(s->key, text.p, text.n) % TOKEN_BUCKETS);
}

bool steer_token(const struct steering *s, struct slice text, struct token *out) {
    for (int32_t at; (at = slice_find(text, TOKEN_MARK)) >= 0;) {
        text = slice_of(text.p + at, text.n - (uint32_t)at);
        if (token_parse(text, out) && out->cluster == s->cluster)
            return true;
        text = slice_of(text.p + 1, text.n - 1);
    }
    return false;
}

/* What decides, wherever it was read from. */
struct signs {
    bool request, reg;
    struct slice ruri_user, branch, tag, call_id, aor;
};

static bool by_token(const struct steering *s, struct slice text, enum steer_by by, struct steer *out) {
    if (!steer_token(s, text, &out->token))
        return false;
    out->by = (uint8_t)by;
    out->bucket = out->token.bucket;
    return true;
}

static uint16_t bucket_of_aor(const struct steering *s, struct slice user) {
    char plain[AOR_MAX];
    struct sbuf b = sbuf_on(plain, sizeof plain);
    return steer_hash(s, sip_unescape(&b, user) && !b.overflow ? sbuf_slice(&b) : user);
}

static struct steer decide(const struct steering *s, const struct signs *g) {
    struct steer r = { .by = STEER_NOTHING };
    if (g->reg && g->aor.p) {
        r.by = STEER_AOR;
        r.bucket = bucket_of_aor(s, g->aor);
        return r;
    }
    if (by_token(s, g->ruri_user, STEER_RURI, &r) || by_token(s, g->branch, STEER_BRANCH, &r) ||
        by_token(s, g->tag, STEER_TAG, &r) || by_token(s, g->call_id, STEER_CALL_ID, &r))
        return r;
    if (g->call_id.p) {
        r.by = STEER_HASH;
        r.bucket = steer_hash(s, g->call_id);
    }
    return r;
}

struct steer steer_msg(const struct steering *s, const struct sip_msg *msg) {
    struct signs g = {
        .request = msg->is_request,
        .reg = msg->is_request && msg->method == SIP_M_REGISTER,
        .ruri_user = msg->is_request ? msg->ruri.user : SLICE_NONE,
        .branch = msg->is_request ? SLICE_NONE : msg->via.branch,
        .tag = msg->is_request ? msg->to_tag : msg->from_tag,
        .call_id = msg->call_id,
        .aor = msg->to.uri.user,
    };
    return decide(s, &g);
}

/* ---- from the bytes ---- */

/* One line with its folds; false at the empty line and at the end. */
static bool next_line(struct slice *rest, struct slice *line) {
    const char *begin = rest->p;
    while (rest->n) {
        const char *lf = memchr(rest->p, '\n', rest->n);
        uint32_t n = lf ? (uint32_t)(lf + 1 - rest->p) : rest->n;
        *rest = slice_of(rest->p + n, rest->n - n);
        if (!rest->n || (rest->p[0] != ' ' && rest->p[0] != '\t'))
            break;
    }
    *line = slice_trim(slice_of(begin, (size_t)(rest->p - begin)));
    return line->n != 0;
}

static void read_start(struct signs *g, struct slice line) {
    int32_t space = slice_find(line, ' ');
    if (space < 0)
        return;
    struct slice first = slice_of(line.p, (uint32_t)space);
    g->request = !(first.n > 4 && slice_ieq(slice_of(first.p, 4), SL("SIP/")));
    if (!g->request)
        return;
    struct slice uri = slice_of(line.p + space + 1, line.n - (uint32_t)space - 1);
    int32_t at = slice_find(uri, '@'), end = slice_find(uri, ' '), colon = slice_find(uri, ':');
    g->reg = slice_eq(first, SL("REGISTER"));
    if (colon >= 0 && at > colon && (end < 0 || at < end))
        g->ruri_user = slice_of(uri.p + colon + 1, (uint32_t)(at - colon - 1));
}

static void read_address(struct signs *g, enum sip_hdr_id id, struct slice value) {
    struct sip_nameaddr na;
    if (sip_nameaddr_parse(value, &na) < 0)
        return;
    if (id == (g->request ? SIP_H_TO : SIP_H_FROM))
        g->tag = sip_param(na.params, SL("tag"));
    if (id == SIP_H_TO)
        g->aor = na.uri.user;
}

static void read_branch(struct signs *g, struct slice value) {
    struct slice first;
    struct sip_via via;
    if (sip_list_next(&value, &first) && sip_via_parse(first, &via) >= 0)
        g->branch = via.branch;
}

static void read_header(struct signs *g, struct slice line, bool *via_seen) {
    int32_t colon = slice_find(line, ':');
    if (colon < 0)
        return;
    enum sip_hdr_id id = sip_hdr_id_of(slice_trim(slice_of(line.p, (uint32_t)colon)));
    struct slice value = slice_trim(slice_of(line.p + colon + 1, line.n - (uint32_t)colon - 1));
    if ((id == SIP_H_TO || id == SIP_H_FROM) && !g->tag.p)
        read_address(g, id, value);
    else if (id == SIP_H_CALL_ID && !g->call_id.p)
        g->call_id = value;
    else if (id == SIP_H_VIA && !*via_seen && !g->request)
        read_branch(g, value);
    *via_seen = *via_seen || id == SIP_H_VIA;
}

struct steer steer_bytes(const struct steering *s, struct slice datagram) {
    struct signs g = { 0 };
    struct slice line;
    struct token t;
    bool via_seen = false;
    while (datagram.n && (datagram.p[0] == '\r' || datagram.p[0] == '\n'))
        datagram = slice_of(datagram.p + 1, datagram.n - 1);
    if (!next_line(&datagram, &line))
        return decide(s, &g);
    read_start(&g, line);
    /* In most messages nothing behind the first lines is read. */
    while ((g.reg || !(steer_token(s, g.ruri_user, &t) || steer_token(s, g.branch, &t))) &&
           next_line(&datagram, &line))
        read_header(&g, line, &via_seen);
    return decide(s, &g);
}
