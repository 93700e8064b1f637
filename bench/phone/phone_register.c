/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/phone/phone_int.h"

/* REGISTER of one binding (RFC 3261 section 10.2): same Call-ID, rising CSeq. */
int phone_register(struct phone *ph, uint32_t expires) {
    char mem[PHONE_TEXT_MAX], host[64];
    struct sbuf uri = sbuf_on(mem, sizeof mem), via = sbuf_on(host, sizeof host);
    struct addr dest;
    sbuf_lit(&uri, "sip:");
    sbuf_str(&uri, ph->config.domain);
    addr_put(&via, &ph->config.local);
    if (!uri_dest(ph, sbuf_slice(&uri), &dest))
        return -1;
    int k = txn_new(ph, true, SIP_M_REGISTER, -1);
    if (k < 0)
        return -1;
    struct phone_txn *t = &ph->txns[k];
    t->peer = ph->config.proxy.family != ADDR_NONE ? ph->config.proxy : dest;
    struct sbuf b = sbuf_on(t->request, sizeof t->request);
    t->cseq = ++ph->register_cseq;
    ph->register_expires = expires;
    sip_put_request(&b, SL("REGISTER"), sbuf_slice(&uri));
    sip_put_via(&b, SIP_UDP, sbuf_slice(&via), phone_text_slice(&t->branch));
    sip_put_hdr_u64(&b, SL("Max-Forwards"), 70);
    sip_put_from_to(&b, SL("From"), phone_text_slice(&ph->aor), phone_text_slice(&ph->register_tag));
    sip_put_from_to(&b, SL("To"), phone_text_slice(&ph->aor), SLICE_NONE);
    sip_put_hdr(&b, SL("Call-ID"), phone_text_slice(&ph->register_call_id));
    sip_put_cseq(&b, t->cseq, SL("REGISTER"));
    sip_put_hdr(&b, SL("Contact"), phone_text_slice(&ph->contact));
    sip_put_hdr_u64(&b, SL("Expires"), expires);
    put_capabilities(ph, &b);
    sip_put_body(&b, SLICE_NONE, SLICE_NONE);
    txn_send_request(ph, k, &b, 0);
    return 0;
}

void register_on_response(struct phone *ph, int txn, const struct sip_msg *m) {
    (void)txn;
    if (m->status < 200)
        return;
    enum phone_event_kind kind = PHONE_EV_REGISTER_FAILED;
    if (m->status < 300)
        kind = ph->register_expires ? PHONE_EV_REGISTERED : PHONE_EV_UNREGISTERED;
    phone_push(ph, (struct phone_event){ .kind = kind, .dialog = -1, .status = m->status });
}
