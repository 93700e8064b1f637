/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The fast parsers for CPUs with AVX2 and BMI; the Makefile sets the flags.
 */
#ifdef __x86_64__
#define FAST_OPS sip_ops_avx2
#include "parser/sip_fast_ops.h"
#endif
