/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Header values on demand: lists, parameters, Via, addresses, Contact, Replaces, Event, Digest ...
 */
#include "parser/sip_uri.h"
#include "tests/unit/unit.h"

static struct sip_msg msg;
static struct sip_fault fault;

/* A response with these header lines. */
static void parse_with(const char *lines) {
    static char text[4096];
    snprintf(text, sizeof text,
             "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@x>\r\nTo: <sip:b@x>\r\nCall-ID: c\r\n"
             "CSeq: 1 INVITE\r\n%s\r\n",
             lines);
    CHECK_TRUE(sip_parse(slice_str(text), &msg, &fault) > 0);
}

static void test_every_known_name_is_found(void) {
    static const struct {
        const char *name, *compact;
    } names[] = {
        { "", "" },
#define HDR(id, name, compact, flags) { name, compact },
#include "parser/sip_hdr.def"
#undef HDR
    };
    for (unsigned id = 1; id < SIP_H_COUNT; id++) {
        char other[64];
        CHECK_EQ(sip_hdr_id_of(slice_str(names[id].name)), id);
        CHECK_SLICE(sip_hdr_name((enum sip_hdr_id)id), names[id].name);
        if (names[id].compact[0])
            CHECK_EQ(sip_hdr_id_of(slice_str(names[id].compact)), id);
        for (unsigned i = 0; i <= strlen(names[id].name); i++) {
            char c = names[id].name[i];
            other[i] = i % 2 ? (char)ascii_lower((uint8_t)c) : c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        }
        CHECK_EQ(sip_hdr_id_of(slice_str(other)), id);
        other[0] = '!';
        CHECK_EQ(sip_hdr_id_of(slice_str(other)), SIP_H_OTHER);
        snprintf(other, sizeof other, "%ss", names[id].name);
        CHECK_EQ(sip_hdr_id_of(slice_str(other)), SIP_H_OTHER);
    }
    CHECK_EQ(sip_hdr_id_of(SL("q")), SIP_H_OTHER);
    CHECK_EQ(sip_hdr_id_of(SL("V")), SIP_H_VIA);
    CHECK_EQ(sip_hdr_id_of(SL("")), SIP_H_OTHER);
    CHECK_EQ(sip_hdr_id_of(SL("1")), SIP_H_OTHER);
    CHECK_EQ(sip_hdr_flags(SIP_H_TO), HDR_SINGLE);
    CHECK_EQ(sip_hdr_flags(SIP_H_OTHER), 0);
}

static void test_list(void) {
    struct slice rest = SL(" , a ,\"b,\\\",c\" , <x,y>;q=1,\r\n d,,"), v;
    CHECK_TRUE(sip_list_next(&rest, &v));
    CHECK_SLICE(v, "a");
    CHECK_TRUE(sip_list_next(&rest, &v));
    CHECK_SLICE(v, "\"b,\\\",c\"");
    CHECK_TRUE(sip_list_next(&rest, &v));
    CHECK_SLICE(v, "<x,y>;q=1");
    CHECK_TRUE(sip_list_next(&rest, &v));
    CHECK_SLICE(v, "d");
    CHECK_FALSE(sip_list_next(&rest, &v));
    rest = SL("a, \"open, b");
    CHECK_TRUE(sip_list_next(&rest, &v) && sip_list_next(&rest, &v));
    CHECK_SLICE(v, "\"open, b");
    CHECK_FALSE(sip_list_next(&rest, &v));
}

static void test_params(void) {
    struct slice rest = SL(" a = b ; C;d=\"x;\\\"y\"\r\n ;e=;f=[::1];"), name, v;
    CHECK_TRUE(sip_param_next(&rest, &name, &v));
    CHECK_SLICE(name, "a");
    CHECK_SLICE(v, "b");
    CHECK_TRUE(sip_param_next(&rest, &name, &v));
    CHECK_SLICE(name, "C");
    CHECK_TRUE(v.p == NULL);
    CHECK_TRUE(sip_param_next(&rest, &name, &v));
    CHECK_SLICE(v, "\"x;\\\"y\"");
    CHECK_TRUE(sip_param_next(&rest, &name, &v));
    CHECK_SLICE(v, "");
    CHECK_TRUE(sip_param_next(&rest, &name, &v));
    CHECK_SLICE(v, "[::1]");
    CHECK_FALSE(sip_param_next(&rest, &name, &v));
    CHECK_EQ(rest.n, 0);
    static const char *const bad[] = { ";a", "a=\"x", "a b", "a=b c", "a=\"x\"y", "a,b", "=x", "a;;b", "a=b,c" };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        rest = slice_str(bad[i]);
        while (sip_param_next(&rest, &name, &v))
            continue;
        CHECK_TRUE(rest.n > 0);
    }
    CHECK_SLICE(sip_param(SL("x=1;LR;y=2"), SL("lr")), "");
    CHECK_SLICE(sip_param(SL("x=1;LR;y=2"), SL("Y")), "2");
    CHECK_TRUE(sip_param(SL("x=1"), SL("y")).p == NULL);
    CHECK_TRUE(sip_param(SLICE_NONE, SL("y")).p == NULL);
}

static void test_values_over_headers_and_lists(void) {
    struct sip_values cur = { .started = false };
    struct slice v;
    parse_with("Supported: a, b\r\nk: \r\nSUPPORTED: ,c\r\nReplaces: x,y\r\n");
    const char *want[] = { "a", "b", "c" };
    for (unsigned i = 0; i < 3; i++) {
        CHECK_TRUE(sip_values_next(&msg, SIP_H_SUPPORTED, &cur, &v));
        CHECK_SLICE(v, want[i]);
    }
    CHECK_FALSE(sip_values_next(&msg, SIP_H_SUPPORTED, &cur, &v));
    CHECK_FALSE(sip_values_next(&msg, SIP_H_SUPPORTED, &cur, &v));
    cur = (struct sip_values){ .started = false };
    CHECK_TRUE(sip_values_next(&msg, SIP_H_REPLACES, &cur, &v));
    CHECK_SLICE(v, "x,y");
    CHECK_TRUE(sip_list_has(&msg, SIP_H_SUPPORTED, SL("C")));
    CHECK_FALSE(sip_list_has(&msg, SIP_H_SUPPORTED, SL("d")));
    CHECK_FALSE(sip_list_has(&msg, SIP_H_REQUIRE, SL("a")));
}

static void test_via(void) {
    struct sip_via via;
    CHECK_EQ(sip_via_parse(
                 SL("SIP / 2.0 / tls  [2001:db8::1] : 5061 ; Branch = z9hG4bKx ;rport;received=1.2.3.4;ttl=1"), &via),
             87);
    CHECK_EQ(via.transport, SIP_TLS);
    CHECK_SLICE(via.sent_by.host, "2001:db8::1");
    CHECK_TRUE(via.sent_by.ipv6);
    CHECK_EQ(via.sent_by.port, 5061);
    CHECK_SLICE(via.branch, "z9hG4bKx");
    CHECK_SLICE(via.rport, "");
    CHECK_SLICE(via.received, "1.2.3.4");
    CHECK_TRUE(sip_via_parse(SL("SIP/2.0/QUIC my_host;rport=99"), &via) > 0);
    CHECK_EQ(via.transport, SIP_TRANSPORT_OTHER);
    CHECK_SLICE(via.transport_name, "QUIC");
    CHECK_SLICE(via.rport, "99");
    static const char *const bad[] = { "",
                                       "SIP/2.0",
                                       "SIP/2.0/UDP",
                                       "SIP/2.0/UDP ",
                                       "SIP/2.0/UDP h:",
                                       "SIP/2.0/UDP h:70000",
                                       "SIP/2.0/UDP h x",
                                       "SIP/2.0/UDP h;;",
                                       "SIP/2.0/UDP [::1",
                                       "SIP/2.0/UDP []",
                                       "SIP/2.0/UDP h,x",
                                       "SIP/2.0/UDP[::1]" };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(sip_via_parse(slice_str(bad[i]), &via), SIP_BAD);
}

static void test_nameaddr(void) {
    struct sip_nameaddr a;
    CHECK_TRUE(sip_nameaddr_parse(SL(" \"A \\\" <x>\" <sip:u@h;p=1>;tag=2;q "), &a) > 0);
    CHECK_SLICE(a.display, "\"A \\\" <x>\"");
    CHECK_SLICE(a.uri.whole, "sip:u@h;p=1");
    CHECK_SLICE(a.params, "tag=2;q");
    CHECK_TRUE(a.brackets);
    CHECK_TRUE(sip_nameaddr_parse(SL("sip:u@h;tag=2"), &a) > 0);
    CHECK_FALSE(a.brackets);
    CHECK_TRUE(a.display.p == NULL && a.uri.params.p == NULL);
    CHECK_SLICE(a.params, "tag=2");
    CHECK_TRUE(sip_nameaddr_parse(SL("M\xc3\xbcller (x) <sip:u@h>"), &a) > 0);
    CHECK_SLICE(a.display, "M\xc3\xbcller (x)");
    CHECK_TRUE(a.params.p == NULL);
    CHECK_TRUE(sip_nameaddr_parse(SL("< sip:u@h >"), &a) > 0);
    CHECK_SLICE(a.uri.whole, "sip:u@h");
    CHECK_TRUE(a.display.p == NULL);
    CHECK_TRUE(sip_nameaddr_parse(SL("tel:+1-2;x=\"<\""), &a) > 0);
    CHECK_SLICE(a.uri.user, "+1-2");
    static const char *const bad[] = { "",
                                       "\"open <sip:u@h>",
                                       "<sip:u@h",
                                       "a, b <sip:u@h>",
                                       "<sip:u@h> x",
                                       "<sip:u@h>,<sip:v@h>",
                                       "x \"y\" <sip:u@h>",
                                       "\"x\" sip:u@h",
                                       "<>",
                                       "<sip:u @h>",
                                       "sip:u@h;;",
                                       "*",
                                       "a\001b <sip:u@h>",
                                       "sip:a@b,sip:c@d" };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(sip_nameaddr_parse(slice_str(bad[i]), &a), SIP_BAD);
}

static void test_contact(void) {
    struct sip_contact c;
    static const struct {
        const char *q;
        unsigned want;
    } q[] = { { "0.5", 500 },  { "1", 1000 }, { "0", 0 },    { "0.123", 123 }, { "0.1239", 1000 },    { "1.000", 1000 },
              { "1.1", 1000 }, { ".7", 700 }, { "x", 1000 }, { "", 1000 },     { "4294967296", 1000 } };
    for (unsigned i = 0; i < sizeof q / sizeof *q; i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "<sip:u@h>;q=%s;expires=60", q[i].q);
        CHECK_EQ(sip_contact_parse(slice_str(text), &c), n);
        CHECK_EQ(c.q, q[i].want);
        CHECK_EQ(c.expires, 60);
    }
    CHECK_TRUE(sip_contact_parse(SL("<sip:u@h>;expires=never"), &c) > 0);
    CHECK_EQ(c.expires, -1);
    CHECK_TRUE(sip_contact_parse(SL("<sip:u@h>;expires=280297596632815"), &c) > 0);
    CHECK_EQ(c.expires, UINT32_MAX);
    CHECK_TRUE(sip_contact_parse(SL(" * "), &c) > 0);
    CHECK_TRUE(c.star);
    CHECK_EQ(sip_contact_parse(SL("*;q=1"), &c), SIP_BAD);
}

/* RFC 3261 section 25.1: word = token characters and ( ) < > : \ " / [ ] ? { } */
static void test_t_1_5_replaces_call_id_of_every_word_character(void) {
    static const char id[] = "abcXYZ0189-.!%*_+`'~()<>:\\\"/[]?{}@(word)\"<>";
    char text[128];
    struct sip_replaces r;
    snprintf(text, sizeof text, "%s;to-tag=t1;from-tag=f1", id);
    CHECK_EQ(sip_replaces_parse(slice_str(text), &r), strlen(text));
    CHECK_SLICE(r.call_id, id);
    CHECK_SLICE(r.to_tag, "t1");
    CHECK_SLICE(r.from_tag, "f1");
    CHECK_FALSE(r.early_only);
}

static void test_t_1_6_replaces_tag_0(void) {
    struct sip_replaces r;
    CHECK_TRUE(sip_replaces_parse(SL("c;from-tag=0;to-tag=0;early-only"), &r) > 0);
    CHECK_SLICE(r.to_tag, "0");
    CHECK_SLICE(r.from_tag, "0");
    CHECK_TRUE(r.early_only);
}

static void test_t_1_7_replaces_name_case_and_lws(void) {
    struct sip_replaces r;
    static const char *const names[] = { "Replaces", "REPLACES", "replaces", "rEpLaCeS" };
    for (unsigned i = 0; i < 4; i++) {
        char line[160];
        snprintf(line, sizeof line, "%s : c@h \r\n ; To-Tag = a\r\n\t;  FROM-TAG\t=\r\n b ; x=\"y;z\"\r\n", names[i]);
        parse_with(line);
        CHECK_TRUE(sip_replaces_parse(sip_hdr_value(&msg, SIP_H_REPLACES), &r) > 0);
        CHECK_SLICE(r.call_id, "c@h");
        CHECK_SLICE(r.to_tag, "a");
        CHECK_SLICE(r.from_tag, "b");
    }
}

static void test_t_1_8_replaces_keeps_case_of_call_id_and_tags(void) {
    struct sip_replaces r;
    CHECK_TRUE(sip_replaces_parse(SL("AbC@Host;to-tag=TaG;from-tag=tAg"), &r) > 0);
    CHECK_SLICE(r.call_id, "AbC@Host");
    CHECK_SLICE(r.to_tag, "TaG");
    CHECK_SLICE(r.from_tag, "tAg");
}

static void test_replaces_malformed(void) {
    struct sip_replaces r;
    static const char *const bad[] = { "",
                                       "c",
                                       ";to-tag=a;from-tag=b",
                                       "c;to-tag=a",
                                       "c;from-tag=b",
                                       "c;to-tag=a;from-tag",
                                       "c;to-tag=;from-tag=b",
                                       "c;to-tag=a;to-tag=a;from-tag=b",
                                       "c d;to-tag=a;from-tag=b",
                                       "c;to-tag=a;from-tag=b,c;to-tag=a;from-tag=b",
                                       "c;to-tag=\"a\";from-tag=b",
                                       "c;to-tag=a;;from-tag=b" };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(sip_replaces_parse(slice_str(bad[i]), &r), SIP_BAD);
    CHECK_TRUE(sip_target_dialog_parse(SL("c;remote-tag=r;local-tag=l"), &r) > 0);
    CHECK_SLICE(r.to_tag, "l");
    CHECK_SLICE(r.from_tag, "r");
    CHECK_EQ(sip_target_dialog_parse(SL("c;to-tag=r;from-tag=l"), &r), SIP_BAD);
}

static void test_event_and_subscription_state(void) {
    struct sip_event e;
    struct sip_sub_state s;
    CHECK_TRUE(sip_event_parse(SL("refer;id=93809824"), &e) > 0);
    CHECK_SLICE(e.package, "refer");
    CHECK_SLICE(e.id, "93809824");
    CHECK_TRUE(sip_event_parse(SL("presence.winfo"), &e) > 0);
    CHECK_TRUE(e.id.p == NULL);
    CHECK_EQ(sip_event_parse(SL("refer;id=1;id=2"), &e), SIP_BAD);
    CHECK_EQ(sip_event_parse(SL("a b"), &e), SIP_BAD);
    CHECK_EQ(sip_event_parse(SL(""), &e), SIP_BAD);
    CHECK_TRUE(sip_sub_state_parse(SL("terminated ; Reason = noresource;expires=0;retry-after=7"), &s) > 0);
    CHECK_SLICE(s.state, "terminated");
    CHECK_SLICE(s.reason, "noresource");
    CHECK_EQ(s.expires, 0);
    CHECK_EQ(s.retry_after, 7);
    CHECK_TRUE(sip_sub_state_parse(SL("active"), &s) > 0);
    CHECK_EQ(s.expires, -1);
    CHECK_EQ(sip_sub_state_parse(SL(";x"), &s), SIP_BAD);
}

static void test_digest(void) {
    struct sip_digest d;
    CHECK_TRUE(
        sip_digest_parse(
            SL("Digest username=\"a,b\\\"c\", REALM = \"r\",nonce=\"n\"\r\n ,uri=\"sip:x\",response=\"00\",qop=auth,,"
               "nc=00000001,cnonce=\"\",algorithm=SHA-256,stale=TRUE,x=y"),
            &d) > 0);
    CHECK_SLICE(d.scheme, "Digest");
    CHECK_SLICE(d.username, "a,b\\\"c");
    CHECK_SLICE(d.realm, "r");
    CHECK_SLICE(d.qop, "auth");
    CHECK_SLICE(d.nc, "00000001");
    CHECK_SLICE(d.cnonce, "");
    CHECK_SLICE(d.algorithm, "SHA-256");
    CHECK_SLICE(d.stale, "TRUE");
    CHECK_TRUE(d.opaque.p == NULL);
    static const char *const bad[] = { "",
                                       "Digest",
                                       "Digest username",
                                       "Digest username=",
                                       "Digest username=\"a",
                                       "Digest username=\"a\" realm=\"b\"",
                                       "Digest nonce=a,nonce=b",
                                       "Digest =a" };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(sip_digest_parse(slice_str(bad[i]), &d), SIP_BAD);
    CHECK_EQ(sip_digest_parse(SL("Basic dXNlcjpwYXNz"), &d), SIP_BAD);
    CHECK_SLICE(d.scheme, "Basic");
}

static void test_media_type(void) {
    struct sip_media_type t;
    CHECK_TRUE(sip_media_type_parse(SL("multipart / mixed ; boundary=\"a;b\""), &t) > 0);
    CHECK_SLICE(t.type, "multipart");
    CHECK_SLICE(t.subtype, "mixed");
    CHECK_SLICE(sip_param(t.params, SL("boundary")), "\"a;b\"");
    CHECK_TRUE(sip_is_media_type(SL("Application/SDP;charset=x"), SL("application"), SL("sdp")));
    CHECK_FALSE(sip_is_media_type(SL("application/sdp2"), SL("application"), SL("sdp")));
    CHECK_FALSE(sip_is_media_type(SLICE_NONE, SL("application"), SL("sdp")));
    CHECK_EQ(sip_media_type_parse(SL("application"), &t), SIP_BAD);
    CHECK_EQ(sip_media_type_parse(SL("application/"), &t), SIP_BAD);
    CHECK_EQ(sip_media_type_parse(SL("a/b c"), &t), SIP_BAD);
}

static void test_delta_seconds(void) {
    uint32_t v = 7;
    CHECK_TRUE(sip_delta_seconds(SL(" 0060 "), &v));
    CHECK_EQ(v, 60);
    CHECK_TRUE(sip_delta_seconds(SL("99999999999999999999999"), &v));
    CHECK_EQ(v, UINT32_MAX);
    CHECK_TRUE(sip_delta_seconds(SL("120 (in a meeting);duration=3"), &v));
    CHECK_EQ(v, 120);
    CHECK_FALSE(sip_delta_seconds(SL("-1"), &v));
    CHECK_FALSE(sip_delta_seconds(SL(""), &v));
    CHECK_FALSE(sip_delta_seconds(SLICE_NONE, &v));
    CHECK_FALSE(sip_delta_seconds(SL("Thu, 01 Dec 1994"), &v));
    CHECK_EQ(v, 120);
}

int main(void) {
    return UNIT_RUN("sip_hdr", UNIT(test_every_known_name_is_found), UNIT(test_list), UNIT(test_params),
                    UNIT(test_values_over_headers_and_lists), UNIT(test_via), UNIT(test_nameaddr), UNIT(test_contact),
                    UNIT(test_t_1_5_replaces_call_id_of_every_word_character), UNIT(test_t_1_6_replaces_tag_0),
                    UNIT(test_t_1_7_replaces_name_case_and_lws),
                    UNIT(test_t_1_8_replaces_keeps_case_of_call_id_and_tags), UNIT(test_replaces_malformed),
                    UNIT(test_event_and_subscription_state), UNIT(test_digest), UNIT(test_media_type),
                    UNIT(test_delta_seconds));
}
