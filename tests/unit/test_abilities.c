/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a party lists in Allow and Supported. */
#include "core/b2b/leg.h"
#include "tests/unit/ua_fixture.h"

static const struct {
    const char *lines;
    bool refer, update, replaces;
} rows[] = {
    { "Allow: INVITE, ACK, BYE, CANCEL, REFER, UPDATE\nSupported: replaces\n", true, true, true },
    { "Allow: INVITE,ACK,refer\n", true, false, false },
    { "Allow: Update , ACK\n", false, true, false },
    { "Allow: INVITE,\n\tREFER\n ,UPDATE\n", true, true, false },
    { "Allow: ,, REFER ,,\n", true, false, false },
    { "Allow: INVITE\nAllow: REFER\n", true, false, false },
    { "Allow: UPDATE, REFER\nAllow: INVITE\nSupported: timer\nSupported: 100rel, Replaces\n", true, true, true },
    { "Allow: REFERS, XREFER, RE FER, UPDATE;x, SUBSCRIBE\n", false, false, false },
    { "Allow: \"a, REFER, b\", UPDATE\n", false, true, false },
    { "Allow: <REFER, UPDATE, x>, INVITE\n", false, false, false },
    { "Allow:\n", false, false, false },
    { "Allow: ACK\nSupported: replaced\n", false, false, false },
    { "Allow: ACK\nSupported: replaces\n", false, false, true },
    { "Allow: ACK\nSupported: replaced\nSupported: replaces\n", false, false, true },
    { "Allow: ACK\nSupported: replaced\n", false, false, false },
    { "Allow: ACK\nSupported: \"replaces\"\n", false, false, false },
    { "Allow: ACK\nSupported:\n", false, false, false },
};

/* Only its lists that were read lately: each row is read twice. */
static struct engine engine;

static void test_listed(void) {
    struct ua_fix *f = ua_fix_new();
    for (unsigned k = 0; k < 2 * sizeof rows / sizeof *rows; k++) {
        unsigned i = k / 2;
        static struct leg l;
        char text[1024];
        snprintf(text, sizeof text,
                 "INVITE sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa\nFrom: <sip:a@x>;tag=1\n"
                 "To: <sip:b@x>\nCall-ID: c\nCSeq: 1 INVITE\n%sContent-Length: 0\n\n",
                 rows[i].lines);
        l.allows_refer = !rows[i].refer;
        l.allows_update = !rows[i].update;
        l.supports_replaces = !rows[i].replaces && strstr(rows[i].lines, "Supported");
        leg_note_abilities(&engine, &l, ua_fix_msg(f, text));
        CHECK_EQ(l.allows_refer, rows[i].refer);
        CHECK_EQ(l.allows_update, rows[i].update);
        CHECK_EQ(l.supports_replaces, rows[i].replaces);
    }
    ua_fix_end(f);
}

/* Who lists nothing leaves what is known. */
static void test_not_listed(void) {
    struct ua_fix *f = ua_fix_new();
    static struct leg l = { .allows_refer = true, .allows_update = true, .supports_replaces = true };
    const char *text = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa\nFrom: <sip:a@x>;tag=1\n"
                       "To: <sip:b@x>;tag=2\nCall-ID: c\nCSeq: 1 INVITE\n\n";
    leg_note_abilities(&engine, &l, ua_fix_msg(f, text));
    CHECK_TRUE(l.allows_refer && l.allows_update && l.supports_replaces);
    ua_fix_end(f);
}

int main(void) {
    return UNIT_RUN("abilities", UNIT(test_listed), UNIT(test_not_listed));
}
