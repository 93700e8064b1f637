/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/b2b/owner_over_word.h"

#define ID_LEN 16
#define NUMBER_LEN 2
#define EPOCH_MARK '@'
#define EPOCH_LEN 16
#define VERSION_LEN 4
#define DIALOG_MARK '#'
#define DIALOG_LEN 2
#define MOVED_MARK '>'

_Static_assert(OVER_LEN == ID_LEN + 2 * NUMBER_LEN + 1 + EPOCH_LEN + LIMIT_LEGS_PER_CALL * (NUMBER_LEN + VERSION_LEN) +
                                           1 + 2 * OVER_MOVED_LEN &&
                   OVER_LEN <= UINT8_MAX,
               "owner_over_state.h");

bool over_said_lives(const struct over_said *s, uint64_t number) {
    for (unsigned i = 0; i < s->living_n; i++)
        if (s->living[i].number == number)
            return true;
    return false;
}

const struct over_ended *over_said_ended(const struct over_said *s, uint64_t number) {
    for (unsigned i = 0; i < s->ended_n; i++)
        if (s->ended[i].number == number)
            return &s->ended[i];
    return NULL;
}

/* ---- written ---- */

/* As bytes: all that older releases keep is 53 bytes. */
static void put(struct sbuf *b, uint64_t v, unsigned bytes) {
    while (bytes-- > 0)
        sbuf_char(b, (char)(v >> 8 * bytes));
}

static void write_living(const struct over_said *s, struct sbuf *b) {
    for (unsigned i = 0; i < s->living_n; i++)
        sbuf_hex(b, s->living[i].number, NUMBER_LEN);
    sbuf_char(b, EPOCH_MARK);
    sbuf_hex(b, s->since, EPOCH_LEN);
    sbuf_hex(b, s->unwritten, NUMBER_LEN);
    for (unsigned i = 0; i < s->living_n; i++)
        put(b, s->living[i].version, VERSION_LEN);
}

static void write_moved(const struct over_said *s, struct sbuf *b) {
    bool any = false;
    for (unsigned i = 0; i < s->ended_n; i++) {
        const struct over_ended *x = &s->ended[i];
        if (!x->is_moved || b->n + !any + OVER_MOVED_LEN > OVER_LEN)
            continue;
        if (!any)
            sbuf_char(b, MOVED_MARK);
        any = true;
        put(b, x->number, 1);
        put(b, x->there.bucket, 2);
        put(b, x->there.call, 8);
        put(b, x->there.version, 4);
    }
}

void over_said_write(const struct over_said *s, struct sbuf *b) {
    sbuf_hex(b, s->call, ID_LEN);
    sbuf_hex(b, s->unknown ? 0 : s->all ? UINT8_MAX : s->next_leg, NUMBER_LEN);
    if (s->unknown || (s->all && !s->ended_n))
        return;
    if (s->all)
        put(b, s->next_leg, 1);
    else
        write_living(s, b);
    sbuf_char(b, DIALOG_MARK);
    for (unsigned i = 0; i < s->ended_n; i++)
        put(b, s->ended[i].dialog, DIALOG_LEN);
    write_moved(s, b);
}

/* ---- read ---- */

/* So many bytes, if there are. */
static bool take(struct slice *in, unsigned bytes, struct slice *taken) {
    if (in->n < bytes)
        return false;
    *taken = slice_of(in->p, bytes);
    *in = slice_of(in->p + bytes, in->n - bytes);
    return true;
}

static bool hex(struct slice *in, unsigned digits, uint64_t *v) {
    struct slice rest = *in, text;
    if (!take(&rest, digits, &text) || !slice_hex(text, v))
        return false;
    *in = rest;
    return true;
}

static bool bytes_of(struct slice *in, unsigned bytes, uint64_t *v) {
    struct slice text;
    if (!take(in, bytes, &text))
        return false;
    *v = 0;
    for (unsigned i = 0; i < bytes; i++)
        *v = *v << 8 | (uint8_t)text.p[i];
    return true;
}

static bool mark(struct slice *in, char c) {
    struct slice text;
    return in->n && *in->p == c && take(in, 1, &text);
}

/* False: it is not said. */
static bool read_since(struct slice *in, struct over_said *s) {
    uint64_t unwritten;
    if (!mark(in, EPOCH_MARK) || !hex(in, EPOCH_LEN, &s->since))
        return false;
    if (hex(in, NUMBER_LEN, &unwritten))
        s->unwritten = (uint8_t)unwritten;
    return true;
}

/* False: so many legs are in no call. */
static bool read_living(struct slice *in, struct over_said *s) {
    uint64_t v;
    while (hex(in, NUMBER_LEN, &v)) {
        if (s->living_n == LIMIT_LEGS_PER_CALL)
            return false;
        s->living[s->living_n++].number = (uint8_t)v;
    }
    if (!read_since(in, s))
        *in = SLICE_NONE;
    s->has_more = in->n != 0;
    for (unsigned i = 0; i < s->living_n && bytes_of(in, VERSION_LEN, &v); i++)
        s->living[i].version = (uint32_t)v;
    return true;
}

static void read_moved(struct slice in, struct over_said *s) {
    uint64_t number, bucket, call, version;
    if (!mark(&in, MOVED_MARK))
        return;
    while (bytes_of(&in, 1, &number) && bytes_of(&in, 2, &bucket) && bytes_of(&in, 8, &call) &&
           bytes_of(&in, 4, &version)) {
        for (unsigned i = 0; i < s->ended_n; i++) {
            struct over_ended *x = &s->ended[i];
            if (x->number != number || x->is_moved)
                continue;
            x->is_moved = true;
            x->there = (struct over_moved){ .bucket = (uint16_t)bucket, .version = (uint32_t)version, .call = call };
        }
    }
}

static void read_ended(struct slice in, struct over_said *s) {
    uint64_t dialog;
    if (!mark(&in, DIALOG_MARK))
        return;
    for (unsigned n = s->next_leg; n-- > 0 && s->ended_n < LIMIT_LEGS_PER_CALL;) {
        if (over_said_lives(s, n))
            continue;
        if (!bytes_of(&in, DIALOG_LEN, &dialog))
            return;
        s->ended[s->ended_n++] = (struct over_ended){ .number = (uint8_t)n, .dialog = (uint16_t)dialog };
    }
    read_moved(in, s);
}

/* Of a call that is over in whole, if it is said: the number that its next leg would have had. */
static bool read_all(struct slice *in, struct over_said *s) {
    uint64_t next_leg;
    if (!s->all || in->n < 2 || in->p[1] != DIALOG_MARK || !bytes_of(in, 1, &next_leg))
        return false;
    s->next_leg = (uint8_t)next_leg;
    return true;
}

bool over_said_read(struct slice bytes, struct over_said *s) {
    uint64_t next_leg;
    *s = (struct over_said){ 0 };
    if (!hex(&bytes, ID_LEN, &s->call) || !hex(&bytes, NUMBER_LEN, &next_leg))
        return false;
    s->unknown = next_leg == 0;
    s->all = next_leg == UINT8_MAX;
    s->next_leg = (uint8_t)next_leg;
    if (!read_all(&bytes, s) && !read_living(&bytes, s))
        return false;
    read_ended(bytes, s);
    return true;
}
