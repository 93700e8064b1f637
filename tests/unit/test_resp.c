/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/resp.h"
#include "tests/unit/unit.h"

static struct resp_row *row;
static struct resp reader;

static void open_reader(void) {
    if (!row) {
        struct arena a;
        arena_init(&a, NULL, 0);
        CHECK_TRUE(resp_row_new(&a) == NULL);
        size_t n = a.used;
        arena_init(&a, aligned_alloc(64, n), n);
        row = resp_row_new(&a);
    }
    CHECK_TRUE(resp_open(&reader, row));
}

/* Items as text: kind, "index/of" within arrays, text or number. */
static void put_item(struct sbuf *b, const struct resp_item *i) {
    static const char kinds[] = "$+-:_.";
    if (i->type == RESP_END) {
        sbuf_lit(b, ". ");
        return;
    }
    for (int d = 0; d < i->depth; d++)
        sbuf_char(b, '>');
    if (i->depth) {
        sbuf_u64(b, i->index);
        sbuf_char(b, '/');
        sbuf_u64(b, i->of);
    }
    sbuf_char(b, kinds[i->type]);
    if (i->type == RESP_INTEGER)
        sbuf_i64(b, i->number);
    else if (i->cut)
        sbuf_lit(b, "(cut)");
    else
        sbuf_put(b, i->text);
    sbuf_char(b, ' ');
}

static void drain(struct sbuf *b) {
    struct resp_item item;
    while (resp_next(&reader, &item))
        put_item(b, &item);
}

static const char all_kinds[] = "+OK\r\n-ERR no such thing\r\n:42\r\n:-7\r\n$5\r\nhello\r\n$0\r\n\r\n$-1\r\n"
                                "*-1\r\n*0\r\n"
                                "*3\r\n$1\r\na\r\n:1\r\n$-1\r\n*2\r\n*2\r\n:1\r\n*1\r\n$2\r\nxy\r\n-ERR in array\r\n"
                                "$4\r\n\r\n\r\n\r\n";
static const char all_items[] = "+OK . -ERR no such thing . :42 . :-7 . $hello . $ . _ . _ . . "
                                ">0/3$a >1/3:1 >2/3_ . >>0/2:1 >>>0/1$xy >1/2-ERR in array . $\r\n\r\n . ";

static void test_every_kind(void) {
    char text[512];
    struct sbuf b = sbuf_on(text, sizeof text);
    open_reader();
    CHECK_TRUE(resp_feed(&reader, SL(all_kinds)));
    drain(&b);
    CHECK_SLICE(sbuf_slice(&b), all_items);
    CHECK_TRUE(resp_error(&reader).p == NULL);
    resp_close(&reader);
}

/* The bytes in two and in three parts, at every place. */
static uint32_t split(struct slice bytes, struct slice items) {
    uint32_t n = bytes.n, wrong = 0;
    for (uint32_t i = 0; i <= n; i++)
        for (uint32_t j = i; j <= n; j++) {
            char text[512];
            struct sbuf b = sbuf_on(text, sizeof text);
            uint32_t at[4] = { 0, i, j, n };
            open_reader();
            for (int k = 0; k < 3; k++) {
                if (at[k] < at[k + 1])
                    wrong += !resp_feed(&reader, slice_of(bytes.p + at[k], at[k + 1] - at[k]));
                drain(&b);
            }
            wrong += !slice_eq(sbuf_slice(&b), items);
        }
    resp_close(&reader);
    return wrong;
}

static void test_every_split(void) {
    CHECK_EQ(split(SL(all_kinds), SL(all_items)), 0);
}

/* Small numbers do not reach the library's reader, unless it waits for the rest of something. */
static void test_numbers(void) {
    static const char bytes[] = ":1\r\n:0\r\n:9\r\n$-1\r\n:1\r\n:12\r\n:-1\r\n:1\r\n*2\r\n:1\r\n:2\r\n:3\r\n$4\r\n"
                                ":5\r\n\r\n:6\r\n:7\r\n";
    static const char items[] = ":1 . :0 . :9 . _ . :1 . :12 . :-1 . :1 . >0/2:1 >1/2:2 . :3 . $:5\r\n . :6 . :7 . ";
    CHECK_EQ(split(SL(bytes), SL(items)), 0);
    open_reader();
    CHECK_TRUE(resp_feed(&reader, SL(":1\r\n:x\r\n")));
    char text[64];
    struct sbuf b = sbuf_on(text, sizeof text);
    drain(&b);
    CHECK_SLICE(sbuf_slice(&b), ":1 . ");
    CHECK_TRUE(resp_error(&reader).p != NULL);
    resp_close(&reader);
}

/* A digit is taken whole, or left; never the end of what was begun otherwise. */
static void test_digits(void) {
    struct resp_item item;
    char text[64];
    struct sbuf b = sbuf_on(text, sizeof text);
    uint32_t number = 77;
    open_reader();
    CHECK_FALSE(resp_digit(&reader, &number));
    CHECK_TRUE(resp_feed(&reader, SL(":1\r\n:0\r\n:9\r\n$-1\r\n:7\r\n")));
    CHECK_TRUE(resp_digit(&reader, &number) && number == 1);
    CHECK_TRUE(resp_next(&reader, &item) && item.type == RESP_INTEGER && item.number == 0);
    CHECK_FALSE(resp_digit(&reader, &number));
    CHECK_TRUE(resp_next(&reader, &item) && item.type == RESP_END);
    CHECK_TRUE(resp_digit(&reader, &number) && number == 9);
    CHECK_FALSE(resp_digit(&reader, &number));
    drain(&b);
    CHECK_SLICE(sbuf_slice(&b), "_ . :7 . ");
    CHECK_TRUE(resp_feed(&reader, SL(":3\r\n")));
    CHECK_TRUE(resp_digit(&reader, &number) && number == 3);
    resp_close(&reader);
    CHECK_FALSE(resp_digit(&reader, &number));
}

static void test_no_resp(void) {
    static const char *const bad[] = { "HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "*x\r\n", "$-2\r\n", "\r\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct resp_item item;
        open_reader();
        CHECK_TRUE(resp_feed(&reader, slice_str(bad[i])));
        CHECK_FALSE(resp_next(&reader, &item));
        CHECK_TRUE(resp_error(&reader).n > 0);
        CHECK_FALSE(resp_feed(&reader, SL("+OK\r\n")));
    }
    resp_close(&reader);
}

/* A string longer than there is room for is passed over; what follows it is read. */
static void test_too_long(void) {
    static char part[RESP_FEED_MAX];
    char text[256];
    struct sbuf b = sbuf_on(text, sizeof text), head = sbuf_on(part, sizeof part);
    uint32_t left = RESP_VALUE_MAX + 1;
    open_reader();
    sbuf_lit(&head, "*2\r\n$");
    sbuf_u64(&head, left);
    sbuf_lit(&head, "\r\n");
    CHECK_TRUE(resp_feed(&reader, sbuf_slice(&head)));
    drain(&b);
    memset(part, 'x', sizeof part);
    for (; left; left -= left < sizeof part ? left : sizeof part) {
        CHECK_TRUE(resp_feed(&reader, slice_of(part, left < sizeof part ? left : sizeof part)));
        drain(&b);
    }
    CHECK_TRUE(resp_feed(&reader, SL("\r\n$3\r\nend\r\n")));
    drain(&b);
    CHECK_SLICE(sbuf_slice(&b), ">0/2$(cut) >1/2$end . ");
    resp_close(&reader);
}

/* As many items as the bytes of one feed can hold. */
static void test_many(void) {
    static char bytes[RESP_FEED_MAX];
    struct resp_item item;
    struct sbuf b = sbuf_on(bytes, sizeof bytes);
    uint32_t replies = 0, ends = 0;
    while (b.cap - b.n >= 3)
        sbuf_lit(&b, "+\r\n");
    open_reader();
    CHECK_TRUE(resp_feed(&reader, sbuf_slice(&b)));
    while (resp_next(&reader, &item))
        *(item.type == RESP_END ? &ends : &replies) += 1;
    CHECK_EQ(replies, RESP_FEED_MAX / 3);
    CHECK_EQ(ends, RESP_FEED_MAX / 3);
    b.n = 0;
    sbuf_lit(&b, "*4000\r\n");
    for (int i = 0; i < 4000; i++)
        sbuf_lit(&b, "+\r\n");
    CHECK_TRUE(resp_feed(&reader, sbuf_slice(&b)));
    for (replies = 0; resp_next(&reader, &item); replies++)
        continue;
    CHECK_EQ(replies, 4001);
    resp_close(&reader);
}

static void test_writer(void) {
    char text[256];
    struct sbuf b = sbuf_on(text, sizeof text);
    resp_array(&b, 3);
    resp_bulk(&b, SL("SET"));
    resp_bulk(&b, SL("a\r\nb"));
    resp_bulk_u64(&b, 18446744073709551615u);
    CHECK_SLICE(sbuf_slice(&b), "*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$20\r\n18446744073709551615\r\n");
    b.n = 0;
    resp_words(&b, "CLIENT SETNAME x");
    CHECK_SLICE(sbuf_slice(&b), "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$1\r\nx\r\n");
    b.n = 0;
    resp_words(&b, "PING");
    CHECK_SLICE(sbuf_slice(&b), "*1\r\n$4\r\nPING\r\n");
}

int main(void) {
    return UNIT_RUN("resp", UNIT(test_every_kind), UNIT(test_every_split), UNIT(test_numbers), UNIT(test_digits),
                    UNIT(test_no_resp), UNIT(test_too_long), UNIT(test_many), UNIT(test_writer));
}
