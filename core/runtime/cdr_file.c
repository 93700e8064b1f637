/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/cdr_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define RETRY_US 1000000

static int open_path(const char *path) {
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

static void note_failure(struct cdr_file *f, int error) {
    if (!f->failing)
        log_line(f->log, TRACE_ERROR, "cdr", "%s: %s; records wait in memory, then they are lost", f->path,
                 strerror(error));
    f->failing = true;
}

static void note_success(struct cdr_file *f) {
    if (f->failing)
        log_line(f->log, TRACE_WARN, "cdr", "%s: written again; %lu records were lost", f->path,
                 (unsigned long)f->lost);
    f->failing = false;
    f->lost = 0;
}

void cdr_file_open(struct cdr_file *f, const char *path, struct metrics *metrics, struct log *log) {
    f->path = strcmp(path, "off") == 0 || !*path ? NULL : path;
    f->metrics = metrics;
    f->log = log;
    f->failing = f->cut = false;
    f->retry_us = f->lost = f->n = 0;
    f->fd = f->path ? open_path(f->path) : -1;
    if (f->path && f->fd < 0)
        note_failure(f, errno);
}

void cdr_file_line(struct cdr_file *f, struct slice line) {
    if (!f->path || !line.n)
        return;
    if (line.n > CDR_BUFFER - f->n) {
        metrics_add(f->metrics, M_cdr_lost, 1);
        f->lost++;
        return;
    }
    memcpy(f->buffer + f->n, line.p, line.n);
    f->n += line.n;
}

static bool write_some(struct cdr_file *f) {
    ssize_t n = write(f->fd, f->buffer, f->n);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0) {
        note_failure(f, n < 0 ? errno : ENOSPC);
        return false;
    }
    f->cut = f->buffer[n - 1] != '\n';
    f->n -= (uint32_t)n;
    memmove(f->buffer, f->buffer + n, f->n);
    if (f->n == 0)
        note_success(f);
    return true;
}

void cdr_file_flush(struct cdr_file *f, uint64_t mono_us) {
    if (!f->n || (f->failing && mono_us < f->retry_us))
        return;
    if (f->fd < 0)
        f->fd = open_path(f->path);
    if (f->fd < 0)
        note_failure(f, errno);
    while (f->fd >= 0 && f->n && write_some(f))
        continue;
    f->retry_us = mono_us + RETRY_US;
}

/* The rest of a line that the old file, which is full, has the beginning of. */
static void drop_line(struct cdr_file *f) {
    const char *end = memchr(f->buffer, '\n', f->n);
    uint32_t n = end ? (uint32_t)(end + 1 - f->buffer) : f->n;
    f->n -= n;
    memmove(f->buffer, f->buffer + n, f->n);
    f->cut = false;
    f->lost++;
    metrics_add(f->metrics, M_cdr_lost, 1);
}

void cdr_file_reopen(struct cdr_file *f) {
    if (!f->path)
        return;
    cdr_file_flush(f, UINT64_MAX - RETRY_US);
    int fd = open_path(f->path);
    if (fd < 0) {
        log_line(f->log, TRACE_ERROR, "cdr", "%s: %s; the old file stays in use", f->path, strerror(errno));
        return;
    }
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
    f->retry_us = 0;
    if (f->cut)
        drop_line(f);
}

void cdr_file_close(struct cdr_file *f) {
    if (!f->path)
        return;
    cdr_file_flush(f, UINT64_MAX - RETRY_US);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}
