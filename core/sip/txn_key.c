/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_key: what a transaction is found by. Each key begins with a letter of its own, and each piece with its length,
 * so that no two kinds of key and no two splits of the same bytes meet. Branches compare with case: senders that
 * count in base64 make branches that differ in nothing else.
 */
#include "core/sip/branch.h"
#include "core/sip/txn_table.h"

static void key_begin(struct siphash *h, const struct txn_layer *l, char letter) {
    siphash_init(h, l->key, true);
    siphash_add(h, &letter, 1);
}

static void key_u32(struct siphash *h, uint32_t v) {
    siphash_add(h, &v, sizeof v);
}

static void key_add(struct siphash *h, struct slice s) {
    key_u32(h, s.n);
    siphash_add(h, s.p, s.n);
}

static void key_add_lower(struct siphash *h, struct slice s) {
    uint8_t piece[64];
    key_u32(h, s.n);
    while (s.n) {
        uint32_t n = s.n < sizeof piece ? s.n : (uint32_t)sizeof piece;
        for (uint32_t i = 0; i < n; i++)
            piece[i] = ascii_lower((uint8_t)s.p[i]);
        siphash_add(h, piece, n);
        s = slice_of(s.p + n, s.n - n);
    }
}

struct key128 txn_key_client(const struct txn_layer *l, struct slice branch, struct slice method_name) {
    struct siphash h;
    key_begin(&h, l, 'c');
    key_add(&h, method_name);
    key_add(&h, branch);
    return siphash_end(&h);
}

/* RFC 2543: Request-URI, From tag, Call-ID, CSeq, top Via; and the To tag, but not for the INVITE's key, since its
 * ACK carries the tag of the response and not that of the INVITE. */
static struct key128 legacy_key(const struct txn_layer *l, const struct sip_msg *msg, struct slice method_name) {
    struct siphash h;
    key_begin(&h, l, 'o');
    key_add(&h, method_name);
    key_add(&h, msg->ruri_text);
    key_add(&h, msg->from_tag);
    key_add(&h, msg->call_id);
    key_u32(&h, msg->cseq);
    key_add(&h, msg->via.value);
    if (!slice_eq(method_name, SL("INVITE")))
        key_add(&h, msg->to_tag);
    return siphash_end(&h);
}

struct key128 txn_key_server(const struct txn_layer *l, const struct sip_msg *msg, struct slice method_name) {
    struct siphash h;
    if (!branch_is_3261(msg->via.branch))
        return legacy_key(l, msg, method_name);
    key_begin(&h, l, 's');
    key_add(&h, method_name);
    key_add(&h, msg->via.branch);
    key_add_lower(&h, msg->via.sent_by.host);
    key_u32(&h, msg->via.sent_by.port);
    return siphash_end(&h);
}

struct key128 txn_key_merge(const struct txn_layer *l, const struct sip_msg *msg) {
    struct siphash h;
    key_begin(&h, l, 'm');
    key_add(&h, msg->from_tag);
    key_add(&h, msg->call_id);
    key_u32(&h, msg->cseq);
    key_add(&h, msg->cseq_method_name);
    return siphash_end(&h);
}
