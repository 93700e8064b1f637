/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * relay_source: whether a packet comes from who may send on a stream, by the rules of relay.h. Private to the relay.
 */
#ifndef REFEREE_RTP_RELAY_SOURCE_H
#define REFEREE_RTP_RELAY_SOURCE_H

#include "rtp/relay.h"

struct relay_arrival {
    const struct addr *src;
    const struct rtp_view *rtp;   /* NULL: RTCP */
    bool rtcp_port;
    uint64_t last_us;             /* of the last RTP that was accepted; 0: none */
    uint64_t now_us;
};

/* True: accepted; it may have been learned by this packet. */
bool relay_accepts(struct relay *r, struct relay_stream *s, const struct relay_arrival *a);
/* No source of the stream is in probation any more. */
void relay_end_probation(struct relay *r, struct relay_stream *s);
/* IP and port. */
bool relay_same_endpoint(const struct addr *a, const struct addr *b);
/* An IP and a port that are no zeros. */
bool relay_can_be_sent_to(const struct addr *a);

#endif
