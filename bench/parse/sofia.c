/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Sofia-SIP's parser: everything with the message, but Refer-To's headers.
 */
#include "bench/parse/rivals.h"

#include <sofia-sip/msg.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/url.h>

static msg_t *message;

static void take_url(const url_t *u, struct slice *user, struct slice *host, uint16_t *port) {
    *user = text_of(u->url_user);
    *host = text_of(u->url_host);
    if (port)
        *port = (uint16_t)number_of(u->url_port);
}

static void take_refer(const sip_refer_to_t *refer, struct fields *out) {
    const char *query = refer->r_url->url_headers;
    take_url(refer->r_url, &out->refer_user, &out->refer_host, NULL);
    if (!query || strncmp(query, "Replaces=", 9) != 0)
        return;
    size_t n = strlen(query + 9);
    if (n >= sizeof out->rep_mem)
        return;
    url_unescape(out->rep_mem, query + 9);
    replaces_split(slice_str(out->rep_mem), out);
}

static void take_dialog(const sip_t *sip, struct fields *out) {
    take_url(sip->sip_from->a_url, &out->from_user, &out->from_host, NULL);
    take_url(sip->sip_to->a_url, &out->to_user, &out->to_host, NULL);
    out->from_tag = text_of(sip->sip_from->a_tag);
    out->to_tag = text_of(sip->sip_to->a_tag);
    out->call_id = text_of(sip->sip_call_id->i_id);
    out->cseq = sip->sip_cseq->cs_seq;
    out->cseq_method = text_of(sip->sip_cseq->cs_method_name);
}

/* "SIP/2.0/UDP" -> "UDP"; "application/sdp" is split by the caller of strchr. */
static struct slice behind_last_slash(const char *s) {
    const char *slash = s ? strrchr(s, '/') : NULL;
    return slash ? text_of(slash + 1) : SLICE_NONE;
}

static bool decode(struct slice bytes, struct fields *out) {
    memset(out, 0, offsetof(struct fields, rep_mem));
    message = msg_make(sip_default_mclass(), 0, bytes.p, (ssize_t)bytes.n);
    const sip_t *sip = message ? sip_object(message) : NULL;
    if (!sip || sip->sip_error || !sip->sip_via || !sip->sip_from || !sip->sip_to || !sip->sip_call_id ||
        !sip->sip_cseq)
        return false;
    out->is_request = sip->sip_request != NULL;
    if (sip->sip_request) {
        out->method = text_of(sip->sip_request->rq_method_name);
        take_url(sip->sip_request->rq_url, &out->ruri_user, &out->ruri_host, &out->ruri_port);
    } else if (sip->sip_status) {
        out->status = (uint16_t)sip->sip_status->st_status;
    }
    out->via_transport = behind_last_slash(sip->sip_via->v_protocol);
    out->via_host = text_of(sip->sip_via->v_host);
    out->via_port = (uint16_t)number_of(sip->sip_via->v_port);
    out->via_branch = text_of(sip->sip_via->v_branch);
    take_dialog(sip, out);
    if (sip->sip_contact)
        take_url(sip->sip_contact->m_url, &out->contact_user, &out->contact_host, &out->contact_port);
    out->max_forwards = sip->sip_max_forwards ? (int32_t)sip->sip_max_forwards->mf_count : -1;
    out->content_length = sip->sip_content_length ? (int32_t)sip->sip_content_length->l_length : -1;
    if (sip->sip_content_type && sip->sip_content_type->c_subtype) {
        const char *type = sip->sip_content_type->c_type;
        out->subtype = text_of(sip->sip_content_type->c_subtype);
        out->type = slice_of(type, (size_t)(sip->sip_content_type->c_subtype - 1 - type));
    }
    if (sip->sip_refer_to)
        take_refer(sip->sip_refer_to, out);
    return true;
}

static void release(void) {
    msg_destroy(message);
    message = NULL;
}

static bool usable(void) {
    return true;
}

const struct contender sofia = { "sofia-sip", usable, decode, release };
