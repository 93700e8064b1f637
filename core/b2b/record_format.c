/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/record_format.h"

#include "core/b2b/barrier.h"
#include "core/b2b/state.h"

/* Part of format 2: never changed. What calls say most, the most frequent last. */
static const char known_2[] =
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP ;rport;branch=z9hG4bK\r\nMax-Forwards: 70\r\nFrom: <sip:>;tag=\r\nTo: \r\n"
    "Call-ID: \r\nCSeq: 1 INVITE\r\nContact: <sip:\r\nUser-Agent: \r\nServer: \r\nAllow: INVITE, ACK, CANCEL, BYE, "
    "OPTIONS, UPDATE, INFO, MESSAGE, PRACK, REFER, NOTIFY, SUBSCRIBE\r\nSupported: 100rel, replaces, timer, "
    "norefersub\r\nContent-Type: application/sdp\r\nContent-Length: ;transport=udp;lr>\r\na=crypto:1 "
    "AES_CM_128_HMAC_SHA1_80 inline:\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:9 G722/8000\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=ptime:20\r\na=maxptime:\r\na=rtcp:\r\na=sendonly\r\na=recvonly\r\na=inactive\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=fmtp:101 0-16\r\nRTP/SAVP 0 8 101\r\nv=0\r\n"
    "o=- 0 0 IN IP4 \r\ns=-\r\nc=IN IP4 \r\nt=0 0\r\nm=audio  RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000\r\na=sendrecv\r\nsip:peer:user:";

uint8_t record_format_allowed(const struct engine_config *c) {
    return c->record_format && c->record_format < RECORD_FORMAT ? (uint8_t)c->record_format : RECORD_FORMAT;
}

void record_format_init(struct engine *e) {
    struct record_format *f = &e->format;
    pack_know(&f->known[1], SLICE_NONE);
    pack_know(&f->known[2], SL(known_2));
    f->now = e->cfg.node ? RECORD_FORMAT_FIRST : record_format_allowed(&e->cfg);
}

/* Paced: barrier_on_retry. */
static void write_all_again(struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (struct call *c; (c = pool_next(&e->calls, &cursor, &h));)
        if (c->record_stored) {
            c->version++; /* what is under way is not it */
            barrier_rewrite(e, c);
        }
}

static void say(struct engine *e, bool lower) {
    struct sbuf d = trace_begin(&e->trace, lower ? TRACE_WARN : TRACE_INFO, "record", 0, 0xff);
    sbuf_lit(&d, "records are written in format ");
    sbuf_u64(&d, e->format.now);
    if (e->format.now < RECORD_FORMAT) {
        sbuf_lit(&d, " of ");
        sbuf_u64(&d, RECORD_FORMAT);
        sbuf_lit(&d, ": some node reads no higher one, or is told to");
    }
    trace_end(&e->trace, &d);
}

void record_format_told(struct engine *e, uint32_t format) {
    struct record_format *f = &e->format;
    uint32_t to = format < RECORD_FORMAT ? format : RECORD_FORMAT;
    bool lower = to < f->now;
    if (to < RECORD_FORMAT_FIRST || to == f->now)
        return;
    f->now = (uint8_t)to;
    say(e, lower);
    if (lower)
        write_all_again(e);
}
