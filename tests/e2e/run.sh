#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/e2e/run.sh [NAME...]: runs each tests/e2e/NAME.test (all of them by default) against the daemon in $B. Exit
# status 0: passed, 77: skipped, its reason is printed; all else: failed, its log is printed. Logs stay in $B/e2e/NAME.
# Tests that call need_root are privileged: with CI=true none of them may be skipped.
#
# Most of the time goes by in waiting for timers, so there are three lanes: the tests with the demo's phones, those with
# a Redis, and the others. Within a lane one test runs at a time. The lanes take their ports from different ranges.
set -u
cd "$(dirname "$0")/../.." || exit 2
export B=${B:-build/gcc}
limit=${E2E_LIMIT:-120}
shopt -s nullglob

tests=(tests/e2e/*.test)
[ $# -eq 0 ] || tests=("${@/#/tests/e2e/}") tests=("${tests[@]/%/.test}")

run_one() {
    export T=$B/e2e/$1 PORTS_FROM=$2
    rm -rf "$T"
    mkdir -p "$T"
    # In a shell of its own. SIGTERM first: the test's trap stops what it started.
    exec timeout --kill-after=30 "$limit" "tests/e2e/$1.test" >"$T/test.log" 2>&1 </dev/null
}

show() {
    local log
    for log in "$B/e2e/$1"/*.log; do
        echo "--- $log"
        tail -n 80 "$log"
    done
}

# Printed at once, so that lanes do not mix; the result goes to the lane's file.
report() {
    local name=$1 status=$2 took=$3
    case $status in
    0) echo "ok   $name ($took s)" ;;
    77) echo "skip $name: $(sed -n 's/^skip: //p' "$B/e2e/$name/test.log")" ;;
    *)
        show "$name"
        [ "$status" -ne 124 ] || echo "$name was stopped after $limit s"
        echo "FAIL $name (exit status $status)"
        ;;
    esac
}

# run_lane NUMBER TEST...
run_lane() {
    local lane=$1 test name before status privileged
    shift
    trap 'kill -TERM $(jobs -p) 2>/dev/null; exit 143' TERM INT
    for test in "$@"; do
        name=$(basename "$test" .test)
        privileged=$(grep -c '^ *need_root' "$test")
        before=$SECONDS
        run_one "$name" $((14000 + 6000 * lane)) &
        wait $!
        status=$?
        report "$name" $status $((SECONDS - before)) >"$B/e2e/report.$lane"
        flock "$B/e2e/lock" cat "$B/e2e/report.$lane"
        echo "$status $privileged" >>"$B/e2e/results.$lane"
    done
}

mkdir -p "$B/e2e"
rm -f "$B"/e2e/results.*
demo=() redis=() other=()
for test in "${tests[@]}"; do
    if grep -q referee-demo "$test"; then
        demo+=("$test")
    elif grep -qE 'redis-server|store\.py' "$test"; then
        redis+=("$test")
    else
        other+=("$test")
    fi
done
run_lane 0 "${demo[@]}" &
lanes=$!
run_lane 1 "${other[@]}" &
lanes+=" $!"
run_lane 2 "${redis[@]}" &
lanes+=" $!"
# shellcheck disable=SC2086
trap 'kill -TERM $lanes 2>/dev/null; wait; exit 143' TERM INT
wait

passed=0 failed=0 skipped=0 required=0 ran=0
while read -r status privileged; do
    case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
    if [ "$privileged" -gt 0 ]; then
        required=$((required + 1))
        [ "$status" -eq 77 ] || ran=$((ran + 1))
    fi
done < <(cat "$B"/e2e/results.* 2>/dev/null)

echo "privileged tests: $required required, $ran ran"
[ "${CI-}" != true ] || [ $ran -eq $required ] || failed=$((failed + required - ran))
echo "e2e: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $((passed + skipped)) -eq ${#tests[@]} ]
