/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/sip/branch.h"
#include "core/sip/steer.h"
#include "tests/unit/sip_files.h"
#include "tests/unit/ua_fixture.h"

#include <dirent.h>

static const struct steering ours = { .key = { 7, 9 }, .cluster = 3 };
static struct ua_fix *f;

/* Token of bucket `bucket`, call 1. */
#define TOK(bucket) "~03" bucket "00000000000000012fedcba9876543210"
#define FOREIGN "~04abc00000000000000012fedcba9876543210"
#define REG "CSeq: 1 REGISTER\nContent-Length: 0\n\n"
#define REST "CSeq: 1 INVITE\nContent-Length: 0\n\n"

static struct steer both(const char *text) {
    const struct sip_msg *m = ua_fix_msg(f, text);
    struct steer a = steer_msg(&ours, m), b = steer_bytes(&ours, m->whole);
    CHECK_EQ(a.bucket, b.bucket);
    CHECK_EQ(a.by, b.by);
    return a;
}

static void check(const char *text, enum steer_by by, unsigned bucket) {
    struct steer s = both(text);
    if (s.by != by || s.bucket != bucket)
        printf("\nby %u bucket %03x of\n%s", s.by, s.bucket, text);
    CHECK_EQ(s.by, by);
    CHECK_EQ(s.bucket, bucket);
}

#define VIA "Via: SIP/2.0/UDP h;branch=z9hG4bKx\n"
static void test_requests(void) {
    check("INVITE sip:" TOK("abc") "@h SIP/2.0\n" VIA "From: <sip:a@b>;tag=" TOK("111") "\nTo: <sip:c@d>;tag=" TOK(
              "222") "\nCall-ID: " TOK("333") "\n" REST,
          STEER_RURI, 0xabc);
    check("INVITE sip:xfer." TOK("00f") "@h SIP/2.0\n" VIA "From: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: c\n" REST,
          STEER_RURI, 0xf);
    check("INVITE sip:~x" TOK("00e") ";p=1@h SIP/2.0\n" VIA "From: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: c\n" REST,
          STEER_RURI, 0xe);
    check("INVITE sip:" FOREIGN "@h SIP/2.0\n" VIA "f: <sip:a@b>;tag=1\nt: <sip:c@d>;tag=" TOK("222")
          "\ni: c\n" REST,
          STEER_TAG, 0x222);
    check("INVITE sip:c@h SIP/2.0\n" VIA "f: <sip:a@b>;tag=1\nt: <sip:c@d>;tag=x\ni: " TOK("333") "\n" REST,
          STEER_CALL_ID, 0x333);
    check("INVITE sip:h SIP/2.0\n" VIA "f: <sip:a@b>;tag=1\nt: <sip:" TOK("222") "@d>\ni: plain\n" REST, STEER_HASH,
          steer_hash(&ours, SL("plain")));
}

static void test_responses(void) {
    check("SIP/2.0 200 OK\nVia: SIP/2.0/UDP h;branch=z9hG4bK" TOK("def") "0123456789abcdef0123456789abcdef, SIP/2.0/UDP"
          " i;branch=z9hG4bK" TOK("111") "0123456789abcdef0123456789abcdef\nVia: SIP/2.0/UDP j\nFrom: <sip:a@b>;tag="
          TOK("222") "\nTo: <sip:c@d>;tag=2\nCall-ID: c\n" REST,
          STEER_BRANCH, 0xdef);
    check("SIP/2.0 200 OK\n" VIA "To: <sip:c@d>;tag=" TOK("111") "\nFrom: <sip:a@b>\n ;tag=" TOK("222") "\ni: c\n" REST,
          STEER_TAG, 0x222);
}

/* A user part means the same with and without escapes; what else a REGISTER carries does not count. */
static void test_register(void) {
    unsigned bucket = steer_hash(&ours, SL("alice"));
    check("REGISTER sip:" TOK("abc") "@h SIP/2.0\n" VIA "From: <sip:b@b>;tag=1\nTo: <sip:alice@b>\nCall-ID: c\n" REG,
          STEER_AOR, bucket);
    check("REGISTER sip:h SIP/2.0\n" VIA "From: <sip:b@b>;tag=1\nTo: \"x\" <sip:%61lice@e>\nCall-ID: d\n" REG,
          STEER_AOR, bucket);
    check("REGISTER sip:h SIP/2.0\n" VIA "From: <sip:b@b>;tag=1\nTo: <sip:b>\nCall-ID: d\n" REG, STEER_HASH,
          steer_hash(&ours, SL("d")));
}

/* The CANCEL and the ACK of an INVITE, of a call whose tag we gave. */
static void test_same_as_their_invite(void) {
    char text[1024];
    unsigned bucket = steer_hash(&ours, SL("c"));
    snprintf(text, sizeof text,
             "ACK sip:b@h SIP/2.0\n" VIA "From: <sip:a@b>;tag=1\nTo: <sip:c@d>;tag=~03%03x%s\nCall-ID: c\nCSeq: 1 "
             "ACK\nContent-Length: 0\n\n",
             bucket, "00000000000000012fedcba9876543210");
    check("INVITE sip:b@h SIP/2.0\n" VIA "From: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: c\n" REST, STEER_HASH, bucket);
    check("CANCEL sip:b@h SIP/2.0\n" VIA "From: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: c\nCSeq: 1 CANCEL\n"
          "Content-Length: 0\n\n",
          STEER_HASH, bucket);
    check(text, STEER_TAG, bucket);
}

/* Whatever the parser takes gives the same both ways; whatever it refuses harms nobody. */
static unsigned files_agree(const char *folder) {
    static struct sip_msg msg;
    struct dirent *d;
    unsigned n = 0;
    char at[64];
    snprintf(at, sizeof at, "tests/data/sip/%s", folder);
    DIR *dir = opendir(at);
    CU_ASSERT_FATAL(dir != NULL);
    while ((d = readdir(dir))) {
        struct sip_fault fault;
        struct slice s = d->d_name[0] == '.' ? SLICE_NONE : sip_file(folder, d->d_name);
        if (!s.n)
            continue;
        struct steer b = steer_bytes(&ours, s);
        CHECK_TRUE(b.bucket < TOKEN_BUCKETS);
        if (sip_parse(s, &msg, &fault) >= 0) {
            struct steer a = steer_msg(&ours, &msg);
            if (a.bucket != b.bucket || a.by != b.by)
                printf("\n%s: %u/%03x, %u/%03x\n", d->d_name, a.by, a.bucket, b.by, b.bucket);
            CHECK_TRUE(a.bucket == b.bucket && a.by == b.by);
            n++;
        }
        free((void *)(uintptr_t)s.p);
    }
    closedir(dir);
    return n;
}

static void test_agreement(void) {
    CHECK_TRUE(files_agree("corpus") > 10);
    CHECK_TRUE(files_agree("torture") > 20);
}

/* Cut off anywhere. */
static void test_rubbish(void) {
    const struct sip_msg *m = ua_fix_msg(f, "INVITE sip:x@h SIP/2.0\n" VIA
                                            "From: <sip:a@b>;tag=1\nTo: <sip:c@d>;tag=2\nCall-ID: c\n" REST);
    for (uint32_t n = 0; n <= m->whole.n; n++) {
        char *exact = malloc(n ? n : 1);
        memcpy(exact, m->whole.p, n);
        CHECK_TRUE(steer_bytes(&ours, slice_of(exact, n)).bucket < TOKEN_BUCKETS);
        free(exact);
    }
    CHECK_EQ(steer_bytes(&ours, SL("\r\n\r\n")).by, STEER_NOTHING);
    CHECK_EQ(steer_bytes(&ours, SLICE_NONE).by, STEER_NOTHING);
}

static void test_end(void) {
    CHECK_EQ(f->bufs.used[0], 0);
    ua_fix_end(f);
}

int main(void) {
    f = ua_fix_new();
    return UNIT_RUN("steer", UNIT(test_requests), UNIT(test_responses), UNIT(test_register),
                    UNIT(test_same_as_their_invite), UNIT(test_agreement), UNIT(test_rubbish), UNIT(test_end));
}
