/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

uint64_t clock_mono_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_thread_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_wall_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void log_init(struct log *l, enum trace_level level, const char *traced) {
    l->fd = STDERR_FILENO;
    l->level = level;
    l->traced = traced;
    l->call_count = l->n = 0;
    l->read = l->lost = l->second = 0;
    l->strays = 0;
}

void log_flush(struct log *l) {
    for (uint32_t at = 0; at < l->n;) {
        ssize_t n = write(l->fd, l->buffer + at, l->n - at);
        if (n <= 0)
            break;
        at += (uint32_t)n;
    }
    l->n = 0;
}

static void put_line(struct log *l, const struct trace_line *line) {
    if (LOG_BUFFER - l->n < LINE_MAX_BYTES)
        log_flush(l);
    struct sbuf b = sbuf_on(l->buffer + l->n, LINE_MAX_BYTES - 1);
    trace_format(&b, line, l->shard);
    sbuf_char(&b, '\n');
    if (!b.overflow)
        l->n += b.n;
}

static bool is_known_call(const struct log *l, uint64_t call) {
    uint32_t n = l->call_count < LOG_CALLS_MAX ? l->call_count : LOG_CALLS_MAX;
    for (uint32_t i = 0; i < n; i++)
        if (l->calls[i] == call)
            return true;
    return false;
}

static bool names_traced(const struct log *l, const struct trace_line *line) {
    char number[16];
    struct sbuf b = sbuf_on(number, sizeof number);
    size_t n = strlen(l->traced);
    sbuf_hex(&b, line->call, 16);
    return n > 0 && (memmem(line->detail, line->n, l->traced, n) ||
                     (line->call && n <= sizeof number && !memcmp(number + sizeof number - n, l->traced, n)));
}

static bool is_traced(struct log *l, const struct trace_line *line) {
    if (!l->traced)
        return false;
    if (line->call && is_known_call(l, line->call))
        return true;
    bool hit = names_traced(l, line);
    if (hit && line->call)
        l->calls[l->call_count++ % LOG_CALLS_MAX] = line->call;
    return hit;
}

/* A line and those of the lowest level behind it are one message: shown whole or not at all. */
static uint64_t block_end(const struct trace *t, uint64_t i) {
    const struct trace_line *line;
    for (i++; (line = trace_at(t, i)) && line->level == TRACE_WIRE; i++)
        ;
    return i;
}

/* One line too many of this second that no call is behind. */
static bool is_too_many(struct log *l, const struct trace_line *line) {
    uint64_t second = line->mono_us / 1000000;
    if (line->call || line->level == TRACE_ERROR || l->level > TRACE_INFO)
        return false;
    if (second != l->second && l->strays > LOG_STRAYS_MAX)
        log_line(l, TRACE_WARN, "log", "%u lines that belong to no call were left out", l->strays - LOG_STRAYS_MAX);
    if (second != l->second)
        l->strays = 0;
    l->second = second;
    return ++l->strays > LOG_STRAYS_MAX;
}

static void put_block(struct log *l, const struct trace *t, uint64_t from, uint64_t to) {
    bool traced = false;
    for (uint64_t i = from; i < to && !traced; i++)
        traced = is_traced(l, trace_at(t, i));
    for (uint64_t i = from; i < to; i++)
        if (traced || (trace_at(t, i)->level <= l->level && !is_too_many(l, trace_at(t, i))))
            put_line(l, trace_at(t, i));
}

void log_drain(struct log *l, const struct trace *t) {
    uint64_t kept = (uint64_t)t->mask + 1;
    if (t->head - l->read > kept) {
        uint64_t lost = t->head - l->read - kept;
        log_line(l, TRACE_WARN, "log", "%lu lines were overwritten before they could be written", (unsigned long)lost);
        l->lost += lost;
        l->read += lost;
    }
    while (l->read < t->head) {
        uint64_t end = block_end(t, l->read);
        put_block(l, t, l->read, end);
        l->read = end;
    }
    log_flush(l);
}

void log_line(struct log *l, enum trace_level level, const char *what, const char *format, ...) {
    struct trace_line line = { .mono_us = clock_mono_us(), .leg = 0xff, .level = (uint8_t)level };
    if (level > l->level)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line.detail, sizeof line.detail, format, args);
    va_end(args);
    line.n = (uint16_t)(n < 0 ? 0 : n < TRACE_DETAIL_MAX ? n : TRACE_DETAIL_MAX - 1);
    snprintf(line.what, sizeof line.what, "%s", what);
    put_line(l, &line);
    log_flush(l);
}

void log_dump(struct log *l, const struct trace *t) {
    uint64_t lines = t->head < (uint64_t)t->mask + 1 ? t->head : (uint64_t)t->mask + 1;
    for (uint64_t i = t->head - lines; i < t->head; i++)
        if (trace_at(t, i))
            put_line(l, trace_at(t, i));
    log_flush(l);
}
