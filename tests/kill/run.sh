#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/kill/run.sh PROGRAM LOGDIR [ARGUMENT...]: the kill matrix; each cell is a case. What is lost and stands in
# tests/kill/known.txt, by flow and nodes with a reason and a highest number, does not fail the stage, and is printed.
set -u
program=$1 logs=$2
shift 2
mkdir -p "$logs"
"$program" "$@" >"$logs/kill.log" 2>&1
status=$?
grep -v '^LOST' "$logs/kill.log"
known=0 bad=0
while read -r count part; do
    line=$(grep "^$part " tests/kill/known.txt)
    limit=$(awk '{ print $2 }' <<<"$line")
    if [ "$count" -le "${limit:-0}" ]; then
        known=$((known + count))
        echo "known $part: $count lost: ${line#* * }"
    else
        bad=$((bad + count))
        grep "^LOST $part/" "$logs/kill.log"
        echo "FAIL $part: $count lost, known: ${limit:-0}"
    fi
done < <(sed -nE 's|^LOST ([a-z-]+/[a-z0-9-]+)/.*|\1|p' "$logs/kill.log" | sort | uniq -c)
sum='s/^kill matrix: enumerated .*, run ([0-9]+), skipped ([0-9]+),.*/\1 \2/p'
read -r run skipped < <(sed -nE "$sum" "$logs/kill.log")
[ $status -eq 0 ] || [ $((known + bad)) -gt 0 ] || bad=1
[ -n "${run-}" ] || { cat "$logs/kill.log" && run=1 skipped=0 bad=1; }
[ "$skipped" -eq 0 ] || bad=$((bad + skipped))
echo "of what was lost, $known cells are known"
echo "kill: $((run - bad)) passed, $bad failed, $skipped skipped"
[ $bad -eq 0 ]
