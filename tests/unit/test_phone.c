/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Two or three phones on a wire of memory, in virtual time. */
#include "bench/phone/phone.h"
#include "tests/unit/unit.h"

#define WIRE_MAX 64
#define START_US 1000000u
#define STEP_US 1000u

struct datagram {
    int from, to;
    uint32_t n;
    char bytes[PHONE_MSG_MAX];
};

static struct {
    struct phone phones[3];
    struct datagram queue[WIRE_MAX];
    unsigned head, count;
    uint64_t now;
    bool cut;                     /* nothing arrives */
    bool new_origin;              /* each description gets another session id on the way */
    unsigned sent[SIP_M_COUNT];   /* requests, also those sent again */
    uint16_t last_status[3][SIP_M_COUNT];   /* that each phone received */
    struct phone_event last[3][PHONE_EV_REQUEST_FAILED + 1];
    unsigned events[3][PHONE_EV_REQUEST_FAILED + 1];
} w;

static void on_send(void *arg, struct phone *ph, const struct addr *to, struct slice bytes) {
    (void)arg;
    if (w.cut || w.count == WIRE_MAX)
        return;
    struct datagram *d = &w.queue[(w.head + w.count++) % WIRE_MAX];
    d->from = (int)(ph - w.phones);
    d->to = to->port - 5000;
    d->n = bytes.n;
    memcpy(d->bytes, bytes.p, bytes.n);
    for (uint32_t i = 0; w.new_origin && i + 8 < d->n; i++)
        if (memcmp(d->bytes + i, "\no=", 3) == 0)
            d->bytes[i + 5] = d->bytes[i + 5] == '1' ? '2' : '1';
}

static void on_seen(void *arg, struct phone *ph, const struct phone_seen *seen) {
    (void)arg;
    const struct sip_msg *m = seen->msg;
    if (seen->sent && m->is_request)
        w.sent[m->method]++;
    if (!seen->sent && !m->is_request)
        w.last_status[ph - w.phones][m->cseq_method] = m->status;
}

static struct addr at(int i) {
    return (struct addr){ .ip = { 127, 0, 0, 1 }, .port = (uint16_t)(5000 + i), .family = ADDR_V4 };
}

static void setup(void) {
    static const char *const names[] = { "a", "b", "c" };
    struct phone_io io = { .send = on_send, .seen = on_seen };
    memset(&w, 0, sizeof w);
    w.now = START_US;
    for (int i = 0; i < 3; i++) {
        struct phone_config c = { .name = names[i], .password = "x", .domain = "test.invalid", .local = at(i),
            .media_port = (uint16_t)(7000 + 100 * i), .codec_count = 2, .replaces = true, .answer_us = 50000,
            .codecs = { { 0, PHONE_ULAW, "PCMU/8000" }, { 101, PHONE_DTMF, "telephone-event/8000" } } };
        c.seed.k0 = (uint64_t)i + 1;
        phone_init(&w.phones[i], &c, &io);
        phone_tick(&w.phones[i], w.now);
    }
}

static void drain(int i) {
    struct phone_event e;
    while (phone_event_next(&w.phones[i], &e)) {
        w.last[i][e.kind] = e;
        w.events[i][e.kind]++;
    }
}

static void deliver(void) {
    while (w.count) {
        static struct datagram d;
        struct addr src;
        d = w.queue[w.head];
        w.head = (w.head + 1) % WIRE_MAX;
        w.count--;
        src = at(d.from);
        if (d.to < 0 || d.to > 2)
            continue;
        phone_input(&w.phones[d.to], slice_of(d.bytes, d.n), &src, w.now);
        drain(d.to);
    }
}

/* Virtual time, jumping to what is due. */
static void run(uint64_t us) {
    uint64_t end = w.now + us;
    for (;;) {
        deliver();
        uint64_t due = end;
        for (int i = 0; i < 3; i++)
            due = phone_due(&w.phones[i]) < due ? phone_due(&w.phones[i]) : due;
        w.now = due > w.now ? due : w.now;
        for (int i = 0; i < 3; i++) {
            phone_tick(&w.phones[i], w.now);
            drain(i);
        }
        if (w.now >= end && !w.count)
            return;
    }
}

static struct slice uri(int to) {
    static const char *const uris[] = { "sip:a@127.0.0.1:5000", "sip:b@127.0.0.1:5001", "sip:c@127.0.0.1:5002" };
    return slice_str(uris[to]);
}

static int call(int from, int to) {
    int d = phone_call(&w.phones[from], uri(to), SLICE_NONE);
    run(1000000);
    return d;
}

static void test_call_and_end(void) {
    setup();
    int d = call(0, 1);
    CHECK_EQ(w.events[0][PHONE_EV_ANSWERED], 1);
    CHECK_EQ(w.events[1][PHONE_EV_CONFIRMED], 1);
    CHECK_EQ(w.last[0][PHONE_EV_PROGRESS].status, 180);
    int other = w.last[1][PHONE_EV_INCOMING].dialog;
    CHECK_EQ(w.phones[0].dialogs[d].audio.remote.port, w.phones[1].dialogs[other].audio.local_port);
    CHECK_EQ(w.phones[1].dialogs[other].audio.remote.port, w.phones[0].dialogs[d].audio.local_port);
    CHECK_EQ(phone_hang_up(&w.phones[1], other), 0);
    run(1000000);
    CHECK_EQ(w.events[0][PHONE_EV_ENDED] + w.events[1][PHONE_EV_ENDED], 2);
    CHECK_EQ(phone_dialog_count(&w.phones[0]) + phone_dialog_count(&w.phones[1]), 0);
    run(70000000);
    CHECK_TRUE(phone_due(&w.phones[0]) == UINT64_MAX && phone_due(&w.phones[1]) == UINT64_MAX);
}

static void test_hold_and_versions(void) {
    setup();
    int d = call(0, 1), other = w.last[1][PHONE_EV_INCOMING].dialog;
    uint64_t version = w.phones[0].dialogs[d].sdp_version, peer = w.phones[1].dialogs[other].sdp_version;
    CHECK_EQ(phone_hold(&w.phones[0], d, true), 0);
    CHECK_EQ(phone_hold(&w.phones[0], d, true), -1);
    run(1000000);
    CHECK_EQ(w.phones[0].dialogs[d].sdp_version, version + 1);
    CHECK_EQ(w.phones[1].dialogs[other].sdp_version, peer + 1);
    CHECK_EQ(w.phones[1].dialogs[other].audio.direction, SDP_RECVONLY);
    phone_hold(&w.phones[0], d, true);
    run(1000000);
    CHECK_EQ(w.phones[0].dialogs[d].sdp_version, version + 1);
    phone_hold(&w.phones[0], d, false);
    run(1000000);
    CHECK_EQ(w.phones[0].dialogs[d].sdp_version, version + 2);
    CHECK_EQ(w.phones[1].dialogs[other].audio.direction, SDP_SENDRECV);
}

/* RFC 3264 section 8: the peer's o= is judged, and a sound one is not found at fault. */
static void test_origin_is_judged(void) {
    setup();
    int d = call(0, 1);
    phone_hold(&w.phones[0], d, true);
    run(1000000);
    CHECK_EQ(w.phones[0].counters.origin_faults + w.phones[1].counters.origin_faults, 0);
    w.new_origin = true;
    phone_hold(&w.phones[0], d, false);
    run(1000000);
    CHECK_EQ(w.phones[1].counters.origin_faults, 1);
    CHECK_EQ(w.phones[0].counters.origin_faults, 1);
}

/* RFC 3261 section 14.1: both offer at once, both get 491. */
static void test_glare(void) {
    setup();
    int d = call(0, 1), other = w.last[1][PHONE_EV_INCOMING].dialog;
    phone_hold(&w.phones[0], d, true);
    phone_hold(&w.phones[1], other, true);
    run(1000000);
    CHECK_EQ(w.last_status[0][SIP_M_INVITE], 491);
    CHECK_EQ(w.last_status[1][SIP_M_INVITE], 491);
    CHECK_EQ(phone_dialog_count(&w.phones[0]), 1);
    CHECK_EQ(phone_hold(&w.phones[0], d, true), 0);
    run(1000000);
    CHECK_EQ(w.last_status[0][SIP_M_INVITE], 200);
}

static void test_cancel(void) {
    setup();
    w.phones[1].config.answer_us = 60000000;
    int d = phone_call(&w.phones[0], uri(1), SLICE_NONE);
    run(100000);
    CHECK_EQ(phone_hang_up(&w.phones[0], d), 0);
    run(1000000);
    CHECK_EQ(w.last_status[0][SIP_M_CANCEL], 200);
    CHECK_EQ(w.last_status[0][SIP_M_INVITE], 487);
    CHECK_EQ(phone_dialog_count(&w.phones[0]) + phone_dialog_count(&w.phones[1]), 0);
}

/* Timers A and B: at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, then none; E and F: 11 in 32 s (RFC 3261 17.1). */
static void test_timers_without_answer(void) {
    setup();
    w.cut = true;
    phone_call(&w.phones[0], uri(1), SLICE_NONE);
    run(31900000);
    CHECK_EQ(w.sent[SIP_M_INVITE], 7);
    CHECK_EQ(w.events[0][PHONE_EV_FAILED], 0);
    run(200000);
    CHECK_EQ(w.events[0][PHONE_EV_FAILED], 1);
    CHECK_EQ(w.last[0][PHONE_EV_FAILED].status, 0);
    CHECK_EQ(phone_dialog_count(&w.phones[0]), 0);
    w.phones[0].config.proxy = at(9);
    phone_register(&w.phones[0], 60);
    run(33000000);
    CHECK_EQ(w.sent[SIP_M_REGISTER], 11);
    CHECK_EQ(w.events[0][PHONE_EV_REGISTER_FAILED], 1);
}

static void put_replaces(struct sbuf *b, const struct phone_dialog *d, bool swapped, const char *more) {
    sbuf_put(b, phone_text_slice(&d->call_id));
    sbuf_lit(b, ";to-tag=");
    sbuf_put(b, phone_text_slice(swapped ? &d->remote_tag : &d->local_tag));
    sbuf_lit(b, ";from-tag=");
    sbuf_put(b, phone_text_slice(swapped ? &d->local_tag : &d->remote_tag));
    sbuf_str(b, more);
}

/* RFC 3891 section 3: each way that Replaces may fail, then the one that holds. */
static void test_replaces(void) {
    static const struct { bool swapped; const char *more; uint16_t status; } rows[] = {
        { true, "", 481 }, { false, "x", 481 }, { false, ";early-only", 486 }, { false, ";to-tag=1", 400 },
        { false, "", 200 } };
    char mem[512];
    setup();
    call(1, 2);
    const struct phone_dialog *own = &w.phones[2].dialogs[w.last[2][PHONE_EV_INCOMING].dialog];
    for (unsigned i = 0; i < 5; i++) {
        struct sbuf b = sbuf_on(mem, sizeof mem);
        put_replaces(&b, own, rows[i].swapped, rows[i].more);
        phone_call(&w.phones[0], uri(2), sbuf_slice(&b));
        run(1000000);
        CHECK_EQ(w.last_status[0][SIP_M_INVITE], rows[i].status);
    }
    CHECK_EQ(w.events[2][PHONE_EV_REPLACED], 1);
    CHECK_EQ(phone_dialog_count(&w.phones[1]), 0);
    CHECK_EQ(phone_dialog_count(&w.phones[2]), 1);
    w.phones[2].config.replaces = false;
    phone_call(&w.phones[0], uri(2), SL("x;to-tag=1;from-tag=2"));
    run(1000000);
    CHECK_EQ(w.last_status[0][SIP_M_INVITE], 420);
}

/* What a Refer-To names comes out again as what it went in: the third phone knows its own dialog by it. */
static void test_refer(void) {
    char mem[1024];
    setup();
    int d = call(0, 1), consult = call(0, 2);
    struct sbuf b = sbuf_on(mem, sizeof mem);
    phone_put_refer_to(&w.phones[0], consult, uri(2), &b);
    CHECK_TRUE(slice_has_prefix(sbuf_slice(&b), SL("sip:c@127.0.0.1:5002?Replaces=phone-")));
    CHECK_TRUE(memchr(b.p, ';', b.n) == NULL);
    CHECK_EQ(phone_refer(&w.phones[0], d, sbuf_slice(&b)), 0);
    run(1000000);
    CHECK_EQ(w.last[0][PHONE_EV_REFER_ANSWERED].status, 202);
    CHECK_EQ(w.events[0][PHONE_EV_NOTIFY], 2);
    CHECK_EQ(w.last[0][PHONE_EV_NOTIFY].status, 200);
    CHECK_TRUE(w.last[0][PHONE_EV_NOTIFY].final);
    CHECK_EQ(w.events[2][PHONE_EV_REPLACED], 1);
    CHECK_EQ(phone_dialog_count(&w.phones[0]), 1);
    CHECK_EQ(phone_dialog_count(&w.phones[1]), 2);
    CHECK_EQ(phone_dialog_count(&w.phones[2]), 1);
}

/* The call that a REFER asks for rings and is refused: told so, with the status. */
static void test_refer_refused(void) {
    setup();
    int d = call(0, 1);
    w.phones[2].config.refuse = 486;
    phone_refer(&w.phones[0], d, uri(2));
    run(1000000);
    CHECK_EQ(w.last[0][PHONE_EV_NOTIFY].status, 486);
    CHECK_TRUE(w.last[0][PHONE_EV_NOTIFY].final);
    CHECK_EQ(phone_dialog_count(&w.phones[1]), 1);
    phone_refer(&w.phones[0], d, SL("sip:c@127.0.0.1:5002?Replaces=%0d%0a"));
    run(1000000);
    CHECK_EQ(w.last[0][PHONE_EV_REFER_ANSWERED].status, 400);
}

/* None of these phones takes a REFER outside a dialog: nothing of it stays. */
static void test_refer_outside(void) {
    setup();
    CHECK_EQ(phone_refer_outside(&w.phones[0], uri(1), uri(2)), 0);
    run(1000000);
    CHECK_EQ(w.last[0][PHONE_EV_REFER_ANSWERED].status, 405);
    CHECK_EQ(phone_dialog_count(&w.phones[0]), 0);
}

static void test_noise(void) {
    static const char *const noise[] = { "", "\r\n\r\n", "\0\0", "INVITE", "SIP/2.0 200 OK\r\n\r\n",
        ("BYE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:x@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\n"
         "Call-ID: 1\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n") };
    struct addr src = at(1);
    setup();
    for (unsigned i = 0; i < 6; i++)
        phone_input(&w.phones[0], slice_str(noise[i]), &src, w.now);
    CHECK_EQ(w.phones[0].counters.bad, 2);
    deliver();
    CHECK_EQ(w.last_status[1][SIP_M_BYE], 0);
    CHECK_EQ(w.phones[0].counters.sent, 1);
    CHECK_EQ(phone_dialog_count(&w.phones[0]), 0);
}

/* More calls at once than slots: refused, nothing lost. */
static void test_bounds(void) {
    setup();
    for (int i = 0; i < PHONE_DIALOGS; i++)
        CHECK_TRUE(call(i & 1 ? 0 : 2, 1) >= 0);
    CHECK_EQ(phone_dialog_count(&w.phones[1]), PHONE_DIALOGS);
    call(0, 1);
    CHECK_EQ(w.last_status[0][SIP_M_INVITE], 486);
    CHECK_EQ(phone_dialog_count(&w.phones[1]), PHONE_DIALOGS);
}

int main(void) {
    return UNIT_RUN("phone", UNIT(test_call_and_end), UNIT(test_hold_and_versions),
                    UNIT(test_origin_is_judged), UNIT(test_glare), UNIT(test_cancel),
                    UNIT(test_timers_without_answer), UNIT(test_replaces), UNIT(test_refer), UNIT(test_noise),
                    UNIT(test_refer_refused), UNIT(test_refer_outside),
                    UNIT(test_bounds));
}
