/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * For tests that a bug of ours is caught: the function runs in a forked child.
 */
#ifndef REFEREE_TESTS_DIES_H
#define REFEREE_TESTS_DIES_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* True when fn ended in abort(). What the child says is thrown away. */
static inline bool unit_dies(void (*fn)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        dup2(null, 2);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
