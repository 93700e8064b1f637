/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Assertions, always on.
 *   CHECK(cond)       a bug of ours: the flight recorder is dumped and the process dies; another node takes over.
 *   CHECK_SLOW(cond)  the same, compiled only with -DREFEREE_SLOW_CHECKS (tests, simulator, sanitizers).
 *   EXPECT(m, c, cond) a fault of the peer or the kernel: counted in metrics m under counter c, value is cond.
 * Bytes from the wire are never CHECKed.
 */
#ifndef REFEREE_BASE_CHECK_H
#define REFEREE_BASE_CHECK_H

/* Called once, before the abort, with the failed text; may dump state, must not return control elsewhere. */
typedef void check_hook_fn(void *arg, const char *file, int line, const char *expr);

/* Installed by the shell at start, before any other thread exists. hook == NULL: none. */
void check_set_hook(check_hook_fn *hook, void *arg);
_Noreturn void check_failed(const char *file, int line, const char *expr);

#define CHECK(cond)                                        \
    do {                                                   \
        if (__builtin_expect(!(cond), 0))                  \
            check_failed(__FILE__, __LINE__, #cond);       \
    } while (0)

#ifdef REFEREE_SLOW_CHECKS
#define CHECK_SLOW(cond) CHECK(cond)
#else
#define CHECK_SLOW(cond) ((void)0)
#endif

#define EXPECT(m, counter, cond) (__builtin_expect(!!(cond), 1) ? 1 : (metrics_add((m), (counter), 1), 0))

#endif
