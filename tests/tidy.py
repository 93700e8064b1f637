#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/tidy.py [--root DIR] [--build B]: what `make tidy` holds the sources to.

Every complaint is one line, `path:line: rule: text`. tests/tidy_selftest.py shows that each rule can fail. B holds the
objects of the pure library, built without sanitizers.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys

PURE = ("core/base", "parser", "core/sip", "core/b2b", "rtp", "store")
SHELL = ("core/runtime",)
RINGS = ("core/runtime/io.h", "core/runtime/uring.h", "core/runtime/udp.h", "core/runtime/stream.h")

# Who may include whom: a folder sees itself and these.
LAYERS = {
    "core/base": (),
    "parser": ("core/base",),
    "rtp": ("core/base",),
    "rtp/fastpath": ("rtp",),
    "store": ("core/base",),
    "core/sip": ("core/base", "parser"),
    "core/b2b": ("core/base", "parser", "core/sip", "rtp", "store"),
    "core/runtime": PURE,
    "core/main.c": PURE + SHELL,
    "core/refereectl.c": PURE + SHELL,
    "bench": PURE + RINGS + ("rtp/fastpath",),
    "tests/sim": PURE + RINGS,
    "tests/ladder": PURE + RINGS + ("tests/sim",),
    "tests/kill": PURE + ("tests/unit",),
    "tests/fuzz": PURE + SHELL + ("tests/unit", "bench"),
    "tests/unit": PURE + SHELL + ("bench", "tests/sim", "tests/ladder"),
}

PURE_HEADERS = re.compile(r"(stddef|stdint|stdbool|stdarg|stdalign|string|limits|inttypes|endian|\w+intrin"
                          r"|nettle/.*)\.h")
PURE_IMPORTS = re.compile(r"(memcpy|memmove|memset|memcmp|memchr|strlen|nettle_\w+|__stack_chk_fail|__cpu_model"
                          r"|__cpu_indicator_init|_GLOBAL_OFFSET_TABLE_)")
PURE_EXCEPTIONS = {("core/base/check.c", "stdlib.h"), ("core/base/poison.h", "sanitizer/asan_interface.h"),
                   ("store/resp.c", "hiredis/read.h"), ("store/resp.c", "hiredis/sds.h")}
# hiredis's reader parses bytes that it is given, in a buffer that it allocates, of its type of string: no call of the
# system else.
READER = ("store/resp.c", re.compile(r"(redisReader(CreateWithFunctions|Feed|GetReply|Free)|sdsMakeRoomFor)"))
ABORTS = "core/base/check.c"  # the one place that may end the process, and that keeps the hook called before it
WRITABLE = re.compile(r"\.(t?data|t?bss)(?!\.rel\.ro)|\*COM\*|COMMON")

BANNED_CALLS = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|alloca)\s*\(|<(assert)\.h>")
# What the project's files never speak of. Spelled in pieces so that this file does not speak of it either.
BANNED_WORDS = re.compile("|".join(("sub" "agent", r"\bsession " "of\\b", "/wo" "rk/", "work" "tree")), re.IGNORECASE)

C_FILES = (".c", ".h", ".def")
TEXT_FILES = C_FILES + (".py", ".sh", ".test", ".yaml", ".yml", ".service", ".conf", ".ladder")
NAMED_FILES = ("Makefile", "packages", "run", ".editorconfig", ".clang-format", "README.md", "CHANGELOG.md")
NO_SPDX = (".ladder", ".md")
MAX_COLUMNS, MAX_FILE, MAX_FUNCTION, MAX_MEDIAN = 120, 600, 70, 15


class Tree:
    """The sources under a root, read once, and the complaints about them."""

    def __init__(self, root, build):
        self.root, self.build = root, build
        self.complaints, self.notes, self.failed_checks = [], [], 0
        self.text = {path: self.read(path) for path in self.walk()}
        self.code = {path: strip_comments(text) for path, text in self.text.items() if path.endswith(C_FILES)}
        self.functions = self.find_functions()

    def walk(self):
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(f for f in folders if f not in ("build", ".git", "corpus", "__pycache__"))
            for name in sorted(files):
                if name.endswith(TEXT_FILES) or name in NAMED_FILES:
                    yield os.path.relpath(os.path.join(folder, name), self.root)

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", newline="") as f:
            return f.read()

    def complain(self, path, line, rule, text):
        self.complaints.append(f"{path}:{line}: {rule}: {text}")

    def find_functions(self):
        """(path, name, first line, last line) of every function definition in C."""
        paths = [path for path in self.code if not path.endswith(".def")]
        tags = subprocess.run(
            ["ctags", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f", "--fields=+ne", "--output-format=json",
             "-f", "-", "-L", "-"], input="\n".join(paths), capture_output=True, text=True, check=True, cwd=self.root)
        found = [json.loads(line) for line in tags.stdout.splitlines()]
        return [(t["path"], t["name"], t["line"], t["end"]) for t in found if "end" in t]

    def body(self, path, first, last):
        return "\n".join(self.code[path].split("\n")[first - 1:last])

    def pure_sources(self):
        return [path for path in self.code if path.endswith(".c") and layer_of(path) in PURE]


def strip_comments(text):
    """C without comments and without what stands in string literals; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if token[0] == '"' and not re.search(r"#\s*include[ \t]*$", text[max(0, match.start() - 40):match.start()]):
            return '""'
        return token if token[0] in "\"'" else " " + "\n" * token.count("\n")
    return re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", blank, text, flags=re.DOTALL)


def layer_of(path):
    fits = [layer for layer in LAYERS if path == layer or path.startswith(layer + "/")]
    return max(fits, key=len, default=None)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def includes(tree, path, marks='"'):
    for match in re.finditer(r"^[ \t]*#[ \t]*include[ \t]*([\"<])([^\">]+)[\">]", tree.code[path], re.MULTILINE):
        if match.group(1) in marks:
            yield line_of(tree.code[path], match.start()), match.group(2)


# ---- include direction

def check_layers(tree):
    for path in tree.code:
        layer = layer_of(path)
        if layer is None:
            tree.complain(path, 1, "layer", "this folder has no place in the include direction")
            continue
        allowed = LAYERS[layer] + (layer,)
        for line, target in includes(tree, path):
            if target not in tree.code:
                tree.complain(path, line, "layer", f'"{target}" is not a file, named from the top')
            elif not any(target == a or layer_of(target) == a for a in allowed):
                tree.complain(path, line, "layer", f"{layer} may not see {target}")


def check_pure_headers(tree):
    for path in tree.code:
        if layer_of(path) not in PURE:
            continue
        for line, target in includes(tree, path, "<"):
            if not PURE_HEADERS.fullmatch(target) and (path, target) not in PURE_EXCEPTIONS:
                tree.complain(path, line, "pure-header", f"<{target}> has no business in pure code")


def check_cycles(tree):
    state = {}

    def visit(path, trail):
        state[path] = "open"
        for line, target in includes(tree, path):
            if state.get(target) == "open":
                loop = trail[trail.index(target):] + [target]
                tree.complain(path, line, "cycle", " -> ".join(loop))
            elif target in tree.code and target not in state:
                visit(target, trail + [target])
        state[path] = "done"

    for path in tree.code:
        if path not in state:
            visit(path, [path])


# ---- sizes

def check_functions(tree):
    lengths = []
    for path, name, first, last in tree.functions:
        length = last - first + 1
        if not path.startswith("tests/"):
            lengths.append(length)
        if length > MAX_FUNCTION:
            tree.complain(path, first, "function-length", f"{name} has {length} lines, at most {MAX_FUNCTION}")
    median = statistics.median(lengths) if lengths else 0
    longest = max(lengths, default=0)
    tree.notes.append(f"{len(lengths)} functions outside tests, median {median:g} lines, longest {longest}")
    if median > MAX_MEDIAN:
        tree.complain(".", 0, "median", f"functions have {median:g} lines in the median, at most {MAX_MEDIAN}")


def check_files(tree):
    for path, text in tree.text.items():
        lines = text.count("\n")
        head = "\n".join(text.split("\n", 30)[:30])
        if lines > MAX_FILE and "Longer than 600 lines because" not in head:
            tree.complain(path, 1, "file-length", f"{lines} lines; over {MAX_FILE} the head says why")


# ---- text

def check_text(tree):
    for path, text in tree.text.items():
        for number, line in enumerate(text.split("\n"), 1):
            # A row of a Markdown table cannot be broken.
            if len(line) > MAX_COLUMNS and not (path.endswith(".md") and line.startswith("|")):
                tree.complain(path, number, "columns", f"{len(line)} columns, at most {MAX_COLUMNS}")
            if "\t" in line and os.path.basename(path) != "Makefile":
                tree.complain(path, number, "tab", "a tab")
            if line != line.rstrip():
                tree.complain(path, number, "blanks", "trailing blanks")
            if BANNED_WORDS.search(line):
                tree.complain(path, number, "words", f"{BANNED_WORDS.search(line).group(0)!r} is not about the project")
        if not text.endswith("\n"):
            tree.complain(path, text.count("\n") + 1, "blanks", "no newline at the end")


def check_spdx(tree):
    for path, text in tree.text.items():
        head = "\n".join(text.split("\n", 3)[:3])
        if not path.endswith(NO_SPDX) and "SPDX-License-Identifier: AGPL-3.0-or-later" not in head:
            tree.complain(path, 1, "spdx", "no SPDX-License-Identifier: AGPL-3.0-or-later at the head")


def check_banned_calls(tree):
    for path, code in tree.code.items():
        for match in BANNED_CALLS.finditer(code):
            name = match.group(1) or match.group(2) + ".h"
            tree.complain(path, line_of(code, match.start()), "banned-call", name)


# ---- purity of the objects

def symbols(tree, source):
    """(name, nm class, section) of each symbol of the source's object, or None if it was not built."""
    path = os.path.join(tree.root, tree.build, source[:-2] + ".o")
    if not os.path.exists(path):
        return None
    listing = subprocess.run(["nm", "-f", "sysv", path], capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.split("|")] for line in listing.splitlines() if line.count("|") == 6]
    return [(row[0], row[2], row[6]) for row in rows if row[0] != "Name"]


def check_purity(tree):
    objects = {source: symbols(tree, source) for source in tree.pure_sources()}
    own = {name for found in objects.values() for name, kind, _ in found or () if kind.isupper() and kind != "U"}
    for source, found in objects.items():
        if found is None:
            tree.complain(source, 1, "impure", f"no object in {tree.build}: build first")
        for name, kind, section in found or ():
            if kind == "U" and name not in own and not PURE_IMPORTS.fullmatch(name):
                if (name, source) != ("abort", ABORTS) and not (source == READER[0] and READER[1].fullmatch(name)):
                    tree.complain(source, 1, "impure", f"imports {name}")
            if WRITABLE.match(section) and source != ABORTS:
                tree.complain(source, 1, "global", f"{name} is a global that can change")


# ---- tests of tests

def function_macros(code):
    """(name, parameters, text) of each macro with parameters."""
    for match in re.finditer(r"^#define (\w+)\(([^)]*)\)((?:.*\\\n)*.*)", code, re.MULTILINE):
        yield match.group(1), re.split(r"\s*,\s*", match.group(2).strip()), match.group(3)


def written_by_macros(code):
    """(name, body) of functions that a macro of the file pastes together: CASE(x) makes test_x."""
    for name, parameters, text in function_macros(code):
        for use in re.finditer(rf"^{name}\(([^)]*)\)", code, re.MULTILINE):
            body = text
            for parameter, argument in zip(parameters, re.split(r"\s*,\s*", use.group(1).strip())):
                body = re.sub(rf"\b{parameter}\b|(?<=_){parameter}\b", argument, body.replace("##", ""))
            yield from ((made, body) for made in re.findall(r"\bvoid (\w+)\s*\(", body))


def check_unit_checks(tree):
    """Every case handed to UNIT() checks something, itself or by what it names: a helper or macro of its file."""
    for path, code in tree.code.items():
        if not (path.startswith("tests/unit/test_") and path.endswith(".c")):
            continue
        bodies = {name: tree.body(path, first, last) for where, name, first, last in tree.functions if where == path}
        bodies |= {name: text for name, _, text in function_macros(code)}
        bodies |= dict(written_by_macros(code))
        checking, before = set(), None
        while before != len(checking):
            before = len(checking)
            words = "|".join([r"CHECK_\w+", r"CU_ASSERT\w*", "CU_FAIL"] + [re.escape(name) for name in checking])
            checks = re.compile(rf"\b(?:{words})\b")
            checking |= {name for name, body in bodies.items() if checks.search(body[body.find("{") + 1:])}
        for case in re.finditer(r"\bUNIT\((\w+)\)", code):
            if case.group(1) not in checking:
                tree.complain(path, line_of(code, case.start()), "unit-check", f"{case.group(1)} checks nothing")


def check_fuzz(tree):
    """What reads bytes is fuzzed: a header of parser/ that has code and is seen from outside has its fuzz target."""
    fuzzed, seen = set(), set()
    for path in tree.code:
        targets = {target for _, target in includes(tree, path)}
        fuzzed |= targets if path.startswith("tests/fuzz/fuzz_") else set()
        seen |= targets if not path.startswith(("tests/", "parser/")) else set()
    for path in tree.code:
        if re.fullmatch(r"parser/\w+\.h", path) and path[:-2] + ".c" in tree.code and path in seen - fuzzed:
            tree.complain(path, 1, "fuzz", "no tests/fuzz/fuzz_*.c includes it")


CHECKS = (check_layers, check_pure_headers, check_cycles, check_functions, check_files, check_text, check_spdx,
          check_banned_calls, check_purity, check_unit_checks, check_fuzz)


def inspect(root, build):
    tree = Tree(root, build)
    for check in CHECKS:
        before = len(tree.complaints)
        check(tree)
        tree.failed_checks += len(tree.complaints) > before
    return tree


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=".")
    parser.add_argument("--build", default="build/gcc")
    options = parser.parse_args()
    tree = inspect(options.root, options.build)
    for line in tree.complaints:
        print(line)
    for line in tree.notes:
        print("tidy:", line)
    print(f"tidy: {len(CHECKS) - tree.failed_checks} passed, {tree.failed_checks} failed, 0 skipped")
    return 1 if tree.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
