/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_hdr.h"
#include "parser/sip_scan.h"

/* Bytes up to the next comma outside quotes and <>, or all. What is not closed runs to the end. */
static uint32_t element_length(struct slice s) {
    const char *p = s.p, *end = s.p + s.n;
    for (; p != end && *p != ','; p++) {
        if (*p == '"') {
            struct slice rest = slice_of(p, (size_t)(end - p)), quoted;
            if (!scan_quoted(&rest, &quoted))
                return s.n;
            p = rest.p - 1;
        } else if (*p == '<' && !(p = memchr(p, '>', (size_t)(end - p)))) {
            return s.n;
        }
    }
    return (uint32_t)(p - s.p);
}

/* " token," or " token" at the end: what most lists are made of. */
static bool next_token(struct slice *rest, struct slice *value) {
    const char *p = rest->p, *end = rest->p + rest->n;
    while (p != end && *p == ' ')
        p++;
    const char *begin = p;
    while (p != end && scan_is(*p, CH_TOKEN))
        p++;
    if (p == begin || (p != end && *p != ','))
        return false;
    *value = slice_of(begin, (size_t)(p - begin));
    p += p != end;
    *rest = slice_of(p, (size_t)(end - p));
    return true;
}

bool sip_list_next(struct slice *rest, struct slice *value) {
    if (rest->n && next_token(rest, value))
        return true;
    while (rest->n) {
        uint32_t n = element_length(*rest);
        struct slice element = slice_trim(slice_of(rest->p, n));
        scan_skip(rest, n);
        scan_char(rest, ',');
        if (element.n) {
            *value = element;
            return true;
        }
    }
    return false;
}

/* Value behind '='. An empty one is let through: "rport=" and the like are seen. */
static bool param_value(struct slice *s, struct slice *value) {
    if (scan_at(s, '"'))
        return scan_quoted(s, value);
    *value = scan_run(s, CH_VALUE);
    return true;
}

bool sip_param_next(struct slice *rest, struct slice *name, struct slice *value) {
    if (!rest->n)
        return false;
    scan_lws(rest);
    if (!rest->n)
        return false;
    struct slice s = *rest;
    *name = scan_run(&s, CH_TOKEN);
    *value = SLICE_NONE;
    if (!name->n || (scan_separator(&s, '=') && !param_value(&s, value)))
        return false;
    scan_lws(&s);
    if (s.n && !scan_char(&s, ';'))
        return false;
    *rest = s;
    return true;
}

struct slice sip_param(struct slice params, struct slice name) {
    struct slice got, value;
    while (sip_param_next(&params, &got, &value))
        if (slice_ieq(got, name))
            return value.p ? value : slice_of(got.p + got.n, 0);
    return SLICE_NONE;
}

bool sip_values_next(const struct sip_msg *m, enum sip_hdr_id id, struct sip_values *cur, struct slice *value) {
    if (!cur->started) {
        cur->started = true;
        cur->h = sip_hdr_first(m, id);
        cur->rest = cur->h ? cur->h->value : SLICE_NONE;
    }
    while (cur->h) {
        if (!(sip_hdr_flags(id) & HDR_LIST)) {
            *value = cur->h->value;
            cur->h = sip_hdr_next(m, cur->h);
            return true;
        }
        if (sip_list_next(&cur->rest, value))
            return true;
        cur->h = sip_hdr_next(m, cur->h);
        cur->rest = cur->h ? cur->h->value : SLICE_NONE;
    }
    return false;
}

bool sip_list_has(const struct sip_msg *m, enum sip_hdr_id id, struct slice token) {
    struct sip_values cur = { .started = false };
    struct slice value;
    while (sip_values_next(m, id, &cur, &value))
        if (slice_ieq(value, token))
            return true;
    return false;
}
