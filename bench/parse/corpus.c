/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/parse/bench.h"

#include <stdio.h>
#include <stdlib.h>

static struct slice read_file(const char *folder, struct slice name, const char *suffix) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%.*s%s", folder, SLICE_FMT(name), suffix);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "bench-parse: cannot read %s\n", path);
        exit(2);
    }
    static char buf[1 << 20];
    size_t n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    char *exact = malloc(n ? n : 1);
    memcpy(exact, buf, n);
    return slice_of(exact, n);
}

struct corpus corpus_load(const char *folder) {
    struct slice table = read_file(folder, SL("FIELDS"), ".txt");
    struct corpus c = { .count = 0 };
    for (uint32_t i = 0; i < table.n; i++)
        c.count += table.p[i] == '\n';
    c.samples = calloc(c.count, sizeof *c.samples);
    for (unsigned i = 0; i < c.count; i++) {
        uint32_t end = (uint32_t)slice_find(table, '\n'), space = (uint32_t)slice_find(table, ' ');
        c.samples[i].message = read_file(folder, slice_of(table.p, space), ".sip");
        c.samples[i].expected = slice_of(table.p + space + 1, end - space - 1);
        c.bytes += c.samples[i].message.n;
        table = slice_of(table.p + end + 1, table.n - end - 1);
    }
    return c;
}

void corpus_shuffle(struct corpus *c, uint64_t seed) {
    for (unsigned i = c->count; i > 1; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned j = (unsigned)((seed >> 33) % i);
        struct sample swap = c->samples[i - 1];
        c->samples[i - 1] = c->samples[j];
        c->samples[j] = swap;
    }
}

static void put_host(struct sbuf *b, const char *label, struct slice user, struct slice host, uint16_t port) {
    sbuf_str(b, label);
    sbuf_put(b, user);
    sbuf_char(b, '@');
    sbuf_put(b, host);
    sbuf_char(b, ':');
    sbuf_u64(b, port);
}

static void put_party(struct sbuf *b, const char *label, struct slice user, struct slice host, struct slice tag) {
    sbuf_str(b, label);
    sbuf_put(b, user);
    sbuf_char(b, '@');
    sbuf_put(b, host);
    sbuf_char(b, ';');
    sbuf_put(b, tag);
}

static void put_via(struct sbuf *b, const struct fields *f) {
    sbuf_lit(b, " via=");
    sbuf_put(b, f->via_transport);
    sbuf_char(b, '/');
    sbuf_put(b, f->via_host);
    sbuf_char(b, ':');
    sbuf_u64(b, f->via_port);
    sbuf_char(b, '/');
    sbuf_put(b, f->via_branch);
}

static void put_refer(struct sbuf *b, const struct fields *f) {
    sbuf_lit(b, " refer=");
    sbuf_put(b, f->refer_user);
    sbuf_char(b, '@');
    sbuf_put(b, f->refer_host);
    sbuf_lit(b, " rep=");
    sbuf_put(b, f->rep_call_id);
    sbuf_char(b, '/');
    sbuf_put(b, f->rep_to_tag);
    sbuf_char(b, '/');
    sbuf_put(b, f->rep_from_tag);
}

void fields_put(struct sbuf *b, const struct fields *f) {
    sbuf_str(b, f->is_request ? "rc=0 req " : "rc=0 rsp ");
    sbuf_u64(b, f->status);
    sbuf_char(b, ' ');
    sbuf_put(b, f->method);
    put_host(b, " ruri=", f->ruri_user, f->ruri_host, f->ruri_port);
    put_via(b, f);
    put_party(b, " from=", f->from_user, f->from_host, f->from_tag);
    put_party(b, " to=", f->to_user, f->to_host, f->to_tag);
    sbuf_lit(b, " cid=");
    sbuf_put(b, f->call_id);
    sbuf_lit(b, " cseq=");
    sbuf_u64(b, f->cseq);
    sbuf_char(b, '/');
    sbuf_put(b, f->cseq_method);
    put_host(b, " ct=", f->contact_user, f->contact_host, f->contact_port);
    sbuf_lit(b, " mf=");
    sbuf_i64(b, f->max_forwards);
    sbuf_lit(b, " cl=");
    sbuf_i64(b, f->content_length);
    sbuf_lit(b, " type=");
    sbuf_put(b, f->type);
    if (f->type.n)
        sbuf_char(b, '/');
    sbuf_put(b, f->subtype);
    put_refer(b, f);
}

unsigned corpus_differences(const struct corpus *c, const struct contender *who) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < c->count; i++) {
        static struct fields f;
        char mem[4096];
        struct sbuf b = sbuf_on(mem, sizeof mem);
        if (who->decode(c->samples[i].message, &f))
            fields_put(&b, &f);
        else
            sbuf_lit(&b, "refused");
        if (!slice_eq(sbuf_slice(&b), c->samples[i].expected) && !wrong++)
            fprintf(stderr, "%s:\n  got    %.*s\n  wanted %.*s\n", who->name, SLICE_FMT(sbuf_slice(&b)),
                    SLICE_FMT(c->samples[i].expected));
        if (who->release)
            who->release();
    }
    return wrong;
}

__attribute__((noinline)) unsigned corpus_walk(const struct corpus *c, const struct contender *who) {
    static struct fields f;
    unsigned good = 0;
    for (unsigned i = 0; i < c->count; i++) {
        good += who->decode(c->samples[i].message, &f);
        /* The fields are wanted. */
        __asm__ volatile("" : : "r"(&f) : "memory");
        if (who->release)
            who->release();
    }
    return good;
}

unsigned corpus_walk_repeated(const struct corpus *c, const struct contender *who, unsigned times) {
    static struct fields f;
    unsigned good = 0;
    for (unsigned i = 0; i < c->count; i++)
        for (unsigned k = 0; k < times; k++) {
            good += who->decode(c->samples[i].message, &f);
            __asm__ volatile("" : : "r"(&f) : "memory");
            if (who->release)
                who->release();
        }
    return good;
}
