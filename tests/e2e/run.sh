#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/e2e/run.sh [NAME...]: runs each tests/e2e/NAME.test (all of them by default) against the daemon in $B. Exit
# status 0: passed, 77: skipped, its reason is printed; all else: failed, its log is printed. Logs stay in $B/e2e/NAME.
# Tests that call need_root are privileged: with CI=true none of them may be skipped.
set -u
cd "$(dirname "$0")/../.." || exit 2
export B=${B:-build/gcc}
limit=${E2E_LIMIT:-120}
passed=0 failed=0 skipped=0 required=0 ran=0
shopt -s nullglob

tests=(tests/e2e/*.test)
[ $# -eq 0 ] || tests=("${@/#/tests/e2e/}") tests=("${tests[@]/%/.test}")

run_one() {
    export T=$B/e2e/$1
    rm -rf "$T"
    mkdir -p "$T"
    # SIGTERM first: the test's trap stops what it started.
    timeout --kill-after=30 "$limit" "tests/e2e/$1.test" >"$T/test.log" 2>&1 </dev/null
}

show() {
    local log
    for log in "$B/e2e/$1"/*.log; do
        echo "--- $log"
        tail -n 80 "$log"
    done
}

for test in "${tests[@]}"; do
    name=$(basename "$test" .test)
    privileged=$(grep -c '^ *need_root' "$test")
    before=$SECONDS
    run_one "$name"
    status=$?
    [ "$privileged" -eq 0 ] || required=$((required + 1))
    [ "$privileged" -eq 0 ] || [ $status -eq 77 ] || ran=$((ran + 1))
    case $status in
    0) passed=$((passed + 1)) && echo "ok   $name ($((SECONDS - before)) s)" ;;
    77) skipped=$((skipped + 1)) && echo "skip $name: $(sed -n 's/^skip: //p' "$B/e2e/$name/test.log")" ;;
    *)
        failed=$((failed + 1))
        show "$name"
        [ $status -ne 124 ] || echo "$name was stopped after $limit s"
        echo "FAIL $name (exit status $status)"
        ;;
    esac
done

echo "privileged tests: $required required, $ran ran"
[ "${CI-}" != true ] || [ $ran -eq $required ] || failed=$((failed + required - ran))
echo "e2e: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
