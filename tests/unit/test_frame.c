/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The headers of frames, field by field, and their checksums as a receiver adds them up.
 */
#include "core/runtime/frame.h"
#include "tests/unit/unit.h"

#define ROOM 256

static uint8_t bytes[FRAME_HEAD_MAX + ROOM];
static uint8_t *const payload = bytes + FRAME_HEAD_MAX;

static struct frame_ends ends(const char *src, const char *dst) {
    struct frame_ends e = { .hop_mac = { 2, 0, 0, 0, 0, 9 }, .our_mac = { 2, 0, 0, 0, 0, 7 }, .id = 0xabcd };
    CHECK_TRUE(addr_parse(slice_str(src), 0, &e.src) && addr_parse(slice_str(dst), 0, &e.dst));
    return e;
}

static unsigned at16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

/* RFC 1071 the plain way. */
static unsigned add(unsigned total, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        total += i % 2 ? p[i] : (unsigned)p[i] << 8;
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return total;
}

static void fill(size_t n, unsigned first) {
    for (size_t i = 0; i < n; i++)
        payload[i] = (uint8_t)(first + 37 * i);
}

/* Of the frame whose IP header is there: UDP's sum with its pseudo header. */
static unsigned udp_sum(const uint8_t *addresses, size_t address_bytes, const uint8_t *udp, size_t n) {
    uint8_t rest[4] = { 0, 17, (uint8_t)((n + 8) >> 8), (uint8_t)(n + 8) };
    return add(add(add(0, addresses, address_bytes), rest, 4), udp, n + 8);
}

static void check_ethernet(const uint8_t *frame, unsigned type) {
    static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 7 };
    CHECK_EQ(memcmp(frame, macs, sizeof macs), 0);
    CHECK_EQ(at16(frame + 12), type);
}

static void check_udp(const uint8_t *udp, size_t n) {
    CHECK_EQ(at16(udp), 30000);
    CHECK_EQ(at16(udp + 2), 4002);
    CHECK_EQ(at16(udp + 4), n + 8);
}

static void test_ipv4(void) {
    struct frame_ends e = ends("192.0.2.1:30000", "198.51.100.7:4002");
    for (size_t n = 0; n < ROOM; n++) {
        fill(n, (unsigned)n);
        CHECK_EQ(frame_put(payload, n, &e), 42);
        const uint8_t *ip = payload - 28, *udp = payload - 8;
        check_ethernet(payload - 42, 0x0800);
        CHECK_TRUE(ip[0] == 0x45 && ip[9] == 17 && ip[8] > 1 && at16(ip + 6) == 0);
        CHECK_EQ(at16(ip + 2), n + 28);
        CHECK_EQ(at16(ip + 4), 0xabcd);
        CHECK_TRUE(memcmp(ip + 12, e.src.ip, 4) == 0 && memcmp(ip + 16, e.dst.ip, 4) == 0);
        CHECK_EQ(add(0, ip, 20), 0xffff);
        check_udp(udp, n);
        CHECK_EQ(udp_sum(ip + 12, 8, udp, n), 0xffff);
    }
}

static void test_ipv6(void) {
    struct frame_ends e = ends("[2001:db8::1]:30000", "[2001:db8:ffff::7]:4002");
    for (size_t n = 0; n < ROOM; n++) {
        fill(n, 200 + (unsigned)n);
        CHECK_EQ(frame_put(payload, n, &e), 62);
        const uint8_t *ip = payload - 48, *udp = payload - 8;
        check_ethernet(payload - 62, 0x86dd);
        CHECK_TRUE(ip[0] == 0x60 && ip[6] == 17 && ip[7] > 1);
        CHECK_EQ(at16(ip + 4), n + 8);
        CHECK_TRUE(memcmp(ip + 8, e.src.ip, 16) == 0 && memcmp(ip + 24, e.dst.ip, 16) == 0);
        check_udp(udp, n);
        CHECK_EQ(udp_sum(ip + 8, 32, udp, n), 0xffff);
    }
}

/* A sum whose complement is 0 is sent as all ones: 0 would say that there is none, and IPv6 drops that. */
static void test_no_zero(void) {
    struct frame_ends e = ends("192.0.2.1:30000", "198.51.100.7:4002");
    fill(2, 0);
    memset(payload, 0, 2);
    frame_put(payload, 2, &e);
    memcpy(payload, payload - 2, 2);  /* the complement of all else */
    frame_put(payload, 2, &e);
    CHECK_EQ(at16(payload - 2), 0xffff);
    CHECK_EQ(udp_sum(payload - 16, 8, payload - 8, 2), 0xffff);
}

int main(void) {
    return UNIT_RUN("frame", UNIT(test_ipv4), UNIT(test_ipv6), UNIT(test_no_zero));
}
