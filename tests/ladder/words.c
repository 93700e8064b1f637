/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_uri.h"
#include "tests/ladder/ladder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void put(struct sbuf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(b->p + b->n, b->cap - b->n, format, args);
    va_end(args);
    if (n < 0 || (uint32_t)n >= b->cap - b->n)
        b->overflow = true;
    else
        b->n += (uint32_t)n;
}

void copy_text(char *to, size_t cap, struct slice from) {
    size_t n = from.n < cap - 1 ? from.n : cap - 1;
    if (n)
        memcpy(to, from.p, n);
    to[n] = '\0';
}

/* Blanks part words, but not in "quotes"; \" is a quote in them. '#' where a word would begin ends the line. */
void words_split(struct world *w, const char *line, struct words *out) {
    char *to = out->memory, *end = out->memory + sizeof out->memory - 2;
    memset(out->used, 0, sizeof out->used);
    out->n = 0;
    for (const char *p = line;;) {
        while (*p == ' ' || *p == '\t')
            p++;
        if (*p == '\0' || *p == '#' || *p == '\n')
            break;
        if (out->n == WORDS_MAX || to >= end)
            fail(w, "the line is too long");
        out->w[out->n++] = to;
        bool quoted = false;
        for (; *p && *p != '\n' && (quoted || (*p != ' ' && *p != '\t')) && to < end; p++) {
            if (p[0] == '\\' && p[1] == '"')
                *to++ = *++p;
            else if (*p == '"')
                quoted = !quoted;
            else
                *to++ = *p;
        }
        if (quoted)
            fail(w, "a quote without end");
        *to++ = '\0';
    }
}

const char *words_next_value(struct words *ws, const char *key, unsigned *at) {
    size_t n = strlen(key);
    for (; *at < ws->n; ++*at) {
        char *word = ws->w[*at];
        if (strncmp(word, key, n) != 0 || word[n] != ':')
            continue;
        ws->used[(*at)++] = true;
        return word + n + 1;
    }
    return NULL;
}

const char *words_value(struct words *ws, const char *key) {
    unsigned at = 0;
    return words_next_value(ws, key, &at);
}

bool words_flag(struct words *ws, const char *flag) {
    for (unsigned i = 0; i < ws->n; i++) {
        if (strcmp(ws->w[i], flag) != 0)
            continue;
        ws->used[i] = true;
        return true;
    }
    return false;
}

unsigned words_count(struct world *w, struct words *ws, const char *flag) {
    size_t n = strlen(flag);
    for (unsigned i = 0; i < ws->n; i++) {
        uint64_t times = 1;
        if (strncmp(ws->w[i], flag, n) != 0 || (ws->w[i][n] != '\0' && ws->w[i][n] != '*'))
            continue;
        ws->used[i] = true;
        if (ws->w[i][n] == '*' && !parse_number(ws->w[i] + n + 1, &times))
            fail(w, "%s: how often?", ws->w[i]);
        return (unsigned)times;
    }
    return 0;
}

void words_end(struct world *w, const struct words *ws) {
    for (unsigned i = 0; i < ws->n; i++)
        if (!ws->used[i])
            fail(w, "\"%s\" is not understood here", ws->w[i]);
}

bool parse_number(const char *text, uint64_t *out) {
    return slice_u64(slice_str(text), UINT64_MAX / 4, out);
}

bool parse_time(const char *text, uint64_t *us) {
    char *unit;
    double v = strtod(text, &unit);
    double scale = strcmp(unit, "us") == 0 ? 1 : strcmp(unit, "ms") == 0 ? 1e3 : strcmp(unit, "s") == 0 ? 1e6 : 0;
    if (unit == text || scale == 0 || v < 0 || v > 1e6)
        return false;
    *us = (uint64_t)(v * scale + 0.5);
    return true;
}

/* {host} {A} {A:contact} {B.consult:replaces} and so on: the list stands in player.c. */
static void expand_name(struct world *w, char *name, struct sbuf *out) {
    char plain[TEXT_MAX];
    struct sbuf b = sbuf_on(plain, sizeof plain);
    char *what = strchr(name, ':');
    if (strcmp(name, "host") == 0) {
        addr_put(out, &w->cfg.sip_addr);
        return;
    }
    if (name[0] && name[1] == '*') {
        for (unsigned long n = strtoul(name + 2, NULL, 10); n--;)
            sbuf_char(out, name[0]);
        return;
    }
    if (what)
        *what++ = '\0';
    struct dialog_side *d = dialog_named(w, name);
    if (!what) {
        put(out, "sip:%s@", d->phone->user);
        addr_put_host(out, &w->cfg.sip_addr);
    } else if (strcmp(what, "contact") == 0) {
        put(out, "sip:%s@", d->phone->user);
        addr_put(out, &d->phone->addr);
    } else if (strcmp(what, "replaces") == 0) {
        replaces_of(d, &b);
        sip_escape_hvalue(out, sbuf_slice(&b));
    } else if (strcmp(what, "call-id") == 0) {
        sip_escape_hvalue(out, slice_str(d->call_id));
    } else if (strcmp(what, "plain-call-id") == 0) {
        put(out, "%s", d->call_id);
    } else if (strcmp(what, "to-tag") == 0) {
        put(out, "%s", d->remote_tag);
    } else if (strcmp(what, "from-tag") == 0) {
        put(out, "%s", own_tag(d));
    } else if (strcmp(what, "refer-token") == 0) {
        const char *user = strchr(d->refer_to, ':');
        put(out, "%.*s", user ? (int)strcspn(user + 1, "@") : 0, user ? user + 1 : "");
    } else if (strcmp(what, "refer-to") == 0) {
        put(out, "%s", d->refer_to);
    } else if (strcmp(what, "rack") == 0) {
        put(out, "%u %u INVITE", d->rseq, d->rseq_cseq);
    } else if (strcmp(what, "target") == 0) {
        put(out, "%s", d->target);
    } else {
        fail(w, "{%s:%s} is not known", name, what);
    }
}

void expand(struct world *w, const char *text, struct sbuf *out) {
    for (const char *p = text; *p; p++) {
        char name[NAME_MAX_LEN * 2];
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (!end) {
            sbuf_char(out, *p);
            continue;
        }
        copy_text(name, sizeof name, slice_of(p + 1, (size_t)(end - p - 1)));
        expand_name(w, name, out);
        p = end;
    }
}
