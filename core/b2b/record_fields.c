/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record_fields.h"

#include "core/b2b/leg.h"
#include "core/b2b/transfer_fsm.h"
#include "core/base/check.h"
#include "core/sip/token.h"
#include "parser/sdp.h"

#define FIELD(tag, type, member, kind, max)                                                       \
    { tag, kind, (uint8_t)sizeof(((struct type *)0)->member), (uint16_t)offsetof(struct type, member), max }
#define NUMBER(tag, type, member, max) FIELD(tag, type, member, KIND_NUMBER, max)
#define TIME(tag, type, member) FIELD(tag, type, member, KIND_TIME, RECORD_TIME_MAX)
#define DEADLINE(tag, type, member) FIELD(tag, type, member, KIND_DEADLINE, RECORD_TIME_MAX)

const struct record_field record_call_fields[] = {
    NUMBER(REC_ID, call, id, UINT64_MAX),
    NUMBER(REC_BUCKET, call, bucket, TOKEN_BUCKETS - 1),
    NUMBER(REC_DEPTH, call, depth, UINT8_MAX),
    NUMBER(REC_ANSWERED, call, answered, 1),
    NUMBER(REC_CREATED_MS, call, created_ms, UINT64_MAX),
    NUMBER(REC_ANSWERED_MS, call, answered_ms, UINT64_MAX),
    NUMBER(REC_NEXT_LEG, call, next_leg, UINT8_MAX),
    NUMBER(REC_VERSION, call, version, UINT64_MAX),
    NUMBER(REC_TAKEOVERS, call, takeovers, UINT8_MAX),
    TIME(REC_TAKEN, call, taken_us),
    NUMBER(REC_EMERGENCY, call, emergency, 1),
    { 0 },
};

const struct record_field record_leg_fields[] = {
    NUMBER(LEG_TAG_STATE, leg, state, LEG_LEFT),
    NUMBER(LEG_TAG_ROLE, leg, role, ROLE_TARGET),
    NUMBER(LEG_TAG_OA, leg, oa, OA_STATE_COUNT - 1),
    NUMBER(LEG_TAG_REFUSED, leg, refused_status, 999),
    NUMBER(LEG_TAG_LOCAL_CSEQ, leg, dlg.local_cseq, UINT32_MAX),
    NUMBER(LEG_TAG_REMOTE_CSEQ, leg, dlg.remote_cseq, UINT32_MAX),
    NUMBER(LEG_TAG_INVITE_CSEQ, leg, invite_cseq, UINT32_MAX),
    TIME(LEG_TAG_CREATED, leg, created_us),
    TIME(LEG_TAG_ANSWERED, leg, answered_us),
    NUMBER(LEG_TAG_OK_CSEQ, leg, ok_cseq, UINT32_MAX),
    DEADLINE(LEG_TAG_OK_UNTIL, leg, ok_until),
    DEADLINE(LEG_TAG_RETRY_UNTIL, leg, retry_until),
    DEADLINE(LEG_TAG_INVITE_UNTIL, leg, invite_until),
    NUMBER(LEG_TAG_DIRECTION, leg, media.own_direction, 3),
    NUMBER(LEG_TAG_DIRECTION_BEFORE, leg, media.own_before, 3),
    NUMBER(LEG_TAG_SESSION_ID, leg, media.session_id, UINT64_MAX),
    NUMBER(LEG_TAG_SESSION_VERSION, leg, media.version, UINT64_MAX),
    NUMBER(LEG_TAG_SESSION_EXPIRES, leg, session.expires_s, UINT32_MAX),
    NUMBER(LEG_TAG_SESSION_MIN_SE, leg, session.min_se_s, UINT32_MAX),
    DEADLINE(LEG_TAG_SESSION_ENDS, leg, session_ends),
    NUMBER(LEG_TAG_AUTH_NC, leg, auth_nc, UINT32_MAX),
    NUMBER(LEG_TAG_REFER_DONE, leg, refer_done, UINT32_MAX),
    NUMBER(LEG_TAG_RSEQ, leg, rseq, UINT32_MAX),
    NUMBER(LEG_TAG_MOVES, leg, moves, UINT8_MAX),
    NUMBER(LEG_TAG_UNTOLD, leg, untold, 1),
    NUMBER(LEG_TAG_FORKED, leg, forked, 1),
    NUMBER(LEG_TAG_READ_LATE, leg, read_late, 1),
    { 0 },
};

const struct record_field record_transfer_fields[] = {
    NUMBER(TRF_TAG_STATE, transfer, state, TRANSFER_ANNOUNCE),
    NUMBER(TRF_TAG_RECALL_STEP, transfer, recall_step, 3),
    NUMBER(TRF_TAG_QUIRKS, transfer, quirks, UINT8_MAX),
    NUMBER(TRF_TAG_MODE, transfer, mode, MODE_TAKEOVER),
    NUMBER(TRF_TAG_REFER_CSEQ, transfer, refer_cseq, UINT32_MAX),
    NUMBER(TRF_TAG_RELAY_CSEQ, transfer, relay_cseq, UINT32_MAX),
    NUMBER(TRF_TAG_MAX_FORWARDS, transfer, max_forwards, UINT32_MAX),
    NUMBER(TRF_TAG_RESULT, transfer, result, 999),
    NUMBER(TRF_TAG_PROGRESS, transfer, progress, 999),
    NUMBER(TRF_TAG_QUEUED, transfer, queued, 999),
    DEADLINE(TRF_TAG_EXPIRES, transfer, expires_us),
    TIME(TRF_TAG_STARTED, transfer, started_us),
    NUMBER(TRF_TAG_OUTSIDE, transfer, outside, 1),
    { 0 },
};

_Static_assert(LEG_LEFT + 1 == LEG_DEAD && LEG_BYE_SENT < LEG_LEFT && LEG_DEAD + 1 == LEG_STATE_COUNT, "format 1");
_Static_assert(LEG_IDLE == 0 && LEG_UP == 5 && LEG_LEFT == 9 && TR_REPLACED == 5 && ROLE_TARGET == 2, "format 1");
_Static_assert(OA_STATE_COUNT == 3 && OA_OFFER_SENT == 1 && MODE_SEMI == 3 && MODE_TAKEOVER == 7, "format 1");
_Static_assert(TRANSFER_TARGET == 0 && TRANSFER_NOTIFYING == 6 && TRANSFER_BYE_WAIT == 7 && TRANSFER_DONE == 8,
               "format 1");

#define FLAG(type, member) offsetof(struct type, member)
const uint16_t record_leg_flags[] = {
    FLAG(leg, dlg.uac),
    FLAG(leg, dlg.remote_cseq_known),
    FLAG(leg, supports_replaces),
    FLAG(leg, keep_on_bye),
    FLAG(leg, late_offer),
    FLAG(leg, own_invite),
    FLAG(leg, session_unsure),
    FLAG(leg, echo),
    FLAG(leg, allows_refer),
    FLAG(leg, allows_update),
    FLAG(leg, session.ours),
    FLAG(leg, asks_offer),
    FLAG(leg, direct),
    FLAG(leg, adopts),
    FLAG(leg, early_answer),
    0,
};
const uint16_t record_transfer_flags[] = {
    FLAG(transfer, silent),
    FLAG(transfer, transferor_gone),
    FLAG(transfer, committed),
    FLAG(transfer, succeeded),
    FLAG(transfer, end_transferor),
    FLAG(transfer, require_replaces),
    FLAG(transfer, notifying),
    FLAG(transfer, final_sent),
    FLAG(transfer, relay_auto),
    FLAG(transfer, relay_answered),
    FLAG(transfer, relay_ended),
    FLAG(transfer, token_used),
    FLAG(transfer, asked),
    FLAG(transfer, joined),
    0,
};

const uint8_t record_leg_texts[RECORD_LEG_TEXTS] = {
    DLG_LOCAL_TAG, DLG_CALL_ID, DLG_REMOTE_TAG, DLG_LOCAL_URI,  DLG_REMOTE_URI, DLG_TARGET,
    DLG_ROUTES,    LEG_PRINCIPAL, LEG_AGENT,    LEG_SDP_REMOTE, LEG_SDP_FULL,   LEG_SDP_LOCAL,
    LEG_SDP_WANTED, LEG_SDP_BEFORE,
};
const uint8_t record_transfer_texts[RECORD_TRANSFER_TEXTS] = {
    TRF_REFER_TO,   TRF_REFERRED_BY,    TRF_REPLACES, TRF_EXTRA,
    TRF_TARGET_SDP, TRF_TRANSFEREE_SDP, TRF_TOKEN,    TRF_PRINCIPAL,
};
_Static_assert(LEG_FIELDS <= STRS_FIELDS && TRF_OPEN_REFER < STRS_FIELDS, "fields of a strs");

handle *record_party(struct transfer *t, enum transfer_party p) {
    handle *const all[PARTY_COUNT] = {
        [PARTY_TRANSFEROR] = &t->transferor, [PARTY_TRANSFEREE] = &t->transferee, [PARTY_TARGET] = &t->target,
        [PARTY_CONSULT] = &t->consult,       [PARTY_REPLACED] = &t->replaced,
    };
    return all[p];
}

void record_name_leg(struct sbuf *b, const struct leg *l) {
    varint_put(b, leg_str(l, DLG_CALL_ID).n);
    sbuf_put(b, leg_str(l, DLG_CALL_ID));
    sbuf_put(b, leg_str(l, DLG_LOCAL_TAG));
}

void record_name_call(struct sbuf *b, const struct call *c) {
    varint_put(b, c->bucket);
    varint_put(b, c->id);
}

/* ---- times ---- */

/* Rounded down, also in the past. */
uint64_t record_wall_ms(const struct engine *e, uint64_t mono_us) {
    int64_t us = (int64_t)(mono_us - e->now);
    int64_t ms = us / 1000 - (us % 1000 < 0);
    return e->wall_ms + (uint64_t)ms;
}

uint64_t record_mono_us(const struct engine *e, uint64_t wall_ms, enum record_kind kind) {
    int64_t us = ((int64_t)wall_ms - (int64_t)e->wall_ms) * 1000;
    bool before_start = us < 0 && (uint64_t)-us >= e->now;
    if (kind == KIND_DEADLINE && before_start)
        return 1;
    uint64_t mono = e->now + (uint64_t)us;
    return mono ? mono : 1;
}

/* ---- numbers ---- */

static uint64_t load(const void *p, unsigned size) {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (size) {
    case 1: memcpy(&u8, p, 1); return u8;
    case 2: memcpy(&u16, p, 2); return u16;
    case 4: memcpy(&u32, p, 4); return u32;
    default: memcpy(&u64, p, 8); return u64;
    }
}

static void store(void *p, unsigned size, uint64_t v) {
    uint8_t u8 = (uint8_t)v;
    uint16_t u16 = (uint16_t)v;
    uint32_t u32 = (uint32_t)v;
    switch (size) {
    case 1: memcpy(p, &u8, 1); break;
    case 2: memcpy(p, &u16, 2); break;
    case 4: memcpy(p, &u32, 4); break;
    default: CHECK(size == 8); memcpy(p, &v, 8);
    }
}

uint64_t record_field_get(const struct engine *e, const struct record_field *f, const void *object) {
    uint64_t v = load((const char *)object + f->offset, f->size);
    return v && f->kind != KIND_NUMBER ? record_wall_ms(e, v) : v;
}

void record_field_set(const struct engine *e, const struct record_field *f, void *object, uint64_t v) {
    if (v && f->kind != KIND_NUMBER)
        v = record_mono_us(e, v, (enum record_kind)f->kind);
    store((char *)object + f->offset, f->size, v);
}

/* ---- flags ---- */

uint64_t record_flags_get(const uint16_t *flags, const void *object) {
    uint64_t v = 0;
    for (unsigned i = 0; flags[i]; i++)
        v |= load((const char *)object + flags[i], 1) << i;
    return v;
}

bool record_flags_set(const uint16_t *flags, void *object, uint64_t v) {
    unsigned i = 0;
    for (; flags[i]; i++)
        store((char *)object + flags[i], 1, v >> i & 1);
    return v >> i == 0;
}

/* ---- addresses ---- */

void record_addr_put(struct sbuf *b, uint32_t tag, const struct addr *a) {
    if (a->family == ADDR_NONE)
        return;
    uint32_t from = tlv_open(b, tag);
    sbuf_char(b, (char)(a->family | a->transport << 4));
    sbuf_char(b, (char)(a->port >> 8));
    sbuf_char(b, (char)a->port);
    sbuf_put(b, slice_of((const char *)a->ip, a->family == ADDR_V4 ? 4 : 16));
    if (a->family == ADDR_V6)
        varint_put(b, a->scope);
    tlv_close(b, from);
}

bool record_addr_get(struct slice v, struct addr *out) {
    struct addr a = { 0 };
    uint64_t scope = 0;
    if (v.n < 7)
        return false;
    a.family = (uint8_t)v.p[0] & 15;
    a.transport = (uint8_t)v.p[0] >> 4;
    a.port = (uint16_t)((uint8_t)v.p[1] << 8 | (uint8_t)v.p[2]);
    uint32_t n = a.family == ADDR_V4 ? 4 : 16;
    if ((a.family != ADDR_V4 && a.family != ADDR_V6) || v.n < 3 + n)
        return false;
    memcpy(a.ip, v.p + 3, n);
    struct slice rest = slice_of(v.p + 3 + n, v.n - 3 - n);
    if (a.family == ADDR_V6 && (!varint_get(&rest, &scope) || scope > UINT32_MAX))
        return false;
    a.scope = (uint32_t)scope;
    *out = a;
    return rest.n == 0;
}
