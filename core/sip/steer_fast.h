/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * What steer.h says of a datagram, a byte at a time and without a call: inline for the program in the kernel that
 * chooses the socket, and for the test that compares the two. Of what is plainly written it gives what steer_bytes
 * gives. Where it is not (a quoted "<" before the address, an escape in the user part of a REGISTER, headers that begin
 * behind STEER_FAST_BYTES) it may give another bucket or none, and the message is handed over.
 */
#ifndef REFEREE_SIP_STEER_FAST_H
#define REFEREE_SIP_STEER_FAST_H

#include <stdbool.h>
#include <stdint.h>

#define STEER_FAST_BYTES 2048   /* of a datagram that are looked at */
#define STEER_FAST_BUCKETS 4096
#define STEER_FAST_NOTHING 0xffff
#define STEER_FAST_TOKEN 39     /* characters, with its mark */

enum steer_fast_place { FAST_SKIP, FAST_METHOD, FAST_URI, FAST_LINE, FAST_NAME, FAST_VALUE };
enum steer_fast_header { FAST_OTHER, FAST_VIA, FAST_TAG, FAST_CALL_ID, FAST_AOR };

/* Zeroed but for the first three. */
struct steer_fast {
    uint64_t k0, k1;            /* of struct steering */
    uint8_t cluster;
    uint8_t place, header;
    uint8_t matched;            /* characters of a token */
    uint8_t token_cluster;
    bool response, reg, line_start, colon, in_param, in_angle, aor, via_seen, tag_seen, call_id_seen;
    uint16_t token_bucket;
    uint16_t ruri, via, tag, call_id; /* bucket + 1; 0: none */
    uint32_t n;                 /* characters of a method or name */
    uint32_t hashed;
    uint64_t word;              /* the last eight characters */
    uint64_t v0, v1, v2, v3, tail;
};

/* ---- SipHash-2-4, as core/base/siphash.h */

static inline uint64_t steer_fast_rotl(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static inline void steer_fast_round(struct steer_fast *s) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = steer_fast_rotl(s->v1, 13) ^ s->v0;
    s->v3 = steer_fast_rotl(s->v3, 16) ^ s->v2;
    s->v0 = steer_fast_rotl(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = steer_fast_rotl(s->v1, 17) ^ s->v2;
    s->v3 = steer_fast_rotl(s->v3, 21) ^ s->v0;
    s->v2 = steer_fast_rotl(s->v2, 32);
}

static inline void steer_fast_absorb(struct steer_fast *s, uint64_t word) {
    s->v3 ^= word;
    steer_fast_round(s);
    steer_fast_round(s);
    s->v0 ^= word;
}

static inline void steer_fast_hash(struct steer_fast *s, uint8_t c) {
    if (s->hashed == 0) {
        s->v0 = s->k0 ^ 0x736f6d6570736575u;
        s->v1 = s->k1 ^ 0x646f72616e646f6du;
        s->v2 = s->k0 ^ 0x6c7967656e657261u;
        s->v3 = s->k1 ^ 0x7465646279746573u;
        s->tail = 0;
    }
    s->tail |= (uint64_t)c << (8 * (s->hashed & 7));
    if ((++s->hashed & 7) != 0)
        return;
    steer_fast_absorb(s, s->tail);
    s->tail = 0;
}

static inline uint16_t steer_fast_hashed(struct steer_fast *s) {
    steer_fast_absorb(s, s->tail | (uint64_t)s->hashed << 56);
    s->v2 ^= 0xff;
    steer_fast_round(s);
    steer_fast_round(s);
    steer_fast_round(s);
    steer_fast_round(s);
    return (uint16_t)((s->v0 ^ s->v1 ^ s->v2 ^ s->v3) % STEER_FAST_BUCKETS);
}

/* ---- tokens */

/* The last character of a token of ours. */
static inline bool steer_fast_token(struct steer_fast *s, uint8_t c) {
    uint8_t v = (uint8_t)(c - '0');
    if (c == '~') {
        s->matched = 1;
        s->token_cluster = 0;
        s->token_bucket = 0;
        return false;
    }
    if (v > 9) {
        v = (uint8_t)(c - 'a' + 10);
        if (v < 10 || v > 15)
            s->matched = 0;
    }
    if (!s->matched)
        return false;
    if (s->matched < 3)
        s->token_cluster = (uint8_t)(s->token_cluster << 4 | v);
    else if (s->matched < 6)
        s->token_bucket = (uint16_t)(s->token_bucket << 4 | v);
    if (++s->matched < STEER_FAST_TOKEN)
        return false;
    s->matched = 0;
    return s->token_cluster == s->cluster;
}

/* The first one counts. */
static inline void steer_fast_note(struct steer_fast *s, uint8_t c, uint16_t *bucket) {
    if (steer_fast_token(s, c) && !*bucket)
        *bucket = (uint16_t)(s->token_bucket + 1);
}

/* ---- the start line */

static inline uint8_t steer_fast_lower(uint8_t c) {
    return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

static inline void steer_fast_method(struct steer_fast *s, uint8_t c) {
    if (c != ' ') {
        s->word = s->word << 8 | c;
        s->n++;
        if (s->n == 4)
            s->response = (s->word | 0x20202020u) == 0x7369702fu; /* sip/ */
        return;
    }
    s->reg = s->n == 8 && s->word == 0x5245474953544552u; /* REGISTER */
    s->place = s->response ? FAST_LINE : FAST_URI;
    s->n = 0;
}

/* True: decided. */
static inline bool steer_fast_uri(struct steer_fast *s, uint8_t c) {
    if (c == '@' || c == ' ' || c == '\n') {
        bool user = c == '@' && s->colon && !s->reg;
        if (!user)
            s->ruri = 0;
        s->place = FAST_LINE;
        s->matched = 0;
        return s->ruri != 0;
    }
    if (s->colon)
        steer_fast_note(s, c, &s->ruri);
    s->colon = s->colon || c == ':';
    return false;
}

/* ---- headers */

static inline void steer_fast_name(struct steer_fast *s, uint8_t c) {
    if (c == ' ' || c == '\t')
        return;
    if (c != ':') {
        s->word = s->word << 8 | steer_fast_lower(c);
        s->n++;
        return;
    }
    uint64_t w = s->n <= 7 ? s->word : 0;
    bool to = w == 0x746f || w == 't', from = w == 0x66726f6d || w == 'f';
    s->header = FAST_OTHER;
    if (s->response && !s->via_seen && (w == 0x766961 || w == 'v')) {
        s->header = FAST_VIA;
        s->via_seen = true;
    } else if (s->reg) {
        s->header = to ? FAST_AOR : FAST_OTHER;
    } else if (s->response ? from : to) {
        s->header = FAST_TAG;
        s->tag_seen = true;
    } else if (!s->call_id_seen && (w == 0x63616c6c2d6964 || w == 'i')) {
        s->header = FAST_CALL_ID;
        s->call_id_seen = true;
    }
    s->place = FAST_VALUE;
    s->word = 0;
    s->matched = 0;
    s->in_param = s->in_angle = false;
}

static inline bool steer_fast_via(struct steer_fast *s, uint8_t c) {
    if (s->in_param)
        steer_fast_note(s, c, &s->via);
    s->word = s->word << 8 | steer_fast_lower(c);
    if (c == ';' || c == ',')
        s->in_param = false;
    if (c == ',')
        s->header = FAST_OTHER;
    if (s->word == 0x3b6272616e63683du) { /* ;branch= */
        s->in_param = true;
        s->matched = 0;
    }
    return s->via != 0;
}

static inline void steer_fast_tag(struct steer_fast *s, uint8_t c) {
    if (s->in_param)
        steer_fast_note(s, c, &s->tag);
    s->word = s->word << 8 | steer_fast_lower(c);
    if (c == '<' || c == '>')
        s->in_angle = c == '<';
    if (c == ';' || c == ' ')
        s->in_param = false;
    if (!s->in_angle && (s->word & 0xffffffffffu) == 0x3b7461673du) { /* ;tag= */
        s->in_param = true;
        s->matched = 0;
    }
}

static inline void steer_fast_call_id(struct steer_fast *s, uint8_t c) {
    if (c == ' ' || c == '\t' || c == '\r') {
        if (s->hashed)
            s->header = FAST_OTHER;
        return;
    }
    steer_fast_note(s, c, &s->call_id);
    steer_fast_hash(s, c);
}

/* True: decided. What stands between "sip:" and "@" or ":". */
static inline bool steer_fast_aor(struct steer_fast *s, uint8_t c) {
    if (!s->in_param) {
        s->word = s->word << 8 | steer_fast_lower(c);
        s->in_param = (s->word & 0xffffffffu) == 0x7369703au || (s->word & 0xffffffffffu) == 0x736970733au;
        return false;
    }
    s->aor = c == '@' && s->hashed;
    if (s->aor)
        return true;
    if (c == '%' || c == '>' || c == ';' || c == '?' || c == ',' || c == ' ' || c == '@')
        s->header = FAST_OTHER;
    else if (c == ':')
        s->in_angle = true; /* a password, which does not count */
    else if (!s->in_angle)
        steer_fast_hash(s, c);
    return false;
}

static inline bool steer_fast_value(struct steer_fast *s, uint8_t c) {
    bool decided = false;
    if (s->header == FAST_VIA)
        decided = steer_fast_via(s, c);
    else if (s->header == FAST_TAG)
        steer_fast_tag(s, c);
    else if (s->header == FAST_CALL_ID)
        steer_fast_call_id(s, c);
    else if (s->header == FAST_AOR)
        decided = steer_fast_aor(s, c);
    return decided;
}

/* ---- all of it */

/* At the first character of a line that continues none: true when nothing that follows can matter. */
static inline bool steer_fast_line(struct steer_fast *s, uint8_t c) {
    bool via = !s->response || s->via_seen, tag = s->tag || (s->tag_seen && s->call_id_seen);
    s->place = FAST_NAME;
    s->word = 0;
    s->n = 0;
    return c == '\r' || c == '\n' || (via && tag && !s->reg);
}

/* True: decided; no more bytes are wanted. */
static inline bool steer_fast_byte(struct steer_fast *s, uint8_t c) {
    if (s->place == FAST_SKIP) {
        if (c == '\r' || c == '\n')
            return false;
        s->place = FAST_METHOD;
    }
    if (s->line_start && c != ' ' && c != '\t' && steer_fast_line(s, c))
        return true;
    s->line_start = c == '\n';
    if (c == '\n') {
        if (s->place == FAST_URI)
            (void)steer_fast_uri(s, c);
        return false;
    }
    if (s->place == FAST_METHOD)
        steer_fast_method(s, c);
    else if (s->place == FAST_URI)
        return steer_fast_uri(s, c);
    else if (s->place == FAST_NAME)
        steer_fast_name(s, c);
    else if (s->place == FAST_VALUE)
        return steer_fast_value(s, c);
    return false;
}

/* When it is decided, or there are no more bytes. */
static inline uint16_t steer_fast_end(struct steer_fast *s) {
    uint16_t token = s->ruri ? s->ruri : s->via ? s->via : s->tag ? s->tag : s->call_id;
    if (s->reg)
        return s->aor ? steer_fast_hashed(s) : STEER_FAST_NOTHING;
    if (token)
        return (uint16_t)(token - 1);
    return s->call_id_seen && s->hashed ? steer_fast_hashed(s) : STEER_FAST_NOTHING;
}

#endif
