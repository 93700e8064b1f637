#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# bench/engine/gate.sh BENCH-ENGINE: the numbers of bench/engine/instructions and held, counted again; more than 3 %
# over one of them fails. After a change that makes one less, write the new number there.
set -euo pipefail
passed=0 failed=0
while read -r scenario records limit; do
    [ "$records" = records ] || records=
    said=$(bench/engine/instructions.sh "$1" "$scenario" $records)
    count=$(sed -n 's/.*: \([0-9]*\) instructions.*/\1/p' <<<"$said")
    echo "$said, the file says $limit"
    if [ -n "$count" ] && [ "$count" -le $((limit * 103 / 100)) ]; then
        passed=$((passed + 1))
        [ "$count" -ge $((limit * 97 / 100)) ] || echo "    less than the file says: write $count into the file"
    else
        failed=$((failed + 1))
        echo "FAIL engine-count: $scenario: more than 3 % over the file"
    fi
done < <(sed '/^#/d' bench/engine/instructions)
said=$("$1" held 4000) limit=$(sed '/^#/d' bench/engine/held)
echo "$said, the file says $limit"
if awk -v limit="$limit" '{ for (i = 2; i < NF; i++) if ($i == "KiB") { ok = $(i - 1) <= limit * 1.03; exit } }
                          END { exit !ok }' <<<"$said"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAIL engine-count: held: more than 3 % over the file"
fi
echo "engine-count: $passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
