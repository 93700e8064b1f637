/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * ua_fixture: what dialogs and responses are written with, and messages written by hand. fix_ua_end checks that every
 * buffer was given back.
 */
#ifndef REFEREE_TESTS_UA_FIXTURE_H
#define REFEREE_TESTS_UA_FIXTURE_H

#include "core/sip/ua.h"
#include "tests/unit/unit.h"

struct ua_fix {
    void *mem;
    struct buf_pool bufs;
    struct ua ua;
    struct sip_msg msg;
    char text[8192];
};

static inline struct ua_fix *ua_fix_new(void) {
    static const uint32_t count[BUF_CLASSES] = { 16, 0, 16, 0, 16, 4, 1, 1 };
    struct ua_fix *f = calloc(1, sizeof *f);
    struct arena a;
    arena_init(&a, NULL, 0);
    buf_pool_init(&f->bufs, &a, count);
    size_t need = a.used;
    f->mem = aligned_alloc(64, (need + 63) / 64 * 64);
    arena_init(&a, f->mem, need);
    buf_pool_init(&f->bufs, &a, count);
    f->ua.bufs = &f->bufs;
    f->ua.sent_by = SL("192.0.2.1:5060");
    f->ua.host = SL("192.0.2.1");
    f->ua.agent = SL("referee");
    return f;
}

static inline void ua_fix_end(struct ua_fix *f) {
    for (unsigned i = 0; i < BUF_CLASSES; i++)
        CHECK_EQ(f->bufs.used[i], 0);
    free(f->mem);
    free(f);
}

/* A message whose lines end in LF, read into f->msg. */
static inline const struct sip_msg *ua_fix_msg(struct ua_fix *f, const char *lf) {
    struct sip_fault fault;
    uint32_t n = 0;
    for (; *lf && n + 2 < sizeof f->text; lf++) {
        if (*lf == '\n')
            f->text[n++] = '\r';
        f->text[n++] = *lf;
    }
    int32_t got = sip_parse(slice_of(f->text, n), &f->msg, &fault);
    if (got < 0)
        printf("\n%s at %u\n", sip_error_text(fault.error), fault.offset);
    CU_ASSERT_FATAL(got > 0);
    return &f->msg;
}

static inline struct addr ua_fix_addr(const char *text) {
    struct addr a = { 0 };
    CU_ASSERT_FATAL(addr_parse(slice_str(text), 5060, &a));
    return a;
}

#endif
