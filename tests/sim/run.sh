#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/sim/run.sh SIMULATOR SECONDS: the fixed seeds 1 to 1000, or as many of them as fit; each is a case.
set -u
simulator=$1 seconds=$2
out=$("$simulator" --seed 1 --count 1000 --seconds "$seconds") && {
    tail -n 1 <<<"$out"
    echo "sim: $(sed -nE 's/^sim: ([0-9]+) seeds, .*/\1/p' <<<"$out") passed, 0 failed, 0 skipped"
    exit 0
}
cat <<<"$out"
echo "sim: 0 passed, 1 failed, 0 skipped"
exit 1
