#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/kill/run.sh PROGRAM LOGDIR [ARGUMENT...]: the kill matrix; each cell is a case, and one that is lost or did not
# run fails the stage.
set -u
program=$1 logs=$2
shift 2
mkdir -p "$logs"
"$program" "$@" >"$logs/kill.log" 2>&1
status=$?
cat "$logs/kill.log"
sum='s/^kill matrix: enumerated .*, run ([0-9]+), skipped ([0-9]+),.*, lost ([0-9]+)$/\1 \2 \3/p'
read -r run skipped bad < <(sed -nE "$sum" "$logs/kill.log")
[ -n "${run-}" ] || run=1 skipped=0 bad=1
bad=$((bad + skipped))
[ $status -eq 0 ] || [ $bad -gt 0 ] || bad=1
echo "kill: $((run - bad)) passed, $bad failed, $skipped skipped"
[ $bad -eq 0 ]
