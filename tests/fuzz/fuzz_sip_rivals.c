/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Any bytes that we accept as a message and libosip2 or Sofia-SIP does too: the fields must be the same, but for the
 * differences that tests/fuzz/RIVALS.md names, each with who is right. DIFFERENCES=1 in the environment prints the
 * others and goes on.
 */
#include "bench/parse/bench.h"
#include "bench/parse/rivals.h"
#include "core/base/check.h"
#include "parser/sip_path.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fields mine, theirs;
static struct sip_msg view;
static bool odd_from, odd_to, plain_start;

static struct slice number(char *mem, int64_t v) {
    struct sbuf b = sbuf_on(mem, 24);
    sbuf_i64(&b, v);
    return sbuf_slice(&b);
}

static bool is_in_brackets(struct slice host, struct slice in) {
    return in.n == host.n + 2 && in.p[0] == '[' && slice_eq(slice_of(in.p + 1, host.n), host);
}

/* The field is of a URI in which `f` has no host: to us its scheme is neither sip nor sips. */
static bool is_of_no_host(const struct fields *f, const char *field) {
    struct slice host = strncmp(field, "ruri_", 5) == 0   ? f->ruri_host
                        : strncmp(field, "from_", 5) == 0 ? f->from_host
                        : strncmp(field, "to_", 3) == 0   ? f->to_host
                                                          : SL("x");
    return host.n == 0 && !strstr(field, "_tag");
}

/* A display name without quotes that is more than tokens. */
static bool is_odd_display(struct slice display) {
    static const char tokens[] = "-.!%*_+`'~ \t";
    if (display.n == 0 || display.p[0] == '"')
        return false;
    for (uint32_t i = 0; i < display.n; i++)
        if (!isalnum((unsigned char)display.p[i]) && !memchr(tokens, display.p[i], sizeof tokens - 1))
            return true;
    return false;
}

/* A line that leaves its reader no choice: visible ASCII, single blanks, and what begins a comment only in quotes. */
static bool is_plain(struct slice line) {
    bool quoted = false;
    for (uint32_t i = 0; i < line.n; i++) {
        uint8_t c = (uint8_t)line.p[i];
        if (c < 0x20 || c >= 0x7f || (!quoted && (c == '(' || c == ')' || c == '\\')))
            return false;
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
    }
    return !quoted;
}

/* From the name to the end of the value; nothing for a header that is not there. */
static bool is_header_plain(enum sip_hdr_id id) {
    const struct sip_hdr *h = sip_hdr_first(&view, id);
    return !h || is_plain(slice_of(h->name.p, (uint32_t)(h->value.p - h->name.p) + h->value.n));
}

/* What is before it are ends of lines (RFC 3261 7.5). Behind the code there must be a blank (25.1). */
static bool is_start_line_plain(struct slice message) {
    uint32_t at = 0, end;
    while (at < message.n && (message.p[at] == '\r' || message.p[at] == '\n'))
        at++;
    for (end = at; end < message.n && message.p[end] != '\r' && message.p[end] != '\n';)
        end++;
    return is_plain(slice_of(message.p + at, end - at)) &&
           (view.is_request || (end > at + 11 && message.p[at + 11] == ' '));
}

/* The header that the field is of. Those of the start line: none. */
static enum sip_hdr_id header_of(const char *field) {
    static const struct {
        const char *begin;
        enum sip_hdr_id id;
    } of[] = {
        { "via_", SIP_H_VIA },
        { "from_", SIP_H_FROM },
        { "to_", SIP_H_TO },
        { "call_id", SIP_H_CALL_ID },
        { "cseq", SIP_H_CSEQ },
        { "max_", SIP_H_MAX_FORWARDS },
        { "content_", SIP_H_CONTENT_LENGTH },
        { "type", SIP_H_CONTENT_TYPE },
        { "subtype", SIP_H_CONTENT_TYPE },
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (strncmp(field, of[i].begin, strlen(of[i].begin)) == 0)
            return of[i].id;
    return SIP_H_OTHER;
}

static void look_at(struct slice message) {
    struct sip_fault fault;
    CHECK(sip_parse(message, &view, &fault) >= 0);
    odd_from = is_odd_display(view.from.display);
    odd_to = is_odd_display(view.to.display);
    plain_start = is_start_line_plain(message);
}

/* The numbers are those of RIVALS.md. */
static bool excused(const struct contender *who, const char *field, struct slice a, struct slice b,
                    struct slice message) {
    enum sip_hdr_id id = header_of(field);
    return slice_find(message, '\0') >= 0                                                       /* 1 */
           || (slice_find(a, '%') >= 0 && strstr(field, "_user"))                               /* 2 */
           || !plain_start || (id != SIP_H_OTHER && !is_header_plain(id))                       /* 3 */
           || (who == &sofia && is_in_brackets(a, b))                                           /* 4 */
           || is_of_no_host(&mine, field)                                                       /* 5 */
           || (who == &osip && strcmp(field, "content_length") == 0 && mine.content_length < 0) /* 6 */
           || (strstr(field, "type") && mine.type.n == 0)                                       /* 7 */
           || slice_ieq(a, b)                                                                   /* 8 */
           || (who == &sofia && is_of_no_host(&theirs, field))                                  /* 9 */
           || slice_find(b, ' ') >= 0                                                           /* 9 */
           || (odd_from && strncmp(field, "from_", 5) == 0)                                     /* 10 */
           || (odd_to && strncmp(field, "to_", 3) == 0);
}

/* The message as one line, so that whoever looks at the difference can make an input of it. */
static void print_escaped(struct slice message) {
    for (uint32_t i = 0; i < message.n; i++) {
        unsigned char c = (unsigned char)message.p[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            putchar(c);
        else
            printf("\\x%02x", c);
    }
    putchar('\n');
}

static void compare(const struct contender *who, const char *field, struct slice a, struct slice b,
                    struct slice message) {
    if (slice_eq(a, b) || excused(who, field, a, b, message))
        return;
    printf("%s, %s: ours \"%.*s\", theirs \"%.*s\"\n", who->name, field, SLICE_FMT(a), SLICE_FMT(b));
    print_escaped(message);
    CHECK(getenv("DIFFERENCES"));
}

static void compare_number(const struct contender *who, const char *field, int64_t a, int64_t b, struct slice message) {
    char mem[2][24];
    compare(who, field, number(mem[0], a), number(mem[1], b), message);
}

static void compare_all(const struct contender *who, struct slice m) {
#define TEXT(field) compare(who, #field, mine.field, theirs.field, m)
#define NUMBER(field) compare_number(who, #field, mine.field, theirs.field, m)
    NUMBER(is_request);
    NUMBER(status);
    TEXT(method);
    TEXT(ruri_user);
    TEXT(ruri_host);
    NUMBER(ruri_port);
    TEXT(via_transport);
    TEXT(via_host);
    NUMBER(via_port);
    TEXT(via_branch);
    TEXT(from_user);
    TEXT(from_host);
    TEXT(from_tag);
    TEXT(to_user);
    TEXT(to_host);
    TEXT(to_tag);
    TEXT(call_id);
    NUMBER(cseq);
    TEXT(cseq_method);
    NUMBER(max_forwards);
    NUMBER(content_length);
    TEXT(type);
    TEXT(subtype);
#undef TEXT
#undef NUMBER
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct contender *const rivals[] = { &osip, &sofia };
    static char text[1 << 16];
    if (size == 0 || size >= sizeof text)
        return 0;
    /* Both want a NUL behind. */
    memcpy(text, data, size);
    text[size] = '\0';
    struct slice message = slice_of(text, size);
    if (!ours_best()->decode(message, &mine))
        return 0;
    look_at(message);
    for (unsigned i = 0; i < sizeof rivals / sizeof *rivals; i++) {
        if (!rivals[i]->usable())
            continue;
        if (rivals[i]->decode(message, &theirs))
            compare_all(rivals[i], message);
        rivals[i]->release();
    }
    return 0;
}
