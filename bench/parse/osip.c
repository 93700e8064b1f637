/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * libosip2's parser. It parses From, To, Via, CSeq and Contact with the message.
 */
#include "bench/parse/rivals.h"

#include <osipparser2/osip_parser.h>

static osip_message_t *message;

static void take_uri(const osip_uri_t *u, struct slice *user, struct slice *host, uint16_t *port) {
    if (!u)
        return;
    *user = text_of(u->username);
    *host = text_of(u->host);
    if (port)
        *port = (uint16_t)number_of(u->port);
}

static struct slice take_tag(osip_list_t *params) {
    osip_generic_param_t *tag = NULL;
    char name[] = "tag";
    osip_uri_param_get_byname(params, name, &tag);
    return tag ? text_of(tag->gvalue) : SLICE_NONE;
}

static void take_replaces(osip_uri_t *uri, struct fields *out) {
    osip_uri_header_t *header = NULL;
    struct sbuf text = sbuf_on(out->rep_mem, sizeof out->rep_mem);
    char name[] = "Replaces";
    osip_uri_param_get_byname(&uri->url_headers, name, &header);
    if (header && header->gvalue) {
        sbuf_str(&text, header->gvalue);
        replaces_split(sbuf_slice(&text), out);
    }
}

static void take_lazy(struct fields *out) {
    osip_contact_t *contact = NULL;
    osip_header_t *header = NULL;
    osip_from_t *refer = NULL;
    osip_message_get_contact(message, 0, &contact);
    if (contact)
        take_uri(contact->url, &out->contact_user, &out->contact_host, &out->contact_port);
    osip_message_header_get_byname(message, "max-forwards", 0, &header);
    out->max_forwards = header ? (int32_t)number_of(header->hvalue) : -1;
    header = NULL;
    osip_message_header_get_byname(message, "refer-to", 0, &header);
    if (!header || osip_from_init(&refer))
        return;
    if (osip_from_parse(refer, header->hvalue) == 0 && refer->url) {
        /* The fields outlive `refer`. */
        struct sbuf b = sbuf_on(out->rep_mem + 256, 256);
        struct slice user, host;
        take_replaces(refer->url, out);
        take_uri(refer->url, &user, &host, NULL);
        out->refer_user = keep(&b, user);
        out->refer_host = keep(&b, host);
    }
    osip_from_free(refer);
}

static bool decode(struct slice bytes, struct fields *out) {
    osip_via_t *via = NULL;
    osip_generic_param_t *branch = NULL;
    char name[] = "branch";
    memset(out, 0, offsetof(struct fields, rep_mem));
    if (osip_message_init(&message) || osip_message_parse(message, bytes.p, bytes.n))
        return false;
    if (!message->from || !message->to || !message->call_id || !message->cseq)
        return false;
    out->is_request = MSG_IS_REQUEST(message);
    out->status = (uint16_t)message->status_code;
    if (out->is_request)
        out->method = text_of(message->sip_method);
    take_uri(message->req_uri, &out->ruri_user, &out->ruri_host, &out->ruri_port);
    if (osip_message_get_via(message, 0, &via) < 0)
        return false;
    out->via_transport = text_of(via->protocol);
    out->via_host = text_of(via->host);
    out->via_port = (uint16_t)number_of(via->port);
    osip_uri_param_get_byname(&via->via_params, name, &branch);
    out->via_branch = branch ? text_of(branch->gvalue) : SLICE_NONE;
    take_uri(message->from->url, &out->from_user, &out->from_host, NULL);
    take_uri(message->to->url, &out->to_user, &out->to_host, NULL);
    out->from_tag = take_tag(&message->from->gen_params);
    out->to_tag = take_tag(&message->to->gen_params);
    static char call_id[1 << 16];
    struct sbuf b = sbuf_on(call_id, sizeof call_id);
    out->call_id = text_of(message->call_id->number);
    if (message->call_id->host) {
        out->call_id = keep(&b, out->call_id);
        sbuf_char(&b, '@');
        sbuf_str(&b, message->call_id->host);
        out->call_id.n = b.n;
    }
    out->cseq = number_of(message->cseq->number);
    out->cseq_method = text_of(message->cseq->method);
    out->content_length = message->content_length ? (int32_t)number_of(message->content_length->value) : -1;
    if (message->content_type) {
        out->type = text_of(message->content_type->type);
        out->subtype = text_of(message->content_type->subtype);
    }
    take_lazy(out);
    return true;
}

static void release(void) {
    osip_message_free(message);
    message = NULL;
}

static bool usable(void) {
    return parser_init() == 0;
}

const struct contender osip = { "libosip2", usable, decode, release };
