/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sip_path: the same parsers by several instruction sets, with the same results byte for byte. sip_parse and its
 * kin take the best one that the CPU has; this header is for tests and benches that want one by name.
 */
#ifndef REFEREE_PARSER_SIP_PATH_H
#define REFEREE_PARSER_SIP_PATH_H

#include "parser/sip_hdr.h"

enum sip_path { SIP_PATH_PLAIN, SIP_PATH_SSE2, SIP_PATH_AVX2, SIP_PATH_AVX512, SIP_PATH_COUNT };

struct sip_ops {
    int32_t (*parse)(struct slice bytes, struct sip_msg *msg, struct sip_fault *fault);
    /* The header lines alone: names, ids, values, chains; for the bench. SIP_BAD or bytes with the empty line. */
    int32_t (*headers)(struct slice bytes, struct sip_msg *msg);
    int32_t (*uri)(struct slice text, struct sip_uri *out);
    int32_t (*nameaddr)(struct slice value, struct sip_nameaddr *out);
    int32_t (*contact)(struct slice value, struct sip_contact *out);
    int32_t (*via)(struct slice value, struct sip_via *out);
};

/* The fast ones are there on x86-64 only. */
extern const struct sip_ops sip_ops_sse2, sip_ops_avx2, sip_ops_avx512;

/* Built in, and this CPU has it. PLAIN always is. */
bool sip_path_usable(enum sip_path path);
/* Of a usable path. */
const struct sip_ops *sip_path_ops(enum sip_path path);
/* Of the best usable path. */
const struct sip_ops *sip_best_ops(void);

#endif
