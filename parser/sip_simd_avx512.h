/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_simd by AVX-512: compares give masks at once; included by sip_simd.h.
 */
#ifndef REFEREE_PARSER_SIP_SIMD_AVX512_H
#define REFEREE_PARSER_SIP_SIMD_AVX512_H

struct half {
    __m256i v;
};
struct win {
    __m512i v;
};

/* All 32 bytes are the caller's. */
ALWAYS struct half half_load_whole(const char *p) {
    __m256i v;
    __asm__("vmovdqu8 %1, %0" : "=v"(v) : "m"(*(const __m256i_u *)p));
    return (struct half){ v };
}
ALWAYS struct half half_load(const char *p, uint32_t n) {
    if (__builtin_expect(leaves_page(p, 32), 0)) {
        char copy[32];
        copy_bytes(copy, p, n, sizeof copy);
        return (struct half){ _mm256_loadu_si256((const __m256i_u *)copy) };
    }
    return half_load_whole(p);
}
/* The first eight of them as a number. */
ALWAYS uint64_t half_first_8(struct half h) {
    return (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(h.v));
}
/* All 64 bytes are the caller's. */
ALWAYS struct win win_load_whole(const char *p) {
    __m512i v;
    __asm__("vmovdqu8 %1, %0" : "=v"(v) : "m"(*(const __m512i_u *)p));
    return (struct win){ v };
}
ALWAYS struct win win_load(const char *p, uint32_t n) {
    if (__builtin_expect(leaves_page(p, 64), 0)) {
        char copy[64];
        copy_bytes(copy, p, n, sizeof copy);
        return (struct win){ _mm512_loadu_si512(copy) };
    }
    return win_load_whole(p);
}
/* The first four of them as a number. */
ALWAYS uint32_t win_first_4(struct win w) {
    return (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(w.v));
}

/* By one load: left alone, the compiler makes a constant of equal bytes anew each time, in two instructions. */
ALWAYS __m512i equal_bytes(char c) {
    __m512i v;
    __asm__("vpbroadcastd %1, %0" : "=v"(v) : "m"(sip_equal_bytes[(uint8_t)c]));
    return v;
}
ALWAYS __m256i equal_bytes_half(char c) {
    return _mm512_castsi512_si256(equal_bytes(c));
}

ALWAYS uint32_t half_eq(struct half h, char c) {
    return _mm256_cmpeq_epi8_mask(h.v, equal_bytes_half(c));
}
ALWAYS uint64_t win_eq(struct win w, char c) {
    return _mm512_cmpeq_epi8_mask(w.v, equal_bytes(c));
}

/* 64 CRs and the LFs behind them, 65 bytes that all are the caller's: the CRs, and whether one of the two is alone. */
struct line_ends {
    uint64_t cr, lf;
};
ALWAYS struct line_ends line_ends_load(const char *p) {
    return (struct line_ends){ win_eq(win_load_whole(p), '\r'), win_eq(win_load_whole(p + 1), '\n') };
}
ALWAYS bool line_ends_alone(struct line_ends at) {
    return at.cr != at.lf;
}
ALWAYS uint64_t line_ends_mask(struct line_ends at) {
    return at.cr;
}

#define CLASS(name, LUT)                                                                                 \
    ALWAYS uint32_t half_not_##name(struct half h) {                                                     \
        const __m256i nibble = equal_bytes_half(15);                                                     \
        __m256i lower = _mm256_shuffle_epi8(_mm256_setr_epi8(LUT##_LOWER, LUT##_LOWER),                  \
                                            _mm256_and_si256(h.v, nibble));                              \
        __m256i upper = _mm256_shuffle_epi8(_mm256_setr_epi8(LUT##_UPPER, LUT##_UPPER),                  \
                                            _mm256_and_si256(_mm256_srli_epi16(h.v, 4), nibble));        \
        return _mm256_testn_epi8_mask(lower, upper);                                                     \
    }                                                                                                    \
    ALWAYS uint64_t win_not_##name(struct win w) {                                                       \
        const __m512i nibble = equal_bytes(15);                                                          \
        __m512i lower = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_setr_epi8(LUT##_LOWER)),          \
                                            _mm512_and_si512(w.v, nibble));                              \
        __m512i upper = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_setr_epi8(LUT##_UPPER)),          \
                                            _mm512_and_si512(_mm512_srli_epi16(w.v, 4), nibble));        \
        return _mm512_testn_epi8_mask(lower, upper);                                                     \
    }
CLASS(name, LUT_NAME)
CLASS(value, LUT_VALUE)
CLASS(uri, LUT_URI)
#undef CLASS

/* As signed numbers 8-bit bytes are below all others. */
ALWAYS uint64_t win_not_visible(struct win w) {
    return _mm512_cmplt_epi8_mask(w.v, equal_bytes('!')) | win_eq(w, 0x7f);
}

/* Bytes that differ from `lower`, letters without case: bit 6 tells letters, it becomes bit 5, the case. */
ALWAYS uint32_t half_differs(struct half h, const char *lower) {
    __m256i case_bit = _mm256_and_si256(_mm256_srli_epi16(h.v, 1), equal_bytes_half(0x20));
    __m256i lowered = _mm256_or_si256(h.v, case_bit);
    return _mm256_cmpneq_epi8_mask(lowered, _mm256_loadu_si256((const __m256i_u *)lower));
}

ALWAYS void half_clear(char *p) {
    _mm256_storeu_si256((__m256i_u *)p, _mm256_setzero_si256());
}

#endif
