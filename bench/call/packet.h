/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * packet: RTP whose payload says who sent it and the how manieth it is, so that one that is lost, changed, doubled or
 * in the wrong place is known. SSRC, sequence and timestamp may be another's behind a relay; the payload may not.
 */
#ifndef REFEREE_BENCH_CALL_PACKET_H
#define REFEREE_BENCH_CALL_PACKET_H

#include "core/base/slice.h"

#define PACKET_BYTES 172        /* 20 ms of PCMU */
#define PACKET_NAME 14
#define PACKETS_MAX 8

void packet_write(uint8_t to[PACKET_BYTES], struct slice name, uint32_t ssrc, uint8_t nth);
/* False: not as packet_write has made it. */
bool packet_read(struct slice packet, struct slice *name, uint8_t *nth);

#endif
