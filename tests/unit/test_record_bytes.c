/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Records that are cut, broken, of another version, or hold what this one does not know; their size; and the golden
 * bytes of every format in tests/data/record. RECORD_GOLDEN=write writes those of the present format: only for a new
 * RECORD_FORMAT or a case that was added; those of a released format never change.
 */
#include "core/b2b/leg.h"
#include "core/b2b/media.h"
#include "core/b2b/record.h"
#include "core/b2b/record_fields.h"
#include "core/b2b/record_pack.h"
#include "tests/unit/record_rig.h"
#include "tests/unit/sip_files.h"

static struct rig r;
static struct engine_config config;
static struct rig_dialog a, b, a2, c2;

static void start(void) {
    rig_config(&config);
    rig_start(&r, &config);
    r.arg = &config;
}

/* Alice holds Bob, has asked Carol, and transfers; Carol's answer is on its way to Bob. */
static void start_transfer(void) {
    start();
    rig_call(&r, &a, &b, ALICE, BOB);
    rig_call(&r, &a2, &c2, ALICE, CAROL);
    rig_refer(&r, &a, CAROL, &a2);
    rig_reply(&r, CAROL, "INVITE", 200, rig_sdp("8", "sendrecv", 42002), NULL);
}

static struct call *call_at(uint32_t index) {
    uint32_t cursor = 0;
    handle h;
    struct call *c = pool_next(&r.e->calls, &cursor, &h);
    while (c && index--)
        c = pool_next(&r.e->calls, &cursor, &h);
    return c;
}

static void test_truncated(void) {
    start_transfer();
    struct record_bytes was = record_of(r.e, call_at(0));
    struct record_twin twin = record_twin_of(&r);
    struct call *c;
    for (uint32_t n = 0; n < was.n; n++) {
        struct record_bytes cut = record_copy(slice_of(was.p, n));
        CHECK_EQ(record_decode(twin.e, cut.slice, &c), RECORD_TRUNCATED);
        CHECK_TRUE(record_nothing_left(twin.e));
        record_free(&cut);
    }
    CHECK_EQ(record_decode(twin.e, was.slice, &c), RECORD_OK);
    /* The same again: nothing of the second is left, nothing of the first is gone. */
    struct engine_census before, after;
    engine_census(twin.e, &before);
    CHECK_EQ(record_decode(twin.e, was.slice, &c), RECORD_EXISTS);
    engine_census(twin.e, &after);
    CHECK_TRUE(memcmp(&before, &after, sizeof before) == 0);
    record_free(&was);
    record_twin_free(&twin);
    rig_stop(&r);
}

/* The fields of the call, unpacked. */
static struct slice fields_of(const struct record_bytes *was) {
    static char mem[PACK_MAX];
    struct sbuf plain = sbuf_on(mem, sizeof mem);
    struct slice fields = SLICE_NONE;
    CHECK_EQ(record_fields(r.e, was->slice, &plain, &fields), RECORD_OK);
    return fields;
}

static struct record_bytes record_from(struct slice fields) {
    static char mem[1 << 16], plain_mem[PACK_MAX];
    struct sbuf s = sbuf_on(mem, sizeof mem), plain = sbuf_on(plain_mem, sizeof plain_mem);
    const struct pack_known *known = &r.e->format.known[r.e->format.now];
    sbuf_lit(&s, RECORD_MAGIC);
    uint32_t from = tlv_open(&s, r.e->format.now);
    sbuf_put(&plain, known->text);
    sbuf_put(&plain, fields);
    pack_put(&s, sbuf_slice(&plain), known);
    tlv_close(&s, from);
    CHECK_FALSE(s.overflow);
    return record_copy(sbuf_slice(&s));
}

/* What is inside ends too early while the whole is as long as it says. */
static void test_truncated_inside(void) {
    start_transfer();
    struct record_bytes was = record_of(r.e, call_at(0));
    struct record_twin twin = record_twin_of(&r);
    struct slice fields = fields_of(&was);
    struct call *c;
    for (uint32_t n = 0; n < fields.n; n++) {
        struct record_bytes cut = record_from(slice_of(fields.p, n));
        /* Cut between two fields of the call it may be a call all the same. */
        if (record_decode(twin.e, cut.slice, &c) == RECORD_OK)
            record_drop(twin.e, c);
        CHECK_TRUE(record_nothing_left(twin.e));
        record_free(&cut);
    }
    record_free(&was);
    record_twin_free(&twin);
    rig_stop(&r);
}

/* What can be read can be written, and read and written again. */
static void check_reads_again(struct record_twin *twin, struct call *c) {
    struct record_bytes bytes = record_of(twin->e, c), again;
    record_drop(twin->e, c);
    CHECK_TRUE(record_nothing_left(twin->e));
    enum record_error got = record_decode(twin->e, bytes.slice, &c);
    CHECK_EQ(got, RECORD_OK);
    if (got == RECORD_OK) {
        again = record_of(twin->e, c);
        CHECK_TRUE(slice_eq(bytes.slice, again.slice));
        record_drop(twin->e, c);
        record_free(&again);
    }
    record_free(&bytes);
}

static void corrupt(struct record_twin *twin, struct slice in, bool packed, unsigned counts[2]) {
    struct call *c;
    for (uint32_t i = 0; i < in.n; i++)
        for (unsigned bit = 0; bit < 10; bit++) {
            struct record_bytes bad = record_copy(in);
            bad.p[i] = bit < 8 ? (char)(bad.p[i] ^ 1 << bit) : bit == 8 ? (char)0xff : '\0';
            struct record_bytes whole = packed ? record_copy(bad.slice) : record_from(bad.slice);
            bool ok = record_decode(twin->e, whole.slice, &c) == RECORD_OK;
            counts[ok]++;
            if (ok)
                check_reads_again(twin, c);
            else
                CHECK_TRUE(record_nothing_left(twin->e));
            record_free(&whole);
            record_free(&bad);
        }
}

/* Every byte of what is stored, and every byte of what it is unpacked to. */
static void test_corrupted(void) {
    start_transfer();
    struct record_bytes was = record_of(r.e, call_at(0));
    struct record_bytes plain = record_copy(fields_of(&was));
    struct record_twin twin = record_twin_of(&r);
    unsigned counts[2] = { 0, 0 };
    corrupt(&twin, was.slice, true, counts);
    corrupt(&twin, plain.slice, false, counts);
    printf("\n  corrupted: %u refused, %u read\n", counts[0], counts[1]);
    CHECK_TRUE(counts[0] > 0 && counts[1] > 0);
    record_free(&plain);
    record_free(&was);
    record_twin_free(&twin);
    rig_stop(&r);
}

/* ---- what another version wrote ---- */

/* The record with one more field in the call, in each leg, stream and transfer. */
static void with_unknown(struct sbuf *out, struct slice in, uint32_t tag, unsigned depth) {
    struct tlv t;
    while (in.n && tlv_next(&in, &t)) {
        bool leg = depth == 0 && t.tag == REC_LEG, transfer = depth == 0 && t.tag == REC_TRANSFER;
        bool stream = depth == 1 && t.tag == LEG_TAG_STREAM;
        if (!leg && !transfer && !stream) {
            sbuf_put(out, t.whole);
            continue;
        }
        uint64_t number;
        uint32_t from = tlv_open(out, t.tag);
        if (!transfer) {
            varint_get(&t.value, &number);
            varint_put(out, number);
        }
        with_unknown(out, t.value, tag, transfer ? 2 : stream ? 3 : 1);
        tlv_close(out, from);
    }
    char mem[16];
    struct sbuf v = sbuf_on(mem, sizeof mem);
    sbuf_lit(&v, "new");
    sbuf_u64(&v, depth);
    tlv_put(out, tag, sbuf_slice(&v));
}

static struct record_bytes unknown_in(const struct record_bytes *was, uint32_t tag) {
    static char mem[PACK_MAX];
    struct sbuf s = sbuf_on(mem, sizeof mem);
    with_unknown(&s, fields_of(was), tag, 0);
    CHECK_FALSE(s.overflow);
    return record_from(sbuf_slice(&s));
}

static void test_unknown(void) {
    start_transfer();
    struct record_bytes was = record_of(r.e, call_at(0));
    struct record_bytes optional = unknown_in(&was, OPT(500)), critical = unknown_in(&was, CRIT(500));
    struct record_twin twin = record_twin_of(&r);
    struct call *c;
    CHECK_EQ(record_decode(twin.e, critical.slice, &c), RECORD_CRITICAL);
    CHECK_TRUE(record_nothing_left(twin.e));
    CHECK_EQ(record_decode(twin.e, optional.slice, &c), RECORD_OK);
    struct record_bytes again = record_of(twin.e, c);
    CHECK_TRUE(fields_of(&optional).n > fields_of(&was).n + 5 * 7);
    CHECK_TRUE(slice_eq(again.slice, optional.slice));
    record_free(&again);
    record_drop(twin.e, c);
    CHECK_TRUE(record_nothing_left(twin.e));
    record_free(&was);
    record_free(&optional);
    record_free(&critical);
    record_twin_free(&twin);
    rig_stop(&r);
}

static void test_too_much_unknown(void) {
    static char mem[8192], big[RECORD_KEPT_MAX];
    struct sbuf s = sbuf_on(mem, sizeof mem);
    struct call *c;
    start();
    memset(big, 'x', sizeof big);
    tlv_put_u64(&s, REC_ID, 1);
    tlv_put(&s, OPT(500), slice_of(big, sizeof big));
    struct record_bytes bytes = record_from(sbuf_slice(&s));
    CHECK_EQ(record_decode(r.e, bytes.slice, &c), RECORD_NO_ROOM);
    CHECK_TRUE(record_nothing_left(r.e));
    record_free(&bytes);
    rig_stop(&r);
}

static void test_version(void) {
    struct call *c;
    start();
    CHECK_EQ(record_decode(r.e, SL("RFR\x03\x00"), &c), RECORD_VERSION);
    CHECK_EQ(record_decode(r.e, SL("RFR\xff\x00"), &c), RECORD_VERSION);
    CHECK_EQ(record_decode(r.e, SL("RFR\0\0"), &c), RECORD_VERSION);
    CHECK_EQ(record_decode(r.e, SL("RFX\x01\x00"), &c), RECORD_NOT_OURS);
    CHECK_EQ(record_decode(r.e, SL("{}"), &c), RECORD_NOT_OURS);
    CHECK_EQ(record_decode(r.e, SL("RFR\x01\x00"), &c), RECORD_VALUE);
    CHECK_EQ(record_decode(r.e, SL("RFR\x01\x00x"), &c), RECORD_VALUE);
    CHECK_EQ(record_decode(r.e, SL("RFR\x02\x00"), &c), RECORD_VALUE);
    CHECK_EQ(record_decode(r.e, slice_of("", 0), &c), RECORD_TRUNCATED);
    CHECK_TRUE(record_nothing_left(r.e));
    for (unsigned i = 0; i <= RECORD_NO_ROOM; i++)
        CHECK_TRUE(strlen(record_error_text((enum record_error)i)) > 3);
    rig_stop(&r);
}

/* Each format is read whatever is written, and says the same. */
static void test_formats(void) {
    start_transfer();
    struct record_twin twin = record_twin_of(&r);
    struct record_bytes of[RECORD_FORMAT + 1];
    struct call *c;
    for (unsigned f = RECORD_FORMAT_FIRST; f <= RECORD_FORMAT; f++) {
        r.e->format.now = twin.e->format.now = (uint8_t)f;
        of[f] = record_of(r.e, call_at(0));
        CHECK_EQ((uint8_t)of[f].p[3], f);
        for (unsigned as = RECORD_FORMAT_FIRST; as <= RECORD_FORMAT; as++) {
            twin.e->format.now = (uint8_t)as;
            CHECK_EQ(record_decode(twin.e, of[f].slice, &c), RECORD_OK);
            struct record_bytes again = record_of(twin.e, c);
            CHECK_EQ((uint8_t)again.p[3], as);
            struct record_bytes said = record_copy(fields_of(&again));
            CHECK_TRUE(slice_eq(said.slice, fields_of(&of[f])));
            record_drop(twin.e, c);
            record_free(&said);
            record_free(&again);
        }
    }
    printf("\n  formats 1 and 2: %u and %u bytes\n", of[1].n, of[2].n);
    CHECK_TRUE(of[2].n + 60 < of[1].n);
    for (unsigned f = RECORD_FORMAT_FIRST; f <= RECORD_FORMAT; f++)
        record_free(&of[f]);
    record_twin_free(&twin);
    rig_stop(&r);
}

/* One of a later release: named with its number, counted, and nothing else comes of it. */
static void test_newer_format(void) {
    start();
    rig_call(&r, &a, &b, ALICE, BOB);
    struct record_bytes newer = record_of(r.e, call_at(0));
    newer.p[3] = RECORD_FORMAT + 1;
    rig_stop(&r);
    start();
    struct event ev = { .kind = EV_RECORD };
    ev.u.record.key = SL("1");
    ev.u.record.value = newer.slice;
    rig_step(&r, &ev);
    CHECK_TRUE(record_nothing_left(r.e));
    CHECK_EQ(metrics_get(engine_metrics(r.e), M_records_unreadable), 1);
    CHECK_TRUE(rig_traced(&r, "1 is left alone: of format 3, and this one reads up to 2"));
    record_free(&newer);
    rig_stop(&r);
}

/* Every pool at its bound: nothing of the call is left. */
static void test_no_room(void) {
    start_transfer();
    struct record_bytes was = record_of(r.e, call_at(0));
    struct record_twin twin = record_twin_of(&r);
    struct call *c;
    struct pool *pools[] = { &twin.e->calls, &twin.e->legs, &twin.e->transfers };
    for (unsigned i = 0; i < 3; i++) {
        uint32_t head = pools[i]->free_head;
        pools[i]->free_head = 0;
        CHECK_EQ(record_decode(twin.e, was.slice, &c), RECORD_NO_ROOM);
        CHECK_TRUE(record_nothing_left(twin.e));
        pools[i]->free_head = head;
    }
    for (unsigned k = 0; k < BUF_CLASSES; k++) {
        struct buf_pool all = twin.e->bufs, none = all;
        for (unsigned i = 0; i <= k; i++) {
            none.free[BUF_CLASSES - 1 - i] = NULL;
            none.fresh_n[BUF_CLASSES - 1 - i] = 0;
        }
        twin.e->bufs = none;
        bool read = record_decode(twin.e, was.slice, &c) == RECORD_OK;
        if (read)
            record_drop(twin.e, c);
        else
            CHECK_TRUE(record_nothing_left(twin.e));
        for (unsigned i = 0; i <= k; i++) {
            twin.e->bufs.free[BUF_CLASSES - 1 - i] = all.free[BUF_CLASSES - 1 - i];
            twin.e->bufs.fresh_n[BUF_CLASSES - 1 - i] = all.fresh_n[BUF_CLASSES - 1 - i];
        }
    }
    record_free(&was);
    record_twin_free(&twin);
    rig_stop(&r);
}

/* Calls that have lived here go as wholly as those that were read. */
static void test_drop(void) {
    struct engine_census now;
    start_transfer();
    r.e->out = &r.out; /* as within a step */
    for (struct call *c; (c = call_at(0));)
        record_drop(r.e, c);
    r.e->out = NULL;
    rig_empty(&r);
    rig_wait(&r, 200000000);
    engine_census(r.e, &now);
    CHECK_EQ(now.calls + now.legs + now.transfers + now.ports, 0);
    CHECK_EQ(now.transactions + now.timers + now.bufs, 0);
    rig_stop(&r);
}

/* Ports that are taken here: others, and the peer is known not to go by them. */
static void test_ports_taken(void) {
    start();
    rig_call(&r, &a, &b, ALICE, BOB);
    struct record_bytes was = record_of(r.e, call_at(0));
    struct record_twin twin = record_twin_of(&r);
    struct call *c = NULL;
    uint32_t generation;
    CHECK_EQ(port_pool_take(&twin.e->ports, twin.e->now, &generation), 0);
    CHECK_EQ(record_decode(twin.e, was.slice, &c), RECORD_OK);
    CHECK_EQ(twin.e->ports.used, 3);
    const struct leg *first = leg_get(twin.e, c->legs[0]), *second = leg_get(twin.e, c->legs[1]);
    CHECK_EQ(first->session_unsure + second->session_unsure, 1);
    record_free(&was);
    record_twin_free(&twin);
    rig_stop(&r);
}

/* ---- going on ---- */

static void test_resume(void) {
    start();
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0 8", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&r, &a, "SIP/2.0 200");
    struct record_bytes was = record_of(r.e, call_at(0));
    struct engine_census now;
    struct call *c;
    void *old = r.mem;
    r.e = rig_engine(&config, r.now, rig_wall_ms(&r), &r.mem);
    free(old);
    struct event ev = { .kind = EV_RECORD };
    ev.u.record.key = SL("1");
    ev.u.record.value = was.slice;
    rig_step(&r, &ev);
    CHECK_TRUE((c = call_at(0)) != NULL);
    struct leg *first = leg_get(r.e, c->legs[0]), *second = leg_get(r.e, c->legs[1]);
    CHECK_EQ(first->state, LEG_UP);
    CHECK_EQ(second->dlg.local_cseq, 1 + RECORD_CSEQ_GAP);
    engine_census(r.e, &now);
    CHECK_EQ(now.records, 1);
    /* The late ACK is of no consequence; the call ends by a BYE whose CSeq is past any the former node has used. */
    rig_request(&r, &a, "ACK", "", "");
    rig_request(&r, &a, "BYE", "", "");
    CHECK_TRUE(strstr(rig_last(&r, BOB, "BYE", NULL), "CSeq: 1002 BYE") != NULL);
    rig_reply(&r, BOB, "BYE", 200, "", NULL);
    rig_wait(&r, 64000000);
    CHECK_TRUE(record_nothing_left(r.e));
    record_free(&was);
    rig_stop(&r);
}

/* Who refreshes, until when, and with what challenges were answered goes over too. The new owner does not know what was
 * refreshed since the record: it asks soon, and hangs up on nobody at once. */
static void test_resume_session(void) {
    start();
    rig_dialog_new(&a, ALICE, BOB);
    rig_request(&r, &a, "INVITE", "Supported: timer\r\nSession-Expires: 300;refresher=uas\r\n",
                rig_sdp("0 8", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    rig_learn(&r, &a, "SIP/2.0 200");
    rig_request(&r, &a, "ACK", "", "");
    struct leg *first = leg_get(r.e, call_at(0)->legs[0]);
    CHECK_TRUE(first->session.ours && first->session.expires_s == 300);
    leg_set(r.e, first, LEG_CHALLENGE, SL("WDigest realm=\"t\", nonce=\"n\""));
    first->auth_nc = 5;
    struct record_bytes was = record_of(r.e, call_at(0));
    uint64_t ends = first->session_ends;
    struct call *c;
    void *old = r.mem;
    r.now += 270000000;
    r.e = rig_engine(&config, r.now, rig_wall_ms(&r), &r.mem);
    free(old);
    CHECK_EQ(record_decode(r.e, was.slice, &c), RECORD_OK);
    first = leg_get(r.e, c->legs[0]);
    CHECK_TRUE(first->session.ours && first->session.expires_s == 300);
    CHECK_EQ(first->session_ends / 1000, ends / 1000);
    CHECK_SLICE(leg_str(first, LEG_CHALLENGE), "WDigest realm=\"t\", nonce=\"n\"");
    CHECK_EQ(first->auth_nc, 5);
    r.e->out = &r.out;
    record_resume(r.e, c);
    r.e->out = NULL;
    rig_empty(&r);
    CHECK_EQ(first->auth_nc, 5 + RECORD_CSEQ_GAP);
    rig_wait(&r, 3000000);
    CHECK_TRUE(strstr(rig_last(&r, ALICE, "INVITE", NULL), "Session-Expires: 300;refresher=uac") != NULL);
    CHECK_TRUE(*rig_last(&r, ALICE, "BYE", NULL) == '\0');
    rig_wait(&r, 64000000);
    CHECK_TRUE(*rig_last(&r, ALICE, "BYE", NULL) != '\0'); /* it did not answer */
    record_free(&was);
    rig_stop(&r);
}

/* ---- size ---- */

static void without_sdp(struct engine *e, const struct call *c) {
    for (unsigned i = 0; i < c->leg_count; i++)
        for (unsigned f = LEG_SDP_REMOTE; f <= LEG_SDP_LOCAL; f++)
            leg_set(e, leg_get(e, c->legs[i]), f, SLICE_NONE);
}

/* A call that came by a carrier's INVITE, up. */
static void test_size(void) {
    static const char answer[] = "v=0\r\no=- 3912 3912 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
                                 "m=audio 11780 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
                                 "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";
    struct slice invite = sip_file("corpus", "10_invite_carrier.sip");
    static char text[8192];
    start();
    static struct route_config route;
    route.next_hop = rig_phone(BOB);
    snprintf(route.name, sizeof route.name, "bob");
    r.e->policy.routes = &route;
    r.e->policy.route_count = 1;
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(invite));
    rig_recv(&r, ALICE, text);
    rig_reply(&r, BOB, "INVITE", 200, answer, &b);
    struct call *c = call_at(0);
    CHECK_TRUE(c != NULL);
    if (c) {
        struct record_bytes full = record_of(r.e, c);
        without_sdp(r.e, c);
        struct record_bytes bare = record_of(r.e, c);
        printf("\n  two legs, carrier INVITE: %u bytes with SDP, %u without\n", full.n, bare.n);
        CHECK_TRUE(full.n <= 2048);
        CHECK_TRUE(bare.n <= 700);
        record_free(&full);
        record_free(&bare);
    }
    free((void *)(uintptr_t)invite.p);
    rig_stop(&r);
}

/* ---- golden bytes ---- */

static void golden_of(unsigned format, const char *name, struct call *c) {
    char path[128];
    static char mem[1 << 16];
    r.e->format.now = (uint8_t)format;
    struct record_bytes now = record_of(r.e, c);
    snprintf(path, sizeof path, "tests/data/record/%u-%s.rec", format, name);
    if (getenv("RECORD_GOLDEN") && format == RECORD_FORMAT) {
        FILE *f = fopen(path, "wb");
        CHECK_TRUE(f && fwrite(now.p, 1, now.n, f) == now.n);
        if (f)
            fclose(f);
    }
    FILE *f = fopen(path, "rb");
    CHECK_TRUE(f != NULL);
    if (!f)
        return;
    struct record_bytes was = record_copy(slice_of(mem, fread(mem, 1, sizeof mem, f)));
    fclose(f);
    if (!slice_eq(was.slice, now.slice))
        printf("\n%s: %u bytes, want %u\n", path, now.n, was.n);
    CHECK_TRUE(slice_eq(was.slice, now.slice));
    struct record_twin twin = record_twin_of(&r);
    struct call *copy;
    CHECK_EQ(record_decode(twin.e, was.slice, &copy), RECORD_OK);
    record_twin_free(&twin);
    record_free(&was);
    record_free(&now);
}

static void golden(const char *name, struct call *c) {
    for (unsigned f = RECORD_FORMAT_FIRST; f <= RECORD_FORMAT; f++)
        golden_of(f, name, c);
}

/* Alone in its process, so that the phones' names are always the same: see main. */
static void test_golden(void) {
    start();
    rig_invite(&r, &a, ALICE, BOB, rig_sdp("0 8", "sendrecv", 40000));
    rig_reply(&r, BOB, "INVITE", 180, "", &b);
    golden("early", call_at(0));
    rig_reply(&r, BOB, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), &b);
    golden("answered", call_at(0));
    rig_stop(&r);
    start_transfer();
    golden("transferee", call_at(0));
    golden("consultation", call_at(1));
    rig_stop(&r);
}

int main(void) {
    return UNIT_RUN("record_bytes", UNIT(test_golden), UNIT(test_truncated), UNIT(test_truncated_inside),
                    UNIT(test_corrupted), UNIT(test_unknown), UNIT(test_too_much_unknown), UNIT(test_version),
                    UNIT(test_formats), UNIT(test_newer_format), UNIT(test_no_room), UNIT(test_drop),
                    UNIT(test_ports_taken), UNIT(test_resume), UNIT(test_resume_session), UNIT(test_size));
}
