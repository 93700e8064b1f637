/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/rel100.h"

#include "parser/sip_hdr.h"

uint32_t rel100_rseq(const struct sip_msg *response) {
    uint64_t rseq;
    bool reliable = response->status > 100 && response->status < 200 && response->to_tag.p &&
                    sip_list_has(response, SIP_H_REQUIRE, SL("100rel"));
    return reliable && slice_u64(sip_hdr_value(response, SIP_H_RSEQ), UINT32_MAX, &rseq) ? (uint32_t)rseq : 0;
}

struct rel100_dialog *rel100_dialog(struct rel100_early *all, uint64_t tag) {
    for (uint32_t i = 0; i < all->n; i++)
        if (all->dialogs[i].tag == tag)
            return &all->dialogs[i];
    if (all->n == LIMIT_FORKS_PER_LEG)
        return NULL;
    struct rel100_dialog *d = &all->dialogs[all->n++];
    *d = (struct rel100_dialog){ .tag = tag };
    return d;
}

enum rel100_heard rel100_hear(struct rel100_dialog *d, uint32_t rseq) {
    if (d->rseq && rseq <= d->rseq)
        return REL100_AGAIN;
    if (d->rseq && rseq != d->rseq + 1)
        return REL100_GAP;
    d->rseq = rseq;
    return REL100_NEW;
}

void rel100_put_rack(struct sbuf *b, uint32_t rseq, uint32_t cseq) {
    sbuf_lit(b, "RAck: ");
    sbuf_u64(b, rseq);
    sbuf_char(b, ' ');
    sbuf_u64(b, cseq);
    sbuf_lit(b, " INVITE\r\n");
}

bool rel100_is_required(const struct sip_msg *invite) {
    return sip_list_has(invite, SIP_H_REQUIRE, SL("100rel"));
}

bool rel100_is_supported(const struct sip_msg *invite) {
    return sip_list_has(invite, SIP_H_SUPPORTED, SL("100rel")) || rel100_is_required(invite);
}

uint32_t rel100_first(struct rng *r) {
    return 1 + rng_below(r, INT32_MAX);
}

void rel100_put_rseq(struct sbuf *b, uint32_t rseq) {
    sbuf_lit(b, "Require: 100rel\r\nRSeq: ");
    sbuf_u64(b, rseq);
    sbuf_lit(b, "\r\n");
}

/* The next word of the value, behind any blanks. */
static struct slice word(struct slice *rest) {
    uint32_t i = 0, from;
    while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == '\t' || rest->p[i] == '\r' || rest->p[i] == '\n'))
        i++;
    for (from = i; i < rest->n && (uint8_t)rest->p[i] > ' ';)
        i++;
    struct slice w = slice_of(rest->p + from, i - from);
    *rest = slice_of(rest->p + i, rest->n - i);
    return w;
}

bool rel100_matches(const struct sip_msg *prack, uint32_t rseq, uint32_t invite_cseq) {
    struct slice rest = sip_hdr_value(prack, SIP_H_RACK);
    uint64_t r, c;
    if (!rest.p || !slice_u64(word(&rest), UINT32_MAX, &r) || !slice_u64(word(&rest), UINT32_MAX, &c))
        return false;
    return r == rseq && c == invite_cseq && slice_eq(word(&rest), SL("INVITE")) && !word(&rest).n;
}
