/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/gather.h"

static bool next_line(struct slice *rest, struct slice *name, uint64_t *number) {
    int32_t end = slice_find(*rest, '\n');
    struct slice line = slice_of(rest->p, end < 0 ? rest->n : (uint32_t)end);
    uint32_t used = end < 0 ? rest->n : (uint32_t)end + 1;
    int32_t space = slice_find(line, ' ');
    *rest = slice_of(rest->p + used, rest->n - used);
    if (space < 0)
        return false;
    *name = slice_of(line.p, (uint32_t)space);
    return slice_u64(slice_of(line.p + space + 1, line.n - (uint32_t)space - 1), UINT64_MAX, number);
}

static uint64_t number_in(struct slice answer, struct slice wanted) {
    struct slice name;
    uint64_t number;
    while (answer.n)
        if (next_line(&answer, &name, &number) && slice_eq(name, wanted))
            return number;
    return 0;
}

static void sum(const struct slice *answers, uint32_t n, struct sbuf *out) {
    struct slice rest = answers[0], name;
    uint64_t total;
    while (rest.n) {
        if (!next_line(&rest, &name, &total))
            continue;
        for (uint32_t i = 1; i < n && !slice_eq(name, SL("bindings")); i++)
            total += number_in(answers[i], name);
        sbuf_put(out, name);
        sbuf_char(out, ' ');
        sbuf_u64(out, total);
        sbuf_char(out, '\n');
    }
}

static bool is_error(struct slice answer) {
    return slice_has_prefix(answer, SL("error"));
}

static bool knows_nothing(struct slice answer) {
    return slice_has_prefix(answer, SL("error: no "));
}

static void put_errors(const struct slice *answers, uint32_t n, struct sbuf *out) {
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < n && knows_nothing(answers[chosen]); i++)
        chosen = knows_nothing(answers[i]) ? chosen : i;
    sbuf_put(out, answers[chosen]);
}

static void put_others(const struct slice *answers, uint32_t n, struct sbuf *out) {
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        if (is_error(answers[i]))
            continue;
        any = true;
        sbuf_put(out, answers[i]);
    }
    if (!any)
        put_errors(answers, n, out);
}

bool gather_merge(struct slice order, const struct slice *answers, uint32_t n, struct sbuf *out) {
    if (slice_eq(order, SL("metrics")) || slice_eq(order, SL("leftover")))
        sum(answers, n, out);
    else if (slice_eq(order, SL("registrations")))
        sbuf_put(out, answers[0]);
    else
        put_others(answers, n, out);
    return !out->overflow;
}
