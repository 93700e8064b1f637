/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Views compared byte for byte, pointers included: what one path of the parser found against what the plain one did.
 */
#ifndef REFEREE_TESTS_SIP_SAME_H
#define REFEREE_TESTS_SIP_SAME_H

#include "parser/sip_path.h"

static inline bool same_slice(struct slice a, struct slice b) {
    return a.p == b.p && a.n == b.n;
}
static inline bool same_host(const struct sip_host *a, const struct sip_host *b) {
    return same_slice(a->host, b->host) && a->port == b->port && a->ipv6 == b->ipv6;
}
static inline bool same_uri(const struct sip_uri *a, const struct sip_uri *b) {
    return a->scheme == b->scheme && same_slice(a->whole, b->whole) && same_slice(a->user, b->user) &&
           same_slice(a->password, b->password) && same_host(&a->host, &b->host) && same_slice(a->params, b->params) &&
           same_slice(a->headers, b->headers);
}
static inline bool same_nameaddr(const struct sip_nameaddr *a, const struct sip_nameaddr *b) {
    return same_slice(a->display, b->display) && same_uri(&a->uri, &b->uri) && same_slice(a->params, b->params) &&
           same_slice(a->value, b->value) && a->brackets == b->brackets;
}
static inline bool same_via(const struct sip_via *a, const struct sip_via *b) {
    return a->transport == b->transport && same_slice(a->transport_name, b->transport_name) &&
           same_host(&a->sent_by, &b->sent_by) && same_slice(a->branch, b->branch) &&
           same_slice(a->received, b->received) && same_slice(a->rport, b->rport) && same_slice(a->value, b->value);
}
static inline bool same_contact(const struct sip_contact *a, const struct sip_contact *b) {
    return same_nameaddr(&a->addr, &b->addr) && a->star == b->star && a->expires == b->expires && a->q == b->q;
}
static inline bool same_headers(const struct sip_msg *a, const struct sip_msg *b) {
    if (a->header_count != b->header_count || memcmp(a->first, b->first, sizeof a->first) != 0)
        return false;
    for (unsigned i = 0; i < a->header_count; i++) {
        const struct sip_hdr *x = &a->headers[i], *y = &b->headers[i];
        if (!same_slice(x->name, y->name) || !same_slice(x->value, y->value) || x->id != y->id || x->next != y->next)
            return false;
    }
    return true;
}
static inline bool same_msg(const struct sip_msg *a, const struct sip_msg *b) {
    return a->is_request == b->is_request && a->method == b->method && same_slice(a->method_name, b->method_name) &&
           same_slice(a->ruri_text, b->ruri_text) && same_uri(&a->ruri, &b->ruri) && a->status == b->status &&
           same_slice(a->reason, b->reason) && same_via(&a->via, &b->via) && same_nameaddr(&a->from, &b->from) &&
           same_nameaddr(&a->to, &b->to) && same_slice(a->from_tag, b->from_tag) && same_slice(a->to_tag, b->to_tag) &&
           same_slice(a->call_id, b->call_id) && a->cseq == b->cseq && a->cseq_method == b->cseq_method &&
           same_slice(a->cseq_method_name, b->cseq_method_name) && a->max_forwards == b->max_forwards &&
           a->content_length == b->content_length && same_slice(a->content_type, b->content_type) &&
           same_slice(a->body, b->body) && same_slice(a->whole, b->whole) && same_headers(a, b);
}
static inline bool same_fault(const struct sip_fault *a, const struct sip_fault *b) {
    return a->error == b->error && a->offset == b->offset && a->status == b->status && a->hdr == b->hdr;
}

/* The path against the plain one: the bytes as a message, then as each thing that has a parser of its own. */
static inline bool same_parse(const struct sip_ops *path, struct slice bytes) {
    static struct sip_msg got, want;
    struct sip_fault got_fault, want_fault;
    const struct sip_ops *plain = sip_path_ops(SIP_PATH_PLAIN);
    /* What an earlier message left in the view must not show. */
    memset(&got, 0xa5, sizeof got);
    int32_t n = path->parse(bytes, &got, &got_fault), m = plain->parse(bytes, &want, &want_fault);
    return n == m && same_fault(&got_fault, &want_fault) && same_msg(&got, &want);
}
static inline bool same_values(const struct sip_ops *path, struct slice text) {
    const struct sip_ops *plain = sip_path_ops(SIP_PATH_PLAIN);
    struct sip_uri u, v;
    struct sip_nameaddr a, b;
    struct sip_contact c, d;
    struct sip_via x, y;
    bool same = path->uri(text, &u) == plain->uri(text, &v) && same_uri(&u, &v);
    same = same && path->nameaddr(text, &a) == plain->nameaddr(text, &b) && same_nameaddr(&a, &b);
    same = same && path->contact(text, &c) == plain->contact(text, &d) && same_contact(&c, &d);
    return same && path->via(text, &x) == plain->via(text, &y) && same_via(&x, &y);
}

#endif
