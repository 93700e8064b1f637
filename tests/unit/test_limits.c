/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Bounds of the parser that must agree with those below it; what the compiler can tell, it is asked.
 */
#include "core/base/buf.h"
#include "core/base/limits.h"
#include "core/base/trace.h"
#include "parser/sdp.h"
#include "parser/sip_msg.h"
#include "tests/unit/unit.h"

_Static_assert(SDP_MEDIA_MAX == LIMIT_SDP_MEDIA, "one bound under two names");
_Static_assert(SIP_MESSAGE_MAX <= 65536, "a whole message fits the largest buffer");
_Static_assert(SIP_MESSAGE_MAX <= UINT16_MAX, "and its offsets 16 bits");
_Static_assert(SIP_HEADERS_MAX > 2 * LIMIT_HOPS_MAX, "a Via and a Record-Route of every hop");

#if LIMIT_BUCKETS != 4096 || SIP_T1_US != 500000 || SIP_64_T1_US != 32000000
#error "limits.h must be usable in #if"
#endif

static uint8_t memory[1 << 18] __attribute__((aligned(64)));

/* The class table of buf.c is its own: asked at run time. */
static void test_largest_buffer_holds_a_message(void) {
    const uint32_t counts[BUF_CLASSES] = { [BUF_CLASSES - 1] = 1 };
    struct buf_pool p;
    struct arena a;
    arena_init(&a, memory, sizeof memory);
    buf_pool_init(&p, &a, counts);
    struct buf *b = buf_get(&p, SIP_MESSAGE_MAX);
    CHECK_TRUE(b != NULL && b->cap >= SIP_MESSAGE_MAX);
    buf_unref(&p, &b);
}

int main(void) {
    return UNIT_RUN("limits", UNIT(test_largest_buffer_holds_a_message));
}
