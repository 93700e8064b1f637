/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Every path of the parser gives what the plain one gives, byte for byte: the corpus, RFC 4475 and 5118, the fuzzers'
 * corpora, every prefix of a message, and random changes of them; each in a block that ends where a page that cannot be
 * read begins.
 */
#include "core/base/rng.h"
#include "core/base/sbuf.h"
#include "tests/unit/sip_files.h"
#include "tests/unit/sip_same.h"

#include <dirent.h>
#include <sys/mman.h>

#define SAMPLES_MAX 600
#define BLOCK (1u << 17)

static struct slice samples[SAMPLES_MAX];
static unsigned sample_count;
static char *wall;                /* the first byte that cannot be read */

static void load_folder(const char *folder) {
    char path[512];
    DIR *dir = opendir(folder);
    CU_ASSERT_FATAL(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        static char buf[BLOCK];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *f = e->d_name[0] == '.' || strstr(e->d_name, ".t") ? NULL : fopen(path, "rb");
        if (!f || sample_count == SAMPLES_MAX)
            continue;
        size_t n = fread(buf, 1, sizeof buf, f);
        fclose(f);
        samples[sample_count++] = slice_heap(slice_of(buf, n));
    }
    closedir(dir);
}

static void load(void) {
    if (sample_count)
        return;
    load_folder("tests/data/sip/corpus");
    load_folder("tests/data/sip/torture");
    load_folder("tests/fuzz/corpus/sip_msg");
    load_folder("tests/fuzz/corpus/sip_nameaddr");
    load_folder("tests/fuzz/corpus/sip_uri");
    char *mem = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(mem != MAP_FAILED && mprotect(mem + BLOCK, BLOCK, PROT_NONE) == 0);
    wall = mem + BLOCK;
}

/* The bytes, their last one `gap` bytes before the wall. */
static struct slice at_wall(struct slice bytes, uint32_t gap) {
    char *p = wall - gap - bytes.n;
    memcpy(p, bytes.p, bytes.n);
    memset(wall - gap, 'a', gap);
    return slice_of(p, bytes.n);
}

static unsigned differences;

static void say(const char *what, enum sip_path path, struct slice bytes) {
    if (differences++ == 0)
        printf("\npath %d differs, %s: %.*s\n", (int)path, what, SLICE_FMT(bytes));
}

static void compare(struct slice bytes) {
    for (enum sip_path path = SIP_PATH_SSE2; path < SIP_PATH_COUNT; path++) {
        if (!sip_path_usable(path))
            continue;
        if (!same_parse(sip_path_ops(path), bytes))
            say("message", path, bytes);
        if (bytes.n < 600 && !same_values(sip_path_ops(path), bytes))
            say("value", path, bytes);
    }
}

/* Each header's value, and what is in the <> of it. */
static void compare_values(struct slice bytes) {
    static struct sip_msg msg;
    struct sip_fault fault;
    sip_parse(bytes, &msg, &fault);
    for (unsigned i = 0; i < msg.header_count; i++) {
        struct slice v = msg.headers[i].value;
        int32_t lt = slice_find(v, '<'), gt = slice_find(v, '>');
        struct slice uri = lt >= 0 && gt > lt ? slice_of(v.p + lt + 1, (uint32_t)(gt - lt - 1)) : v;
        for (enum sip_path path = SIP_PATH_SSE2; path < SIP_PATH_COUNT; path++)
            if (sip_path_usable(path) &&
                (!same_values(sip_path_ops(path), v) || !same_values(sip_path_ops(path), uri)))
                say("header", path, v);
    }
}

static void test_every_sample_before_a_wall(void) {
    load();
    differences = 0;
    CHECK_TRUE(sample_count > 100);
    for (unsigned i = 0; i < sample_count; i++)
        for (uint32_t gap = 0; gap < 80; gap += 1 + gap / 8) {
            struct slice bytes = at_wall(samples[i], gap);
            compare(bytes);
            compare_values(bytes);
        }
    CHECK_EQ(differences, 0);
}

static void test_every_prefix(void) {
    load();
    differences = 0;
    for (unsigned i = 0; i < sample_count; i += 3)
        for (uint32_t n = 0; n <= samples[i].n && n < 3000; n += 1 + n / 256)
            compare(at_wall(slice_of(samples[i].p, n), n % 3));
    CHECK_EQ(differences, 0);
}

/* One to four changes: a byte to one that means something or to any, bytes taken out, bytes doubled. */
static struct slice change(struct rng *rng, struct slice s, char *mem) {
    static const char special[] = "\r\n\t :;,<>@?=\"\\'%[]+-._0129azAZ()/&!~`*|^{}$#\x7f\x80\xff\x01";
    uint32_t n = s.n;
    memcpy(mem, s.p, n);
    for (uint64_t left = 1 + rng_u64(rng) % 4; left > 0 && n > 1; left--) {
        uint32_t at = (uint32_t)(rng_u64(rng) % n), some = (uint32_t)(1 + rng_u64(rng) % 8);
        switch (rng_u64(rng) % 5) {
        case 0:
        case 1:
            mem[at] = special[rng_u64(rng) % sizeof special];
            break;
        case 2:
            mem[at] = (char)rng_u64(rng);
            break;
        case 3:
            some = some < n - at ? some : n - at;
            memmove(mem + at, mem + at + some, n - at - some);
            n -= some;
            break;
        default:
            some = some < n - at ? some : n - at;
            memmove(mem + at + some, mem + at, n - at);
            n += some;
            break;
        }
    }
    return slice_of(mem, n);
}

static void test_random_changes(void) {
    static char mem[BLOCK];
    struct rng rng;
    load();
    rng_init(&rng, (struct siphash_key){ 4475, 5118 });
    differences = 0;
    for (unsigned round = 0; round < 60000; round++) {
        struct slice s = samples[rng_u64(&rng) % sample_count];
        if (s.n > 4000)
            continue;
        struct slice bytes = at_wall(change(&rng, s, mem), 0);
        compare(bytes);
        compare_values(bytes);
    }
    CHECK_EQ(differences, 0);
}

/* Long names, many headers, folds and long values at the edges of the 64-byte steps. */
static void test_edges_of_steps(void) {
    static char mem[1 << 16];
    load();
    differences = 0;
    for (uint32_t pad = 0; pad < 140; pad++)
        for (unsigned kind = 0; kind < 6; kind++) {
            struct sbuf b = sbuf_on(mem, sizeof mem);
            sbuf_lit(&b, "INVITE sip:b@example.com SIP/2.0\r\n");
            for (uint32_t i = 0; i < pad; i++)
                sbuf_char(&b, 'X');
            sbuf_lit(&b, ": 1\r\n");
            sbuf_str(&b, kind == 0 ? "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n" : "");
            sbuf_str(&b, kind == 1 ? "Subject: x\r\n \r\n\ty\r\n" : kind == 2 ? "k: a\rb\r\n" : "");
            sbuf_str(&b, kind == 3 ? "k: a\nb\r\n" : kind == 4 ? "Subject :  \r\n x \r\n" : "");
            sbuf_lit(&b, "v: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:a@h>;tag=1\r\nt: <sip:b@h>\r\ni: 1@h\r\n");
            sbuf_lit(&b, "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\n");
            for (unsigned i = 0; kind == 5 && i < 170 + pad; i++)
                sbuf_lit(&b, "z:\r\n");
            sbuf_lit(&b, "l: 3\r\n\r\nabc");
            compare(at_wall(sbuf_slice(&b), 0));
            compare_values(at_wall(sbuf_slice(&b), pad % 64));
        }
    CHECK_EQ(differences, 0);
}

/* The shortest of each thing, and what ends too early: nothing behind the last byte is read. */
static void test_short_values_before_a_wall(void) {
    static const char *const texts[] = {
        "s",       "sip:",       "sips:",        "sip:a",        "sips:a",        "sip:@",          "sip:+",
        "sips:+",  "sip:a@",     "sip:a@h",      "sip:a@h:",     "sip:a@h:5",     "sip:a@h;",       "sip:a@h?",
        "<",       "<>",         "<sip:",        "<sips:",       "<sips:>",       "<sip:a@h",       "<sip:a@h>",
        "<sip:h>;", "<sip:h>;t", "<sip:h>;tag",  "<sip:h>;tag=", "<sip:h>;tag=\"", "<sip:h>;tag=\"a", "<sip:h>;+",
        "\"",      "\"a",        "\"a\"",       "\"a\" ",      "\"a\" <",       "\"a\"<",         "*",
        "SIP/2.0/UDP ", "SIP/2.0/UDP h", "SIP/2.0/UDP h:", "SIP/2.0/UDP h:1", "SIP/2.0/UDP h;", "SIP/2.0/UDP h;a=",
    };
    load();
    differences = 0;
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        for (uint32_t gap = 0; gap < 66; gap++)
            compare(at_wall(slice_str(texts[i]), gap));
    CHECK_EQ(differences, 0);
}

static void test_the_best_path_is_used(void) {
    enum sip_path best = SIP_PATH_PLAIN;
    for (enum sip_path path = SIP_PATH_PLAIN; path < SIP_PATH_COUNT; path++)
        if (sip_path_usable(path))
            best = path;
    CHECK_TRUE(sip_best_ops() == sip_path_ops(best));
    printf("\nbest path of this CPU: %d\n", (int)best);
}

int main(void) {
    return UNIT_RUN("sip_paths", UNIT(test_every_sample_before_a_wall), UNIT(test_every_prefix),
                    UNIT(test_random_changes), UNIT(test_edges_of_steps),
                    UNIT(test_short_values_before_a_wall), UNIT(test_the_best_path_is_used));
}
