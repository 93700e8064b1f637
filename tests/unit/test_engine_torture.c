/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The torture messages of RFC 4475 and RFC 5118 through a whole engine: the answer of EXPECTED.tsv is on the wire. */
#include "tests/unit/engine_rig.h"
#include "tests/unit/sip_files.h"

#include <string.h>

#define FROM "192.0.2.200:5060"

/* All that is not ours goes to one address. */
static struct route_config out = { .name = "out" };
static const struct user_config users[] = { { .name = "user" }, { .name = "watson" }, { .name = "j.user" } };

static struct rig *new_rig(void) {
    struct engine_config c;
    rig_config(&c);
    out.next_hop = rig_addr("192.0.2.50:5060");
    c.policy.routes = &out;
    c.policy.route_count = 1;
    c.policy.users = users;
    c.policy.user_count = sizeof users / sizeof *users;
    return rig_new(&c);
}

static bool allowed(const char *answers, unsigned status) {
    char code[8];
    snprintf(code, sizeof code, "%u", status);
    return strstr(answers, code) != NULL;
}

/* Where RFC 4475 leaves the choice, what this engine has chosen. */
static const struct {
    const char *file, *answers;
} choices[] = {
    { "badaspec.dat", "200" },  /* LWS inside <> is tolerated */
    { "badbranch.dat", "200" }, /* RFC 2543's matching */
    { "baddate.dat", "480" },   /* Date does not matter to us; the user has no phone */
    { "regaut01.dat", "200" },  /* no authentication is wanted here */
};

static const char *answers_of(const char *file, const char *column) {
    for (unsigned i = 0; i < sizeof choices / sizeof *choices; i++)
        if (strcmp(choices[i].file, file) == 0)
            return choices[i].answers;
    return column;
}

static void check_one(const char *file, const char *column) {
    struct slice bytes = sip_file("torture", file);
    CU_ASSERT_FATAL(bytes.p != NULL);
    struct rig *r = new_rig();
    const char *answers = answers_of(file, column);
    rig_recv(r, bytes, FROM);
    unsigned status = rig_last_status(r);
    bool right = strcmp(answers, "drop") == 0 ? r->sent_n == 0 : strcmp(answers, "-") == 0 || allowed(answers, status);
    if (!right)
        printf("\n%s: answered %u (%u datagrams), want %s\n", file, status, r->sent_n, answers);
    CHECK_TRUE(right);
    rig_advance(r, 7201 * RIG_SEC);
    if (!rig_is_quiet(r)) {
        printf("\n%s leaves:", file);
        rig_print_census(r);
    }
    CHECK_TRUE(rig_is_quiet(r));
    CHECK_EQ(rig_census(r).bindings, 0);
    rig_free(r);
    free((void *)(uintptr_t)bytes.p);
}

static void test_expected(void) {
    FILE *f = fopen("tests/data/sip/torture/EXPECTED.tsv", "r");
    char line[2048];
    unsigned n = 0;
    CU_ASSERT_FATAL(f != NULL);
    while (fgets(line, sizeof line, f)) {
        char *column[7], *at = line;
        for (unsigned i = 0; i < 7; i++)
            column[i] = at ? strsep(&at, "\t") : NULL;
        if (!column[6] || strcmp(column[0], "file") == 0)
            continue;
        check_one(column[0], column[6]);
        n++;
    }
    fclose(f);
    CHECK_EQ(n, 61);
}

/* What is valid and asks for something gets an answer at all. */
static void test_valid_ones_are_handled(void) {
    static const char *const files[] = { "wsinv.dat", "lwsdisp.dat", "longreq.dat", "semiuri.dat", "inv2543.dat" };
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        struct slice bytes = sip_file("torture", files[i]);
        struct rig *r = new_rig();
        rig_recv(r, bytes, FROM);
        if (r->sent_n == 0)
            printf("\n%s: silence\n", files[i]);
        CHECK_TRUE(r->sent_n > 0);
        rig_free(r);
        free((void *)(uintptr_t)bytes.p);
    }
}

int main(void) {
    return UNIT_RUN("engine_torture", UNIT(test_expected), UNIT(test_valid_ones_are_handled));
}
