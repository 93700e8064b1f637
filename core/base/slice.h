/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * slice: borrowed bytes. A slice never owns and is never NUL-terminated. One that points into a datagram
 * lives for one engine step; what must live longer is copied at one named border (see core/base/strs.h).
 * An absent value has p == NULL; an empty one has p != NULL and n == 0.
 */
#ifndef REFEREE_BASE_SLICE_H
#define REFEREE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct slice {
    const char *p;
    uint32_t n;
};

/* SL("literal"): a slice of a string literal, without its NUL. */
#define SL(lit) ((struct slice){ (lit), (uint32_t)sizeof(lit) - 1 })
#define SLICE_NONE ((struct slice){ NULL, 0 })
/* For printf-like shells and tests only: printf("%.*s", SLICE_FMT(s)). */
#define SLICE_FMT(s) (int)(s).n, (s).p

static inline struct slice slice_of(const char *p, size_t n) {
    return (struct slice){ p, (uint32_t)n };
}

static inline struct slice slice_str(const char *nul_terminated) {
    return slice_of(nul_terminated, strlen(nul_terminated));
}

static inline uint64_t slice_load64(const char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t slice_load32(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The same n bytes: names are short, so by loads that may overlap instead of a call. */
static inline bool slice_same_bytes(const char *a, const char *b, uint32_t n) {
    if (__builtin_constant_p(n) || n > 32)
        return memcmp(a, b, n) == 0;
    if (n >= 8) {
        for (uint32_t i = 0; i + 8 < n; i += 8)
            if (slice_load64(a + i) != slice_load64(b + i))
                return false;
        return slice_load64(a + n - 8) == slice_load64(b + n - 8);
    }
    if (n >= 4)
        return slice_load32(a) == slice_load32(b) && slice_load32(a + n - 4) == slice_load32(b + n - 4);
    return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

static inline bool slice_eq(struct slice a, struct slice b) {
    return a.n == b.n && (a.n == 0 || slice_same_bytes(a.p, b.p, a.n));
}

/* ASCII only, as RFC 3261 section 7.3.1 compares names. */
static inline uint8_t ascii_lower(uint8_t c) {
    return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

/* Without case, n bytes of each. Mostly they are written alike. */
static inline bool slice_same_letters(const char *a, const char *b, uint32_t n) {
    if (slice_same_bytes(a, b, n))
        return true;
    for (uint32_t i = 0; i < n; i++)
        if (a[i] != b[i] && ascii_lower((uint8_t)a[i]) != ascii_lower((uint8_t)b[i]))
            return false;
    return true;
}

static inline bool slice_ieq(struct slice a, struct slice b) {
    return a.n == b.n && (a.n == 0 || (((a.p[0] ^ b.p[0]) & 0xdf) == 0 && slice_same_letters(a.p, b.p, a.n)));
}

static inline bool slice_has_prefix(struct slice s, struct slice prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* In one register. */
static inline void slice_copy_16(char *to, const char *p) {
    char bytes[16];
    memcpy(bytes, p, sizeof bytes);
    memcpy(to, bytes, sizeof bytes);
}

/* All bytes of s; up to 64 without a call, by moves from both ends that may overlap. */
static inline void slice_copy(char *to, struct slice s) {
    const char *p = s.p;
    uint32_t n = s.n;
    if (n > 64) {
        memcpy(to, p, n);
    } else if (n > 32) {
        slice_copy_16(to, p);
        slice_copy_16(to + 16, p + 16);
        slice_copy_16(to + n - 32, p + n - 32);
        slice_copy_16(to + n - 16, p + n - 16);
    } else if (n >= 16) {
        slice_copy_16(to, p);
        slice_copy_16(to + n - 16, p + n - 16);
    } else if (n >= 8) {
        uint64_t begin, end;
        memcpy(&begin, p, 8);
        memcpy(&end, p + n - 8, 8);
        memcpy(to, &begin, 8);
        memcpy(to + n - 8, &end, 8);
    } else if (n >= 4) {
        uint32_t begin, end;
        memcpy(&begin, p, 4);
        memcpy(&end, p + n - 4, 4);
        memcpy(to, &begin, 4);
        memcpy(to + n - 4, &end, 4);
    } else if (n) {
        to[0] = p[0];
        to[n / 2] = p[n / 2];
        to[n - 1] = p[n - 1];
    }
}

/* How many bytes both begin with alike, of n. */
static inline uint32_t slice_alike(const char *a, const char *b, uint32_t n) {
    uint32_t i = 0;
#ifdef __SSE2__
    for (; i + 16 <= n; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(a + i));
        __m128i y = _mm_loadu_si128((const __m128i *)(const void *)(b + i));
        unsigned differ = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) ^ 0xffff;
        if (differ)
            return i + (uint32_t)__builtin_ctz(differ);
    }
#endif
    for (; i + 8 <= n; i += 8) {
        uint64_t differ = slice_load64(a + i) ^ slice_load64(b + i);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        if (differ)
            return i + (uint32_t)__builtin_ctzll(differ) / 8;
#else
        if (differ)
            break;
#endif
    }
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* Without SP, HTAB, CR and LF at both ends. */
static inline struct slice slice_trim(struct slice s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == '\n'))
        s.n--;
    return s;
}

/* Bytes before the first c, or all. For short ones: a call of memchr would cost more than the search. */
static inline uint32_t slice_until(const char *p, uint32_t n, char c) {
    uint32_t i = 0;
#ifdef __SSE2__
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        unsigned at = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
        if (at)
            return i + (uint32_t)__builtin_ctz(at);
    }
    if (i + 8 <= n) {
        __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)(p + i));
        unsigned at = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c))) & 0xff;
        if (at)
            return i + (uint32_t)__builtin_ctz(at);
        i += 8;
    }
#endif
    while (i < n && p[i] != c)
        i++;
    return i;
}

/* Offset of the first c, or -1. */
static inline int32_t slice_find(struct slice s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (int32_t)(at - s.p) : -1;
}

/* Decimal digits only, the whole slice, at most `max`. False leaves *out alone. */
static inline bool slice_u64(struct slice s, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    if (s.n == 0 || s.n > 19)
        return false;
    for (uint32_t i = 0; i < s.n; i++) {
        if ((uint8_t)(s.p[i] - '0') > 9)
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    if (v > max)
        return false;
    *out = v;
    return true;
}

/* Hex digits only, of either case, the whole slice: 1 to 16. False leaves *out alone. */
static inline bool slice_hex(struct slice s, uint64_t *out) {
    uint64_t v = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        uint8_t c = ascii_lower((uint8_t)s.p[i]);
        bool decimal = (uint8_t)(c - '0') <= 9;
        if (!decimal && (uint8_t)(c - 'a') > 5)
            return false;
        v = v << 4 | (uint64_t)(decimal ? c - '0' : c - 'a' + 10);
    }
    if (s.n == 0 || s.n > 16)
        return false;
    *out = v;
    return true;
}

#endif
