/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_key: what a transaction is found by. Each key begins with a letter of its own and the lengths of its pieces, so
 * that no two kinds of key and no two splits of the same bytes meet. Branches compare with case: senders that count in
 * base64 make branches that differ in nothing else.
 */
#include "core/sip/branch.h"
#include "core/sip/txn_table.h"

/* Whole words, so that the first piece is aligned for the hash. The last piece's length is what remains. */
struct key_head {
    uint32_t number;
    uint16_t letter;
    uint16_t lengths[5];
};

static void key_begin(struct siphash *h, const struct txn_layer *l, const struct key_head *head) {
    siphash_init_quick(h, l->key);
    siphash_add(h, head, sizeof *head);
}

static void key_add(struct siphash *h, struct slice s) {
    siphash_add(h, s.p, s.n);
}

static void key_add_lower(struct siphash *h, struct slice s) {
    uint8_t piece[64];
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
    key_begin(&h, l, &(struct key_head){ .letter = 'c', .lengths = { (uint16_t)branch.n } });
    key_add(&h, branch);
    key_add(&h, method_name);
    return siphash_end(&h);
}

/* RFC 2543: Request-URI, From tag, Call-ID, CSeq, top Via; and the To tag, but not for the INVITE's key, since its
 * ACK carries the tag of the response and not that of the INVITE. */
static struct key128 legacy_key(const struct txn_layer *l, const struct sip_msg *msg, struct slice method_name) {
    struct siphash h;
    struct slice to_tag = slice_eq(method_name, SL("INVITE")) ? SLICE_NONE : msg->to_tag;
    key_begin(&h, l, &(struct key_head){
        .letter = 'o',
        .number = msg->cseq,
        .lengths = { (uint16_t)msg->ruri_text.n, (uint16_t)msg->from_tag.n, (uint16_t)msg->call_id.n,
                     (uint16_t)msg->via.value.n, (uint16_t)to_tag.n },
    });
    key_add(&h, msg->ruri_text);
    key_add(&h, msg->from_tag);
    key_add(&h, msg->call_id);
    key_add(&h, msg->via.value);
    key_add(&h, to_tag);
    key_add(&h, method_name);
    return siphash_end(&h);
}

struct key128 txn_key_server(const struct txn_layer *l, const struct sip_msg *msg, struct slice method_name) {
    struct siphash h;
    struct slice host = msg->via.sent_by.host;
    if (!branch_is_3261(msg->via.branch))
        return legacy_key(l, msg, method_name);
    key_begin(&h, l, &(struct key_head){
        .letter = 's',
        .number = msg->via.sent_by.port,
        .lengths = { (uint16_t)msg->via.branch.n, (uint16_t)host.n },
    });
    key_add(&h, msg->via.branch);
    key_add_lower(&h, host);
    key_add(&h, method_name);
    return siphash_end(&h);
}

struct key128 txn_key_merge(const struct txn_layer *l, const struct sip_msg *msg) {
    struct siphash h;
    key_begin(&h, l, &(struct key_head){
        .letter = 'm',
        .number = msg->cseq,
        .lengths = { (uint16_t)msg->call_id.n, (uint16_t)msg->from_tag.n },
    });
    key_add(&h, msg->call_id);
    key_add(&h, msg->from_tag);
    key_add(&h, msg->cseq_method_name);
    return siphash_end(&h);
}
