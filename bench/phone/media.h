/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media: one RTP end point of a phone: sends a tone every 20 ms, listens for tones. RTP and RTCP by oRTP;
 * single-threaded, driven by media_tick and by its socket being readable. One per dialog slot, bound once and used
 * again for later calls.
 */
#ifndef REFEREE_BENCH_MEDIA_H
#define REFEREE_BENCH_MEDIA_H

#include "bench/phone/tone.h"

#define MEDIA_TONES_MAX 4u
#define MEDIA_PACKET_US 20000u

struct media_config {
    const char *address;          /* local IP; outlives the media */
    uint16_t port;                /* even; port + 1 is RTCP */
    double hertz;                 /* the tone sent */
    double known[MEDIA_TONES_MAX];/* tones listened for; 0 ends the list */
};

/* What a description asks of the media. port == 0: nothing is sent. */
struct media_remote {
    char address[46];
    uint16_t port, rtcp_port;
    uint8_t payload_type;
    enum g711_law law;
    bool send, receive;
};

/* What was heard since media_mark, times in microseconds of the caller's clock; 0: never. */
struct media_heard {
    uint64_t marked_us, first_us, last_us;
    uint64_t gap_us;              /* longest time between two packets */
    uint64_t packets;
    uint32_t lost, reordered;     /* by sequence number */
    uint32_t ssrcs;               /* how many different ones in a row */
    bool ssrc_kept;               /* the first packet had the SSRC of the last one before the mark */
    int32_t step;                 /* and its sequence number was that much higher */
    uint32_t windows;             /* of 100 ms, all */
    uint32_t tone[MEDIA_TONES_MAX];   /* windows in which known[i] dominated */
    uint64_t tone_first_us[MEDIA_TONES_MAX]; /* first packet in which known[i] dominated */
    double share_min[MEDIA_TONES_MAX];/* smallest share of known[i] among the windows won by it */
    double share_sum[MEDIA_TONES_MAX];
};

struct media;

/* Heap use is here, at start; NULL: the port could not be bound. */
struct media *media_open(const struct media_config *c);
void media_close(struct media *m);
int media_fd(const struct media *m);
void media_set_remote(struct media *m, const struct media_remote *r, uint64_t now_us);
/* Sends nothing more until the next media_set_remote. */
void media_stop(struct media *m);
/* Reads what has arrived, sends what is due. */
void media_tick(struct media *m, uint64_t now_us);
/* When media_tick is next due; UINT64_MAX: no time. */
uint64_t media_due(const struct media *m);
/* Starts a new count. */
void media_mark(struct media *m, uint64_t now_us);
const struct media_heard *media_heard(const struct media *m);
uint64_t media_sent(const struct media *m);

#endif
