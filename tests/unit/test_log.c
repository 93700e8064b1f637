/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/log.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <unistd.h>

#define LINES 32

static struct log log_;
static struct trace trace;
static int out[2];
static char text[LOG_BUFFER];

static void fresh(enum trace_level level, const char *traced) {
    static uint8_t memory[16384];
    struct arena a;
    arena_init(&a, memory, sizeof memory);
    trace_init(&trace, &a, LINES, 0, TRACE_WIRE);
    CHECK_EQ(pipe2(out, O_NONBLOCK), 0);
    log_init(&log_, level, traced);
    log_.fd = out[1];
}

/* What was written since. */
static const char *written(void) {
    ssize_t n = read(out[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void end(void) {
    close(out[0]);
    close(out[1]);
}

static void put(enum trace_level level, uint64_t call, const char *what) {
    trace_text(&trace, level, "test", call, 0xff, slice_str(what));
}

static void test_level(void) {
    fresh(TRACE_INFO, NULL);
    put(TRACE_ERROR, 0, "one");
    put(TRACE_DEBUG, 0, "two");
    put(TRACE_INFO, 0, "three");
    log_drain(&log_, &trace);
    written();
    CHECK_TRUE(strstr(text, "one") && strstr(text, "three"));
    CHECK_TRUE(!strstr(text, "two"));
    log_drain(&log_, &trace);
    CHECK_EQ(strlen(written()), 0);
    end();
}

/* A message is a line and what the lowest level says behind it. Once its call is known, its other legs show too. */
static void test_traced_by_call_id(void) {
    fresh(TRACE_WARN, "x77@host");
    put(TRACE_DEBUG, 0, "recv INVITE of the first");
    put(TRACE_WIRE, 0, "| Call-ID: abx77@host");
    put(TRACE_WIRE, 0, "| Max-Forwards: 70");
    put(TRACE_DEBUG, 0, "recv INVITE of the second");
    put(TRACE_WIRE, 0, "| Call-ID: other");
    put(TRACE_DEBUG, 1, "leg of the first, too early");
    put(TRACE_DEBUG, 1, "send 100 to the first");
    put(TRACE_WIRE, 1, "| Call-ID: abx77@host");
    put(TRACE_DEBUG, 1, "send INVITE for the first");
    put(TRACE_WIRE, 1, "| Call-ID: another leg");
    put(TRACE_DEBUG, 2, "send INVITE for the second");
    log_drain(&log_, &trace);
    written();
    CHECK_TRUE(strstr(text, "recv INVITE of the first") && strstr(text, "Max-Forwards"));
    CHECK_TRUE(strstr(text, "100 to the first") != NULL);
    CHECK_TRUE(strstr(text, "INVITE for the first") && strstr(text, "another leg"));
    CHECK_TRUE(!strstr(text, "other\n") && !strstr(text, "second") && !strstr(text, "too early"));
    end();
}

static void test_traced_by_number(void) {
    fresh(TRACE_WARN, "beef");
    put(TRACE_DEBUG, 0xdeadbeef, "mine");
    put(TRACE_DEBUG, 0xbeef0, "not mine");
    log_drain(&log_, &trace);
    written();
    CHECK_TRUE(strstr(text, ": mine") && !strstr(text, "not mine"));
    end();
}

static void test_overwritten_lines_are_counted(void) {
    fresh(TRACE_INFO, NULL);
    for (int i = 0; i < LINES + 5; i++)
        put(TRACE_INFO, 0, "line");
    log_drain(&log_, &trace);
    CHECK_EQ(log_.lost, 5);
    CHECK_TRUE(strstr(written(), "5 lines were overwritten") != NULL);
    end();
}

static uint32_t lines_of(const char *s) {
    uint32_t n = 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void test_garbage_does_not_fill_the_disk(void) {
    uint32_t strays = 0;
    fresh(TRACE_INFO, NULL);
    trace.now_us = 5000000;
    for (int i = 0; i < LOG_STRAYS_MAX + 50; i++) {
        put(TRACE_INFO, 0, "stray");
        put(TRACE_INFO, 7, "of a call");
        log_drain(&log_, &trace);
        written();
        CHECK_TRUE(strstr(text, "of a call") != NULL);
        strays += lines_of(text) - 1;
    }
    CHECK_EQ(strays, LOG_STRAYS_MAX);
    trace.now_us = 6000000;
    put(TRACE_INFO, 0, "stray");
    log_drain(&log_, &trace);
    CHECK_TRUE(strstr(written(), "50 lines that belong to no call were left out") && strstr(text, "stray"));
    end();
    fresh(TRACE_DEBUG, NULL);
    for (int i = 0; i < LOG_STRAYS_MAX + 50; i++) {
        put(TRACE_INFO, 0, "stray");
        log_drain(&log_, &trace);
        CHECK_EQ(lines_of(written()), 1);
    }
    end();
}

static void test_dump_shows_all(void) {
    fresh(TRACE_ERROR, NULL);
    put(TRACE_WIRE, 3, "deep");
    log_dump(&log_, &trace);
    CHECK_TRUE(strstr(written(), "deep") != NULL);
    end();
}

static void test_own_lines(void) {
    static char longer[1000];
    fresh(TRACE_WARN, NULL);
    memset(longer, 'y', sizeof longer - 1);
    log_line(&log_, TRACE_INFO, "a", "quiet");
    log_line(&log_, TRACE_WARN, "a_name_that_is_too_long", "%s", longer);
    written();
    CHECK_TRUE(!strstr(text, "quiet") && strstr(text, "a_name_that_is_: yyyy") && text[strlen(text) - 1] == '\n');
    CHECK_TRUE(strlen(text) < 400);
    end();
}

int main(void) {
    return UNIT_RUN("log", UNIT(test_level), UNIT(test_traced_by_call_id), UNIT(test_traced_by_number),
                    UNIT(test_overwritten_lines_are_counted),
                    UNIT(test_garbage_does_not_fill_the_disk), UNIT(test_dump_shows_all), UNIT(test_own_lines));
}
