#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Shows that each rule of tests/tidy.py can fail: a small clean tree, then the same tree with one thing wrong each."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import tidy  # noqa: E402

SPDX = "/* SPDX-License-Identifier: AGPL-3.0-or-later */\n"
CLEAN = {
    "core/base/pool.h": SPDX + "int pool_size(int n);\n",
    "core/base/pool.c": SPDX + '#include "core/base/pool.h"\n\n#include <string.h>\n\n'
                        "int pool_size(int n) {\n    char b[8];\n    memset(b, n, sizeof b);\n    return b[0];\n}\n",
    "core/base/check.c": SPDX + "#include <stdlib.h>\n\nvoid fail(void);\nstatic void (*hook)(void);\n\n"
                         "void fail(void) {\n    if (hook)\n        hook();\n    abort();\n}\n",
    "parser/sip_msg.h": SPDX + '#include "core/base/pool.h"\nint sip_msg(void);\n',
    "parser/sip_msg.c": SPDX + '#include "parser/sip_msg.h"\n\nstatic const char *const names[] = { "a" };\n\n'
                        "int sip_msg(void) {\n    return pool_size(names[0][0]); /* strcpy( is a word here */\n}\n",
    "core/sip/txn.h": SPDX + '#include "parser/sip_msg.h"\n',
    "core/b2b/call.h": SPDX + '#include "core/sip/txn.h"\n#include "rtp/relay.h"\n#include "store/store.h"\n',
    "core/runtime/shard.h": SPDX + '#include "core/b2b/call.h"\n',
    "core/runtime/uring.h": SPDX,
    "core/main.c": SPDX + '#include "core/runtime/shard.h"\n',
    "rtp/relay.h": SPDX + '#include "core/base/pool.h"\n',
    "store/store.h": SPDX + '#include "core/base/pool.h"\n',
    "bench/call.c": SPDX + '#include "core/b2b/call.h"\n#include "core/runtime/uring.h"\n',
    "tests/sim/sim.c": SPDX + '#include "core/b2b/call.h"\n',
    "tests/fuzz/fuzz_msg.c": SPDX + '#include "parser/sip_msg.h"\n',
    "tests/unit/test_pool.c": SPDX + "static void holds(void) {\n    CHECK_EQ(1, 1);\n}\n"
                              "static void test_a(void) {\n    holds();\n}\n"
                              'int main(void) {\n    return UNIT_RUN("pool", UNIT(test_a));\n}\n',
}


def function(lines, name="f"):
    return f"void {name}(void);\nvoid {name}(void) {{\n" + "    ;\n" * (lines - 2) + "}\n"


# rule, path, text appended to it (a whole new file if it was not there)
POOL, UNIT = "core/base/pool.c", "tests/unit/test_pool.c"
WRONG = [
    ("layer", POOL, '#include "parser/sip_msg.h"\n'),
    ("layer", "parser/sip_msg.c", '#include "core/sip/txn.h"\n'),
    ("layer", "parser/sip_msg.h", '#include "store/store.h"\n'),
    ("layer", "core/sip/txn.h", '#include "core/b2b/call.h"\n'),
    ("layer", "core/b2b/call.h", '#include "core/runtime/shard.h"\n'),
    ("layer", "rtp/relay.h", '#include "parser/sip_msg.h"\n'),
    ("layer", "store/store.h", '#include "rtp/relay.h"\n'),
    ("layer", "tests/sim/sim.c", '#include "core/runtime/shard.h"\n'),
    ("layer", "bench/call.c", '#include "core/runtime/shard.h"\n'),
    ("layer", POOL, '#include "pool.h"\n'),
    ("layer", "misc/new.h", SPDX),
    ("pure-header", POOL, "#include <stdio.h>\n"),
    ("pure-header", POOL, "#include <stdlib.h>\n"),
    ("cycle", "core/base/pool.h", '#include "core/base/other.h"\n'),
    ("function-length", POOL, function(71)),
    ("median", POOL, "".join(function(16, f"f{i}") for i in range(9))),
    ("file-length", "core/runtime/shard.h", "\n" * 600),
    ("columns", POOL, "/* " + "x" * 118 + " */\n"),
    ("tab", POOL, "\tint x;\n"),
    ("blanks", POOL, "int x; \n"),
    ("blanks", POOL, "int x;\r\n"),
    ("blanks", POOL, "int x;"),
    ("words", "README.md", "see /wo" "rk/x\n"),
    ("words", POOL, "/* the Sub" "agent */\n"),
    ("spdx", "core/b2b/leg.h", "int leg;\n"),
    ("spdx", "tests/e2e/a.test", "#!/bin/sh\n"),
    ("banned-call", "core/main.c", "void f(char *p) { strcpy(p, p); }\n"),
    ("banned-call", UNIT, "int g(char *p) { return atoi (p); }\n"),
    ("banned-call", "core/main.c", "#include <assert.h>\n"),
    ("impure", POOL, "long time(long *); long now(void);\nlong now(void) {\n    return time((void *)0);\n}\n"),
    ("impure", POOL, "void abort(void); void die(void);\nvoid die(void) {\n    abort();\n}\n"),
    ("impure", "parser/sip_uri.c", None),
    ("global", POOL, "int counter;\n"),
    ("global", POOL, "int pick(void);\nint pick(void) {\n    static int n = 3;\n    return ++n;\n}\n"),
    ("global", POOL, "extern _Thread_local int t;\n_Thread_local int t;\n"),
    ("unit-check", UNIT, "static void test_b(void) { f(); }\nstruct c x[] = { UNIT(test_b) };\n"),
    ("unit-check", UNIT, "#define CASE(n) \\\n    static void test_##n(void) { f(n); }\nCASE(b)\n"
                         "struct c x[] = { UNIT(test_b) };\n"),
    ("fuzz", "core/sip/txn.h", '#include "parser/sip_uri.h"\n'),
]
# what the rule lets through
FINE = [
    ("file-length", "core/runtime/big.h", SPDX + "/* Longer than 600 lines because it is a table. */\n" + "\n" * 600),
    ("function-length", POOL, function(70)),
    ("global", POOL, "static const char *const t[] = { \"x\" };\nconst void *see(void);\n"
                     "const void *see(void) {\n    return t;\n}\n"),
    ("unit-check", UNIT, "#define BOTH(a) \\\n    CHECK_TRUE(a)\nstatic void test_b(void) { BOTH(1); }\n"
                         "struct c x[] = { UNIT(test_b) };\n"),
    ("unit-check", UNIT, "static void b(void) { CHECK_TRUE(1); }\n"
                         "#define CASE(n) \\\n    static void test_##n(void) { \\\n        f(n); }\nCASE(b)\n"
                         "struct c x[] = { UNIT(test_b) };\n"),
]


def write(root, path, text, mode="a"):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode, encoding="utf-8", newline="") as f:
        f.write(text)


def compile_pure(root, paths):
    for path in paths:
        if path.endswith(".c") and tidy.layer_of(path) in tidy.PURE:
            target = os.path.join(root, "build", path[:-2] + ".o")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            subprocess.run(["gcc", "-w", "-I.", "-c", "-o", target, path], cwd=root, capture_output=True, check=False)


def make_clean(root):
    for path, text in CLEAN.items():
        write(root, path, text)
    compile_pure(root, CLEAN)


def complaints(clean, extra_path=None, extra=None):
    with tempfile.TemporaryDirectory() as root:
        shutil.copytree(clean, root, dirs_exist_ok=True)
        if extra is None and extra_path:
            write(root, extra_path, SPDX)           # a source without its object
        elif extra_path:
            write(root, extra_path, extra)
            compile_pure(root, [extra_path])
        if extra_path == "core/base/pool.h":
            write(root, "core/base/other.h", SPDX + '#include "core/base/pool.h"\n')
        if '"parser/sip_uri.h"' in (extra or ""):
            write(root, "parser/sip_uri.h", SPDX)
            write(root, "parser/sip_uri.c", SPDX)
            compile_pure(root, ["parser/sip_uri.c"])
        return tidy.inspect(root, "build").complaints


def main():
    with tempfile.TemporaryDirectory() as clean:
        make_clean(clean)
        return judge_all(clean)


def judge_all(clean):
    passed = failed = 0

    def judge(ok, what, found):
        nonlocal passed, failed
        passed, failed = passed + ok, failed + (not ok)
        if not ok:
            print(f"FAIL tidy_selftest: {what}; found:", *found or ["nothing"], sep="\n    ")

    found = complaints(clean)
    judge(not found, "a clean tree has no complaint", found)
    for rule, path, text in WRONG:
        found = complaints(clean, path, text)
        hits = [line for line in found if line.split(": ")[1] == rule]
        judge(bool(hits), f"{rule} expected for {path} with {text!r:.60}", found)
    for rule, path, text in FINE:
        found = complaints(clean, path, text)
        judge(not [line for line in found if line.split(": ")[1] == rule], f"{rule} not expected for {path}", found)
    print(f"tidy-selftest: {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
