#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/run.sh STAGE...: `make test`. Runs the stages in order, stops at the first that fails, adds up their counts.
# From the environment: MAKE, B.
set -u

# Seconds on two cores. Together they must stay under ten minutes.
declare -A budget=([build]=60 [tidy]=30 [unit]=60 [parse-count]=15 [engine-count]=25)
budget+=([ladders]=60 [kill-matrix]=120 [sim-smoke]=40 [fuzz-smoke]=120 [e2e]=180 [compilers]=80)
passed=0 failed=0 skipped=0
mkdir -p "$B"
log=$B/stage.log

sim_hash() {
    "build/$1/sim" --seed 1 --count 20 --hash --no-shrink | grep '^hash\|^FAIL'
    "build/$1/sim" --nodes --seed 1 --count 8 --hash --survey | grep '^hash'
}

# Both compilers take everything, tests included, without a warning.
compilers() {
    local cc good=0 bad=0
    for cc in gcc clang; do
        if $MAKE --no-print-directory -s -j2 CC=$cc B=build/$cc all programs-for-tests; then
            good=$((good + 1)) && echo "ok   $cc"
        else
            bad=$((bad + 1)) && echo "FAIL $cc"
        fi
    done
    # One seed, one run, whoever compiled it.
    if [ $bad -eq 0 ] && cmp -s <(sim_hash gcc) <(sim_hash clang); then
        good=$((good + 1)) && echo "ok   the simulator's traces are the same"
    else
        bad=$((bad + 1)) && echo "FAIL the simulator's traces differ"
    fi
    echo "compilers: $good passed, $bad failed, 0 skipped"
    [ $bad -eq 0 ]
}

run_stage() {
    case $1 in
    build) $MAKE --no-print-directory -s -j2 all programs-for-tests ;;
    compilers) compilers ;;
    *) $MAKE --no-print-directory -s -j2 "$1" ;;
    esac
}

add_up() {
    local good bad left
    while read -r good bad left; do
        passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
    done < <(sed -nE 's/^[a-z0-9 -]+: ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$log")
}

begin=$(date +%s)
result=0
for stage in "$@"; do
    echo "==== $stage (budget ${budget[$stage]} s)"
    before=$(date +%s)
    run_stage "$stage" 2>&1 | tee "$log"
    result=${PIPESTATUS[0]}
    took=$(($(date +%s) - before))
    add_up
    echo "---- $stage took $took s of ${budget[$stage]}$([ "$took" -le "${budget[$stage]}" ] || echo ': OVER BUDGET')"
    if [ "$result" -ne 0 ]; then
        [ $failed -gt 0 ] || failed=1
        echo "$stage failed; the stages after it were not run"
        break
    fi
done

echo "==== all took $(($(date +%s) - begin)) s"
echo "$passed passed, $failed failed, $skipped skipped"
exit "$result"
