/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * cdr_file: call data records to a file, one line each. Lines are gathered and written once a turn. Nothing here is
 * fatal: while the file cannot be written what does not fit the buffer is lost and counted (cdr_lost), and the log
 * tells when that begins and when it is over. A new file never begins within a
 * line.
 */
#ifndef REFEREE_RUNTIME_CDR_FILE_H
#define REFEREE_RUNTIME_CDR_FILE_H

#include "core/base/metrics.h"
#include "core/runtime/log.h"

#define CDR_BUFFER 262144
#define CDR_PATH_MAX 256

struct cdr_file {
    const char *path;         /* NULL: records are not wanted */
    int fd;                   /* -1: not open; each flush tries again, once a second */
    bool failing;             /* was logged */
    bool cut;                 /* the file ends within a line, whose rest is the buffer's first */
    uint64_t retry_us;
    uint64_t lost;            /* since it began to fail */
    struct metrics *metrics;
    struct log *log;
    uint32_t n;
    char buffer[CDR_BUFFER];
};

/* path "off": none. Appends to what is there; the file is made with mode 0640. */
void cdr_file_open(struct cdr_file *f, const char *path, struct metrics *metrics, struct log *log);
void cdr_file_line(struct cdr_file *f, struct slice line);
void cdr_file_flush(struct cdr_file *f, uint64_t mono_us);
/* After somebody moved the file away: writes what there is to the old one, then goes on in a new one of that name. If
 * it cannot be opened the old one stays. */
void cdr_file_reopen(struct cdr_file *f);
void cdr_file_close(struct cdr_file *f);

#endif
