#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/sim/run.sh SIMULATOR SECONDS: of worlds of nodes the seeds 1 to 20, in a fifth of the time, then of the others 1
# to 1000, or as many of them as fit; each is a case.
set -u
simulator=$1 seconds=$2
passed=0

run() {
    out=$("$simulator" --seed 1 "$@") || {
        cat <<<"$out"
        echo "sim: $passed passed, 1 failed, 0 skipped"
        exit 1
    }
    tail -n 1 <<<"$out"
    passed=$((passed + $(sed -nE 's/^sim: ([0-9]+) seeds, .*/\1/p' <<<"$out")))
}

run --nodes --count 20 --seconds $((seconds / 5))
run --count 1000 --seconds $((seconds - seconds / 5))
echo "sim: $passed passed, 0 failed, 0 skipped"
