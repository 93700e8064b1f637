/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/resp.h"

#include <hiredis/read.h>
#include <hiredis/sds.h>

/* The shortest string takes three bytes and, alone, makes two items. */
#define ITEMS_MAX (RESP_FEED_MAX / 3 * 2 + 4)
#define TEXT_MAX (RESP_VALUE_MAX + RESP_FEED_MAX)
#define BUFFER_KEPT (4 * RESP_FEED_MAX)   /* of the reader; more than a value of that size needed is given back */

struct resp_row {
    uint32_t n, at;
    uint32_t text_n;
    uint32_t plain_n, plain_at;           /* small numbers, which need no reader; then the rest is its */
    char plain[RESP_FEED_MAX];
    struct resp_item items[ITEMS_MAX];
    char text[TEXT_MAX];
};

void resp_array(struct sbuf *b, uint32_t n) {
    sbuf_char(b, '*');
    sbuf_u64(b, n);
    sbuf_lit(b, "\r\n");
}

void resp_bulk(struct sbuf *b, struct slice s) {
    sbuf_char(b, '$');
    sbuf_u64(b, s.n);
    sbuf_lit(b, "\r\n");
    sbuf_put(b, s);
    sbuf_lit(b, "\r\n");
}

void resp_bulk_u64(struct sbuf *b, uint64_t v) {
    char digits[20];
    struct sbuf d = sbuf_on(digits, sizeof digits);
    sbuf_u64(&d, v);
    resp_bulk(b, sbuf_slice(&d));
}

void resp_words(struct sbuf *b, const char *words) {
    struct slice rest = slice_str(words);
    uint32_t n = 1;
    for (uint32_t i = 0; i < rest.n; i++)
        n += rest.p[i] == ' ';
    resp_array(b, n);
    for (; n; n--) {
        int32_t blank = slice_find(rest, ' ');
        uint32_t len = blank < 0 ? rest.n : (uint32_t)blank;
        resp_bulk(b, slice_of(rest.p, len));
        if (n > 1)
            rest = slice_of(rest.p + len + 1, rest.n - len - 1);
    }
}

/* ---- what hiredis calls for each scalar; any pointer but NULL is success */

static void *add(const redisReadTask *t, enum resp_type type, int64_t number, struct slice text) {
    struct resp_row *row = t->privdata;
    struct resp_item *item = &row->items[row->n];
    if (row->n >= ITEMS_MAX - 1)
        return NULL;
    *item = (struct resp_item){ .type = (uint8_t)type, .number = number };
    for (const redisReadTask *up = t->parent; up; up = up->parent)
        item->depth++;
    if (t->parent) {
        item->index = (uint32_t)t->idx;
        item->of = (uint32_t)t->parent->elements;
        item->parent = (uint32_t)t->parent->idx;
    }
    item->cut = text.n > RESP_VALUE_MAX || text.n > TEXT_MAX - row->text_n;
    if (text.p && !item->cut) {
        memcpy(row->text + row->text_n, text.p, text.n);
        item->text = slice_of(row->text + row->text_n, text.n);
        row->text_n += text.n;
    }
    row->n++;
    return row;
}

static void *on_string(const redisReadTask *t, char *p, size_t n) {
    enum resp_type type = t->type == REDIS_REPLY_STATUS ? RESP_STATUS
                          : t->type == REDIS_REPLY_ERROR ? RESP_ERROR : RESP_STRING;
    return add(t, type, 0, n > UINT32_MAX ? slice_of(p, UINT32_MAX) : slice_of(p, n));
}

static void *on_integer(const redisReadTask *t, long long v) {
    return add(t, RESP_INTEGER, v, SLICE_NONE);
}

static void *on_nil(const redisReadTask *t) {
    return add(t, RESP_NIL, 0, SLICE_NONE);
}

static void on_free(void *object) {
    (void)object;
}

/* createArray has another signature in later versions of the library; without it an array is a constant. The library
 * does not write to the table. */
static const redisReplyObjectFunctions functions = {
    .createString = on_string, .createInteger = on_integer, .createNil = on_nil, .freeObject = on_free
};

struct resp_row *resp_row_new(struct arena *a) {
    return arena_take(a, sizeof(struct resp_row));
}

bool resp_open(struct resp *r, struct resp_row *row) {
    resp_close(r);
    r->row = row;
    r->reader = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)(uintptr_t)&functions);
    /* By itself its buffer grows with what comes, and is given back: now and then an allocation in the
     * midst of calls. */
    sds room = r->reader ? sdsMakeRoomFor(r->reader->buf, RESP_FEED_MAX) : NULL;
    if (!room) {
        resp_close(r);
        return false;
    }
    r->reader->buf = room;
    r->reader->maxbuf = BUFFER_KEPT;
    r->reader->privdata = row;
    return true;
}

void resp_close(struct resp *r) {
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = NULL;
}

/* ":n\r\n" of one digit is what nearly every write is answered with. Bytes that the reader holds come before it. */
#define PLAIN_LEN 4

static bool is_plain(const char *p) {
    return p[0] == ':' && (uint8_t)(p[1] - '0') <= 9 && p[2] == '\r' && p[3] == '\n';
}

static void set_plain_aside(struct resp *r, struct slice *bytes) {
    struct resp_row *row = r->row;
    uint32_t n = 0;
    row->plain_n = row->plain_at = 0;
    if (r->reader->pos != r->reader->len || r->reader->ridx >= 0 || r->reader->err)
        return;
    while (bytes->n - n >= PLAIN_LEN && n + PLAIN_LEN <= RESP_FEED_MAX && is_plain(bytes->p + n))
        n += PLAIN_LEN;
    memcpy(row->plain, bytes->p, n);
    row->plain_n = n;
    *bytes = slice_of(bytes->p + n, bytes->n - n);
}

/* Two items of each: the number, and the end of the reply. */
static bool next_plain(struct resp_row *row, struct resp_item *item) {
    if (row->plain_at == 2 * row->plain_n / PLAIN_LEN)
        return false;
    uint32_t at = row->plain_at++;
    *item = (struct resp_item){ .type = at & 1 ? RESP_END : RESP_INTEGER };
    item->number = at & 1 ? 0 : row->plain[at / 2 * PLAIN_LEN + 1] - '0';
    return true;
}

bool resp_digit(struct resp *r, uint32_t *number) {
    struct resp_row *row = r->row;
    if (!r->reader || row->plain_at & 1 || row->plain_at == 2 * row->plain_n / PLAIN_LEN)
        return false;
    *number = (uint8_t)(row->plain[row->plain_at / 2 * PLAIN_LEN + 1] - '0');
    row->plain_at += 2;
    return true;
}

bool resp_feed(struct resp *r, struct slice bytes) {
    r->row->n = r->row->at = r->row->text_n = 0;
    set_plain_aside(r, &bytes);
    return redisReaderFeed(r->reader, bytes.p, bytes.n) == REDIS_OK && r->reader->len <= RESP_BUFFERED_MAX;
}

/* One more reply, or what there is of it. */
static void read_more(struct resp *r) {
    struct resp_row *row = r->row;
    void *reply = NULL;
    row->n = row->at = row->text_n = 0;
    if (r->reader->ridx < 0 && r->reader->pos == r->reader->len)
        return; /* asked now, it would wait for a reply, and what comes next would all be its */
    if (redisReaderGetReply(r->reader, &reply) == REDIS_OK && reply)
        row->items[row->n++] = (struct resp_item){ .type = RESP_END };
}

bool resp_next(struct resp *r, struct resp_item *item) {
    if (!r->reader)
        return false;
    if (next_plain(r->row, item))
        return true;
    if (r->row->at == r->row->n)
        read_more(r);
    if (r->row->at == r->row->n)
        return false;
    *item = r->row->items[r->row->at++];
    return true;
}

struct slice resp_error(const struct resp *r) {
    if (!r->reader)
        return SL("no memory");
    if (r->reader->err)
        return slice_str(r->reader->errstr);
    return r->reader->len > RESP_BUFFERED_MAX ? SL("a reply is too long") : SLICE_NONE;
}
