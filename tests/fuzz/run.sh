#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/fuzz/run.sh B SECONDS PROGRAM...: each fuzz target for that long. Seeds: tests/fuzz/corpus/NAME, read only; what
# it finds on the way goes to B/corpus/NAME, an input that breaks it to B/crash-NAME-*. tests/fuzz/NAME.dict if there.
set -u
build=$1 limit=$2
shift 2
passed=0 failed=0

for program in "$@"; do
    name=$(basename "$program")
    name=${name#fuzz_}
    corpus=("$build/corpus/$name")
    mkdir -p "${corpus[0]}"
    [ ! -d "tests/fuzz/corpus/$name" ] || corpus+=("tests/fuzz/corpus/$name")
    # What is compared with other parsers begins where the others' views are known.
    [ "$name" != sip_rivals ] || corpus+=(tests/data/sip/corpus tests/data/sip/torture tests/fuzz/corpus/sip_msg)
    options=(-max_total_time="$limit" -artifact_prefix="$build/crash-$name-" -timeout=10 -rss_limit_mb=2048)
    # libosip2 loses the first of two Content-Type: neither by input nor at the end of the run.
    leaks=1
    [ "$name" != sip_rivals ] || leaks=0
    options+=(-detect_leaks=$leaks)
    # As a stage of `make test`: the same inputs each time. A new difference from another parser is for `make fuzz`.
    [ "$limit" -gt 5 ] || options+=(-seed=1)
    [ "$limit" -gt 5 ] || [ "$name" != sip_rivals ] || options+=(-runs=0)
    [ ! -e "tests/fuzz/$name.dict" ] || options+=(-dict="tests/fuzz/$name.dict")
    log=$build/fuzz-$name.log
    if ASAN_OPTIONS=detect_leaks=$leaks "$program" "${options[@]}" "${corpus[@]}" >"$log" 2>&1; then
        echo "ok   $name: $(grep '^Done' "$log")"
        passed=$((passed + 1))
    else
        tail -n 60 "$log"
        echo "FAIL $name: ${log}"
        failed=$((failed + 1))
    fi
done

echo "fuzz: $passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
