/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/kill/kill.h"

void header(const char *text, const char *name, char *out, size_t cap) {
    char start[40];
    int n = snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strstr(text, start), *end = strstr(text, "\r\n\r\n");
    out[0] = '\0';
    if (at && end && at < end)
        snprintf(out, cap, "%.*s", (int)strcspn(at + n, "\r"), at + n);
}

void part(const char *value, const char *from, const char *ends, char *out, size_t cap) {
    const char *at = strstr(value, from);
    out[0] = '\0';
    if (at)
        snprintf(out, cap, "%.*s", (int)strcspn(at + strlen(from), ends), at + strlen(from));
}

void tag_of(const char *text, const char *name, char *out, size_t cap) {
    char value[512];
    header(text, name, value, sizeof value);
    part(value, ";tag=", ";\r", out, cap);
}

void method_of(const char *text, char *out, size_t cap) {
    char value[64];
    header(text, "CSeq", value, sizeof value);
    part(value, " ", "\r", out, cap);
}

unsigned cseq_of(const char *text) {
    char value[64];
    header(text, "CSeq", value, sizeof value);
    return (unsigned)strtoul(value, NULL, 10);
}

const char *body_of(const char *text) {
    const char *at = strstr(text, "\r\n\r\n");
    return at ? at + 4 : "";
}

static unsigned hex(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

void unescape(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at == '%' && at[1] && at[2]) {
            *to++ = (char)(hex(at[1]) << 4 | hex(at[2]));
            at += 2;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

bool verbose;

void say_message(const char *text, unsigned host, bool sent) {
    char cseq[64], dir[24];
    if (!verbose)
        return;
    header(text, "CSeq", cseq, sizeof cseq);
    part(text, "\r\na=send", "\r", dir, sizeof dir);
    printf("[%9.3f] %-6s %s %.*s  (%s)%s%s\n", (double)(K.w->now - RIG_START_US) / 1e6, rig_names[host / 10 - 1],
           sent ? ">" : "<", (int)strcspn(text, "\r"), text, cseq, dir[0] ? " send" : "", dir);
}
