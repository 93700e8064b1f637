/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media_io: sockets of the relay's port pairs. The relay decides about each packet, this moves the bytes. All pairs
 * are bound at start; a stream is the index of a pair in the range.
 */
#ifndef REFEREE_RUNTIME_MEDIA_IO_H
#define REFEREE_RUNTIME_MEDIA_IO_H

#include "core/runtime/fastpath.h"
#include "core/runtime/io.h"
#include "core/runtime/log.h"
#include "core/runtime/media_out.h"
#include "core/runtime/player.h"
#include "core/runtime/srtp_io.h"
#include "rtp/relay.h"

struct media_pair {
    int fd[2];                /* RTP, RTCP */
    int slot[2];              /* of io */
};

/* Of several shards: each pair is bound by one of them, and used by the one whose call has it (usable). */
struct media_share {
    struct media_pair *pairs; /* of all: descriptors, each written by who bound it before it tells anyone */
    struct fast_in *in;       /* state of all streams, each of whoever uses the pair */
    struct fast_out *out;
    const struct fastpath *fast;
    uint32_t first, end;      /* pairs of each address that this shard binds */
};

struct media_io {
    struct relay relay;
    struct player player;
    struct fastpath fast;
    struct media_out out;     /* where there is no fast path */
    struct srtp_io srtp;
    uint64_t timeout_us;      /* of silence; 0: it is not looked for */
    uint64_t sweep_us;        /* of the next look */
    uint32_t cursor;          /* of the present one */
    uint64_t splice_us;       /* of the next look for streams that were spliced */
    uint32_t splice_cursor;
    struct media_pair *pairs;
    bool *usable;             /* by pair: for engine_config.media_port_usable; and it is in `io` */
    uint32_t count;
    uint32_t per_address;     /* pairs; at address k they begin with k * per_address */
    struct media_share share; /* pairs NULL: the only shard */
    struct io *io;
    struct metrics *metrics;
    uint32_t tag_base;
};

/* Ports first to last of each address, and of those that may come here. */
struct media_range {
    const struct addr *own, *vips;
    uint32_t own_count, vip_count;
    uint16_t first, last;
};
/* Binds every pair that is free; the others are named in the log. False: not one could be bound. */
bool media_io_open(struct media_io *m, const struct media_range *r, struct log *log);
/* A pair that comes here with its call, or is at home again; one that leaves. Its state is left alone. */
bool media_io_join(struct media_io *m, uint32_t pair);
void media_io_part(struct media_io *m, uint32_t pair);
bool media_io_is_own(const struct media_io *m, uint32_t pair);
/* Starts receiving; `tag` of pair i is tag_base + 2 * i, plus 1 for RTCP. The relay's table is laid out by now. */
bool media_io_start(struct media_io *m, struct io *io, struct metrics *metrics, uint32_t tag_base);
void media_io_close(struct media_io *m);
/* Puts the kernel's fast path under the relay, where it can be had. Before the first command. */
void media_io_fast(struct media_io *m, const struct fastpath_options *o, uint64_t now_us, struct log *log);

void media_io_command(struct media_io *m, const struct media_cmd *cmd, uint64_t now_us);
/* When media_io_turn wants to be called next. */
uint64_t media_io_deadline(const struct media_io *m);
/* Sends what is due of music and tones; bufs is the pool that io_send gives back to. Looks after the fast path. */
void media_io_turn(struct media_io *m, struct buf_pool *bufs, uint64_t now_us);
/* A stream that is silent by now, for MEDIA_EV_SILENT; MEDIA_NOWHERE: none. At most some a turn. */
uint32_t media_io_silent(struct media_io *m, uint64_t now_us);
/* A packet on `port` (tag minus tag_base). True when it was the one that the stream latched on. */
bool media_io_packet(struct media_io *m, uint32_t port, const struct io_event *ev, uint64_t now_us);
/* For MEDIA_EV_FLOW: a stream whose party hears another source. False: none, or no more. */
bool media_io_spliced(struct media_io *m, struct event *ev, uint64_t now_us);
/* For MEDIA_EV_ROC: a stream whose rollover counters have changed. False: none, or no more. */
bool media_io_rolled(struct media_io *m, struct event *ev);

#endif
