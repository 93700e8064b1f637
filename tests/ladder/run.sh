#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/ladder/run.sh LOGDIR [PLAYER]: plays every tests/ladder/*.ladder (script and expected trace) on the engine,
# twice: with durability = confirmed it must be the same, since the ladders' store answers at once, but where a ladder
# says why not. And
# those of wrong/, which must fail with the text that their first line names: that shows that the player can.
set -u
logs=$1 player=${2-}
mkdir -p "$logs"
passed=0 failed=0
shopt -s nullglob

for ladder in tests/ladder/*.ladder; do
    name=$(basename "$ladder" .ladder)
    play() {
        timeout "${LADDER_LIMIT:-60}" "$player" "$@" "$ladder" >"$logs/ladder-$name.log" 2>&1
    }
    if play && { grep -q '^# Not so with durability = confirmed:' "$ladder" || play --durable; }; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        status=$?
        cat "$logs/ladder-$name.log"
        echo "FAIL $name (exit status $status)"
        failed=$((failed + 1))
    fi
done

for ladder in tests/ladder/wrong/*.ladder; do
    name=wrong/$(basename "$ladder" .ladder) log=$logs/ladder-wrong-$(basename "$ladder" .ladder).log
    timeout "${LADDER_LIMIT:-60}" "$player" "$ladder" >"$log" 2>&1
    status=$?
    if [ $status -eq 1 ] && grep -qF "$(sed -n '1s/^# fails: //p' "$ladder")" "$log"; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        cat "$log"
        echo "FAIL $name (exit status $status, expected 1 and: $(head -n 1 "$ladder"))"
        failed=$((failed + 1))
    fi
done

echo "ladders: $passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
