/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_simd by SSE2, which every x86-64 has; included by sip_simd.h.
 */
#ifndef REFEREE_PARSER_SIP_SIMD_SSE2_H
#define REFEREE_PARSER_SIP_SIMD_SSE2_H

struct half {
    __m128i a, b;
};
struct win {
    struct half lo, hi;
};

/* All 32 bytes are the caller's. */
ALWAYS struct half half_load_whole(const char *p) {
    return (struct half){ load_16(p), load_16(p + 16) };
}
ALWAYS struct half half_load(const char *p, uint32_t n) {
    if (__builtin_expect(leaves_page(p, 32), 0)) {
        char copy[32];
        copy_bytes(copy, p, n, sizeof copy);
        const __m128i_u *v = (const __m128i_u *)copy;
        return (struct half){ _mm_loadu_si128(v), _mm_loadu_si128(v + 1) };
    }
    return half_load_whole(p);
}
/* The first eight of them as a number. */
ALWAYS uint64_t half_first_8(struct half h) {
    return (uint64_t)_mm_cvtsi128_si64(h.a);
}
/* All 64 bytes are the caller's. */
ALWAYS struct win win_load_whole(const char *p) {
    return (struct win){ { load_16(p), load_16(p + 16) }, { load_16(p + 32), load_16(p + 48) } };
}
ALWAYS struct win win_load(const char *p, uint32_t n) {
    if (__builtin_expect(leaves_page(p, 64), 0)) {
        char copy[64];
        copy_bytes(copy, p, n, sizeof copy);
        const __m128i_u *v = (const __m128i_u *)copy;
        return (struct win){ { _mm_loadu_si128(v), _mm_loadu_si128(v + 1) },
                             { _mm_loadu_si128(v + 2), _mm_loadu_si128(v + 3) } };
    }
    return win_load_whole(p);
}
/* The first four of them as a number. */
ALWAYS uint32_t win_first_4(struct win w) {
    return (uint32_t)_mm_cvtsi128_si32(w.lo.a);
}

ALWAYS uint32_t mask_of(__m128i a, __m128i b) {
    return (uint32_t)_mm_movemask_epi8(a) | (uint32_t)_mm_movemask_epi8(b) << 16;
}
ALWAYS uint64_t join(uint32_t lo, uint32_t hi) {
    return lo | (uint64_t)hi << 32;
}

ALWAYS uint32_t half_eq(struct half h, char c) {
    const __m128i v = _mm_set1_epi8(c);
    return mask_of(_mm_cmpeq_epi8(h.a, v), _mm_cmpeq_epi8(h.b, v));
}
ALWAYS uint64_t win_eq(struct win w, char c) {
    return join(half_eq(w.lo, c), half_eq(w.hi, c));
}

/* 64 CRs and the LFs behind them, 65 bytes that all are the caller's: the CRs, and whether one of the two is alone. */
struct line_ends {
    __m128i cr[4], alone;
};
ALWAYS struct line_ends line_ends_load(const char *p) {
    struct line_ends at = { .alone = _mm_setzero_si128() };
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        at.cr[i] = _mm_cmpeq_epi8(load_16(p + 16 * i), _mm_set1_epi8('\r'));
        __m128i lf = _mm_cmpeq_epi8(load_16(p + 16 * i + 1), _mm_set1_epi8('\n'));
        at.alone = _mm_or_si128(at.alone, _mm_xor_si128(at.cr[i], lf));
    }
    return at;
}
ALWAYS bool line_ends_alone(struct line_ends at) {
    return _mm_movemask_epi8(at.alone) != 0;
}
ALWAYS uint64_t line_ends_mask(struct line_ends at) {
    return join(mask_of(at.cr[0], at.cr[1]), mask_of(at.cr[2], at.cr[3]));
}

/* lo <= byte <= hi, both ASCII: as signed numbers 8-bit bytes are below both. */
ALWAYS __m128i between(__m128i v, char lo, char hi) {
    return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8((char)(lo - 1))),
                         _mm_cmpgt_epi8(_mm_set1_epi8((char)(hi + 1)), v));
}

ALWAYS __m128i is_name(__m128i v) {
    __m128i letters = between(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('/'));
    __m128i dash_to_9 = _mm_andnot_si128(slash, between(v, '-', '9'));
    return _mm_or_si128(_mm_or_si128(letters, dash_to_9), _mm_cmpeq_epi8(v, _mm_set1_epi8('_')));
}
ALWAYS uint32_t half_not_name(struct half h) {
    return ~mask_of(is_name(h.a), is_name(h.b));
}
ALWAYS uint64_t win_not_name(struct win w) {
    return join(half_not_name(w.lo), half_not_name(w.hi));
}

ALWAYS __m128i is_value(__m128i v) {
    return _mm_or_si128(between(v, '-', ':'), between(v, '?', '~'));
}
ALWAYS uint32_t half_not_value(struct half h) {
    return ~mask_of(is_value(h.a), is_value(h.b));
}
ALWAYS uint64_t win_not_value(struct win w) {
    return join(half_not_value(w.lo), half_not_value(w.hi));
}

ALWAYS __m128i is_uri(__m128i v) {
    __m128i angles = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('<')), _mm_cmpeq_epi8(v, _mm_set1_epi8('>')));
    __m128i other = _mm_or_si128(angles, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
    return _mm_andnot_si128(other, between(v, '!', '~'));
}
ALWAYS uint64_t win_not_uri(struct win w) {
    return ~join(mask_of(is_uri(w.lo.a), is_uri(w.lo.b)), mask_of(is_uri(w.hi.a), is_uri(w.hi.b)));
}

ALWAYS uint64_t win_not_visible(struct win w) {
    return ~join(mask_of(between(w.lo.a, '!', '~'), between(w.lo.b, '!', '~')),
                 mask_of(between(w.hi.a, '!', '~'), between(w.hi.b, '!', '~')));
}

/* Letters in lower case: bit 6 tells letters, it becomes bit 5, the case. */
ALWAYS __m128i lowered(__m128i v) {
    return _mm_or_si128(v, _mm_and_si128(_mm_srli_epi16(v, 1), _mm_set1_epi8(0x20)));
}
/* Bytes that differ from `lower`, letters without case. */
ALWAYS uint32_t half_differs(struct half h, const char *lower) {
    const __m128i_u *want = (const __m128i_u *)lower;
    return ~mask_of(_mm_cmpeq_epi8(lowered(h.a), _mm_loadu_si128(want)),
                    _mm_cmpeq_epi8(lowered(h.b), _mm_loadu_si128(want + 1)));
}

ALWAYS void half_clear(char *p) {
    _mm_storeu_si128((__m128i_u *)p, _mm_setzero_si128());
    _mm_storeu_si128((__m128i_u *)p + 1, _mm_setzero_si128());
}

#endif
