/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * log: trace lines to stderr, up to a level; of one traced call all that there is. Lines are gathered and written
 * once a turn.
 */
#ifndef REFEREE_RUNTIME_LOG_H
#define REFEREE_RUNTIME_LOG_H

#include "core/base/trace.h"

#define LOG_BUFFER 65536
#define LOG_CALLS_MAX 64
#define LOG_STRAYS_MAX 100           /* lines a second that belong to no call, at level info or above */

struct log {
    int fd;
    enum trace_level level;
    const char *traced;              /* part of a Call-ID, or a call's number in hex; NULL: none */
    uint64_t calls[LOG_CALLS_MAX];   /* numbers found to belong to `traced`; the oldest is forgotten */
    uint32_t call_count;
    uint64_t read;                   /* lines of the ring handled */
    uint64_t lost;                   /* lines overwritten before they were read */
    uint64_t second;                 /* of the last line of no call */
    uint32_t strays;                 /* in that second */
    uint16_t shard;
    uint32_t n;
    char buffer[LOG_BUFFER];
};

void log_init(struct log *l, enum trace_level level, const char *traced);
/* New lines of the ring. Ends with log_flush. Whoever sends us garbage shall not fill the disk: of the lines that
 * belong to no call only LOG_STRAYS_MAX a second are written, unless the level asks for debugging. */
void log_drain(struct log *l, const struct trace *t);
/* A line of the shell's own, "what: text". Written at once. */
void log_line(struct log *l, enum trace_level level, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void log_flush(struct log *l);
/* Everything the ring still holds, whatever the level: after a failed check. */
void log_dump(struct log *l, const struct trace *t);

/* CLOCK_BOOTTIME and wall clock. */
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void);
/* Processor time of this thread. */
uint64_t clock_thread_us(void);

#endif
