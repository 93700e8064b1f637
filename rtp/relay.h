/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * relay: who may send on a stream and where its packets go. One table a shard; a stream is a slot of the port pool:
 * one port pair of ours that faces one party. The engine commands it (struct media_cmd), the shell asks it about each
 * packet.
 *
 * Source. The SDP's address and port, at once. Else, once a MEDIA_REMOTE, another port of the SDP's IP, or with `nat`
 * of the IP that the signalling came from: after two packets in sequence, and from few sources at a time, so that a
 * spray of forged packets does not win. With nat what was learned is then both the only source and the destination;
 * without, the destination stays the SDP's. Again after RELAY_SILENCE_US of silence (a NAT that forgot). `strict`:
 * nothing but the SDP's address and port. RTCP has no sequence: it follows RTP, at the IP that RTP was learned at.
 *
 * Destination. RTCP goes to the RTP address where the party does rtcp-mux, and to `rtcp` else. Nothing is sent to a
 * party whose signalled address is ADDR_NONE, 0.0.0.0 or port 0.
 *
 * Listener. A stream hears one other: the last that was routed to it. What it hears is continuous, see egress.h, and
 * under the payload types it knows (struct media_types of the route).
 *
 * SRTP. The relay sees plain packets only: who has the keys takes them off what arrives on a stream that is `srtp`, and
 * puts them on what leaves through one. What does not prove to be the party's never comes here.
 *
 * Fast path. Where relay_share was called, a program in the kernel forwards by itself what is plainly RTP from the
 * known source of a stream to its listener, on the same counters and continuity (fastpath.h). The relay tells it
 * what it may do after each command and each latch; what comes here is what it left.
 *
 * Memory. A stream is 392 bytes here, what was counted of it included. What few streams need lies in a place of its own
 * (struct relay_extra, 100 bytes) while they do, and sources in probation in another; there is one of each for every
 * stream, so that there always is one, but what was never taken was never touched.
 */
#ifndef REFEREE_RTP_RELAY_H
#define REFEREE_RTP_RELAY_H

#include "core/base/arena.h"
#include "core/base/outbox.h"
#include "rtp/fastpath.h"
#include "rtp/quality.h"

enum relay_drop {
    RELAY_FORWARD,                /* not dropped */
    RELAY_DROP_CLOSED,            /* no such stream, or not open */
    RELAY_DROP_MALFORMED,         /* neither RTP nor RTCP (STUN, keep-alives), or RTP on the RTCP port */
    RELAY_DROP_SOURCE,            /* not who may send here */
    RELAY_DROP_NO_REMOTE,         /* nobody may: no MEDIA_REMOTE yet */
    RELAY_DROP_NO_ROUTE,          /* routed nowhere, or its listener hears another stream now */
    RELAY_DROP_NO_ADDRESS,        /* the listener is not open or has no address */
    RELAY_DROP_LATE,              /* older than the splice it belongs behind */
    RELAY_DROP_TYPE,              /* a payload type that the listener has not agreed to */
    RELAY_DROP_RTCP,              /* a sender report before the first RTP of its source */
    RELAY_DROP_SRTP,              /* forged, repeated, or not to be read or written with the keys: by who has these */
    RELAY_DROPS,
};

struct relay_verdict {
    enum relay_drop drop;
    uint32_t out_stream;          /* leaves from this stream's ... */
    bool out_rtcp_port;           /* ... RTCP port, else RTP port ... */
    struct addr dst;              /* ... to here */
};

struct relay_latch {
    struct addr signalled;
    struct addr learned;          /* family ADDR_NONE: nothing yet */
};

/* A source in probation. */
#define RELAY_CANDIDATES 4
#define RELAY_PROBATION_US UINT64_C(100000)    /* a place is kept so long */
#define RELAY_PROBATION_UNITS 24000u           /* of timestamp, at most between two packets in sequence */
#define RELAY_SILENCE_US UINT64_C(2000000)
struct relay_candidate {
    struct addr src;
    uint64_t at_us;
    uint32_t ssrc, timestamp;
    uint16_t seq;
    uint8_t payload_type;
};

struct relay_probation {
    struct relay_candidate candidate[RELAY_CANDIDATES];
};

/* The last one given back is taken first, and those beyond `fresh` were never touched. */
struct relay_places {
    char *mem;                            /* as many as there are streams, each a multiple of 4 bytes */
    uint32_t size;                        /* of one */
    uint32_t free, fresh;                 /* index + 1, 0: none; how many were ever taken */
};

struct relay_counters {
    uint64_t packets_in, octets_in;       /* RTP and RTCP that was accepted from the party; UDP payload octets */
    uint64_t packets_out, octets_out;     /* forwarded to the party */
    uint64_t dropped[RELAY_DROPS];        /* of what arrived on this stream, by reason */
    uint64_t splices;                     /* changes of source that the party did not hear */
    uint64_t last_in_us, last_out_us;     /* of RTP; 0: none */
    uint64_t remote_us;                   /* of the last MEDIA_REMOTE */
    uint64_t first_out_us;                /* of the first RTP to the party after it; 0: none yet */
    uint64_t gap_us;                      /* longest between two RTP packets to the party since it */
};

/* What the party hears instead of another one. */
struct relay_play {
    bool on, alaw;
    uint8_t source;                       /* enum media_source */
    uint8_t payload_type;
    uint32_t at;                          /* in relay.players */
    uint32_t frames;                      /* sent */
    uint32_t timestamp;                   /* a byte is a unit of it: as many octets were sent */
};

/* What most streams have nothing of: all zero then. */
struct relay_extra {
    struct media_types types;             /* of the route */
    struct relay_latch rtcp;              /* what of it is not at RTP's IP */
    struct relay_play play;
};

struct relay_stream {
    uint32_t generation;                  /* 0: never opened */
    uint16_t told_splices;                /* of fast_sent, that relay_spliced has told; modulo 2^16 */
    bool resumed : 1;                     /* and not told its remote yet */
    bool continued : 1;                   /* as another relay left it, and nothing is routed here yet */
    bool open : 1, remote : 1, nat : 1, strict : 1, rtcp_mux : 1;
    bool srtp : 1;                        /* never given to the kernel, on either side */
    uint8_t signalling_family;
    uint8_t signalling_ip[16];            /* where its signalling comes from */
    uint32_t route;                       /* MEDIA_NOWHERE */
    uint32_t heard;                       /* the stream routed here last; MEDIA_NOWHERE */
    uint32_t heard_generation;
    uint32_t negotiated_rate;             /* of dynamic payload types */
    uint32_t told_ms;                     /* silent, the last time; modulo 2^32 */
    uint32_t rtcp_ms;                     /* of the last RTCP that was accepted; modulo 2^32; 0: none */
    uint32_t extra;                       /* of relay.extras, index + 1; 0: see relay_extra */
    uint32_t probation;                   /* of relay.probations, index + 1; 0: no source is in it */
    struct relay_latch rtp;
    struct {
        uint16_t signalled, learned;      /* ports, each at RTP's address of that kind; 0: see relay_extra */
    } rtcp;
    struct quality quality;               /* of what the party hears, by its own word */
    uint32_t dropped[RELAY_DROPS - 1];    /* modulo 2^32; from the one behind RELAY_FORWARD on */
    uint64_t remote_us;
};

struct relay {
    struct relay_stream *streams;         /* NULL: only counted */
    struct fast_in *in;                   /* by stream: from the party */
    struct fast_out *out;                 /* to it */
    bool shared;                          /* with the kernel; else of these there is only what is counted, close by */
    struct relay_places extras, probations;
    uint32_t count;
    uint64_t dropped[RELAY_DROPS];        /* of all streams, closed and unknown ones too */
    uint64_t stale_commands;
    bool spliced;                         /* some stream was, and was not told */
    uint32_t *players;                    /* the streams that are played to, player_count of them */
    uint32_t player_count;
};

/* What a stream looks like from outside (refereectl). */
struct relay_stats {
    struct relay_counters counters;
    bool open;
    uint32_t generation;
    uint32_t route;                       /* MEDIA_NOWHERE: none */
    struct addr signalled, learned;       /* RTP */
    uint32_t ssrc_in, ssrc_out;           /* 0 when nothing came, was sent */
    uint64_t rtp_expected;                /* RFC 3550 appendix A.3 */
    int64_t rtp_lost;
    uint32_t jitter_us;                   /* appendix A.8 */
    bool reported;                        /* the party has said how it hears: the next three */
    int32_t heard_lost;
    uint32_t heard_jitter_us;
    uint32_t rtt_us;                      /* to the party and back; 0: not known */
    uint32_t mos;                         /* times 100, of what comes from the party: loss, jitter, half a round trip;
                                             0: nothing came */
};

/* What was counted of a stream. */
static inline struct fast_heard *relay_heard(const struct relay *r, uint32_t stream) {
    return r->shared ? &r->in[stream].heard : &((struct fast_heard *)(void *)r->in)[stream];
}
/* Of a dense entry: what a fast_out begins with. */
struct relay_dense {
    struct egress egress;
    struct fast_sent sent;
};
static inline struct egress *relay_egress(const struct relay *r, uint32_t stream) {
    return r->shared ? &r->out[stream].egress : &((struct relay_dense *)(void *)r->out)[stream].egress;
}
static inline struct fast_sent *relay_sent(const struct relay *r, uint32_t stream) {
    return r->shared ? &r->out[stream].sent : &((struct relay_dense *)(void *)r->out)[stream].sent;
}

extern const struct relay_extra relay_no_extra;
static inline const struct relay_extra *relay_extra(const struct relay *r, const struct relay_stream *s) {
    const struct relay_extra *all = (const struct relay_extra *)(void *)r->extras.mem;
    return s->extra ? &all[s->extra - 1] : &relay_no_extra;
}

_Static_assert(sizeof(struct relay_stream) + sizeof(struct fast_heard) + sizeof(struct relay_dense) <= 392, "a stream");
_Static_assert(sizeof(struct relay_extra) <= 100, "a stream that has it all");

/* Bytes of arena for so many streams. */
size_t relay_bytes(uint32_t streams);
/* Lays the table out in `a`; while `a` counts only the size is taken. */
void relay_init(struct relay *r, struct arena *a, uint32_t streams);

/* From now on the state of streams lies in these arrays of `count`, which the kernel sees. Before any command. What
 * is in them stays until a stream is opened: the kernel goes on with it. */
void relay_share(struct relay *r, struct fast_in *in, struct fast_out *out);

/* False: ignored, being for another use of the slot than the present one (counted) or for no slot. OPEN wants a newer
 * generation than any before it, the others that of the open stream, and LEAVE either: of a newer one it ends what is
 * open. A ROUTE is to the use of `to` that is open then. */
bool relay_command(struct relay *r, const struct media_cmd *cmd, uint64_t now_us);

struct relay_in {
    uint32_t stream;                      /* on whose port it arrived */
    bool rtcp_port;
    struct addr src;
    uint8_t *bytes;                       /* patched in place; not to be used after a drop */
    size_t n;
};

void relay_packet(struct relay *r, const struct relay_in *in, uint64_t now_us, struct relay_verdict *out);
/* Counts what was dropped on its way to or from the relay. */
void relay_dropped(struct relay *r, uint32_t stream, enum relay_drop why);

/* The next frame for a stream that is played to: RTP_HEADER_MIN + n bytes at `packet`, of which n from `payload` (at
 * 8000 Hz, one byte a sample). It continues what the party heard, as any source does. False: nothing is to be sent
 * now (no address); time goes on all the same. */
struct relay_frame {
    uint32_t stream;
    const uint8_t *payload;
    size_t n;
    uint8_t *packet;
};
bool relay_play(struct relay *r, const struct relay_frame *f, uint64_t now_us, struct relay_verdict *out);

/* The next stream from *cursor on (0 at first) whose party has sent neither RTP nor RTCP for so long, since it was told
 * where to; told again each quarter of that. MEDIA_NOWHERE: no further one. */
uint32_t relay_silent(struct relay *r, uint32_t *cursor, uint64_t timeout_us, uint64_t now_us);
/* The next stream from *cursor on (0 at first) whose party hears another source than when this told of it last;
 * MEDIA_NOWHERE: no further one. *flow is what the next relay of the stream has to know, for MEDIA_OPEN. */
uint32_t relay_spliced(struct relay *r, uint32_t *cursor, struct media_flow *flow);

/* False: no such stream. */
bool relay_stats(const struct relay *r, uint32_t stream, struct relay_stats *out);
struct relay_counters relay_counters(const struct relay *r, uint32_t stream);
/* "no_route" and so on, for logs and refereectl. */
const char *relay_drop_name(enum relay_drop drop);

#endif
