/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/token.h"

#include "core/base/text.h"

void token_put(struct sbuf *b, const struct token *t) {
    char front[16], *to = sbuf_room(b, TOKEN_LEN);
    if (!to) {
        b->overflow = true;
        return;
    }
    text_hex16(front, (uint64_t)t->cluster << 16 | (uint64_t)(t->bucket & 0xfff) << 4 | (t->leg & 0xf));
    *to++ = TOKEN_MARK;
    to = text_put(to, slice_of(front + 10, 5));
    to = text_hex16(to, t->call);
    *to++ = front[15];
    sbuf_wrote(b, text_hex16(to, t->random));
}

static bool hex_field(const char *p, unsigned digits, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned i = 0; i < digits; i++) {
        uint8_t c = (uint8_t)p[i];
        bool decimal = (uint8_t)(c - '0') < 10;
        if (!decimal && (uint8_t)(c - 'a') > 5)
            return false;
        v = v << 4 | (uint8_t)(decimal ? c - '0' : c - 'a' + 10);
    }
    *out = v;
    return true;
}

bool token_parse(struct slice s, struct token *out) {
    uint64_t cluster, bucket, call, leg, random;
    if (s.n < TOKEN_LEN || s.p[0] != TOKEN_MARK)
        return false;
    if (!hex_field(s.p + 1, 2, &cluster) || !hex_field(s.p + 3, 3, &bucket) || !hex_field(s.p + 6, 16, &call) ||
        !hex_field(s.p + 22, 1, &leg) || !hex_field(s.p + 23, 16, &random))
        return false;
    *out = (struct token){ (uint8_t)cluster, (uint16_t)bucket, call, (uint8_t)leg, random };
    return true;
}
