/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media_flow: how what one source sends continues what a listener hears, once sources have been changed under it: the
 * next relay of the stream goes on by the same offsets, or behind the last numbers where another one sends by then.
 */
#ifndef REFEREE_BASE_MEDIA_FLOW_H
#define REFEREE_BASE_MEDIA_FLOW_H

#include <stdint.h>

struct media_flow {
    uint32_t ssrc;         /* that the listener hears */
    uint32_t source_ssrc;  /* that the source sends */
    uint32_t ts_offset;    /* added to what the source says */
    uint32_t last_ts;      /* said to the listener */
    uint32_t clock_rate;   /* 0: nothing is known */
    uint16_t seq_offset;
    uint16_t last_seq;
};

#endif
