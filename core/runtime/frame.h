/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * frame: the headers that make a UDP datagram an Ethernet frame: Ethernet, IPv4 (RFC 791) or IPv6 (RFC 8200), UDP (RFC
 * 768), checksums complete. Pure.
 */
#ifndef REFEREE_RUNTIME_FRAME_H
#define REFEREE_RUNTIME_FRAME_H

#include "core/base/addr.h"

#define FRAME_HEAD_MAX 62         /* octets, of IPv6 */

struct frame_ends {
    uint8_t hop_mac[6], our_mac[6];
    struct addr src, dst;         /* of one family, not ADDR_NONE */
    uint16_t id;                  /* of IPv4, which routers on the way may divide: another one for each packet */
};

/* Writes them right in front of the n octets at `payload`, where FRAME_HEAD_MAX are free; n at most 65 000. Returns how
 * many octets they are. */
uint32_t frame_put(uint8_t *payload, size_t n, const struct frame_ends *e);

#endif
