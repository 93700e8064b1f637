/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * srtp_io: takes SRTP off what arrives on a stream and puts it on what leaves through one (RFC 3711, by libsrtp2). The
 * relay between the two sees plain packets. A stream is what MEDIA_SRTP said of it last; one that it said nothing of,
 * or SRTP_NONE, passes as it is. Nothing passes one whose keys cannot be used.
 *
 * Rollover counters. A source that is new begins at 0. Where a former owner of the stream was further (srtp_keys), and
 * for the same source under a new key, its counter and the next one are tried too: a packet proves which is right.
 *
 * Indices of RTCP are told to nobody, and must not be used again with a key (section 9.1): after a former owner some
 * are passed over, more than it can have used, a few with each packet; until then no RTCP goes out.
 */
#ifndef REFEREE_RUNTIME_SRTP_IO_H
#define REFEREE_RUNTIME_SRTP_IO_H

#include "core/base/outbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SRTP_IO_PACKET_MAX 1700  /* longer ones are dropped */
#define SRTP_IO_ROOM 32          /* bytes that srtp_io_out may need behind a packet */
#define SRTP_IO_RTCP_SKIP 1024   /* indices of RTCP passed over, for each round of RTP: one report a second is less */
#define SRTP_IO_RTCP_SKIP_MAX 16384
#define SRTP_IO_SOURCES 32       /* SSRCs of a direction that are known at a time; the oldest is forgotten */

struct srtp_io_stream;
struct srtp_io {
    struct srtp_io_stream **streams; /* NULL where there is no SRTP */
    uint32_t count;
    uint32_t *changed;               /* streams whose counters are to be told, changed_n of them */
    uint32_t changed_n;
};

/* False: no memory, or libsrtp2 does not start. */
bool srtp_io_open(struct srtp_io *x, uint32_t streams);
void srtp_io_close(struct srtp_io *x);

/* A command that the relay has taken. */
void srtp_io_command(struct srtp_io *x, const struct media_cmd *cmd);

/* A packet that arrived on the stream, in place; *n becomes its plain length. False: drop it. */
bool srtp_io_in(struct srtp_io *x, uint32_t stream, uint8_t *packet, size_t *n);
/* One that leaves through it: SRTP_IO_ROOM bytes behind it are free. */
bool srtp_io_out(struct srtp_io *x, uint32_t stream, uint8_t *packet, size_t *n);

/* Takes the next stream whose rollover counters have changed since they were told. False: none. */
bool srtp_io_changed(struct srtp_io *x, uint32_t *stream, struct srtp_roc *in, struct srtp_roc *out);

#endif
