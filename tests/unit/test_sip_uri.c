/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_uri: parsing, escapes, comparison, and the forms of Refer-To (FEATURES T-2).
 */
#include "parser/sip_uri.h"
#include "tests/unit/unit.h"

static struct sip_uri parse(const char *text) {
    struct sip_uri u;
    if (sip_uri_parse(slice_str(text), &u) != (int32_t)strlen(text))
        CU_FAIL("refused");
    return u;
}

static void test_sip_uri_parts(void) {
    struct sip_uri u = parse("SIPS:al;ice?x:pa:ss@[2001:db8::1]:5061;transport=tcp;lr?Subject=a%20b&X=");
    CHECK_EQ(u.scheme, SIP_SCHEME_SIPS);
    CHECK_SLICE(u.user, "al;ice?x");
    CHECK_SLICE(u.password, "pa:ss");
    CHECK_SLICE(u.host.host, "2001:db8::1");
    CHECK_TRUE(u.host.ipv6);
    CHECK_EQ(u.host.port, 5061);
    CHECK_SLICE(u.params, "transport=tcp;lr");
    CHECK_SLICE(u.headers, "Subject=a%20b&X=");
    CHECK_SLICE(sip_uri_param(&u, SL("Transport")), "tcp");
    CHECK_SLICE(sip_uri_param(&u, SL("lr")), "");
    CHECK_TRUE(sip_uri_param(&u, SL("maddr")).p == NULL);
    u = parse("sip:h");
    CHECK_TRUE(u.user.p == NULL && u.password.p == NULL && u.params.p == NULL && u.headers.p == NULL);
    CHECK_EQ(u.host.port, 0);
    u = parse("sip:@h?a=b");
    CHECK_SLICE(u.user, "");
    CHECK_SLICE(u.headers, "a=b");
}

static void test_other_schemes(void) {
    struct sip_uri u = parse("tel:+1-201;phone-context=x;ext=2");
    CHECK_EQ(u.scheme, SIP_SCHEME_TEL);
    CHECK_SLICE(u.user, "+1-201");
    CHECK_SLICE(sip_uri_param(&u, SL("ext")), "2");
    u = parse("urn:service:sos");
    CHECK_EQ(u.scheme, SIP_SCHEME_URN);
    CHECK_SLICE(u.user, "service:sos");
    u = parse("soap.beep://192.0.2.103:3002");
    CHECK_EQ(u.scheme, SIP_SCHEME_OTHER);
    CHECK_SLICE(u.user, "//192.0.2.103:3002");
}

static void test_refused(void) {
    static const char *const bad[] = {
        "",          "sip",           "sip:",       ":h",      "1sip:h",    "s_p:h",   "sip:u@",           "sip:h:",
        "sip:h:0",   "sip:h:65536",   "sip:h:5x",   "sip:h h", "sip:<h>",   "sip:h\"", "sip:2001:db8::10", "sip:[::1",
        "sip:[::g]", "sip:[1.2.3.4]", "sip:[::1]x", "sip:h$",  "sip:u@h@h", "tel:",    "tel:;x",           "urn:",
        "x:",        "sip:h\r\n",     "sip:h\x7f",
    };
    struct sip_uri u;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (sip_uri_parse(slice_str(bad[i]), &u) != SIP_BAD)
            printf("\naccepted: %s\n", bad[i]);
        CHECK_EQ(sip_uri_parse(slice_str(bad[i]), &u), SIP_BAD);
    }
}

static void test_escapes(void) {
    char mem[64];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    CHECK_TRUE(sip_unescape(&b, SL("a%3B%3db+c%2525")));
    CHECK_SLICE(sbuf_slice(&b), "a;=b+c%25");
    static const char *const bad[] = { "%", "%4", "%4g", "a%00", "%0d", "%0A", "%%41" };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        b = sbuf_on(mem, sizeof mem);
        CHECK_FALSE(sip_unescape(&b, slice_str(bad[i])));
    }
    b = sbuf_on(mem, 2);
    CHECK_FALSE(sip_unescape(&b, SL("abc")));
    CHECK_TRUE(b.overflow);
    b = sbuf_on(mem, sizeof mem);
    sip_escape_hvalue(&b, SL("a@b;c=d%&,\" []/?:+$~"));
    CHECK_SLICE(sbuf_slice(&b), "a%40b%3Bc%3Dd%25%26%2C%22%20[]/?:+$~");
    b = sbuf_on(mem, sizeof mem);
    sip_escape_user(&b, SL("a;b?c:d@e#%\xc3"));
    CHECK_SLICE(sbuf_slice(&b), "a;b?c%3Ad%40e%23%25%C3");
}

/* Every byte but NUL, CR, LF comes back, and the escaped form is a legal header of a URI. */
static void test_escape_and_unescape_are_inverse(void) {
    char raw[253], esc[1024], back[1024], uri[2048];
    uint32_t n = 0;
    for (int c = 1; c < 256; c++)
        if (c != '\r' && c != '\n')
            raw[n++] = (char)c;
    struct sbuf e = sbuf_on(esc, sizeof esc), u = sbuf_on(back, sizeof back);
    sip_escape_hvalue(&e, slice_of(raw, n));
    CHECK_TRUE(sip_unescape(&u, sbuf_slice(&e)));
    CHECK_TRUE(slice_eq(sbuf_slice(&u), slice_of(raw, n)));
    snprintf(uri, sizeof uri, "sip:h?x=%.*s&y=1", SLICE_FMT(sbuf_slice(&e)));
    struct sip_uri got = parse(uri);
    struct slice name, value;
    CHECK_TRUE(sip_uri_header_next(&got.headers, &name, &value));
    CHECK_TRUE(slice_eq(value, sbuf_slice(&e)));
}

/* RFC 3261 section 19.1.4's own examples, and more. */
static void test_comparison(void) {
    static const struct {
        const char *a, *b;
        bool eq;
    } cases[] = {
        { "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true },
        { "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true },
        { "sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true },
        { "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
          "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true },
        { "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
          "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true },
        { "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false },
        { "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false },
        { "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false },
        { "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false },
        { "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false },
        { "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false },
        { "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false },
        { "sip:a@h", "sips:a@h", false },
        { "sip:a@h", "sip:h", false },
        { "sip:@h", "sip:h", false },
        { "sip:a@h", "sip:a:@h", false },
        { "sip:a%40b@h", "sip:a%40B@h", false },
        { "sip:a%3bb@h", "sip:a%3Bb@h", true },
        { "sip:a%3Bb@h", "sip:a;b@h", false },
        { "sip:a@h;user=phone", "sip:a@h", false },
        { "sip:[2001:db8::1]", "sip:[2001:DB8:0::1]", true },
        { "sip:[2001:db8::1]", "sip:[2001:db8::2]", false },
        { "tel:+1(201)555-0123", "TEL:+12015550123", true },
        { "tel:123;ext=4", "tel:123", false },
        { "tel:123", "tel:1234", false },
        { "urn:service:SOS", "urn:service:sos", true },
        { "x:a", "x:A", false },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sip_uri a = parse(cases[i].a), b = parse(cases[i].b);
        if (sip_uri_eq(&a, &b) != cases[i].eq)
            printf("\n%s and %s\n", cases[i].a, cases[i].b);
        CHECK_EQ(sip_uri_eq(&a, &b), cases[i].eq);
        CHECK_EQ(sip_uri_eq(&b, &a), cases[i].eq);
        CHECK_TRUE(sip_uri_eq(&a, &a));
    }
}

static void test_comparison_of_long_uris_is_by_bytes(void) {
    static char x[3000], y[3000], pad[1101];
    memset(pad, 'p', 1100);
    snprintf(x, sizeof x, "sip:a@h;%s", pad);
    snprintf(y, sizeof y, "sip:a@H;%s", pad);
    struct sip_uri a = parse(x), b = parse(y);
    CHECK_TRUE(sip_uri_eq(&a, &a));
    CHECK_FALSE(sip_uri_eq(&a, &b));
}

/* ---- T-2: Refer-To ---- */

struct refer {
    struct sip_nameaddr addr;
    struct sip_replaces replaces;
    unsigned replaces_count, header_count;
    char mem[16384];
    bool ok;
};

/* What a transfer does with a Refer-To value. */
static struct refer *refer_to(const char *text) {
    static struct refer r;
    struct slice name, value;
    memset(&r, 0, sizeof r);
    if (sip_nameaddr_parse(slice_str(text), &r.addr) < 0)
        return &r;
    struct slice rest = r.addr.uri.headers;
    r.ok = true;
    while (sip_uri_header_next(&rest, &name, &value)) {
        r.header_count++;
        if (!slice_ieq(name, SL("Replaces")))
            continue;
        struct sbuf b = sbuf_on(r.mem, sizeof r.mem);
        r.replaces_count++;
        r.ok = r.ok && sip_unescape(&b, value) && sip_replaces_parse(sbuf_slice(&b), &r.replaces) > 0;
    }
    r.ok = r.ok && rest.n == 0;
    return &r;
}

static void check_replaces(const char *text, const char *call_id, const char *to_tag, const char *from_tag) {
    struct refer *r = refer_to(text);
    if (!r->ok)
        printf("\nrefused: %s\n", text);
    CHECK_TRUE(r->ok);
    CHECK_EQ(r->replaces_count, 1);
    CHECK_SLICE(r->replaces.call_id, call_id);
    CHECK_SLICE(r->replaces.to_tag, to_tag);
    CHECK_SLICE(r->replaces.from_tag, from_tag);
}

static void test_t_2_1_to_5_replaces_escaped_in_every_form(void) {
    check_replaces("<sip:c@h?Replaces=id%3Bto-tag%3Da%3Bfrom-tag%3Db>", "id", "a", "b");
    check_replaces("<sip:c@h?replaces=id%3bto-tag%3da%3bfrom-tag%3db>", "id", "a", "b");
    check_replaces("\"C\" <sip:c@h;user=phone?Replaces=1%40192.0.2.1%3Bfrom-tag%3Db%3Bto-tag%3Da>", "1@192.0.2.1", "a",
                   "b");
    check_replaces("<sip:c@h?Replaces=1%40h%3B%20to-tag%3Da%3B%20from-tag%3Db>;p=q", "1@h", "a", "b");
    check_replaces("<sip:h?Replaces=i%25d%3Bto-tag%3Da%3Bfrom-tag%3Db>", "i%d", "a", "b");
}

static void test_t_2_6_to_9_order_and_unknown_headers(void) {
    check_replaces("<sip:c@h?Require=replaces&Replaces=i%3Bto-tag%3Da%3Bfrom-tag%3Db>", "i", "a", "b");
    check_replaces("<sip:c@h?Replaces=i%3Bto-tag%3Da%3Bfrom-tag%3Db&Require=replaces>", "i", "a", "b");
    check_replaces("<sip:c@h;transport=tcp?X-A=1&Replaces=i%3Bto-tag%3Da%3Bfrom-tag%3Db&Accept-Contact=%3Baudio>", "i",
                   "a", "b");
    CHECK_EQ(refer_to("<sip:c@h?X-A=1&X-B=&Y=z>")->header_count, 3);
    CHECK_EQ(refer_to("<sip:c@h?Replaces=i%3Bto-tag%3Da%3Bfrom-tag%3Db&Replaces=j%3Bto-tag%3Da%3Bfrom-tag%3Db>")
                 ->replaces_count,
             2);
}

static void test_t_2_10_plus_stays_plus(void) {
    check_replaces("<sip:c@h?Replaces=a+b%2Bc%3Bto-tag%3Dx+y%3Bfrom-tag%3D+>", "a+b+c", "x+y", "+");
}

static void test_t_2_11_written_raw(void) {
    check_replaces("<sip:c@h?Replaces=1@192.0.2.1;to-tag=a;from-tag=b>", "1@192.0.2.1", "a", "b");
}

static void test_t_2_12_unescaped_once(void) {
    check_replaces("<sip:c@h?Replaces=a%2540b%3Bto-tag%3D%2541%3Bfrom-tag%3Db>", "a%40b", "%41", "b");
}

static void test_t_2_13_bad_escapes(void) {
    CHECK_FALSE(refer_to("<sip:c@h?Replaces=a%3Bto-tag%3Da%3Bfrom-tag%3Db%0D%0AX%3A>")->ok);
    CHECK_FALSE(refer_to("<sip:c@h?Replaces=a%00%3Bto-tag%3Da%3Bfrom-tag%3Db>")->ok);
    CHECK_FALSE(refer_to("<sip:c@h?Replaces=a%3Bto-tag%3Da%3Bfrom-tag%3Db%4>")->ok);
    CHECK_FALSE(refer_to("<sip:c@h?Replaces>")->ok);
    CHECK_FALSE(refer_to("<sip:c@h?Replaces=a%3Bto-tag%3Da>")->ok);
}

static void test_t_2_14_no_user_and_long_parameters(void) {
    CHECK_TRUE(refer_to("<sip:h>")->ok);
    CHECK_TRUE(refer_to("<sip:@h;x-m=8:orgid:1f;x-i=%7b%7d>")->ok);
}

static void test_t_2_15_addr_spec_without_brackets(void) {
    struct refer *r = refer_to("sip:c@h;x=y");
    CHECK_TRUE(r->ok);
    CHECK_SLICE(r->addr.params, "x=y");
    CHECK_TRUE(r->addr.uri.params.p == NULL);
    CHECK_FALSE(refer_to("sip:c@h?Replaces=a%3Bto-tag%3Da%3Bfrom-tag%3Db")->ok);
}

static void test_t_2_16_compact_name(void) {
    CHECK_EQ(sip_hdr_id_of(SL("r")), SIP_H_REFER_TO);
    CHECK_EQ(sip_hdr_id_of(SL("R")), SIP_H_REFER_TO);
}

static void test_t_2_17_and_18_tel_and_method(void) {
    struct refer *r = refer_to("<tel:+1-201-555-0123;phone-context=x>");
    CHECK_EQ(r->addr.uri.scheme, SIP_SCHEME_TEL);
    CHECK_SLICE(r->addr.uri.user, "+1-201-555-0123");
    r = refer_to("<sip:c@h;method=BYE>");
    CHECK_SLICE(sip_uri_param(&r->addr.uri, SL("METHOD")), "BYE");
}

static void test_t_2_19_of_8_kib(void) {
    static char text[9000], id[8193];
    memset(id, 'i', 8192);
    snprintf(text, sizeof text, "<sip:c@h?Replaces=%s%%3Bto-tag%%3Da%%3Bfrom-tag%%3Db>", id);
    check_replaces(text, id, "a", "b");
}

int main(void) {
    return UNIT_RUN("sip_uri", UNIT(test_sip_uri_parts), UNIT(test_other_schemes), UNIT(test_refused),
                    UNIT(test_escapes), UNIT(test_escape_and_unescape_are_inverse), UNIT(test_comparison),
                    UNIT(test_comparison_of_long_uris_is_by_bytes),
                    UNIT(test_t_2_1_to_5_replaces_escaped_in_every_form),
                    UNIT(test_t_2_6_to_9_order_and_unknown_headers), UNIT(test_t_2_10_plus_stays_plus),
                    UNIT(test_t_2_11_written_raw), UNIT(test_t_2_12_unescaped_once), UNIT(test_t_2_13_bad_escapes),
                    UNIT(test_t_2_14_no_user_and_long_parameters), UNIT(test_t_2_15_addr_spec_without_brackets),
                    UNIT(test_t_2_16_compact_name), UNIT(test_t_2_17_and_18_tel_and_method),
                    UNIT(test_t_2_19_of_8_kib));
}
