/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/cdr_file.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cdr_file file;
static struct metrics metrics;
static struct log quiet;
static char path[64], moved[80];
static char text[2 * CDR_BUFFER];

static const char *content(const char *of) {
    int fd = open(of, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
    return text;
}

static void begin(const char *where) {
    memset(&metrics, 0, sizeof metrics);
    log_init(&quiet, TRACE_ERROR, NULL);
    quiet.fd = open("/dev/null", O_WRONLY);
    snprintf(path, sizeof path, "/tmp/referee-cdr-%d", (int)getpid());
    snprintf(moved, sizeof moved, "%s.1", path);
    unlink(path);
    unlink(moved);
    cdr_file_open(&file, where ? where : path, &metrics, &quiet);
}

static void end(void) {
    cdr_file_close(&file);
    close(quiet.fd);
    unlink(path);
    unlink(moved);
}

static void test_writes(void) {
    struct stat st;
    begin(NULL);
    CHECK_TRUE(stat(path, &st) == 0 && (st.st_mode & 0137) == 0);
    cdr_file_line(&file, SL("one\n"));
    cdr_file_line(&file, SL("two\n"));
    CHECK_SLICE(slice_str(content(path)), "");
    cdr_file_flush(&file, 1);
    CHECK_SLICE(slice_str(content(path)), "one\ntwo\n");
    cdr_file_close(&file);
    cdr_file_open(&file, path, &metrics, &quiet);
    cdr_file_line(&file, SL("three\n"));
    cdr_file_close(&file);
    CHECK_SLICE(slice_str(content(path)), "one\ntwo\nthree\n");
    end();
}

static void test_off(void) {
    begin("off");
    cdr_file_line(&file, SL("one\n"));
    cdr_file_flush(&file, 1);
    cdr_file_reopen(&file);
    CHECK_TRUE(access(path, F_OK) < 0);
    CHECK_EQ(metrics_get(&metrics, M_cdr_lost), 0);
    end();
}

static void test_rotation(void) {
    begin(NULL);
    cdr_file_line(&file, SL("old\n"));
    CHECK_EQ(rename(path, moved), 0);
    cdr_file_reopen(&file);
    cdr_file_line(&file, SL("new\n"));
    cdr_file_flush(&file, 2);
    CHECK_SLICE(slice_str(content(moved)), "old\n");
    CHECK_SLICE(slice_str(content(path)), "new\n");
    end();
}

/* The file cannot be opened: what fits waits, what does not is counted; all that waited is written in the end. */
static void test_cannot_open(void) {
    static char line[1001];
    memset(line, 'x', sizeof line - 1);
    line[999] = '\n';
    begin("/tmp/referee-no-such-folder/cdr");
    for (int i = 0; i < CDR_BUFFER / 1000 + 10; i++)
        cdr_file_line(&file, slice_of(line, 1000));
    cdr_file_flush(&file, 5000000);
    CHECK_EQ(metrics_get(&metrics, M_cdr_lost), 10);
    CHECK_TRUE(file.failing);
    file.path = path;
    cdr_file_flush(&file, 5500000);
    CHECK_TRUE(access(path, F_OK) < 0);
    cdr_file_flush(&file, 6000000);
    CHECK_EQ(strlen(content(path)), CDR_BUFFER / 1000 * 1000);
    CHECK_FALSE(file.failing);
    end();
}

static void test_full_disk(void) {
    begin("/dev/full");
    cdr_file_line(&file, SL("one\n"));
    cdr_file_flush(&file, 1000000);
    CHECK_TRUE(file.failing);
    CHECK_EQ(file.n, 4);
    /* The old file has "on" already: the new one begins with a whole line. */
    file.cut = true;
    file.path = path;
    cdr_file_line(&file, SL("two\n"));
    cdr_file_reopen(&file);
    cdr_file_flush(&file, 3000000);
    CHECK_SLICE(slice_str(content(path)), "two\n");
    CHECK_EQ(metrics_get(&metrics, M_cdr_lost), 1);
    end();
}

/* A reopen that fails goes on with the old file. */
static void test_reopen_fails(void) {
    begin(NULL);
    file.path = "/tmp/referee-no-such-folder/cdr";
    cdr_file_reopen(&file);
    cdr_file_line(&file, SL("still\n"));
    cdr_file_flush(&file, 1);
    CHECK_SLICE(slice_str(content(path)), "still\n");
    end();
}

int main(void) {
    return UNIT_RUN("cdr_file", UNIT(test_writes), UNIT(test_off), UNIT(test_rotation), UNIT(test_cannot_open),
                    UNIT(test_full_disk), UNIT(test_reopen_fails));
}
