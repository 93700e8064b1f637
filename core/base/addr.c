/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/addr.h"

/* 10 or more: none. */
static inline unsigned digit_at(const char *p, const char *end) {
    return p != end ? (uint8_t)(*p - '0') : 10;
}
/* No leading zeros: some would read them as octal. */
static bool parse_v4(struct slice s, uint8_t ip[4]) {
    const char *p = s.p, *end = s.p + s.n;
    for (unsigned i = 0; i < 4; i++) {
        if (i && (p == end || *p++ != '.'))
            return false;
        unsigned v = digit_at(p, end), next;
        if (v > 9)
            return false;
        if ((next = digit_at(++p, end)) <= 9) {
            if (v == 0)
                return false;
            v = v * 10 + next;
            if ((next = digit_at(++p, end)) <= 9) {
                v = v * 10 + next;
                p++;
            }
        }
        if (v > 255)
            return false;
        ip[i] = (uint8_t)v;
    }
    return p == end;
}

static bool parse_h16(struct slice s, uint8_t out[2]) {
    unsigned v = 0;
    if (s.n == 0 || s.n > 4)
        return false;
    for (uint32_t i = 0; i < s.n; i++) {
        uint8_t c = ascii_lower((uint8_t)s.p[i]);
        if ((uint8_t)(c - '0') <= 9)
            v = v << 4 | (c - '0');
        else if ((uint8_t)(c - 'a') <= 5)
            v = v << 4 | (c - 'a' + 10u);
        else
            return false;
    }
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
    return true;
}

/* Groups between single colons, the last perhaps dotted: bytes written to ip[0..room), or -1. Empty s: none. */
static int parse_groups(struct slice s, uint8_t *ip, unsigned room, bool dotted_allowed) {
    unsigned n = 0;
    for (bool more = s.n > 0; more;) {
        int32_t colon = slice_find(s, ':');
        more = colon >= 0;
        struct slice group = slice_of(s.p, more ? (uint32_t)colon : s.n);
        if (!more && dotted_allowed && slice_find(group, '.') >= 0) {
            if (room - n < 4 || !parse_v4(group, ip + n))
                return -1;
            return (int)n + 4;
        }
        if (room - n < 2 || !parse_h16(group, ip + n))
            return -1;
        n += 2;
        if (more)
            s = slice_of(s.p + colon + 1, s.n - (uint32_t)colon - 1);
    }
    return (int)n;
}

static int32_t find_double_colon(struct slice s) {
    for (uint32_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == ':' && s.p[i + 1] == ':')
            return (int32_t)i;
    return -1;
}

static bool parse_v6(struct slice s, uint8_t ip[16]) {
    int32_t gap = find_double_colon(s);
    if (gap < 0)
        return parse_groups(s, ip, 16, true) == 16;
    struct slice tail = slice_of(s.p + gap + 2, s.n - (uint32_t)gap - 2);
    /* RFC 5118 section 4.10: the grammar of RFC 3261 wrote a third colon before a dotted tail. */
    if (slice_has_prefix(tail, SL(":"))) {
        tail = slice_of(tail.p + 1, tail.n - 1);
        if (!parse_v4(tail, ip))
            return false;
    }
    int before = parse_groups(slice_of(s.p, (uint32_t)gap), ip, 14, false);
    if (before < 0)
        return false;
    uint8_t after[16];
    int n = parse_groups(tail, after, 14 - (unsigned)before, true);
    if (n < 0)
        return false;
    memset(ip + before, 0, 16 - (size_t)before);
    memcpy(ip + 16 - n, after, (size_t)n);
    return true;
}

bool addr_parse_ip(struct slice s, struct addr *out) {
    uint8_t ip[16] = { 0 };
    bool bracketed = s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
    if (bracketed)
        s = slice_of(s.p + 1, s.n - 2);
    bool v6 = bracketed || !parse_v4(s, ip);
    if (v6 && (slice_find(s, ':') < 0 || !parse_v6(s, ip)))
        return false;
    memcpy(out->ip, ip, sizeof ip);
    out->family = v6 ? ADDR_V6 : ADDR_V4;
    out->scope = 0;
    return true;
}

bool addr_parse(struct slice s, uint16_t default_port, struct addr *out) {
    struct addr a = *out;
    struct slice host = s;
    uint64_t port = default_port;
    int32_t close = slice_find(s, ']');
    int32_t colon = slice_find(s, ':');
    if (close >= 0)
        host.n = (uint32_t)close + 1;
    else if (colon >= 0 && slice_find(slice_of(s.p + colon + 1, s.n - (uint32_t)colon - 1), ':') < 0)
        host.n = (uint32_t)colon;
    if (host.n < s.n) {
        struct slice digits = slice_of(s.p + host.n + 1, s.n - host.n - 1);
        if (s.p[host.n] != ':' || digits.n > 5 || !slice_u64(digits, UINT16_MAX, &port))
            return false;
    }
    if (!addr_parse_ip(host, &a))
        return false;
    a.port = (uint16_t)port;
    *out = a;
    return true;
}

static char *put_octet(char *to, unsigned v) {
    if (v >= 100)
        *to++ = (char)('0' + v / 100);
    if (v >= 10)
        *to++ = (char)('0' + v / 10 % 10);
    *to++ = (char)('0' + v % 10);
    return to;
}

#define V4_TEXT_MAX 15u

static char *put_octets(char *to, const uint8_t ip[4]) {
    to = put_octet(to, ip[0]);
    for (unsigned i = 1; i < 4; i++) {
        *to++ = '.';
        to = put_octet(to, ip[i]);
    }
    return to;
}

/* In place where there is room for the longest: what has just been written byte by byte is slow to copy. */
static void put_v4(struct sbuf *b, const uint8_t ip[4]) {
    char text[V4_TEXT_MAX], *to = sbuf_room(b, sizeof text);
    if (to)
        sbuf_wrote(b, put_octets(to, ip));
    else
        sbuf_put(b, slice_of(text, (size_t)(put_octets(text, ip) - text)));
}

static void put_h16(struct sbuf *b, unsigned v) {
    sbuf_hex(b, v, v > 0xfff ? 4 : v > 0xff ? 3 : v > 0xf ? 2 : 1);
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952 section 4.2). *n is 0: none. */
static unsigned longest_zeros(const unsigned group[8], unsigned *n) {
    unsigned at = 0;
    *n = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned run = 0;
        while (i + run < 8 && group[i + run] == 0)
            run++;
        if (run >= 2 && run > *n) {
            at = i;
            *n = run;
        }
    }
    return at;
}

static void put_v6(struct sbuf *b, const uint8_t ip[16]) {
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    unsigned group[8], zeros;
    if (memcmp(ip, mapped, sizeof mapped) == 0) {
        sbuf_lit(b, "::ffff:");
        put_v4(b, ip + 12);
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        group[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
    unsigned gap = longest_zeros(group, &zeros);
    for (unsigned i = 0; i < 8;) {
        if (zeros && i == gap) {
            sbuf_lit(b, "::");
            i += zeros;
            continue;
        }
        if (i && !(zeros && i == gap + zeros))
            sbuf_char(b, ':');
        put_h16(b, group[i++]);
    }
}

void addr_put_ip(struct sbuf *b, const struct addr *a) {
    if (a->family == ADDR_V6)
        put_v6(b, a->ip);
    else if (a->family == ADDR_V4)
        put_v4(b, a->ip);
    else
        sbuf_lit(b, "0.0.0.0");
}

void addr_put_host(struct sbuf *b, const struct addr *a) {
    if (a->family == ADDR_V6)
        sbuf_char(b, '[');
    addr_put_ip(b, a);
    if (a->family == ADDR_V6)
        sbuf_char(b, ']');
}

void addr_put(struct sbuf *b, const struct addr *a) {
    addr_put_host(b, a);
    sbuf_char(b, ':');
    sbuf_u64(b, a->port);
}

bool addr_eq_ip(const struct addr *a, const struct addr *b) {
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b) {
    return addr_eq_ip(a, b) && a->port == b->port && a->transport == b->transport;
}

bool addr_is_any(const struct addr *a) {
    static const uint8_t zero[16];
    return a->family == ADDR_NONE || memcmp(a->ip, zero, sizeof zero) == 0;
}

bool addr_in_net(const struct addr *a, const struct addr *net, unsigned bits) {
    unsigned width = a->family == ADDR_V6 ? 128 : 32;
    if (a->family != net->family || a->family == ADDR_NONE || bits > width)
        return false;
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(a->ip, net->ip, bytes) != 0)
        return false;
    return rest == 0 || (a->ip[bytes] ^ net->ip[bytes]) >> (8 - rest) == 0;
}
