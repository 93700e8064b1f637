/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * RFC 4475 and RFC 5118: each message of tests/data/sip/torture against the column "parser" of EXPECTED.tsv, and the
 * status that a refused request deserves against "answer".
 */
#include "parser/sip_hdr.h"
#include "tests/unit/sip_files.h"

#define COLUMNS 8
enum { FILE_NAME, PARSER = 5, ANSWER = 6 };

static struct sip_msg msg;

/* Splits one line of the table; false at the end. */
static bool next_row(struct slice *table, struct slice cells[COLUMNS]) {
    int32_t lf = slice_find(*table, '\n');
    if (lf < 0)
        return false;
    struct slice line = slice_of(table->p, (uint32_t)lf);
    table->p += lf + 1;
    table->n -= (uint32_t)lf + 1;
    for (int i = 0; i < COLUMNS; i++) {
        int32_t tab = slice_find(line, '\t');
        cells[i] = slice_of(line.p, tab < 0 ? line.n : (uint32_t)tab);
        uint32_t used = tab < 0 ? line.n : (uint32_t)tab + 1;
        line.p += used;
        line.n -= used;
    }
    return true;
}

static bool verdict_ok(struct slice want, int32_t got, const struct sip_fault *f) {
    if (slice_eq(want, SL("accept")))
        return got >= 0 && f->error == SIP_E_NONE;
    if (slice_eq(want, SL("reject")))
        return got == SIP_BAD && f->error != SIP_E_NONE;
    return slice_eq(want, SL("either")) || slice_eq(want, SL("semantic"));
}

static bool show_table;

static void check_row(struct slice cells[COLUMNS]) {
    char name[128];
    struct sip_fault fault;
    snprintf(name, sizeof name, "%.*s", SLICE_FMT(cells[FILE_NAME]));
    struct slice bytes = sip_file("torture", name);
    CHECK_TRUE(bytes.p != NULL);
    int32_t got = sip_parse(bytes, &msg, &fault);
    bool ok = verdict_ok(cells[PARSER], got, &fault) && got <= (int32_t)bytes.n;
    /* A request that is refused here gets the table's status, if it can be answered at all. */
    uint64_t status;
    if (got < 0 && msg.is_request && slice_u64(cells[ANSWER], 699, &status))
        ok = ok && fault.status == status;
    if (show_table)
        printf("%-4s %-36s RFC %.*s %-10.*s want %-9.*s %-8.*s got %s%s, %u\n", ok ? "ok" : "FAIL", name,
               SLICE_FMT(cells[1]), SLICE_FMT(cells[2]), SLICE_FMT(cells[PARSER]), SLICE_FMT(cells[ANSWER]),
               got >= 0 ? "accepted" : "refused: ", got >= 0 ? "" : sip_error_text(fault.error), fault.status);
    else if (!ok)
        printf("\n%s: want %.*s %.*s, got %d: %s, %u, header %u\n", name, SLICE_FMT(cells[PARSER]),
               SLICE_FMT(cells[ANSWER]), got, sip_error_text(fault.error), fault.status, fault.hdr);
    CU_ASSERT(ok);
    free((void *)bytes.p);
}

static void test_every_message_of_the_table(void) {
    struct slice file = sip_file("torture", "EXPECTED.tsv"), table = file, cells[COLUMNS];
    unsigned rows = 0;
    CHECK_TRUE(next_row(&table, cells));
    while (next_row(&table, cells)) {
        check_row(cells);
        rows++;
    }
    CHECK_EQ(rows, 61);
    free((void *)file.p);
}

static int32_t load(const char *name, struct slice *bytes, struct sip_fault *fault) {
    *bytes = sip_file("torture", name);
    return sip_parse(*bytes, &msg, fault);
}

static void test_4475_3_1_1_1_tortuous_invite(void) {
    struct slice bytes, value;
    struct sip_fault fault;
    struct sip_values cur = { .started = false };
    struct sip_via via;
    struct sip_contact contact;
    unsigned n = 0;
    CHECK_TRUE(load("wsinv.dat", &bytes, &fault) > 0);
    CHECK_EQ(msg.cseq, 9);
    CHECK_EQ(msg.max_forwards, 68);
    CHECK_EQ(msg.content_length, 150);
    CHECK_SLICE(msg.to_tag, "1918181833n");
    CHECK_SLICE(msg.from_tag, "98asjd8");
    CHECK_SLICE(msg.via.sent_by.host, "192.0.2.2");
    CHECK_SLICE(msg.via.branch, "390skdjuw");
    CHECK_EQ(msg.via.transport, SIP_UDP);
    CHECK_EQ(sip_hdr_value(&msg, SIP_H_SUBJECT).n, 0);
    while (sip_values_next(&msg, SIP_H_VIA, &cur, &value)) {
        CHECK_TRUE(sip_via_parse(value, &via) > 0);
        n++;
    }
    CHECK_EQ(n, 3);
    CHECK_SLICE(via.branch, "z9hG4bK30239");
    CHECK_TRUE(sip_contact_parse(sip_hdr_value(&msg, SIP_H_CONTACT), &contact) > 0);
    CHECK_EQ(contact.q, 330);
    free((void *)bytes.p);
}

static void test_4475_characters_and_escapes(void) {
    struct slice bytes;
    struct sip_fault fault;
    CHECK_TRUE(load("intmeth.dat", &bytes, &fault) > 0);
    CHECK_EQ(msg.method, SIP_M_UNKNOWN);
    CHECK_SLICE(msg.ruri.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
    CHECK_SLICE(msg.from_tag, "_token~1'+`*%!-.");
    free((void *)bytes.p);
    CHECK_TRUE(load("esc01.dat", &bytes, &fault) > 0);
    CHECK_SLICE(msg.ruri.user, "sips%3Auser%40example.com");
    CHECK_SLICE(msg.ruri.host.host, "example.net");
    free((void *)bytes.p);
    CHECK_TRUE(load("esc02.dat", &bytes, &fault) > 0);
    CHECK_EQ(msg.method, SIP_M_UNKNOWN);
    const struct sip_hdr *contact = sip_hdr_first(&msg, SIP_H_CONTACT);
    CHECK_TRUE(contact && sip_hdr_next(&msg, contact) && !sip_hdr_next(&msg, sip_hdr_next(&msg, contact)));
    free((void *)bytes.p);
    CHECK_TRUE(load("semiuri.dat", &bytes, &fault) > 0);
    CHECK_SLICE(msg.ruri.user, "user;par=u%40example.net");
    free((void *)bytes.p);
}

static void test_4475_3_1_1_8_extra_octets_are_ignored(void) {
    struct slice bytes;
    struct sip_fault fault;
    int32_t n = load("dblreq.dat", &bytes, &fault);
    CHECK_TRUE(n > 0 && n < (int32_t)bytes.n);
    CHECK_EQ(msg.method, SIP_M_REGISTER);
    CHECK_EQ(msg.body.n, 0);
    CHECK_SLICE(slice_of(bytes.p + n, 8), "\r\nINVITE");
    free((void *)bytes.p);
}

/* What is refused with a status can be answered, but for what is too broken to copy. */
static void test_refused_requests_are_answerable(void) {
    static const char *const names[] = { "badinv01.dat",   "clerr.dat",    "ncl.dat",     "scalar02.dat",
                                         "quotbal.dat",    "ltgtruri.dat", "lwsruri.dat", "badvers.dat",
                                         "mismatch01.dat", "multi01.dat",  "mcl01.dat",   "ipv6-bad.dat" };
    struct slice bytes;
    struct sip_fault fault;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_EQ(load(names[i], &bytes, &fault), SIP_BAD);
        if (!sip_answerable(&msg))
            printf("\n%s is not answerable\n", names[i]);
        CHECK_TRUE(sip_answerable(&msg));
        free((void *)bytes.p);
    }
    CHECK_EQ(load("insuf.dat", &bytes, &fault), SIP_BAD);
    CHECK_EQ(fault.error, SIP_E_HEADER_MISSING);
    CHECK_FALSE(sip_answerable(&msg));
    free((void *)bytes.p);
}

static void test_5118_addresses(void) {
    struct slice bytes;
    struct sip_fault fault;
    CHECK_TRUE(load("port-ambiguous.dat", &bytes, &fault) > 0);
    CHECK_SLICE(msg.ruri.host.host, "2001:db8::10:5070");
    CHECK_EQ(msg.ruri.host.port, 0);
    free((void *)bytes.p);
    CHECK_TRUE(load("port-unambiguous.dat", &bytes, &fault) > 0);
    CHECK_SLICE(msg.ruri.host.host, "2001:db8::10");
    CHECK_EQ(msg.ruri.host.port, 5070);
    free((void *)bytes.p);
    CHECK_TRUE(load("via-received-param-with-delim.dat", &bytes, &fault) > 0);
    CHECK_SLICE(msg.via.received, "[2001:db8::9:255]");
    free((void *)bytes.p);
}

/* With an argument: the table, message by message. */
int main(int argc, char **argv) {
    (void)argv;
    show_table = argc > 1;
    return UNIT_RUN("sip_torture", UNIT(test_every_message_of_the_table), UNIT(test_4475_3_1_1_1_tortuous_invite),
                    UNIT(test_4475_characters_and_escapes), UNIT(test_4475_3_1_1_8_extra_octets_are_ignored),
                    UNIT(test_refused_requests_are_answerable), UNIT(test_5118_addresses));
}
