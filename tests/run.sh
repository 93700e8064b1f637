#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/run.sh STAGE...: `make test`. Runs the stages in order, stops at the first that fails, adds up their counts.
# From the environment: MAKE, B.
#
# e2e mostly waits: for timers, for a node that is taken for dead. The stages behind it are compilers' work nearly all,
# so they run beside it, each of them with what it leaves of the processors (SCHED_IDLE), and are printed in their turn.
set -u

# Seconds on two cores. Together they must stay under ten minutes.
declare -A budget=([build]=60 [tidy]=30 [unit]=60 [parse-count]=15 [engine-count]=25)
budget+=([ladders]=40 [kill-matrix]=80 [sim-smoke]=40 [fuzz-smoke]=120 [e2e]=260 [compilers]=110)
passed=0 failed=0 skipped=0
mkdir -p "$B"

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

# add_up LOG
add_up() {
    local good bad left
    while read -r good bad left; do
        passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
    done < <(sed -nE 's/^[a-z0-9 -]+: ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$1")
}

# run_logged STAGE: what it prints to $B/stage.STAGE.log, too; its status and seconds to $B/stage.STAGE.end.
run_logged() {
    local before=$SECONDS status
    run_stage "$1" 2>&1 | tee "$B/stage.$1.log"
    status=${PIPESTATUS[0]}
    echo "$status $((SECONDS - before))" >"$B/stage.$1.end"
    return "$status"
}

run_beside() {
    local stage
    chrt --idle --pid 0 $BASHPID
    for stage in "$@"; do
        run_logged "$stage" >/dev/null || break
    done
}

# Of a stage that is over.
judge() {
    local took late=
    read -r result took <"$B/stage.$1.end"
    add_up "$B/stage.$1.log"
    [ "$took" -le "${budget[$1]}" ] || late=': OVER BUDGET'
    echo "---- $1 took $took s of ${budget[$1]}$late"
    [ "$result" -ne 0 ] || return 0
    [ $failed -gt 0 ] || failed=1
    echo "$1 failed; the stages after it were not run"
    return 1
}

# The process group of what runs beside.
beside=
stop_beside() {
    [ -z "$beside" ] || kill -TERM -- -"$beside" 2>/dev/null
}

start_beside() {
    set -m
    run_beside "$@" &
    beside=$!
    set +m
}

show_beside() {
    # Their own share again; who is not root has to do without.
    pgrep -g "$beside" | xargs -r -n 1 chrt --other --pid 0 2>/dev/null
    wait "$beside"
    beside=
    for stage in "$@"; do
        echo "==== $stage (budget ${budget[$stage]} s, beside e2e)"
        cat "$B/stage.$stage.log"
        judge "$stage" || break
    done
}

begin=$SECONDS
result=0
rm -f "$B"/stage.*
trap 'stop_beside; exit 143' TERM INT
while [ $# -gt 0 ]; do
    stage=$1
    shift
    echo "==== $stage (budget ${budget[$stage]} s)"
    [ "$stage" != e2e ] || [ $# -eq 0 ] || start_beside "$@"
    run_logged "$stage"
    judge "$stage" || break
    if [ -n "$beside" ]; then
        show_beside "$@"
        break
    fi
done
stop_beside

echo "==== all took $((SECONDS - begin)) s"
echo "$passed passed, $failed failed, $skipped skipped"
exit "$result"
