/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/packet.h"

#include <string.h>

#define HEADER 12
#define PAYLOAD (PACKET_BYTES - HEADER)
#define VERSION 0x80
#define PCMU 0

static uint8_t fill_of(struct slice name, uint8_t nth, unsigned i) {
    return (uint8_t)((uint8_t)name.p[i % PACKET_NAME] + 31u * nth + i);
}

void packet_write(uint8_t to[PACKET_BYTES], struct slice name, uint32_t ssrc, uint8_t nth) {
    uint32_t timestamp = 160u * nth;
    uint8_t *p = to + HEADER;
    const uint8_t head[HEADER] = { VERSION, PCMU, 0x40, nth,
                                   (uint8_t)(timestamp >> 24), (uint8_t)(timestamp >> 16), (uint8_t)(timestamp >> 8),
                                   (uint8_t)timestamp, (uint8_t)(ssrc >> 24), (uint8_t)(ssrc >> 16),
                                   (uint8_t)(ssrc >> 8), (uint8_t)ssrc };
    memcpy(to, head, HEADER);
    memcpy(p, name.p, PACKET_NAME);
    p[PACKET_NAME] = nth;
    for (unsigned i = PACKET_NAME + 1; i < PAYLOAD; i++)
        p[i] = fill_of(name, nth, i);
}

bool packet_read(struct slice packet, struct slice *name, uint8_t *nth) {
    if (packet.n != PACKET_BYTES || (uint8_t)packet.p[0] != VERSION || (packet.p[1] & 0x7f) != PCMU)
        return false;
    const char *p = packet.p + HEADER;
    *name = slice_of(p, PACKET_NAME);
    *nth = (uint8_t)p[PACKET_NAME];
    for (unsigned i = PACKET_NAME + 1; i < PAYLOAD; i++)
        if ((uint8_t)p[i] != fill_of(*name, *nth, i))
            return false;
    return *nth < PACKETS_MAX;
}
