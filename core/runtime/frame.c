/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/frame.h"

#include <string.h>

#define ETHERNET 14
#define IPV4 20
#define IPV6 40
#define UDP 8
#define PROTOCOL_UDP 17
#define HOPS 64

static void put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* RFC 1071: any byte order will do, as long as the sum is stored in the one that it was read in. Several words at a
 * time, with room for the carries. */
static uint64_t sum(uint64_t total, const uint8_t *p, size_t n) {
    uint32_t word;
    for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
        memcpy(&word, p, sizeof word);
        total += word;
    }
    word = 0;
    memcpy(&word, p, n);
    return total + word;
}

static void put_checksum(uint8_t *p, uint64_t total, bool of_udp) {
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    uint16_t word = (uint16_t)~total;
    /* RFC 768: 0 says that there is none. */
    if (of_udp && word == 0)
        word = 0xffff;
    memcpy(p, &word, sizeof word);
}

static void put_ipv4(uint8_t *ip, size_t n, const struct frame_ends *e) {
    memset(ip, 0, IPV4);
    ip[0] = 0x45;
    put16(ip + 2, (unsigned)n + UDP + IPV4);
    put16(ip + 4, e->id);
    ip[8] = HOPS;
    ip[9] = PROTOCOL_UDP;
    memcpy(ip + 12, e->src.ip, 4);
    memcpy(ip + 16, e->dst.ip, 4);
    put_checksum(ip + 10, sum(0, ip, IPV4), false);
}

static void put_ipv6(uint8_t *ip, size_t n, const struct frame_ends *e) {
    memset(ip, 0, 8);
    ip[0] = 0x60;
    put16(ip + 4, (unsigned)n + UDP);
    ip[6] = PROTOCOL_UDP;
    ip[7] = HOPS;
    memcpy(ip + 8, e->src.ip, 16);
    memcpy(ip + 24, e->dst.ip, 16);
}

/* The addresses are the last of either header, and stand before UDP's. */
static void put_udp(uint8_t *udp, size_t n, const struct frame_ends *e, size_t addresses) {
    uint8_t pseudo[4] = { 0, PROTOCOL_UDP };
    put16(udp, e->src.port);
    put16(udp + 2, e->dst.port);
    put16(udp + 4, (unsigned)n + UDP);
    put16(udp + 6, 0);
    put16(pseudo + 2, (unsigned)n + UDP);
    put_checksum(udp + 6, sum(sum(0, pseudo, sizeof pseudo), udp - addresses, addresses + UDP + n), true);
}

uint32_t frame_put(uint8_t *payload, size_t n, const struct frame_ends *e) {
    bool v6 = e->dst.family == ADDR_V6;
    uint8_t *udp = payload - UDP, *ip = udp - (v6 ? IPV6 : IPV4), *ethernet = ip - ETHERNET;
    memcpy(ethernet, e->hop_mac, 6);
    memcpy(ethernet + 6, e->our_mac, 6);
    put16(ethernet + 12, v6 ? 0x86dd : 0x0800);
    if (v6)
        put_ipv6(ip, n, e);
    else
        put_ipv4(ip, n, e);
    put_udp(udp, n, e, v6 ? 32 : 8);
    return (uint32_t)(payload - ethernet);
}
