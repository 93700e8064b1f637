/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/link.h"

#include <string.h>

#define HEAD 22u            /* behind the length: kind, what, hops, flags, bucket, node, epoch, unused (4) */
#define PROXY_HEAD 16u
static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

static uint8_t *put_be(uint8_t *p, uint64_t v, unsigned bytes) {
    for (unsigned i = bytes; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
    return p + bytes;
}

static uint64_t get_be(const uint8_t *p, unsigned bytes) {
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static unsigned ip_bytes(const struct addr *a) {
    return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

/* The PROXY protocol, version 2, section 2.2: PROXY of UDP over IPv4 or IPv6; LOCAL where there is no address. */
static uint8_t *put_proxy(uint8_t *p, const struct addr *src, const struct addr *dst) {
    unsigned ip = src->family == dst->family ? ip_bytes(src) : 0;
    memcpy(p, signature, sizeof signature);
    p[12] = ip ? 0x21 : 0x20;
    p[13] = ip == 4 ? 0x12 : ip ? 0x22 : 0x00;
    p = put_be(p + 14, ip ? 2 * ip + 4 : 0, 2);
    if (!ip)
        return p;
    memcpy(p, src->ip, ip);
    memcpy(p + ip, dst->ip, ip);
    p = put_be(p + 2 * ip, src->port, 2);
    return put_be(p, dst->port, 2);
}

/* Bytes used; 0: nonsense. */
static uint32_t get_proxy(const uint8_t *p, uint32_t n, struct addr *src, struct addr *dst) {
    if (n < PROXY_HEAD || memcmp(p, signature, sizeof signature) != 0 || p[12] >> 4 != 2)
        return 0;
    uint32_t len = (uint32_t)get_be(p + 14, 2);
    unsigned ip = p[13] >> 4 == 1 ? 4 : p[13] >> 4 == 2 ? 16 : 0;
    if (n - PROXY_HEAD < len)
        return 0;
    if ((p[12] & 0xf) == 0)
        return PROXY_HEAD + len;
    if (!ip || len < 2 * ip + 4)
        return 0;
    src->family = dst->family = ip == 4 ? ADDR_V4 : ADDR_V6;
    memcpy(src->ip, p + PROXY_HEAD, ip);
    memcpy(dst->ip, p + PROXY_HEAD + ip, ip);
    src->port = (uint16_t)get_be(p + PROXY_HEAD + 2 * ip, 2);
    dst->port = (uint16_t)get_be(p + PROXY_HEAD + 2 * ip + 2, 2);
    return PROXY_HEAD + len;
}

uint32_t link_frame_put(uint8_t *to, uint32_t cap, const struct link_frame *f) {
    uint8_t *p = to + 4;
    if (cap < 4 + HEAD + PROXY_HEAD + 36 + f->bytes.n)
        return 0;
    *p++ = (uint8_t)f->kind;
    *p++ = f->what;
    *p++ = f->hops;
    *p++ = f->flag;
    p = put_be(p, f->bucket, 2);
    p = put_be(p, f->node, 4);
    p = put_be(p, f->epoch, 8);
    p = put_be(p, 0, 4);
    p = put_proxy(p, &f->src, &f->dst);
    if (f->bytes.n)
        memcpy(p, f->bytes.p, f->bytes.n);
    uint32_t n = (uint32_t)(p - to) + f->bytes.n;
    (void)put_be(to, n - 4, 4);
    return n;
}

uint32_t link_frame_get(const uint8_t *in, uint32_t n, struct link_frame *f) {
    if (n < 4)
        return 0;
    uint32_t len = (uint32_t)get_be(in, 4);
    if (len < HEAD + PROXY_HEAD || len > LINK_FRAME_MAX - 4)
        return UINT32_MAX;
    if (n - 4 < len)
        return 0;
    const uint8_t *p = in + 4;
    *f = (struct link_frame){ .what = p[1], .hops = p[2], .flag = p[3] != 0, .bucket = (uint16_t)get_be(p + 4, 2),
                              .node = (uint32_t)get_be(p + 6, 4), .epoch = get_be(p + 10, 8) };
    f->src.family = f->dst.family = ADDR_NONE;
    uint32_t used = get_proxy(p + HEAD, len - HEAD, &f->src, &f->dst);
    if (!used || p[0] > LINK_STATE)
        return UINT32_MAX;
    f->kind = (enum link_kind)p[0];
    f->bytes = slice_of((const char *)p + HEAD + used, len - HEAD - used);
    return 4 + len;
}
