/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_simd by AVX2; included by sip_simd.h.
 */
#ifndef REFEREE_PARSER_SIP_SIMD_AVX2_H
#define REFEREE_PARSER_SIP_SIMD_AVX2_H

struct half {
    __m256i v;
};
struct win {
    struct half lo, hi;
};

ALWAYS __m256i load_32(const char *p) {
    __m256i v;
    __asm__("vmovdqu %1, %0" : "=x"(v) : "m"(*(const __m256i_u *)p));
    return v;
}
/* All 32 bytes are the caller's. */
ALWAYS struct half half_load_whole(const char *p) {
    return (struct half){ load_32(p) };
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
    return (struct win){ { load_32(p) }, { load_32(p + 32) } };
}
ALWAYS struct win win_load(const char *p, uint32_t n) {
    if (__builtin_expect(leaves_page(p, 64), 0)) {
        char copy[64];
        copy_bytes(copy, p, n, sizeof copy);
        return (struct win){ { _mm256_loadu_si256((const __m256i_u *)copy) },
                             { _mm256_loadu_si256((const __m256i_u *)(copy + 32)) } };
    }
    return win_load_whole(p);
}
/* The first four of them as a number. */
ALWAYS uint32_t win_first_4(struct win w) {
    return (uint32_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(w.lo.v));
}

ALWAYS uint32_t mask_of(__m256i v) {
    return (uint32_t)_mm256_movemask_epi8(v);
}
ALWAYS uint64_t join(uint32_t lo, uint32_t hi) {
    return lo | (uint64_t)hi << 32;
}

/* By one load: left alone, the compiler makes a constant of equal bytes anew each time, in three instructions. */
ALWAYS __m256i equal_bytes(char c) {
    __m256i v;
    __asm__("vpbroadcastd %1, %0" : "=x"(v) : "m"(sip_equal_bytes[(uint8_t)c]));
    return v;
}

ALWAYS uint32_t half_eq(struct half h, char c) {
    return mask_of(_mm256_cmpeq_epi8(h.v, equal_bytes(c)));
}
ALWAYS uint64_t win_eq(struct win w, char c) {
    __m256i all = equal_bytes(c);
    return join(mask_of(_mm256_cmpeq_epi8(w.lo.v, all)), mask_of(_mm256_cmpeq_epi8(w.hi.v, all)));
}

/* 64 CRs and the LFs behind them, 65 bytes that all are the caller's: the CRs, and whether one of the two is alone. */
struct line_ends {
    __m256i lo, hi, alone;
};
ALWAYS struct line_ends line_ends_load(const char *p) {
    const __m256i_u *v = (const __m256i_u *)p, *behind = (const __m256i_u *)(p + 1);
    __m256i cr = equal_bytes('\r'), lf = equal_bytes('\n');
    __m256i lo = _mm256_cmpeq_epi8(_mm256_loadu_si256(v), cr);
    __m256i hi = _mm256_cmpeq_epi8(_mm256_loadu_si256(v + 1), cr);
    __m256i lo_alone = _mm256_xor_si256(lo, _mm256_cmpeq_epi8(_mm256_loadu_si256(behind), lf));
    __m256i hi_alone = _mm256_xor_si256(hi, _mm256_cmpeq_epi8(_mm256_loadu_si256(behind + 1), lf));
    return (struct line_ends){ lo, hi, _mm256_or_si256(lo_alone, hi_alone) };
}
ALWAYS bool line_ends_alone(struct line_ends at) {
    return !_mm256_testz_si256(at.alone, at.alone);
}
ALWAYS uint64_t line_ends_mask(struct line_ends at) {
    return join(mask_of(at.lo), mask_of(at.hi));
}

ALWAYS uint32_t not_in_class(__m256i v, __m256i lower, __m256i upper) {
    const __m256i nibble = equal_bytes(15);
    __m256i by_lower = _mm256_shuffle_epi8(lower, _mm256_and_si256(v, nibble));
    __m256i by_upper = _mm256_shuffle_epi8(upper, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
    return mask_of(_mm256_cmpeq_epi8(_mm256_and_si256(by_lower, by_upper), _mm256_setzero_si256()));
}
#define CLASS(name, LUT)                                                                                 \
    ALWAYS uint32_t half_not_##name(struct half h) {                                                     \
        return not_in_class(h.v, _mm256_setr_epi8(LUT##_LOWER, LUT##_LOWER),                             \
                            _mm256_setr_epi8(LUT##_UPPER, LUT##_UPPER));                                 \
    }                                                                                                    \
    ALWAYS uint64_t win_not_##name(struct win w) {                                                       \
        return join(half_not_##name(w.lo), half_not_##name(w.hi));                                       \
    }
CLASS(name, LUT_NAME)
CLASS(value, LUT_VALUE)
CLASS(uri, LUT_URI)
#undef CLASS

/* As signed numbers 8-bit bytes are below all others. */
ALWAYS __m256i not_visible(__m256i v) {
    return _mm256_or_si256(_mm256_cmpgt_epi8(equal_bytes('!'), v), _mm256_cmpeq_epi8(v, equal_bytes(0x7f)));
}
ALWAYS uint64_t win_not_visible(struct win w) {
    return join(mask_of(not_visible(w.lo.v)), mask_of(not_visible(w.hi.v)));
}

/* Bytes that differ from `lower`, letters without case: bit 6 tells letters, it becomes bit 5, the case. */
ALWAYS uint32_t half_differs(struct half h, const char *lower) {
    __m256i case_bit = _mm256_and_si256(_mm256_srli_epi16(h.v, 1), equal_bytes(0x20));
    __m256i lowered = _mm256_or_si256(h.v, case_bit);
    return ~mask_of(_mm256_cmpeq_epi8(lowered, _mm256_loadu_si256((const __m256i_u *)lower)));
}

ALWAYS void half_clear(char *p) {
    _mm256_storeu_si256((__m256i_u *)p, _mm256_setzero_si256());
}

#endif
