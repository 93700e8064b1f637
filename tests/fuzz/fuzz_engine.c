/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * One engine against anything: datagrams from four addresses, time that jumps, and phones that know their dialogs
 * (tests/unit/engine_walk.h). No CHECK may fail; transactions and transfers come to an end by themselves, and after
 * draining nothing is held and every buffer was given back.
 *
 * An input is a row of steps: a byte below 64 is a time jump, below 128 a datagram (from: the low bits; two bytes of
 * length, its bytes), else a phone's act, whose choices are the bytes that follow.
 */
#include "tests/unit/engine_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned take(struct walk *w) {
    if (w->left == 0)
        return 0;
    w->left--;
    return *w->data++;
}

static void datagram(struct walk *w, unsigned from) {
    size_t n = take(w) << 8;
    n |= take(w);
    n = n < w->left ? n : w->left;
    rig_recv(w->r, slice_of((const char *)w->data, n), walk_address(from % WALK_PHONES));
    w->data += n;
    w->left -= n;
    walk_collect(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct walk w;
    struct engine_config c;
    walk_config(&c);
    c.trace_level = TRACE_ERROR;
    struct rig *r = rig_new(&c);
    memset(&w, 0, sizeof w);
    w.mutate_percent = 1; /* what the phones are sent may be the refusal of what is malformed */
    walk_start(&w, r);
    w.data = data;
    w.left = size;
    for (unsigned steps = 0; w.left && steps < 400; steps++) {
        unsigned op = take(&w);
        if (op < 64) {
            rig_advance(r, (uint64_t)op * op * op * 200);
            walk_collect(&w);
        } else if (op < 128) {
            datagram(&w, op);
        } else {
            walk_step(&w);
        }
    }
    CHECK(walk_end(&w));
    rig_free(r);
    return 0;
}
