/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/text.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A number of b bits has b * log10(2) digits, or one more; 1233 / 4096 is near enough. */
unsigned text_digits(uint64_t v) {
    static const uint64_t behind[TEXT_U64_MAX] = {
        0,
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1), digits = bits * 1233 >> 12;
    return digits + (v >= behind[digits]);
}

#define PAIRS(t) t "0" t "1" t "2" t "3" t "4" t "5" t "6" t "7" t "8" t "9"

static const char pairs[] = PAIRS("0") PAIRS("1") PAIRS("2") PAIRS("3") PAIRS("4") PAIRS("5") PAIRS("6") PAIRS("7")
    PAIRS("8") PAIRS("9");

char *text_decimal(char *to, uint64_t v, unsigned digits) {
    char *end = to + digits, *at = end;
    for (; v > UINT32_MAX; v /= 100)
        memcpy(at -= 2, pairs + 2 * (v % 100), 2);
    uint32_t w = (uint32_t)v;
    for (; w >= 100; w /= 100)
        memcpy(at -= 2, pairs + 2 * (w % 100), 2);
    if (w >= 10)
        memcpy(to, pairs + 2 * w, 2);
    else
        *to = (char)('0' + w);
    return end;
}

/* Each half byte goes to a byte of its own, the upper ones first. */
#ifdef __SSE2__
char *text_hex16(char *to, uint64_t v) {
    const __m128i low_half = _mm_set1_epi8(0x0f);
    __m128i bytes = _mm_cvtsi64_si128((long long)__builtin_bswap64(v));
    __m128i halves = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(bytes, 4), low_half),
                                       _mm_and_si128(bytes, low_half));
    __m128i letters = _mm_and_si128(_mm_cmpgt_epi8(halves, _mm_set1_epi8(9)), _mm_set1_epi8('a' - '0' - 10));
    _mm_storeu_si128((__m128i *)(void *)to, _mm_add_epi8(_mm_add_epi8(halves, _mm_set1_epi8('0')), letters));
    return to + 16;
}
#else
char *text_hex16(char *to, uint64_t v) {
    for (unsigned i = 0; i < 16; i++)
        to[i] = "0123456789abcdef"[v >> (60 - 4 * i) & 15];
    return to + 16;
}
#endif
