/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_path.h"
#include "parser/sip_scan.h"

static const struct sip_ops plain = {
    .parse = sip_plain_parse,
    .headers = sip_plain_headers,
    .uri = sip_plain_uri,
    .nameaddr = sip_plain_nameaddr,
    .contact = sip_plain_contact,
    .via = sip_plain_via,
};

#ifdef __x86_64__
/* GCC's and clang's run-time library read CPUID before main; what it found costs a load and a test to ask for. */
static inline bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
static inline bool has_avx512(void) {
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && has_avx2();
}
static inline const struct sip_ops *best(void) {
    return has_avx512() ? &sip_ops_avx512 : has_avx2() ? &sip_ops_avx2 : &sip_ops_sse2;
}

bool sip_path_usable(enum sip_path path) {
    return path == SIP_PATH_AVX512 ? has_avx512() : path == SIP_PATH_AVX2 ? has_avx2() : path < SIP_PATH_COUNT;
}
const struct sip_ops *sip_path_ops(enum sip_path path) {
    static const struct sip_ops *const all[SIP_PATH_COUNT] = {
        [SIP_PATH_PLAIN] = &plain,
        [SIP_PATH_SSE2] = &sip_ops_sse2,
        [SIP_PATH_AVX2] = &sip_ops_avx2,
        [SIP_PATH_AVX512] = &sip_ops_avx512,
    };
    return all[path];
}
#else
static inline const struct sip_ops *best(void) {
    return &plain;
}

bool sip_path_usable(enum sip_path path) {
    return path == SIP_PATH_PLAIN;
}
const struct sip_ops *sip_path_ops(enum sip_path path) {
    (void)path;
    return &plain;
}
#endif

const struct sip_ops *sip_best_ops(void) {
    return best();
}

int32_t sip_parse(struct slice bytes, struct sip_msg *msg, struct sip_fault *fault) {
    return best()->parse(bytes, msg, fault);
}
int32_t sip_uri_parse(struct slice text, struct sip_uri *out) {
    return best()->uri(text, out);
}
int32_t sip_nameaddr_parse(struct slice value, struct sip_nameaddr *out) {
    return best()->nameaddr(value, out);
}
int32_t sip_contact_parse(struct slice value, struct sip_contact *out) {
    return best()->contact(value, out);
}
int32_t sip_via_parse(struct slice value, struct sip_via *out) {
    return best()->via(value, out);
}
