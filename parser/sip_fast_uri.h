/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * URI and name-addr by masks; see sip_fast.h.
 */
#ifndef REFEREE_PARSER_SIP_FAST_URI_H
#define REFEREE_PARSER_SIP_FAST_URI_H

#include "parser/sip_fast.h"

/* hostname or IPv4address with port, as scan_hostport reads them, at p + at in a window that begins at p; `stops`: the
 * bytes that are not of the name class, with the end. Gives where it ends, 0: look again. */
ALWAYS uint32_t fast_hostport(const char *p, uint32_t n, uint64_t stops, uint32_t at, struct sip_host *out) {
    uint32_t end = at < 64 ? first_bit(stops & ~below(at)) : 64, digits;
    if (end == at || end == 64)
        return 0;
    out->host = slice_of(p + at, end - at);
    if (end == n || p[end] != ':')
        return end;
    uint32_t port = read_digits(p + end + 1, n - end - 1, &digits);
    if (digits > 5 || port == 0 || port > 65535)
        return 0;
    out->port = (uint16_t)port;
    return end + 1 + digits;
}

/* Where the headers of a URI of over 64 bytes begin, or its end. */
static __attribute__((noinline)) uint32_t question_behind(const char *p, uint32_t n) {
    int32_t at = slice_find(slice_of(p + 64, n - 64), '?');
    return at < 0 ? n : 64 + (uint32_t)at;
}

/* Parameters and headers, from i on. */
ALWAYS void take_uri_tail(const char *p, uint32_t n, struct win w, uint64_t inside, uint32_t i, struct sip_uri *out) {
    if (p[i] == ';') {
        uint32_t end = first_bit(win_eq(w, '?') & inside & ~low_bits(i));
        if (end == 64)
            end = n <= 64 ? n : question_behind(p, n);
        out->params = slice_of(p + i + 1, end - i - 1);
        i = end;
    }
    if (i < n)
        out->headers = slice_of(p + i + 1, n - i - 1);
}

/* Host and what is behind it, from i on. `unseen`: what is not known to be of URI bytes, besides what is found to be of
 * the name class here. */
ALWAYS bool fast_uri_host(const char *p, uint32_t n, struct win w, uint64_t inside, uint64_t stops, uint32_t at,
                          uint64_t unseen, struct sip_uri *out) {
    uint32_t i = fast_hostport(p, n, stops, at, &out->host);
    if (i == 0)
        return false;
    if (i < n) {
        if (p[i] != ';' && p[i] != '?')
            return false;
        take_uri_tail(p, n, w, inside, i, out);
        unseen |= inside & ~low_bits(i);
    }
    return !unseen || (win_not_uri(w) & unseen) == 0;
}

/* No user, or one of other bytes, which may hold ; and ?: the first @ decides, whatever is before it. */
static __attribute__((noinline)) bool odd_uri(const char *p, uint32_t n, uint32_t begin, struct sip_uri *out) {
    struct win w = win_load(p, n);
    uint64_t inside = low_bits(n), rest = inside & ~below(begin), at = win_eq(w, '@') & rest;
    uint32_t host = begin;
    if (at) {
        uint32_t end = first_bit(at), colon = first_bit(win_eq(w, ':') & rest);
        out->user = slice_of(p + begin, (colon < end ? colon : end) - begin);
        if (colon < end)
            out->password = slice_of(p + colon + 1, end - colon - 1);
        host = end + 1;
    } else if (n > 64) {
        return false;
    }
    return fast_uri_host(p, n, w, inside, win_not_name(w) | ~inside, host, inside, out);
}

/* sip: and sips:, w loaded at p, `inside` of it the bytes of p. What is behind the window, if anything, is known to be
 * of URI bytes. Host and port lie within the window. *out is zero but for what is set here. */
ALWAYS bool fast_uri(const char *p, uint32_t n, struct win w, uint64_t inside, struct sip_uri *out) {
    uint64_t stops = win_not_name(w) | ~inside;
    if (n < 5)
        return false;
    uint32_t begin = 4, scheme = win_first_4(w) | 0x00202020;
    out->scheme = SIP_SCHEME_SIP;
    if (__builtin_expect(scheme != (uint32_t)WORD_8('s', 'i', 'p', ':', 0, 0, 0, 0), 0)) {
        if ((scheme | 0x20202020) != (uint32_t)WORD_8('s', 'i', 'p', 's', 0, 0, 0, 0) || p[4] != ':')
            return false;
        out->scheme = SIP_SCHEME_SIPS;
        begin = 5;
    }
    if (n <= begin)
        return false;
    out->whole = slice_of(p, n);

    /* Most users are of name bytes, or of digits behind a +. */
    uint32_t user_end = first_bit(stops & ~below(begin + (p[begin] == '+')));
    if (__builtin_expect(user_end >= n || p[user_end] != '@', 0))
        return odd_uri(p, n, begin, out);
    out->user = slice_of(p + begin, user_end - begin);
    return fast_uri_host(p, n, w, inside, stops, user_end + 1, 0, out);
}

/* Quoted display name or none, then <: *at is set behind the <. */
ALWAYS bool fast_display(struct slice v, struct sip_nameaddr *out, uint32_t *at) {
    if (!v.n)
        return false;
    if (v.p[0] == '<') {
        *at = 1;
        return true;
    }
    if (v.p[0] != '"')
        return false;
    struct half h = half_load(v.p, v.n);
    uint32_t close = first_bit(half_eq(h, '"') & ~1u);
    if (close >= 30 || close + 2 >= v.n || (half_eq(h, '\\') & below(close)))
        return false;
    uint32_t lt = close + 1 + (v.p[close + 1] == ' ');
    if (v.p[lt] != '<')
        return false;
    out->display = slice_of(v.p, close + 1);
    *at = lt + 1;
    return true;
}

/* The > behind a URI of 64 bytes or more, all behind the first 64 being of URI bytes; 0: look again. */
static __attribute__((noinline)) uint32_t uri_end(const char *p, uint32_t n) {
    for (uint32_t base = 64; base < n; base += 64) {
        struct win w = win_load(p + base, n - base);
        uint32_t stop = first_bit(win_not_uri(w) & low_bits(n - base));
        if (stop < 64)
            return p[base + stop] == '>' ? base + stop : 0;
    }
    return 0;
}

/* "display" <sip:...>, then nothing or parameters, which are not looked at yet. `v` has no LWS round it; *out is zero.
 * On true out->params is set to all that follows the first ';'. */
ALWAYS bool fast_addr(struct slice v, struct sip_nameaddr *out) {
    uint32_t at;
    if (!fast_display(v, out, &at) || at == v.n)
        return false;
    const char *p = v.p + at;
    struct win w = win_load(p, v.n - at);
    uint32_t n = first_bit(win_eq(w, '>'));
    uint64_t inside = ~(uint64_t)0;
    if (__builtin_expect(n == 64, 0))
        n = uri_end(p, v.n - at);
    else
        inside = below(n);
    if (n >= v.n - at || !fast_uri(p, n, w, inside, &out->uri))
        return false;
    uint32_t end = at + n + 1;
    if (end < v.n) {
        if (v.p[end] != ';')
            return false;
        out->params = slice_of(v.p + end + 1, v.n - end - 1);
    }
    out->value = v;
    out->brackets = true;
    return true;
}

ALWAYS bool fast_nameaddr(struct slice value, struct sip_nameaddr *out) {
    struct slice v = slice_trim(value);
    struct fast_param param;
    clear(out, sizeof *out);
    if (!fast_addr(v, out))
        return false;
    struct slice rest = out->params;
    while (next_param(&rest, &param))
        continue;
    return rest.n == 0;
}

ALWAYS bool fast_contact(struct slice value, struct sip_contact *out) {
    struct slice v = slice_trim(value), expires = SLICE_NONE, q = SLICE_NONE;
    struct fast_param param;
    clear(out, sizeof *out);
    out->expires = -1;
    out->q = 1000;
    if (!fast_addr(v, &out->addr))
        return false;
    struct slice rest = out->addr.params;
    while (next_param(&rest, &param)) {
        if (param.key == KEY_EXPIRES && !expires.p)
            expires = param.value.p ? param.value : slice_of(param.name.p + param.name.n, 0);
        if (param.key == KEY_Q && !q.p)
            q = param.value.p ? param.value : slice_of(param.name.p + param.name.n, 0);
    }
    if (rest.n)
        return false;
    if (expires.p || q.p)
        sip_contact_params(out, expires, q);
    return true;
}

#endif
