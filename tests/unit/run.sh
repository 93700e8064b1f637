#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/unit/run.sh LOGDIR PROGRAM...: runs each CUnit program, keeps its output in LOGDIR, shows it where it failed.
# Exit status 77 of a program: skipped, its reason is printed; with CI=true that is a failure.
set -u
logs=$1
shift
mkdir -p "$logs"
passed=0 failed=0 skipped=0

for program in "$@"; do
    name=$(basename "$program")
    timeout "${UNIT_LIMIT:-120}" "$program" >"$logs/$name.log" 2>&1
    status=$?
    if [ $status -eq 77 ] && [ "${CI-}" != true ]; then
        echo "skip $name: $(sed -n 's/^skip: //p' "$logs/$name.log")"
        skipped=$((skipped + 1))
        continue
    fi
    # CUnit's summary: "tests  total ran passed failed inactive". A program that died has none: one failed case.
    read -r good bad < <(awk '$1 == "tests" && NF == 6 { print $4, $5 }' "$logs/$name.log") || { good=0 bad=1; }
    [ $status -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + good)) failed=$((failed + bad))
    if [ "$bad" -eq 0 ]; then
        echo "ok   $name ($good)"
    else
        cat "$logs/$name.log"
        echo "FAIL $name (exit status $status)"
    fi
done

echo "unit: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
