/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The fast parsers for CPUs with AVX-512 BW and VL; the Makefile sets the flags.
 */
#ifdef __x86_64__
#define FAST_OPS sip_ops_avx512
#include "parser/sip_fast_ops.h"
#endif
