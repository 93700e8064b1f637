#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/unit/run.sh LOGDIR PROGRAM...: runs each CUnit program, keeps its output in LOGDIR, shows it where it failed.
# Exit status 77 of a program: skipped, its reason is printed; with CI=true that is a failure.
#
# Many wait more than they compute, so UNIT_JOBS of them run at a time (one for each processor, unless told); they are
# begun, and printed, in their order.
set -u
logs=$1
shift
mkdir -p "$logs"
passed=0 failed=0 skipped=0
jobs=${UNIT_JOBS:-$(nproc)}
running=()

# run PROGRAM: its exit status to its .status. What runs in the background heeds no ^C: TERM ends the program, too.
run() {
    local log
    log=$logs/$(basename "$1")
    timeout "${UNIT_LIMIT:-120}" "$1" >"$log.log" 2>&1 &
    trap 'kill $! 2>/dev/null' TERM
    wait $!
    echo $? >"$log.status"
}

# judge PROGRAM: of one that is over.
judge() {
    local name status good bad
    name=$(basename "$1")
    status=$(cat "$logs/$name.status")
    if [ "$status" -eq 77 ] && [ "${CI-}" != true ]; then
        echo "skip $name: $(sed -n 's/^skip: //p' "$logs/$name.log")"
        skipped=$((skipped + 1))
        return
    fi
    # CUnit's summary: "tests  total ran passed failed inactive". A program that died has none: one failed case.
    read -r good bad < <(awk '$1 == "tests" && NF == 6 { print $4, $5 }' "$logs/$name.log") || { good=0 bad=1; }
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + good)) failed=$((failed + bad))
    if [ "$bad" -eq 0 ]; then
        echo "ok   $name ($good)"
    else
        cat "$logs/$name.log"
        echo "FAIL $name (exit status $status)"
    fi
}

# Those at the front that are over.
judge_ended() {
    while [ ${#running[@]} -gt 0 ] && [ -s "$logs/$(basename "${running[0]}").status" ]; do
        judge "${running[0]}"
        running=("${running[@]:1}")
    done
}

trap 'kill $(jobs -p) 2>/dev/null; exit 143' TERM INT
for program in "$@"; do
    rm -f "$logs/$(basename "$program").status"
done
for program in "$@"; do
    while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do
        wait -n
        judge_ended
    done
    run "$program" &
    running+=("$program")
done
wait
judge_ended
[ ${#running[@]} -eq 0 ] || { echo "FAIL $(basename "${running[0]}") (no exit status)" && failed=$((failed + 1)); }

echo "unit: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
