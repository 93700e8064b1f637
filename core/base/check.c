/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/check.h"

#include <stdlib.h>

/* The one piece of process-wide state of the pure folders: a failed check has no object to ask. */
static check_hook_fn *check_hook;
static void *check_hook_arg;

void check_set_hook(check_hook_fn *hook, void *arg) {
    check_hook_arg = arg;
    __atomic_store_n(&check_hook, hook, __ATOMIC_RELEASE);
}

_Noreturn void check_failed(const char *file, int line, const char *expr) {
    /* Taken out first: a check that fails inside the hook, or in a second thread meanwhile, aborts at once. */
    check_hook_fn *hook = __atomic_exchange_n(&check_hook, (check_hook_fn *)0, __ATOMIC_ACQ_REL);
    if (hook)
        hook(check_hook_arg, file, line, expr);
    abort();
}
