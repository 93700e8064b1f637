#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/ladder/run.sh LOGDIR [PLAYER]: plays every tests/ladder/*.ladder (script and expected trace) on the engine.
set -u
logs=$1 player=${2-}
mkdir -p "$logs"
passed=0 failed=0
shopt -s nullglob

for ladder in tests/ladder/*.ladder; do
    name=$(basename "$ladder" .ladder)
    if timeout "${LADDER_LIMIT:-60}" "$player" "$ladder" >"$logs/ladder-$name.log" 2>&1; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        status=$?
        cat "$logs/ladder-$name.log"
        echo "FAIL $name (exit status $status)"
        failed=$((failed + 1))
    fi
done

echo "ladders: $passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
