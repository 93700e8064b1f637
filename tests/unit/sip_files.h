/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Test data under tests/data/sip, read from the top of the tree into heap blocks of exactly their size, so that a
 * sanitizer sees every byte read outside.
 */
#ifndef REFEREE_TESTS_SIP_FILES_H
#define REFEREE_TESTS_SIP_FILES_H

#include "tests/unit/unit.h"

#define SIP_CORPUS_FILES                                                                                 \
    "01_invite_snom", "02_invite_poly_auth", "03_180", "04_200_sdp", "05_ack", "06_bye",                 \
    "07_refer_replaces", "08_notify_sipfrag", "09_register_auth", "10_invite_carrier",                   \
    "11_options_compact", "12_401"

/* p == NULL: no such file. free((void *)s.p) when done. */
static inline struct slice sip_file(const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "tests/data/sip/%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("\ncannot read %s: run from the top of the tree\n", path);
        return SLICE_NONE;
    }
    static char buf[1 << 17];
    size_t n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    char *exact = malloc(n ? n : 1);
    memcpy(exact, buf, n);
    return slice_of(exact, n);
}

/* A heap copy of exactly n bytes. */
static inline struct slice slice_heap(struct slice s) {
    char *p = malloc(s.n ? s.n : 1);
    memcpy(p, s.p, s.n);
    return slice_of(p, s.n);
}

#endif
