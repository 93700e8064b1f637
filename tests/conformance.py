#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/conformance.py [--check] [--root DIR]: tests/CONFORMANCE.md, made from the tests themselves.

tests/conformance.tsv lists what is to be shown: features (`row 12`), test cases (`T-3.1`) and races (`race 7`). A test
shows one by naming it: a ladder in a comment, another test anywhere in its text. An item is in order if a test names it
or if it has a sentence why not; a sentence that begins with "No:" says that no test shows it. --check writes nothing:
it fails if something is not in order or CONFORMANCE.md is not what would be written.
"""
import argparse
import glob
import os
import re
import sys

LIST, TABLE = "tests/conformance.tsv", "tests/CONFORMANCE.md"
SOURCES = ("tests/ladder/*.ladder", "tests/unit/*.c", "tests/sim/*.c", "tests/fuzz/fuzz_*.c", "tests/e2e/*.test",
           "tests/e2e/*.py", "tests/e2e/sipp/*.xml")
NUMBER = r"\d{1,2}\b(?!\.\d)"
MARK = re.compile(rf"\b(?:T-(\d+\.\d+)|([Rr]aces?|[Rr]ows?|[Ff]eatures?) ({NUMBER}(?:(?:, | and |, and ){NUMBER})*))")
KINDS = (("row", "Features", "Feature"), ("T-", "Test cases", "Case"), ("race", "Races", "Race"))


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def names_in(text):
    """The items that a text names, in the list's own words: row 12, T-3.1, race 7."""
    for case, word, numbers in MARK.findall(text):
        if case:
            yield "T-" + case
        for number in re.findall(r"\d+", numbers):
            yield ("race " if word.lower().startswith("race") else "row ") + number


def find_tests(root):
    """{item: the tests that name it}. Of a ladder only the comments are read."""
    found = {}
    for pattern in SOURCES:
        for path in sorted(glob.glob(os.path.join(root, pattern))):
            text = read(path)
            if path.endswith(".ladder"):
                text = " ".join(line.lstrip("# ") for line in text.split("\n") if line.startswith("#"))
            for item in names_in(text):
                found.setdefault(item, []).append(os.path.relpath(path, os.path.join(root, "tests")))
    return {item: sorted(set(paths)) for item, paths in found.items()}


def read_list(root):
    """(item, grade, title, sentence), in order."""
    for line in read(os.path.join(root, LIST)).split("\n"):
        if line and not line.startswith("#"):
            fields = line.split("\t")
            if len(fields) not in (3, 4):
                sys.exit(f"{LIST}: item, grade, title and perhaps a sentence, with tabs between them: {line}")
            yield (*fields, "")[:4]


def complaints(items, tests):
    known = [item for item, *_ in items]
    for item in sorted(set(known)):
        if known.count(item) > 1:
            yield f"{LIST}: {item} stands there twice"
    for item, paths in tests.items():
        if item not in known and not item.startswith("row"):
            yield f"tests/{paths[0]}: {item} is not in {LIST}"
    for item, _, _, sentence in items:
        if item not in tests and not sentence:
            yield f"{LIST}: {item}: no test names it, and no sentence says why not"
        if item in tests and sentence.startswith("No:"):
            yield f"{LIST}: {item}: {tests[item][0]} names it, but the sentence says that no test does"


def link(path):
    name = os.path.splitext(path)[0].split("/", 1)[1] if path.startswith("ladder/") else path
    return f"[{name}]({path})"


def rows(items, tests, kind):
    for item, grade, title, sentence in items:
        if item.startswith(kind):
            shown = ", ".join(map(link, tests.get(item, ())))
            if sentence:
                text = sentence.removeprefix("No: ")
                shown += (". " if shown else "") + text[0].upper() + text[1:]
            first = [item.removeprefix("row ").removeprefix("race "), title]
            yield "| " + " | ".join(first + ([grade] if kind == "row" else []) + [shown]) + " |"


def table(items, tests):
    shown = sum(item in tests for item, *_ in items)
    out = ["# What is shown by which test", "",
           "Made by `make conformance` from the tests: do not edit. Names without a folder are ladders "
           "([how to read them](ladder/README.md)); grades are M1 (a first user needs it), M2 (a carrier does), "
           "B (goes beyond what others do), L (later).", "",
           f"{len(items)} items, {shown} shown by a test, {len(items) - shown} not yet."]
    for kind, title, column in KINDS:
        grade = ["Grade"] if kind == "row" else []
        head = ["#", column] + grade + ["Shown by"]
        out += ["", f"## {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        out += rows(items, tests, kind)
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    items, tests = list(read_list(args.root)), find_tests(args.root)
    wrong, text, path = list(complaints(items, tests)), table(items, tests), os.path.join(args.root, TABLE)
    if not args.check:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    elif not os.path.exists(path) or read(path) != text:
        wrong.append(f"{TABLE}: not what the tests say; `make conformance` writes it anew")
    print("\n".join(wrong + [f"conformance: {len(items)} passed, {len(wrong)} failed, 0 skipped"]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
