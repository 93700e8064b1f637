/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sdp: a view of a session description (RFC 8866) and a rewriter that keeps what it does not know. Views into the
 * caller's bytes; lines may end in CRLF or LF.
 */
#ifndef REFEREE_PARSER_SDP_H
#define REFEREE_PARSER_SDP_H

#include "core/base/addr.h"

#define SDP_MEDIA_MAX 8
#define SDP_FORMATS_MAX 32
#define SDP_BAD (-1)

/* Direction as bits: may send, may receive, of the one who wrote it (RFC 3264 section 5.1). */
enum sdp_direction { SDP_INACTIVE = 0, SDP_SENDONLY = 1, SDP_RECVONLY = 2, SDP_SENDRECV = 3 };

struct sdp_media {
    struct slice lines;           /* from its m= to the next m= or the end */
    struct slice kind;            /* "audio", "video", ... */
    struct slice proto;           /* "RTP/AVP", "RTP/SAVP", ... */
    uint16_t port;                /* 0: rejected */
    uint16_t format_count;
    struct slice formats[SDP_FORMATS_MAX];  /* as written, usually payload types */
    struct addr connection;       /* own c=, else the session's; ADDR_NONE: none or a host name. Port = 0 */
    struct addr rtcp;             /* a=rtcp (RFC 3605); family ADDR_NONE with port != 0: port only; port 0: none */
    enum sdp_direction direction; /* own attribute, else the session's, else sendrecv; connection 0.0.0.0 counts as held
                                     by an RFC 2543 peer: `zero_hold` */
    bool zero_hold;
    bool rtcp_mux;
    bool ice;                     /* a=candidate or a=ice-ufrag */
    bool crypto;                  /* a=crypto */
    bool dtls;                    /* a=fingerprint, own or the session's */
};

struct sdp {
    struct slice text;
    struct slice session;         /* v= to before the first m= */
    struct slice origin;          /* value of o= */
    struct slice session_id, session_version;  /* of o= */
    uint16_t media_count;
    struct sdp_media media[SDP_MEDIA_MAX];
};

/* Bytes, or SDP_BAD: no v=0, no o=, a line without '=', a bad m= or port, more than SDP_MEDIA_MAX m= lines. Empty
 * lines are skipped. Formats past SDP_FORMATS_MAX are not in `formats`, but the rewriter copies them. */
int32_t sdp_parse(struct slice text, struct sdp *out);

/* rtpmap of a payload type on m-line m: "PCMU/8000"; for the static ones (RFC 3551) the known text even if not written.
 * p == NULL: none. */
struct slice sdp_rtpmap(const struct sdp_media *m, struct slice format);
/* Clock rate of the first format; 8000 if unknown. */
uint32_t sdp_clock_rate(const struct sdp_media *m);

/* A codec of an m-line and its payload type there. */
struct sdp_codec {
    uint8_t number;
    struct slice map;             /* as sdp_rtpmap, "/1" of one channel left out */
    struct slice fmtp;            /* value of a=fmtp behind the number; p == NULL: none */
};
/* The numeric formats (0 to 127) of m that have a name, in order; how many. */
uint32_t sdp_codecs(const struct sdp_media *m, struct sdp_codec out[SDP_FORMATS_MAX]);
/* Name, rate and channels are the same, without case. */
bool sdp_same_codec(const struct sdp_codec *a, const struct sdp_codec *b);

/* Other payload types for an m-line: `from` as it stands becomes `to`, all at once (two may change places). */
struct sdp_renumber {
    uint8_t count;
    struct {
        uint8_t from, to;
    } pair[SDP_FORMATS_MAX];
};

/* What the rewriter changes; all else is copied byte for byte, in order (line ends become CRLF, empty lines go). A
 * direction at session level is moved to the m-lines as soon as one of them gets its own. A zero_hold would be lost
 * with its c=, so the m-line says it with a direction instead (sendonly, inactive), unless `address` is 0.0.0.0 too. */
struct sdp_patch {
    struct slice username;        /* o= of ours: username, session id, version */
    uint64_t session_id, version;
    struct slice origin_at;       /* network type, address type and address of o=; absent: from `address` */
    struct addr address;          /* into o= and every c=, session's and media's; added where an m-line has none */
    struct {
        uint16_t port;            /* 0: m-line rejected; its attributes are kept. One without formats stays so */
        uint16_t rtcp_port;       /* a=rtcp is rewritten if there was one, added when it is not port + 1; 0: left out */
        int direction;            /* enum sdp_direction; -1: as it is */
        uint32_t drop;            /* bit i: formats[i] goes, with its rtpmap, fmtp and rtcp-fb; not 0: so do those past
                                     SDP_FORMATS_MAX */
        const struct sdp_renumber *types;  /* NULL: as they are. In m=, rtpmap, fmtp (and its apt), rtcp-fb */
        struct slice proto;       /* of the m= line; absent: as it is */
        struct slice crypto;      /* whole a=crypto lines behind all others, unless the m-line is rejected */
    } media[SDP_MEDIA_MAX];
    bool pass;                    /* only o=, directions, `drop` and rejected lines change: addresses, a=rtcp and the
                                     ports that are not 0 stay as they are */
    bool strip_ice;               /* a=candidate, ice-*, end-of-candidates, remote-candidates */
    bool strip_crypto;            /* a=crypto as it stands */
};
/* Network type, address type and address of the o= of a description; absent: it is cut short. */
struct slice sdp_origin_at(struct slice text);
void sdp_rewrite(struct sbuf *out, const struct sdp *in, const struct sdp_patch *patch);

/* Some line is a=fingerprint: with a value; the rest need not be a description. */
bool sdp_has_fingerprint(struct slice text);

/* True if both say the same but for the o= line: then no new version is needed (RFC 3264 section 8). */
bool sdp_same_but_origin(struct slice a, struct slice b);

/* Every format of a's m-lines that are not rejected stands on b's m-line of the same index (not rejected, same kind),
 * under any payload type: the same name and rate without case, channels, static types by RFC 3551. What has no rtpmap
 * on either side ("t38") is compared as written; over 64 formats on a line: false. Then who knows b can decode all that
 * a's writer may send. */
bool sdp_formats_subset(const struct sdp *a, const struct sdp *b);

/* Formats of `a` that b has too, under any payload type; telephone-event and CN are no codecs. 0 if kinds differ. */
uint32_t sdp_common_formats(const struct sdp_media *a, const struct sdp_media *b);

/* Formats of `a` that b does not have, under any payload type, as bits for sdp_patch.drop; all of them if no codec is
 * left (telephone-event and CN are none), b is rejected or the kinds differ. What remains can be an answer to b. */
uint32_t sdp_foreign_formats(const struct sdp_media *a, const struct sdp_media *b);

static inline enum sdp_direction sdp_reverse(enum sdp_direction d) {
    return (enum sdp_direction)(((d & 1) << 1) | ((d >> 1) & 1));
}

#endif
