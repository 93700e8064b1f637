/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Writing: what a leg sends out of its state, into a send buffer, with the branch's SipHash.
 */
#include "bench/parse/bench.h"

#include "core/sip/dialog.h"
#include "core/sip/uas.h"

#include <stdio.h>
#include <stdlib.h>

static struct ua ua;
static struct buf_pool pool;
static struct dialog dialog;
static struct sip_msg invite;
static const struct addr peer = { .ip = { 192, 0, 2, 9 }, .port = 5062, .family = ADDR_V4 };

static void make_pool(void) {
    static const uint32_t count[BUF_CLASSES] = { 16, 16, 16, 4, 1, 1 };
    struct arena a;
    arena_init(&a, NULL, 0);
    buf_pool_init(&pool, &a, count);
    size_t need = a.used;
    void *mem = aligned_alloc(64, (need + 63) / 64 * 64);
    arena_init(&a, mem, need);
    buf_pool_init(&pool, &a, count);
}

bool writers_begin(struct slice invite_bytes) {
    struct sip_fault fault;
    make_pool();
    ua.bufs = &pool;
    ua.sent_by = SL("192.0.2.1:5060");
    ua.host = SL("192.0.2.1");
    ua.agent = SL("referee");
    return sip_parse(invite_bytes, &invite, &fault) > 0 &&
           dialog_init_uas(&dialog, &ua, &invite, SL("rf01a7c4b1e5d20f9a3377c1"), &peer, &peer);
}

static uint32_t send_request(const struct dialog_request *r) {
    char mem[DIALOG_BRANCH_MAX];
    struct slice branch;
    struct buf *b = dialog_build(&dialog, &ua, r, mem, &branch);
    uint32_t n = b ? b->len : 0;
    buf_unref(&pool, &b);
    return n;
}

static uint32_t write_bye(void) {
    return send_request(&(struct dialog_request){ .method = SL("BYE"), .cseq = 1000, .max_forwards = 70 });
}

static uint32_t write_invite(void) {
    return send_request(&(struct dialog_request){ .method = SL("INVITE"), .cseq = 1001, .max_forwards = 70,
                                                  .contact = true, .content_type = SL("application/sdp"),
                                                  .body = invite.body });
}

static uint32_t respond(const struct uas_response *r) {
    struct buf *b = uas_build(&ua, &invite, &peer, r);
    uint32_t n = b ? b->len : 0;
    buf_unref(&pool, &b);
    return n;
}

static uint32_t write_100(void) {
    return respond(&(struct uas_response){ .status = 100 });
}

static uint32_t write_200(void) {
    return respond(&(struct uas_response){ .status = 200, .to_tag = SL("rf01a7c4b1e5d20f9a3377c1"),
                                           .contact_user = SL("rf01a7c4b1e5d20f9a3377c1"),
                                           .content_type = SL("application/sdp"), .body = invite.body });
}

const struct writer writers[] = {
    { "write BYE", write_bye },
    { "write INVITE with SDP", write_invite },
    { "write 100", write_100 },
    { "write 200 with SDP", write_200 },
};
const unsigned writer_count = sizeof writers / sizeof *writers;
