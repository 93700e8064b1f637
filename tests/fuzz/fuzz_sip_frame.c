/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A stream of any bytes: frames stay inside, a frame does not change when more bytes come, less of it is partial, and
 * what the message parser accepts of a frame is all of it.
 */
#include "core/base/check.h"
#include "parser/sip_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sip_msg msg;

static void check_frame(struct slice in, int32_t n, enum sip_frame_kind kind, uint32_t max) {
    enum sip_frame_kind again = SIP_FRAME_PONG;
    struct sip_fault fault;
    CHECK(n > 0 && (uint32_t)n <= in.n);
    if (kind == SIP_FRAME_PONG) {
        CHECK(n == 2);
        return;
    }
    CHECK(sip_frame(slice_of(in.p, (uint32_t)n), max, &again) == n && again == kind);
    CHECK(sip_frame(slice_of(in.p, (uint32_t)n - 1), max, &again) == SIP_PARTIAL);
    if (kind == SIP_FRAME_PING)
        return;
    CHECK((uint32_t)n <= max);
    int32_t got = sip_parse(slice_of(in.p, (uint32_t)n), &msg, &fault);
    CHECK(got == SIP_BAD || got == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    uint32_t max = data[0] & 1 ? SIP_MESSAGE_MAX : data[0] * 4u;
    struct slice rest = slice_of((const char *)data + 1, size - 1);
    for (;;) {
        enum sip_frame_kind kind = SIP_FRAME_MESSAGE;
        int32_t n = sip_frame(rest, max, &kind);
        if (n < 0) {
            CHECK(n == SIP_BAD || n == SIP_PARTIAL);
            return 0;
        }
        check_frame(rest, n, kind, max);
        rest = slice_of(rest.p + n, rest.n - (uint32_t)n);
    }
}
