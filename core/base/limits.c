/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * No code: the bounds of core/base that must agree with each other, checked by the compiler.
 */
#include "core/base/limits.h"

#include "core/base/buf.h"
#include "core/base/map.h"
#include "core/base/outbox.h"
#include "core/base/strs.h"
#include "core/base/trace.h"
#include "core/base/wheel.h"

_Static_assert(LIMIT_BUCKETS <= 1 << (4 * LIMIT_BUCKET_DIGITS), "a bucket is written in that many hex digits");
_Static_assert(LIMIT_BUCKETS - 1 <= UINT16_MAX, "struct store_op holds a bucket in 16 bits");

_Static_assert(LIMIT_LEGS_PER_CALL >= 4, "an attended transfer joined: two parties, consultation, target");
_Static_assert(LIMIT_LEGS_PER_CALL < 16, "one hex digit of the token");
_Static_assert(LIMIT_LEGS_PER_CALL < 0xff, "0xff says `none` in struct trace_line");
/* A BYE and the end of two streams for each leg, one record: a whole call must be able to end in one step. */
_Static_assert(LIMIT_LEGS_PER_CALL * 3 + 1 <= OUTBOX_MAX / 4, "four calls may end in one step");
_Static_assert(LIMIT_BINDINGS_PER_AOR <= OUTBOX_MAX / 4, "a request may fork to every binding in one step");
_Static_assert(LIMIT_HOPS_MAX <= 255, "Max-Forwards is 0 to 255 (RFC 3261 section 20.22)");
_Static_assert((UINT64_C(1) << 31) / LIMIT_TXN_PER_CALL > LIMIT_CALLS_DEFAULT, "transactions are counted in 32 bits");

_Static_assert(SIP_T1_US <= SIP_T2_US && SIP_T2_US <= SIP_T4_US, "RFC 3261 table 4");
_Static_assert(SIP_64_T1_US == 32000000, "timers B, F, H and J are 32 s");
_Static_assert(SIP_TIMER_D_US >= 32000000, "RFC 3261 section 17.1.1.2");
_Static_assert(SIP_TIMER_C_US > 180000000, "RFC 3261 section 16.6, item 11");
_Static_assert(SIP_PROVISIONAL_US < SIP_TIMER_C_US, "a repeated provisional response keeps Timer C from firing");
_Static_assert(SIP_TRYING_US < SIP_T1_US, "the 100 leaves before the INVITE is sent again");
_Static_assert(SIP_TIMER_C_US <= INT32_MAX, "all of them fit an int, so that macros need no suffix");

_Static_assert(STRS_FIELDS <= 32, "struct strs keeps a bit for each field in 32 bits");
_Static_assert(OUTBOX_MAX >= 64, "one step must be able to end a call with all its forks");
_Static_assert(TRACE_DETAIL_MAX <= UINT16_MAX && sizeof(struct trace_line) <= 256, "four cache lines a trace line");
_Static_assert(sizeof(struct wheel_node) <= 64, "a node fits a cache line");
_Static_assert(sizeof(struct map_slot) == 24, "no padding in the hottest table");
