/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/packet.h"
#include "tests/unit/unit.h"

#include <string.h>

#define NAME "a00001f00abcd0"

static uint8_t packet[PACKET_BYTES];

static bool reads(uint32_t n) {
    struct slice name;
    uint8_t nth;
    return packet_read(slice_of((const char *)packet, n), &name, &nth);
}

static void test_whole(void) {
    struct slice name;
    uint8_t nth;
    packet_write(packet, SL(NAME), 0x12345678, 3);
    CHECK_TRUE(packet_read(slice_of((const char *)packet, sizeof packet), &name, &nth));
    CHECK_SLICE(name, NAME);
    CHECK_EQ(nth, 3);
}

/* A relay may put its own there. */
static void test_renumbered(void) {
    packet_write(packet, SL(NAME), 1, 0);
    memset(packet + 2, 0x5a, 10);
    packet[1] |= 0x80;
    CHECK_TRUE(reads(sizeof packet));
}

/* Any other byte that is not as it was sent is seen. */
static void test_changed(void) {
    packet_write(packet, SL(NAME), 1, 2);
    for (uint32_t i = 0; i < sizeof packet; i++) {
        if (i >= 1 && i < 12)
            continue;
        packet[i] ^= 0x10;
        CHECK_FALSE(reads(sizeof packet));
        packet[i] ^= 0x10;
    }
    packet[1] = 8;
    CHECK_FALSE(reads(sizeof packet));
}

static void test_cut(void) {
    packet_write(packet, SL(NAME), 1, 2);
    for (uint32_t n = 0; n < sizeof packet; n++)
        CHECK_FALSE(reads(n));
    packet_write(packet, SL(NAME), 1, PACKETS_MAX);
    CHECK_FALSE(reads(sizeof packet));
}

int main(void) {
    return UNIT_RUN("packet", UNIT(test_whole), UNIT(test_renumbered), UNIT(test_changed), UNIT(test_cut));
}
