/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * txn_key: what a transaction is found by. Each key of what a peer chose begins with a letter of its own and the
 * lengths of its pieces, so that no two kinds of key and no two splits of the same bytes meet. Branches compare with
 * case: senders that count in base64 make branches that differ in nothing else.
 */
#include "core/base/own_hash.h"
#include "core/sip/branch.h"
#include "core/sip/txn_table.h"

/* Whole words, so that the first piece is aligned for the hash. The last piece's length is what remains. */
struct key_head {
    uint32_t number;
    uint16_t letter;
    uint16_t lengths[5];
};

static struct slice head_slice(const struct key_head *head) {
    return slice_of((const char *)head, sizeof *head);
}

/* The branch is ours, or nobody's. Methods that have no number of their own go by name. */
struct key128 txn_key_client(const struct txn_layer *l, struct slice branch, enum sip_method method,
                             struct slice method_name) {
    struct own_hash h = own_hash_begin(l->key);
    own_hash_word(&h, (uint64_t)method);
    own_hash_add(&h, branch);
    if (method == SIP_M_UNKNOWN)
        own_hash_add(&h, method_name);
    return own_hash_end(h);
}

/* RFC 2543: Request-URI, From tag, Call-ID, CSeq, top Via; and the To tag, but not for the INVITE's key, since its
 * ACK carries the tag of the response and not that of the INVITE. */
static struct key128 legacy_key(const struct txn_layer *l, const struct sip_msg *msg, struct slice method_name) {
    struct slice to_tag = slice_eq(method_name, SL("INVITE")) ? SLICE_NONE : msg->to_tag;
    struct key_head head = {
        .letter = 'o',
        .number = msg->cseq,
        .lengths = { (uint16_t)msg->ruri_text.n, (uint16_t)msg->from_tag.n, (uint16_t)msg->call_id.n,
                     (uint16_t)msg->via.value.n, (uint16_t)to_tag.n },
    };
    struct slice pieces[] = { head_slice(&head), msg->ruri_text, msg->from_tag, msg->call_id,
                              msg->via.value,    to_tag,         method_name };
    return siphash128_quick_pieces(l->key, pieces, 7);
}

/* The host without case: cut, where it is longer than any that resolves; its length is in the head. */
static struct slice lower_host(struct slice host, char *room, uint32_t size) {
    uint32_t n = host.n < size ? host.n : size;
    for (uint32_t i = 0; i < n; i++)
        room[i] = (char)ascii_lower((uint8_t)host.p[i]);
    return slice_of(room, n);
}

struct key128 txn_key_server(const struct txn_layer *l, const struct sip_msg *msg, struct slice method_name) {
    char room[256];
    struct slice host = lower_host(msg->via.sent_by.host, room, sizeof room);
    if (!branch_is_3261(msg->via.branch))
        return legacy_key(l, msg, method_name);
    struct key_head head = {
        .letter = 's',
        .number = msg->via.sent_by.port,
        .lengths = { (uint16_t)msg->via.branch.n, (uint16_t)msg->via.sent_by.host.n },
    };
    struct slice pieces[] = { head_slice(&head), msg->via.branch, host, method_name };
    return siphash128_quick_pieces(l->key, pieces, 4);
}

uint64_t txn_key_merge(const struct txn_layer *l, const struct sip_msg *msg) {
    struct key_head head = {
        .letter = 'm',
        .number = msg->cseq,
        .lengths = { (uint16_t)msg->call_id.n, (uint16_t)msg->from_tag.n },
    };
    struct slice pieces[] = { head_slice(&head), msg->call_id, msg->from_tag, msg->cseq_method_name };
    return siphash128_quick_pieces(l->key, pieces, 4).a;
}
