/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_simd: 32 or 64 bytes at once; bit i of a mask stands for byte i. Three twins of the same few functions, by what
 * the file is compiled for: AVX-512 (BW, VL), AVX2, SSE2. Only parser/sip_fast*.h include it.
 *
 * A load is given how many bytes are the caller's, one at least. It may read behind them, but never into another page
 * than theirs, so it cannot fault; what it finds there is cut off by the user of the mask. Near the end of a page, and
 * under a sanitizer always, the caller's bytes are copied and nothing else is read.
 *
 * The classes are narrower than those of sip_scan.h: a byte outside of them is not wrong, it is left to the plain
 * parsers.
 */
#ifndef REFEREE_PARSER_SIP_SIMD_H
#define REFEREE_PARSER_SIP_SIMD_H

#include "parser/sip_scan.h"

#include <immintrin.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIMD_EXACT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SIMD_EXACT 1
#endif
#endif
#ifndef SIMD_EXACT
#define SIMD_EXACT 0
#endif

#define PAGE_MIN 4096u            /* no x86-64 page is smaller */

#define ALWAYS static inline __attribute__((always_inline))

/* Reading `size` bytes at p could leave p's page. */
ALWAYS bool leaves_page(const char *p, uint32_t size) {
    return SIMD_EXACT || ((uintptr_t)p & (PAGE_MIN - 1)) > PAGE_MIN - size;
}

/* The lowest n bits, all when n is 64 or more. */
ALWAYS uint64_t low_bits(uint32_t n) {
#ifdef __BMI2__
    /* The instruction looks at 8 bits of n. */
    return _bzhi_u64(~(uint64_t)0, n < 64 ? n : 64);
#else
    return n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
#endif
}
/* The lowest n bits, n < 64. */
ALWAYS uint64_t below(uint32_t n) {
#ifdef __BMI2__
    return _bzhi_u64(~(uint64_t)0, n);
#else
    return ((uint64_t)1 << n) - 1;
#endif
}
/* Index of the lowest bit; 64: none. */
ALWAYS uint32_t first_bit(uint64_t mask) {
#ifdef __BMI__
    return (uint32_t)_tzcnt_u64(mask);
#else
    return mask ? (uint32_t)__builtin_ctzll(mask) : 64;
#endif
}

/* The byte for it, of those from p on. */
ALWAYS const char *at_first_bit(const char *p, uint64_t mask) {
#ifdef __BMI__
    return p + _tzcnt_u64(mask);
#else
    return p + first_bit(mask);
#endif
}

ALWAYS uint32_t count_bits(uint64_t mask) {
#ifdef __POPCNT__
    return (uint32_t)_mm_popcnt_u64(mask);
#else
    /* By pairs, fours, bytes; then all bytes are summed in the highest. */
    mask -= mask >> 1 & UINT64_C(0x5555555555555555);
    mask = (mask & UINT64_C(0x3333333333333333)) + (mask >> 2 & UINT64_C(0x3333333333333333));
    return (uint32_t)(((mask + (mask >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f)) * UINT64_C(0x0101010101010101) >> 56);
#endif
}

/* At most `size` bytes, the rest zero. Not inlined: it is the rare way. */
static __attribute__((noinline)) void copy_bytes(char *to, const char *p, uint32_t n, uint32_t size) {
    memset(to, 0, size);
    memcpy(to, p, n < size ? n : size);
}

/* The load itself hides from the compiler that it may go behind the object. */
ALWAYS __m128i load_16(const char *p) {
    __m128i v;
#ifdef __AVX__
    __asm__("vmovdqu %1, %0" : "=x"(v) : "m"(*(const __m128i_u *)p));
#else
    __asm__("movdqu %1, %0" : "=x"(v) : "m"(*(const __m128i_u *)p));
#endif
    return v;
}

/* 8 bytes as a little-endian number, what is behind n unknown. */
ALWAYS uint64_t load_8(const char *p, uint32_t n) {
    uint64_t v;
    if (__builtin_expect(leaves_page(p, 8), 0)) {
        char copy[8];
        copy_bytes(copy, p, n, 8);
        memcpy(&v, copy, 8);
    } else {
        __asm__("movq %1, %0" : "=r"(v) : "m"(*(const char(*)[8])p));
    }
    return v;
}

/* Classes:
 * name: letters, digits, - . _
 * value: visible ASCII but ! to , ; < = >   (of a parameter, without quotes)
 * uri: visible ASCII but < > "
 * visible: visible ASCII */

/* The first three by two tables of 16 bytes: the upper half of a byte tells the group of its row in the ASCII table,
 * its lower half the groups that have such a byte; it is of the class when they share one. 1: the row of SP, 2: of
 * the digits; for names 4: of A and a, 8: of P and p, 16: _ alone; for the others 4: of @ to o, 8: of p. */
#define LUT_NAME_LOWER 2 | 8, 14, 14, 14, 14, 14, 14, 14, 14, 14, 4 | 8, 4, 4, 1 | 4, 1 | 4, 4 | 16
#define LUT_NAME_UPPER 0, 0, 1, 2, 4, 8 | 16, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0
#define LUT_VALUE_LOWER 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 12, 12, 13, 13, 7
#define LUT_VALUE_UPPER 0, 0, 1, 2, 4, 4, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0
#define LUT_URI_LOWER 14, 15, 14, 15, 15, 15, 15, 15, 15, 15, 15, 15, 13, 15, 13, 7
#define LUT_URI_UPPER 0, 0, 1, 2, 4, 4, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#include "parser/sip_simd_avx512.h"
#elif defined(__AVX2__)
#include "parser/sip_simd_avx2.h"
#else
#include "parser/sip_simd_sse2.h"
#endif

/* `size` is a constant, 32 at least: without a call, and without the start-up time of a string instruction. */
ALWAYS void clear(void *p, size_t size) {
#pragma GCC unroll 32
    for (size_t i = 0; i + 32 <= size; i += 32)
        half_clear((char *)p + i);
    half_clear((char *)p + size - 32);
}

#endif
