/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Steering a byte at a time: it gives what steer_bytes gives, and the program in the kernel, run there on a million
 * datagrams (BPF_PROG_TEST_RUN), gives the same. The kernel's part needs root; without, it is said.
 */
#define _GNU_SOURCE
#include "core/sip/steer.h"
#include "core/sip/steer_fast.h"
#include "tests/unit/sip_files.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdarg.h>
#include <string.h>

#include <steer.skel.h>

#define PACKETS 1000000
#define PACKET_MAX 2600

static const struct steering ours = { .key = { 0x0123456789abcdefu, 0xfedcba9876543210u }, .cluster = 0x3a };
static uint64_t state = 88172645463325252u;

static uint32_t below(uint32_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

static uint16_t fast(struct slice datagram) {
    struct steer_fast s = { .k0 = ours.key.k0, .k1 = ours.key.k1, .cluster = ours.cluster };
    for (uint32_t i = 0; i < datagram.n && i < STEER_FAST_BYTES; i++)
        if (steer_fast_byte(&s, (uint8_t)datagram.p[i]))
            break;
    return steer_fast_end(&s);
}

/* ---- messages */

static char text[PACKET_MAX];
static struct sbuf out;

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out.p + out.n, sizeof text - out.n, format, args);
    va_end(args);
    if (n > 0 && out.n + (uint32_t)n < sizeof text)
        out.n += (uint32_t)n;
}

static void put_token(void) {
    struct token t = { .cluster = below(4) ? ours.cluster : (uint8_t)below(256), .bucket = (uint16_t)below(4096),
                       .call = (uint64_t)below(1u << 30) << 20, .leg = (uint8_t)below(16), .random = below(1u << 30) };
    char mem[TOKEN_LEN];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    token_put(&b, &t);
    if (below(8) == 0)
        put("x~%02x", below(256)); /* looks like one */
    put("%.*s", TOKEN_LEN, mem);
}

/* Something that may be ours, or not. */
static void put_word(void) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'";
    if (below(3) == 0) {
        put_token();
        return;
    }
    for (uint32_t n = 1 + below(40); n; n--)
        put("%c", letters[below(sizeof letters - 1)]);
}

static void put_user(void) {
    if (below(2))
        put_token();
    else
        put("%u", below(100000));
}

static void put_address(bool tag) {
    static const char *const names[] = { "", "\"Alice\" ", "Bob " };
    put("%s<%s:", names[below(3)], below(4) ? "sip" : "sips");
    put_user();
    put("@example.com%s>", below(4) ? "" : ";transport=udp");
    if (!tag)
        return;
    put("%s;tag=", below(8) ? "" : "\r\n ");
    put_word();
}

static void put_line(unsigned which, bool compact, bool to_tag) {
    switch (which) {
    case 0:
        put("%s: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK", compact ? "v" : "Via");
        put_word();
        put("%s\r\n", below(8) ? "" : ", SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK~3aabc");
        break;
    case 1:
        put("%s: ", compact ? "f" : "From");
        put_address(true);
        put("\r\n");
        break;
    case 2:
        put("%s: ", compact ? "t" : below(2) ? "To" : "TO ");
        put_address(to_tag);
        put("\r\n");
        break;
    case 3:
        put("%s:%s", compact ? "i" : below(2) ? "Call-ID" : "call-id", below(8) ? " " : "\r\n\t");
        put_word();
        put("%s\r\n", below(2) ? "@host" : "");
        break;
    default: put("X-%u: %u\r\n", below(1000), below(1000)); break;
    }
}

static struct slice message(void) {
    static const char *const methods[] = { "INVITE", "ACK", "BYE", "REFER", "NOTIFY", "REGISTER" };
    unsigned order[] = { 0, 1, 2, 3, 4, 4 };
    bool compact = below(4) == 0, to_tag = below(2);
    out = sbuf_on(text, sizeof text);
    if (below(2)) {
        put("%s %s:", methods[below(6)], below(8) ? "sip" : "sips");
        if (below(8)) {
            put_user();
            put("@");
        }
        put("192.0.2.9:5060 SIP/2.0\r\n");
    } else {
        put("SIP/2.0 %u Whatever\r\n", 100 + below(599));
    }
    for (unsigned i = 5; i > 0; i--) {
        unsigned k = below(i + 1), swapped = order[i];
        order[i] = order[k];
        order[k] = swapped;
    }
    for (unsigned i = 0; i < 6; i++)
        put_line(order[i], compact, to_tag);
    put("Content-Length: 0\r\n\r\n");
    return sbuf_slice(&out);
}

/* Bytes changed, cut off, or put before it. */
static struct slice damaged(void) {
    struct slice m = message();
    for (unsigned n = below(4); n; n--)
        text[below(m.n)] = "~:;<>@ \r\n\tS/=,%"[below(15)];
    if (below(8) == 0)
        m.n = 32 + below(m.n - 31); /* the kernel runs none on less */
    return m;
}

/* ---- tests */

/* A lost token costs a hand-over, so the two shall differ in nothing that is sent. */
static void test_as_parsed(void) {
    for (unsigned i = 0; i < 200000; i++) {
        struct slice m = message();
        struct steer s = steer_bytes(&ours, m);
        if (fast(m) == s.bucket && s.by != STEER_NOTHING)
            continue;
        printf("\nby %u bucket %03x, not %03x, of\n%.*s", s.by, s.bucket, fast(m), SLICE_FMT(m));
        CHECK_TRUE(false);
        return;
    }
}

static unsigned files_agree(const char *folder) {
    struct dirent *d;
    unsigned same = 0;
    char at[64];
    snprintf(at, sizeof at, "tests/data/sip/%s", folder);
    DIR *dir = opendir(at);
    CU_ASSERT_FATAL(dir != NULL);
    while ((d = readdir(dir))) {
        struct slice s = d->d_name[0] == '.' ? SLICE_NONE : sip_file(folder, d->d_name);
        if (!s.n)
            continue;
        same += steer_bytes(&ours, s).bucket == fast(s);
        free((void *)(uintptr_t)s.p);
    }
    closedir(dir);
    return same;
}

static void test_files(void) {
    CHECK_EQ(files_agree("corpus"), 12);
    CHECK_TRUE(files_agree("torture") > 40);
}

static void test_hash(void) {
    char id[64], head[128];
    for (unsigned n = 1; n < 60; n++) {
        memset(id, 'a' + (int)n % 26, n);
        id[n] = 0;
        snprintf(head, sizeof head, "INVITE sip:h SIP/2.0\r\nTo: <sip:a>\r\nCall-ID: %s\r\n\r\n", id);
        CHECK_EQ(fast(slice_str(head)), steer_hash(&ours, slice_str(id)));
    }
}

static struct steer_bpf *load(void) {
    struct steer_bpf *bpf = steer_bpf__open();
    if (!bpf)
        return NULL;
    bpf->rodata->key0 = ours.key.k0;
    bpf->rodata->key1 = ours.key.k1;
    bpf->rodata->cluster = ours.cluster;
    bpf_program__set_autoload(bpf->progs.steer_socket, false);
    if (steer_bpf__load(bpf) == 0)
        return bpf;
    steer_bpf__destroy(bpf);
    return NULL;
}

static struct steer_bpf *bpf;

static void test_kernel(void) {
    static uint8_t frame[ETH_HLEN + PACKET_MAX];
    struct bpf_test_run_opts o = { .sz = sizeof o, .data_in = frame, .repeat = 1 };
    int fd = bpf_program__fd(bpf->progs.steer_frame);
    unsigned different = 0, unknown = 0;
    frame[12] = 8; /* IPv4 */
    for (unsigned i = 0; i < PACKETS; i++) {
        struct slice m = i % 2 ? message() : damaged();
        memcpy(frame + ETH_HLEN, m.p, m.n);
        o.data_size_in = ETH_HLEN + (m.n ? m.n : 1);
        o.data_size_out = 0;
        uint16_t want = fast(slice_of((const char *)frame + ETH_HLEN, m.n ? m.n : 1));
        int error = bpf_prog_test_run_opts(fd, &o);
        if ((error || o.retval != want) && !different++)
            printf("\nerror %d: %03x, not %03x, of %u bytes:\n%.*s", -error, o.retval, want, m.n, SLICE_FMT(m));
        unknown += want == STEER_FAST_NOTHING;
    }
    CHECK_EQ(different, 0);
    CHECK_TRUE(unknown > 0 && unknown < PACKETS / 4);
    printf("%u packets, %u without a bucket ", PACKETS, unknown);
}

int main(void) {
    bpf = load();
    if (!bpf && UNIT_RUN("steer fast", UNIT(test_as_parsed), UNIT(test_files), UNIT(test_hash)))
        return 1;
    if (!bpf) {
        printf("skip: the kernel takes no BPF program from us: %s\n", strerror(errno));
        return 77;
    }
    int failed = UNIT_RUN("steer fast", UNIT(test_as_parsed), UNIT(test_files), UNIT(test_hash), UNIT(test_kernel));
    steer_bpf__destroy(bpf);
    return failed;
}
