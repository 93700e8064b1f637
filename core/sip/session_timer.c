/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/session_timer.h"

#include "parser/sip_hdr.h"
#include "parser/sip_write.h"

struct session_header {
    uint32_t expires; /* 0: none, or none that can be read */
    enum session_by refresher;
};

static struct slice seconds_of(struct slice value, struct slice *params) {
    int32_t at = slice_find(value, ';');
    *params = at < 0 ? SLICE_NONE : slice_of(value.p + at + 1, value.n - (uint32_t)at - 1);
    return slice_trim(at < 0 ? value : slice_of(value.p, (uint32_t)at));
}

static uint32_t seconds_in(const struct sip_msg *m, enum sip_hdr_id id, struct slice *params) {
    uint32_t s = 0;
    struct slice text = seconds_of(sip_hdr_value(m, id), params);
    return sip_delta_seconds(text, &s) ? s : 0;
}

static struct session_header header_of(const struct sip_msg *m) {
    struct slice params;
    struct session_header h = { .expires = seconds_in(m, SIP_H_SESSION_EXPIRES, &params) };
    struct slice who = params.p ? sip_param(params, SL("refresher")) : SLICE_NONE;
    h.refresher = slice_ieq(who, SL("uac"))   ? SESSION_BY_UAC
                  : slice_ieq(who, SL("uas")) ? SESSION_BY_UAS
                                              : SESSION_BY_NOBODY;
    return h;
}

static uint32_t min_se_of(const struct sip_msg *m) {
    struct slice params;
    return seconds_in(m, SIP_H_MIN_SE, &params);
}

bool session_is_known(const struct sip_msg *m) {
    return sip_list_has(m, SIP_H_SUPPORTED, SL("timer")) || sip_list_has(m, SIP_H_REQUIRE, SL("timer"));
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static void put_expires(struct sbuf *b, uint32_t seconds, enum session_by refresher) {
    sbuf_lit(b, "Session-Expires: ");
    sbuf_u64(b, seconds);
    if (refresher != SESSION_BY_NOBODY)
        sbuf_put(b, refresher == SESSION_BY_UAC ? SL(";refresher=uac") : SL(";refresher=uas"));
    sbuf_lit(b, "\r\n");
}

bool session_is_too_short(const struct session_config *c, const struct sip_msg *request) {
    struct session_header h = header_of(request);
    return sip_hdr_first(request, SIP_H_SESSION_EXPIRES) && h.expires < c->min_se_s && session_is_known(request);
}

void session_put_min_se(struct sbuf *b, const struct session_config *c) {
    sip_put_hdr_u64(b, SL("Min-SE"), c->min_se_s);
}

static uint32_t wanted(const struct session_config *c, const struct session_timer *t) {
    return larger(t->expires_s ? t->expires_s : c->expires_s, t->min_se_s);
}

/* In a dialog the roles stay as they are (section 7.4): of this request we are the UAC. */
void session_put_request(struct sbuf *b, const struct session_config *c, const struct session_timer *t, bool first) {
    enum session_by who = t->ours ? SESSION_BY_UAC : SESSION_BY_UAS;
    if (!t->expires_s && !(c->expires_s && (first || c->refresher == SESSION_US)))
        return;
    if (!t->expires_s)
        who = c->refresher == SESSION_US     ? SESSION_BY_UAC
              : c->refresher == SESSION_PEER ? SESSION_BY_UAS
                                             : SESSION_BY_NOBODY;
    put_expires(b, wanted(c, t), who);
    if (larger(c->min_se_s, t->min_se_s) > SESSION_MIN_SE)
        sip_put_hdr_u64(b, SL("Min-SE"), larger(c->min_se_s, t->min_se_s));
}

/* Never more than the request says, never less than its Min-SE or ours (section 9). */
static uint32_t interval_for(const struct session_config *c, uint32_t asked, uint32_t min_se) {
    uint32_t least = larger(larger(min_se, c->min_se_s), 1);
    uint32_t mine = larger(c->expires_s ? c->expires_s : asked, least);
    return !asked || mine < asked ? mine : asked;
}

struct session_asked session_asked(const struct sip_msg *request, bool knows) {
    struct session_header h = header_of(request);
    return (struct session_asked){
        .expires_s = h.expires,
        .min_se_s = min_se_of(request),
        .refresher = (uint8_t)h.refresher,
        .knows = knows,
    };
}

void session_answer(struct sbuf *b, const struct session_config *c, struct session_timer *t,
                    const struct session_asked *asked) {
    bool had = t->expires_s && asked->refresher == SESSION_BY_NOBODY;
    bool ours = asked->refresher == SESSION_BY_UAS || (had ? t->ours : c->refresher == SESSION_US);
    t->ours = !asked->knows || (asked->refresher != SESSION_BY_UAC && ours);
    if (!asked->expires_s && (!c->expires_s || (!asked->knows && c->refresher != SESSION_US))) {
        t->expires_s = 0;
        t->ours = false;
        return;
    }
    t->expires_s = interval_for(c, asked->expires_s, asked->min_se_s);
    put_expires(b, t->expires_s, t->ours ? SESSION_BY_UAS : SESSION_BY_UAC);
    if (!t->ours)
        sbuf_lit(b, "Require: timer\r\n");
}

void session_answered(const struct session_config *c, struct session_timer *t, const struct sip_msg *response) {
    struct session_header h = header_of(response);
    if (h.expires) {
        /* Shorter than anybody may ask for: an error of the peer, which is not to make us busy. */
        t->expires_s = larger(h.expires, c->min_se_s ? c->min_se_s : 1);
        t->ours = h.refresher != SESSION_BY_UAS;
    } else {
        t->expires_s = c->refresher == SESSION_US && c->expires_s ? wanted(c, t) : 0;
        t->ours = t->expires_s != 0;
    }
}

bool session_raise(const struct session_config *c, struct session_timer *t, const struct sip_msg *response) {
    uint32_t min_se = min_se_of(response);
    if (min_se <= wanted(c, t) || min_se > SESSION_EXPIRES_MAX)
        return false;
    t->min_se_s = min_se;
    return true;
}

uint32_t session_refresh_after(const struct session_timer *t) {
    return t->expires_s > 1 ? t->expires_s / 2 : 1;
}

uint32_t session_end_after(const struct session_timer *t) {
    uint32_t third = t->expires_s / 3, margin = third < 32 ? third : 32;
    return larger(t->expires_s - margin, 1);
}
