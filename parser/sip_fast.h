/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_fast: the way that nearly all messages take. Each function here reads the usual form of one thing by masks of 64
 * bytes and says false for everything else, having written nothing that counts; the plain parser of that thing is then
 * the judge. So nothing is refused here and no fault is made here, and the grammar stands in one place.
 *
 * Compiled once for each instruction set, by sip_path_*.c; no one else includes it.
 */
#ifndef REFEREE_PARSER_SIP_FAST_H
#define REFEREE_PARSER_SIP_FAST_H

#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"
#include "parser/sip_simd.h"

/* Letters in lower case; - . 0 to 9 stay. Other bytes may collide: only for text known to be of the name class. */
#define LOWER_8 UINT64_C(0x2020202020202020)
/* "tag" -> the number that load_8 gives for it, the rest zero. */
#define WORD_8(a, b, c, d, e, f, g, h)                                                                   \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 | (uint64_t)(e) << 32 | \
     (uint64_t)(f) << 40 | (uint64_t)(g) << 48 | (uint64_t)(h) << 56)
#define KEY_Q WORD_8('q', 0, 0, 0, 0, 0, 0, 0)
#define KEY_TAG WORD_8('t', 'a', 'g', 0, 0, 0, 0, 0)
#define KEY_RPORT WORD_8('r', 'p', 'o', 'r', 't', 0, 0, 0)
#define KEY_BRANCH WORD_8('b', 'r', 'a', 'n', 'c', 'h', 0, 0)
#define KEY_EXPIRES WORD_8('e', 'x', 'p', 'i', 'r', 'e', 's', 0)
#define KEY_RECEIVED WORD_8('r', 'e', 'c', 'e', 'i', 'v', 'e', 'd')

/* The first n bytes of a word, 1 <= n <= 8. */
ALWAYS uint64_t word_low(uint64_t word, uint32_t n) {
#ifdef __BMI2__
    return _bzhi_u64(word, 8 * n);
#else
    return word & (~(uint64_t)0 >> (64 - 8 * n));
#endif
}

/* The number that the text begins with; *digits: how many, 0 to 8. All 8 bytes at once: a byte is no digit when it,
 * with '0' turned to 0, or that plus 6, reaches the upper half; then each multiplication adds ten times a digit to the
 * next one, a hundred times a pair to the next, and so on. */
ALWAYS uint32_t read_digits(const char *p, uint32_t n, uint32_t *digits) {
    *digits = 0;
    if (n == 0)
        return 0;
    uint64_t word = load_8(p, n) ^ UINT64_C(0x3030303030303030);
    uint64_t wrong = (word | (word + UINT64_C(0x0606060606060606))) & UINT64_C(0xf0f0f0f0f0f0f0f0);
    uint32_t found = first_bit(wrong) / 8;
    *digits = found < n ? found : n;
    if (*digits == 0)
        return 0;
    word <<= -(8 * *digits) & 63;
    word = (word * (1 + (10 << 8))) >> 8 & UINT64_C(0x00ff00ff00ff00ff);
    word = (word * (1 + (100 << 16))) >> 16 & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)((word * (1 + (UINT64_C(10000) << 32))) >> 32);
}

/* Length of the quoted-string that begins at p, with its quotes; 0: none, not closed, or with a backslash. */
ALWAYS uint32_t fast_quoted(const char *p, uint32_t n) {
    for (uint32_t base = 1; base < n; base += 64) {
        struct win w = win_load(p + base, n - base);
        uint64_t inside = low_bits(n - base), quote = win_eq(w, '"') & inside;
        if (win_eq(w, '\\') & inside & (quote ^ (quote - 1)))
            return 0;
        if (quote)
            return base + first_bit(quote) + 1;
    }
    return 0;
}

/* Length of the run of value bytes at p. */
ALWAYS uint32_t fast_value(const char *p, uint32_t n) {
    for (uint32_t base = 0; base < n; base += 32) {
        uint32_t stop = first_bit(half_not_value(half_load(p + base, n - base)));
        if (stop < 32)
            return base + stop < n ? base + stop : n;
    }
    return n;
}

/* One parameter at p, which is behind a ';': what sip_param_next finds, if it is of the usual form and its name of less
 * than 32 bytes. `key`: the name in lower case as WORD_8, 0 when longer. Gives the bytes used with the ';' behind it,
 * 0: look again. */
struct fast_param {
    uint64_t key;
    struct slice name, value;
};
ALWAYS uint32_t fast_param(const char *p, uint32_t n, struct fast_param *out) {
    /* A feature tag's name may begin with + (RFC 3840 section 9). */
    uint32_t plus = p[0] == '+';
    struct half h = half_load(p, n);
    uint32_t name = first_bit(half_not_name(h) & ~plus), end = name;
    if (name - 1 >= 31 || name > n)
        return 0;
    out->name = slice_of(p, name);
    out->value = SLICE_NONE;
    out->key = name <= 8 ? word_low(half_first_8(h) | LOWER_8, name) : 0;
    if (name + 1 < n && p[name] == '=') {
        const char *value = p + name + 1;
        uint32_t length = value[0] == '"' ? fast_quoted(value, n - name - 1) : fast_value(value, n - name - 1);
        if (length == 0)
            return 0;
        out->value = slice_of(value, length);
        end = name + 1 + length;
    }
    return end == n ? n : p[end] == ';' ? end + 1 : 0;
}

/* The rest of a parameter list, any form: *key as above. False at the end, or when malformed (*rest not empty). */
ALWAYS bool next_param(struct slice *rest, struct fast_param *out) {
    uint32_t used = rest->n ? fast_param(rest->p, rest->n, out) : 0;
    if (used) {
        scan_skip(rest, used);
        return true;
    }
    if (!sip_param_next(rest, &out->name, &out->value))
        return false;
    out->key = 0;
    for (uint32_t i = 0; i < out->name.n && out->name.n <= 8; i++)
        out->key |= (uint64_t)ascii_lower((uint8_t)out->name.p[i]) << (8 * i);
    return true;
}

#endif
