/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What is asked of a parser, seen by the adaptors of the others too: their headers and ours do not go together.
 */
#ifndef REFEREE_BENCH_PARSE_FIELDS_H
#define REFEREE_BENCH_PARSE_FIELDS_H

#include "core/base/sbuf.h"

/* What the parsers are asked for: the columns of FIELDS.txt. Absent text is empty, an absent number 0, an absent
 * Max-Forwards -1. The slices live until release(). */
struct fields {
    bool is_request;
    uint16_t status, ruri_port, via_port, contact_port;
    uint32_t cseq;
    int32_t max_forwards, content_length;
    struct slice method, ruri_user, ruri_host;
    struct slice via_transport, via_host, via_branch;
    struct slice from_user, from_host, from_tag, to_user, to_host, to_tag;
    struct slice call_id, cseq_method;
    struct slice contact_user, contact_host;
    struct slice type, subtype;
    struct slice refer_user, refer_host, rep_call_id, rep_to_tag, rep_from_tag;
    char rep_mem[512];            /* Replaces without its escapes, for who has no memory of its own for it */
};

struct contender {
    const char *name;
    bool (*usable)(void);
    bool (*decode)(struct slice message, struct fields *out);
    void (*release)(void);        /* NULL: nothing is held after decode */
};

#endif
