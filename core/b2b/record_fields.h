/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record_fields: which field of which object of a record has which tag. Encoder and decoder read the same tables. A
 * number is written unless it is 0; a missing one is 0. A tag is never given another meaning: a field that goes away
 * leaves a gap, a new one gets a new number, critical only if a reader without it would do harm. What older readers
 * refuse (a critical tag, a flag, a larger maximum) is written in the next format only: see record_format.h.
 *
 *   record     "RFR", format (1 byte), length of the rest (varint); the rest: fields of the call, packed
 *   REC_LEG    number (varint), fields of the leg
 *   LEG_TAG_STREAM index (varint), fields of the stream
 *   times      milliseconds since 1970
 *   addresses  family | transport << 4 (1 byte), port (2), 4 or 16 bytes, with IPv6 the scope (varint)
 */
#ifndef REFEREE_B2B_RECORD_FIELDS_H
#define REFEREE_B2B_RECORD_FIELDS_H

#include "core/b2b/record_tlv.h"
#include "core/b2b/state.h"

#define RECORD_KEPT_MAX 4096 /* bytes of unknown fields of one call */

enum record_call_tag {
    REC_ID = CRIT(1),
    REC_BUCKET = CRIT(2),
    REC_DEPTH = OPT(3),
    REC_ANSWERED = CRIT(4),
    REC_CREATED_MS = OPT(5),
    REC_ANSWERED_MS = OPT(6),
    REC_NEXT_LEG = CRIT(7),
    REC_MEDIA_ADDR = OPT(8), /* of the node that has the ports */
    REC_LEG = CRIT(9),
    REC_TRANSFER = CRIT(10),
    REC_VERSION = OPT(11),   /* as the store knows it */
    REC_TAKEOVERS = OPT(12), /* times that somebody tried to go on with it after an owner's death */
    REC_TAKEN = OPT(13),     /* when that was last */
    REC_EMERGENCY = OPT(14), /* 1: what is kept for such calls is for it */
    REC_ATTEMPT = OPT(15),   /* written by this epoch of the bucket: only to count an attempt; what its owner has used
                                is in the next one. By another epoch: an older reader has kept the field */
};

enum record_leg_tag {
    LEG_TAG_STATE = CRIT(1),
    LEG_TAG_ROLE = CRIT(2),
    LEG_TAG_PEER = CRIT(3), /* number + 1 */
    LEG_TAG_OA = CRIT(4),
    LEG_TAG_FLAGS = CRIT(5), /* bits in the order of record_leg_flags */
    LEG_TAG_REFUSED = OPT(6),
    LEG_TAG_LOCAL_CSEQ = CRIT(7),
    LEG_TAG_REMOTE_CSEQ = CRIT(8),
    LEG_TAG_INVITE_CSEQ = CRIT(9),
    LEG_TAG_FLOW = CRIT(10),
    LEG_TAG_LOCAL = OPT(11),
    LEG_TAG_CREATED = OPT(12),
    LEG_TAG_ANSWERED = OPT(13),
    LEG_TAG_OK_CSEQ = OPT(14), /* of our 2xx that waits for its ACK; without LEG_TAG_OK: of one that has had it */
    LEG_TAG_OK_UNTIL = OPT(15),
    LEG_TAG_RETRY_UNTIL = OPT(16),
    LEG_TAG_TIMER = OPT(17),
    LEG_TAG_DIRECTION = OPT(18),
    LEG_TAG_SESSION_ID = CRIT(19),
    LEG_TAG_SESSION_VERSION = CRIT(20),
    LEG_TAG_STREAM = CRIT(21),
    LEG_TAG_TRANSFER = CRIT(22), /* enum transfer_role; bucket and id of its call if that is another */
    LEG_TAG_TOKEN = CRIT(23),    /* LEG_TAG_TEXT(DLG_LOCAL_TAG), where that is of this call and leg: cluster, random */
    LEG_TAG_INVITE_UNTIL = OPT(24),
    LEG_TAG_DIRECTION_BEFORE = OPT(25),
    LEG_TAG_SESSION_EXPIRES = OPT(26), /* of the session timer: seconds */
    LEG_TAG_SESSION_MIN_SE = OPT(27),
    LEG_TAG_SESSION_ENDS = OPT(28),
    LEG_TAG_SESSION_TIMER = OPT(29),
    LEG_TAG_AUTH_NC = OPT(30), /* of the nonce in LEG_TAG_CHALLENGE */
    LEG_TAG_CHALLENGE = OPT(31),
    LEG_TAG_OPEN_OUT = OPT(96), /* our INVITE without final response: enum record_open_tag */
    LEG_TAG_OPEN_IN = OPT(97),  /* theirs, the same */
    LEG_TAG_OK = OPT(98),       /* our 2xx without ACK, or 18x without PRACK, the same */
    LEG_TAG_REFER_DONE = OPT(99), /* CSeq of its last REFER whose transfer is over */
    LEG_TAG_RSEQ = OPT(100),      /* of our last reliable 18x, which LEG_TAG_OK is until its PRACK */
    LEG_TAG_REL_WAIT = OPT(101),  /* the next 18x, until then */
    LEG_TAG_REL_OK = OPT(102),    /* the 2xx, until then */
    LEG_TAG_MEDIA_FLOWS = OPT(103), /* media_flow.h */
    LEG_TAG_MOVES = OPT(104),       /* from one call to another; absent: 0, or as its local tag says */
    LEG_TAG_UNTOLD = OPT(105),      /* 1: if it refuses what waits for it, its peer is to hear what it said last */
    LEG_TAG_FORKED = OPT(106),      /* 1: several phones ring and have answered: the text is what one of them said */
    LEG_TAG_READ_LATE = OPT(107),   /* 1: it may have given up its last re-INVITE, whatever ACK comes */
};
enum record_open_tag {
    OPEN_TAG_BYTES = CRIT(1),
    OPEN_TAG_ADDR = CRIT(2),  /* where it goes; OPEN_IN: where it came from */
    OPEN_TAG_STATE = CRIT(3), /* 1: a provisional response has come */
};
/* A text as it is; `n` is the number in record_leg_texts. */
#define LEG_TAG_TEXT(n) CRIT(32 + (n))

enum record_stream_tag {
    STREAM_TAG_PORT = CRIT(1),
    STREAM_TAG_RTP = CRIT(2),
    STREAM_TAG_RTCP = CRIT(3), /* unless it is the next port */
    STREAM_TAG_IN_ROC = OPT(4),  /* SSRC and rollover counter of SRTP from the party, unless that is 0 */
    STREAM_TAG_OUT_ROC = OPT(5), /* to it */
    STREAM_TAG_ADDR = OPT(6),    /* of the port, unless REC_MEDIA_ADDR is */
};

enum record_transfer_tag {
    TRF_TAG_STATE = CRIT(1),
    TRF_TAG_MODE = CRIT(2),
    TRF_TAG_FLAGS = CRIT(3), /* bits in the order of record_transfer_flags */
    TRF_TAG_REFER_CSEQ = CRIT(4),
    TRF_TAG_MAX_FORWARDS = OPT(5),
    TRF_TAG_RESULT = CRIT(6),
    TRF_TAG_PROGRESS = OPT(7),
    TRF_TAG_QUEUED = OPT(8),
    TRF_TAG_EXPIRES = CRIT(9),
    TRF_TAG_STARTED = OPT(10),
    TRF_TAG_TIMER = CRIT(11),
    TRF_TAG_RELAY_CSEQ = CRIT(12),
    TRF_TAG_CONSULT_CALL = CRIT(13), /* bucket and id, or empty: the transferee's own */
    TRF_TAG_SUBSCRIBER = OPT(48),    /* number + 1, where that is not the transferor */
    TRF_TAG_BY = OPT(49),
    TRF_TAG_RECALL = OPT(50),
    TRF_TAG_RECALL_STEP = OPT(51),
    TRF_TAG_QUIRKS = OPT(52),
    TRF_TAG_OPEN_REFER = OPT(53), /* relayed: our REFER without final response: enum record_open_tag */
    TRF_TAG_OUTSIDE = OPT(54),    /* 1: not asked for in the transferor's dialog */
};
/* A party: number + 1 of a leg of this call; or 0, length of Call-ID, Call-ID, local tag of a leg of another. */
#define TRF_TAG_PARTY(p) CRIT(16 + (p))
#define TRF_TAG_TEXT(n) CRIT(32 + (n))

enum record_kind {
    KIND_NUMBER,
    KIND_TIME,     /* monotonic microseconds in memory; 0: none */
    KIND_DEADLINE, /* the same; one that has passed stays in the past on a machine that was started lately */
};

struct record_field {
    uint8_t tag, kind, size; /* size: bytes in memory */
    uint16_t offset;
    uint64_t max;
};
/* Ended by tag 0. */
extern const struct record_field record_call_fields[], record_leg_fields[], record_transfer_fields[];

/* Offsets of bools; bit i is the i-th. Ended by 0. New ones go to the end. */
extern const uint16_t record_leg_flags[], record_transfer_flags[];

/* Number of a text in a record is its place here: fields of struct strs, new ones at the end. */
#define RECORD_LEG_TEXTS 14
#define RECORD_TRANSFER_TEXTS 8
extern const uint8_t record_leg_texts[RECORD_LEG_TEXTS], record_transfer_texts[RECORD_TRANSFER_TEXTS];

/* Where an unknown field was, in front of it in call.kept. */
enum record_place { IN_CALL, IN_LEG, IN_STREAM, IN_TRANSFER };
struct record_where {
    uint8_t place, leg, stream;
};

handle *record_party(struct transfer *t, enum transfer_party p);
/* How one record names a leg, a call of another one. */
void record_name_leg(struct sbuf *b, const struct leg *l);
void record_name_call(struct sbuf *b, const struct call *c);

uint64_t record_field_get(const struct engine *e, const struct record_field *f, const void *object);
void record_field_set(const struct engine *e, const struct record_field *f, void *object, uint64_t v);
uint64_t record_wall_ms(const struct engine *e, uint64_t mono_us);
/* wall_ms < 2^52 */
uint64_t record_mono_us(const struct engine *e, uint64_t wall_ms, enum record_kind kind);
#define RECORD_TIME_MAX ((UINT64_C(1) << 52) - 1)

uint64_t record_flags_get(const uint16_t *flags, const void *object);
/* False: a bit that stands for nothing. */
bool record_flags_set(const uint16_t *flags, void *object, uint64_t v);

void record_addr_put(struct sbuf *b, uint32_t tag, const struct addr *a);
bool record_addr_get(struct slice value, struct addr *out);

/* A leg that a record holds. */
static inline bool record_has(const struct leg *l) {
    return l && l->state != LEG_BYE_SENT && l->state != LEG_DEAD;
}

#endif
