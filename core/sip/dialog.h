/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * dialog: RFC 3261 section 12. Identified by Call-ID, local tag and remote tag, all three, octet by octet. Its texts
 * lie in one strs, which the owner may extend with fields of its own from DLG_FIELDS on.
 */
#ifndef REFEREE_SIP_DIALOG_H
#define REFEREE_SIP_DIALOG_H

#include "core/base/strs.h"
#include "core/sip/ua.h"
#include "parser/sip_msg.h"

enum dialog_field {
    DLG_CALL_ID,
    DLG_LOCAL_TAG,  /* ours; also the user part of our Contact */
    DLG_REMOTE_TAG, /* absent: not known yet (UAC) or an RFC 2543 peer without tag */
    DLG_LOCAL_URI,  /* name-addr of our side, without tag */
    DLG_REMOTE_URI, /* name-addr of the other side, without tag */
    DLG_TARGET,     /* remote target: a URI */
    DLG_ROUTES,     /* route set, as a Route header value, in the order of sending; absent: empty */
    DLG_FIELDS
};

struct dialog {
    struct strs s;
    uint32_t local_cseq; /* of our last request */
    uint32_t remote_cseq;
    bool remote_cseq_known;
    bool uac;          /* we sent the INVITE */
    struct addr flow;  /* where the peer's last message came from, or the first one went to */
    struct addr local; /* our address of that flow; ADDR_NONE: any */
    struct siphash_key branch_seed;
};

/* Of a UAS: from the INVITE that makes it (section 12.1.1). False: no memory. */
bool dialog_init_uas(struct dialog *d, struct ua *ua, const struct sip_msg *invite, struct slice local_tag,
                     const struct addr *src, const struct addr *dst);

struct dialog_uac {
    struct slice call_id, local_tag;
    struct slice local_uri, remote_uri; /* name-addr */
    struct slice target;                /* Request-URI */
    struct slice routes;                /* preset route set, or absent */
    struct addr dst;
};
bool dialog_init_uac(struct dialog *d, struct ua *ua, const struct dialog_uac *u);
/* A response that makes or confirms it (section 12.1.2): remote tag, remote target, route set. */
bool dialog_from_response(struct dialog *d, struct ua *ua, const struct sip_msg *msg);
/* Target refresh (section 12.2): Contact of a re-INVITE, UPDATE or its 2xx. A message without Contact changes
 * nothing. */
bool dialog_refresh(struct dialog *d, struct ua *ua, const struct sip_msg *msg);
void dialog_free(struct dialog *d, struct ua *ua);
/* Derives branch_seed from DLG_LOCAL_TAG and the cluster's key: for a dialog made from its parts. */
void dialog_seed_branch(struct dialog *d, const struct ua *ua);

/* Tags of a request (from_remote) or of a response to ours; an RFC 2543 peer's missing tag equals an absent one. */
bool dialog_matches_request(const struct dialog *d, const struct sip_msg *msg);

/* Section 12.2.2: false: lower than the last one: 500. An equal one only for ACK and CANCEL. Accepting stores it. */
bool dialog_accept_cseq(struct dialog *d, const struct sip_msg *msg);

/* Where a request in the dialog goes: first route, else remote target; the flow where that is a name, or a private
 * address that the packets do not come from (a NATed phone's Contact). `ua` remembers what it has read. */
void dialog_next_hop(const struct dialog *d, struct ua *ua, struct addr *out);

struct dialog_request {
    struct slice method;
    uint32_t cseq;
    uint32_t attempt;
    uint32_t max_forwards;
    bool contact;       /* write Contact, Allow, Supported */
    bool no_rel100;     /* ... without 100rel */
    struct slice extra; /* header lines with CRLF, or absent */
    struct slice own;   /* more of them: those of the dialog itself */
    struct slice content_type;
    struct slice body;
};
#define DIALOG_BRANCH_MAX 128
/* A request of this dialog as bytes. Sets *branch (into `branch_mem`, DIALOG_BRANCH_MAX bytes). NULL: no buffer. */
struct buf *dialog_build(const struct dialog *d, struct ua *ua, const struct dialog_request *r, char *branch_mem,
                         struct slice *branch);

/* The Request-URI of its requests: the remote target, or a strict router's (section 12.2.1.1). */
struct slice dialog_request_uri(const struct dialog *d);

/* "name-addr" without header parameters: display and <uri>. */
void nameaddr_put_bare(struct sbuf *b, const struct sip_nameaddr *na);

#endif
