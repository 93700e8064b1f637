/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/addr.h"
#include "core/base/rng.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>

static char text_mem[80];
static struct slice text_of(const struct addr *a, void (*put)(struct sbuf *, const struct addr *)) {
    struct sbuf b = sbuf_on(text_mem, sizeof text_mem);
    put(&b, a);
    CHECK_FALSE(b.overflow);
    return sbuf_slice(&b);
}

static void test_parse_and_put(void) {
    static const struct { const char *in, *out; } rows[] = {
        { "192.0.2.1", "192.0.2.1" }, { "0.0.0.0", "0.0.0.0" }, { "255.255.255.255", "255.255.255.255" },
        { "::", "::" }, { "::1", "::1" }, { "1::", "1::" }, { "[::1]", "::1" }, { "[::]", "::" },
        { "2001:db8::1", "2001:db8::1" }, { "[2001:DB8::A]", "2001:db8::a" },
        { "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1" },
        { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" }, { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
        { "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" }, { "1::3:4:5:6:7:8", "1:0:3:4:5:6:7:8" },
        { "1:0:0:2:0:0:0:3", "1:0:0:2::3" }, { "1:0:0:2:0:0:3:4", "1::2:0:0:3:4" }, { "0:0:1::", "0:0:1::" },
        { "1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201" }, { "::192.0.2.1", "::c000:201" },
        { "1:2:3:4:5::192.0.2.1", "1:2:3:4:5:0:c000:201" },
        { "::ffff:192.0.2.10", "::ffff:192.0.2.10" }, { "::ffff:c000:20a", "::ffff:192.0.2.10" },
        { "0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38" },
        /* RFC 5118 */
        { "[2001:db8::10:5070]", "2001:db8::10:5070" }, { "2001:db8::9:255", "2001:db8::9:255" },
        { "[2001:db8::9:255]", "2001:db8::9:255" }, { "[2001:db8::9:1]", "2001:db8::9:1" },
        { "[2001:db8:::192.0.2.1]", "2001:db8::c000:201" }, { "[2001:db8::192.0.2.1]", "2001:db8::c000:201" },
        { ":::192.0.2.1", "::c000:201" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a = { .port = 77, .transport = 3, .scope = 9 };
        if (!addr_parse_ip(slice_str(rows[i].in), &a))
            printf("\n%s refused\n", rows[i].in);
        CHECK_SLICE(text_of(&a, addr_put_ip), rows[i].out);
        CHECK_EQ(a.family, strchr(rows[i].in, ':') ? ADDR_V6 : ADDR_V4);
        CHECK_TRUE(a.port == 77 && a.transport == 3 && a.scope == 0);
    }
}

static void test_bad(void) {
    static const char *const rows[] = {
        "", "[", "]", "[]", ".", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1",
        "1.2.3.04", "01.2.3.4", "1.2.3.1000", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1.2.3.4a", "0x1.2.3.4",
        "[192.0.2.1]", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "1::2::3", "::1::", "1:::2", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", ":1::", "1::2:", "12345::", "::g",
        "::1.2.3", "::1.2.3.4.5", "::1.2.3.4:5", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6::1.2.3.4:",
        "::256.0.0.1", "fe80::1%eth0", "fe80::1%1", "[::1", "::1]", "[[::1]]", "[::1]:5060", "::1/64",
        "2001:db8:::10", "2001:db8::::192.0.2.1", "2001:db8::1:::192.0.2.1", "2001:db8:::1:192.0.2.1",
        "1:2:3:4:5:6:::192.0.2.1", "example.com", "::1\r", "1.2.3.4\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a = { .family = ADDR_NONE, .ip = { 1 } };
        if (addr_parse_ip(slice_str(rows[i]), &a))
            printf("\n\"%s\" accepted\n", rows[i]);
        CHECK_TRUE(a.family == ADDR_NONE && a.ip[0] == 1);
    }
    struct addr a = { .family = ADDR_NONE };
    CHECK_FALSE(addr_parse_ip(SLICE_NONE, &a));
    CHECK_FALSE(addr_parse_ip(SL("1.2.3.4\0"), &a));
}

static void test_host_and_port(void) {
    static const struct { const char *in, *out; } rows[] = {
        { "192.0.2.1:5070", "192.0.2.1:5070" }, { "192.0.2.1", "192.0.2.1:5060" }, { "192.0.2.1:0", "192.0.2.1:0" },
        { "[2001:db8::10]:5070", "[2001:db8::10]:5070" }, { "[2001:db8::10:5070]", "[2001:db8::10:5070]:5060" },
        { "2001:db8::10:5070", "[2001:db8::10:5070]:5060" },
        { "[::ffff:192.0.2.10]:19823", "[::ffff:192.0.2.10]:19823" },
        { "127.0.0.1:65535", "127.0.0.1:65535" }, { "127.0.0.1:00080", "127.0.0.1:80" },
    };
    static const char *const bad[] = {
        "", ":", ":5060", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:5060x", "192.0.2.1:000080",
        "192.0.2.1 :5060", "[::1]5060", "[::1]:", "[::1]:99999", "[::1", "::1]:5060", "[192.0.2.1]:5060", "[::1]]",
        "192.0.2.1:50:60", "[::1]:5060:1", "example.com:5060", "[]:5060",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a = { .transport = 2 };
        CHECK_TRUE(addr_parse(slice_str(rows[i].in), 5060, &a));
        CHECK_SLICE(text_of(&a, addr_put), rows[i].out);
        CHECK_EQ(a.transport, 2);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct addr a = { .port = 1 };
        if (addr_parse(slice_str(bad[i]), 5060, &a))
            printf("\n\"%s\" accepted\n", bad[i]);
        CHECK_TRUE(a.family == ADDR_NONE && a.port == 1);
    }
    struct addr none = { .port = 9 };
    CHECK_SLICE(text_of(&none, addr_put), "0.0.0.0:9");
    CHECK_SLICE(text_of(&none, addr_put_host), "0.0.0.0");
}

/* libc as the oracle: of the text and of the bytes. */
static void test_against_libc(void) {
    static const char alphabet[] = "0::1:f.2";
    struct rng r;
    unsigned good = 0;
    rng_init(&r, (struct siphash_key){ 1, 1 });
    for (uint32_t i = 0; i < 300000; i++) {
        char s[24];
        uint8_t want[16] = { 0 };
        struct addr a = { .family = ADDR_NONE };
        uint32_t n = 1 + (uint32_t)rng_below(&r, 18);
        for (uint32_t k = 0; k < n; k++)
            s[k] = alphabet[rng_below(&r, 8)];
        s[n] = 0;
        bool libc = inet_pton(strchr(s, ':') ? AF_INET6 : AF_INET, s, want) == 1;
        bool ours = addr_parse_ip(slice_str(s), &a);
        if (strstr(s, ":::") && ours)
            continue;   /* RFC 5118 section 4.10, tested above */
        if (ours != libc)
            printf("\n\"%s\": libc says %d\n", s, libc);
        CU_ASSERT_FATAL(ours == libc && (!ours || memcmp(want, a.ip, 16) == 0));
        good += ours;
    }
    CHECK_TRUE(good > 1000);
}

static void test_put_parse_round_trip(void) {
    struct rng r;
    rng_init(&r, (struct siphash_key){ 2, 1 });
    for (uint32_t i = 0; i < 20000; i++) {
        struct addr a = { .family = ADDR_V6, .port = (uint16_t)i }, b = { .family = ADDR_NONE };
        char want[INET6_ADDRSTRLEN];
        for (int k = 0; k < 16; k++)
            a.ip[k] = rng_below(&r, 3) ? 0 : (uint8_t)rng_u64(&r);
        CU_ASSERT_FATAL(addr_parse(text_of(&a, addr_put), 0, &b) && addr_eq(&a, &b));
        inet_ntop(AF_INET6, a.ip, want, sizeof want);
        /* libc writes ::1.2.3.4 for the deprecated compatible form; all else is RFC 5952. */
        if (!strchr(want, '.'))
            CHECK_SLICE(text_of(&a, addr_put_ip), want);
    }
}

/* Memory that was cleared holds a C string, whichever octets have one digit. */
static void test_nothing_behind(void) {
    static const char *const texts[] = { "127.0.0.1", "255.255.255.255", "::1", "::ffff:192.0.2.1" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char mem[64] = "";
        struct addr a = { .family = ADDR_NONE };
        struct sbuf b = sbuf_on(mem, sizeof mem - 1);
        CHECK_TRUE(addr_parse_ip(slice_str(texts[i]), &a));
        addr_put_ip(&b, &a);
        CHECK_EQ(strcmp(mem, texts[i]), 0);
    }
}

static struct addr ip(const char *s) {
    struct addr a = { .family = ADDR_NONE };
    CHECK_TRUE(addr_parse(slice_str(s), 5060, &a));
    return a;
}

static void test_compare(void) {
    struct addr a = ip("192.0.2.1:5060"), b = a, none = { .family = ADDR_NONE };
    struct addr mapped = ip("[::ffff:192.0.2.1]:5060"), any4 = ip("0.0.0.0"), any6 = ip("::");
    CHECK_TRUE(addr_eq(&a, &b));
    b.port = 5061;
    CHECK_TRUE(addr_eq_ip(&a, &b));
    CHECK_FALSE(addr_eq(&a, &b));
    b.port = 5060;
    b.transport = 1;
    CHECK_FALSE(addr_eq(&a, &b));
    CHECK_FALSE(addr_eq_ip(&a, &mapped));
    CHECK_FALSE(addr_eq_ip(&any4, &any6));
    CHECK_TRUE(addr_is_any(&any4) && addr_is_any(&any6) && addr_is_any(&none));
    CHECK_FALSE(addr_is_any(&a) || addr_is_any(&mapped));
}

static void test_in_net(void) {
    static const struct { const char *a, *net; unsigned bits; bool in; } rows[] = {
        { "192.0.2.1", "192.0.2.0", 24, true }, { "192.0.3.1", "192.0.2.0", 24, false },
        { "192.0.3.1", "192.0.2.0", 23, true }, { "192.0.2.1", "192.0.2.1", 32, true },
        { "192.0.2.1", "192.0.2.0", 32, false }, { "192.0.2.1", "10.0.0.0", 0, true },
        { "192.0.2.1", "192.0.2.1", 33, false }, { "128.0.0.0", "0.0.0.0", 1, false },
        { "2001:db8::1", "2001:db8::", 32, true }, { "2001:db9::1", "2001:db8::", 32, false },
        { "2001:db9::1", "2001:db8::", 31, true }, { "::1", "::1", 128, true }, { "::1", "::", 128, false },
        { "::1", "::", 127, true }, { "::1", "::1", 129, false }, { "::1", "0.0.0.0", 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a = ip(rows[i].a), net = ip(rows[i].net);
        CHECK_EQ(addr_in_net(&a, &net, rows[i].bits), rows[i].in);
    }
    struct addr none = { .family = ADDR_NONE };
    CHECK_FALSE(addr_in_net(&none, &none, 0));
}

int main(void) {
    return UNIT_RUN("addr", UNIT(test_parse_and_put), UNIT(test_bad), UNIT(test_host_and_port),
                    UNIT(test_against_libc), UNIT(test_put_parse_round_trip), UNIT(test_nothing_behind),
                    UNIT(test_compare), UNIT(test_in_net));
}
