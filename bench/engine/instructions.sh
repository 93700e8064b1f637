#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# bench/engine/instructions.sh BENCH-ENGINE SCENARIO [records]: instructions within engine_step for each call, counted
# by callgrind: the difference of two runs, so that what comes first only is left out. The last line is the number. For
# `takeover`: for each record that is read.
set -euo pipefail
program=$1 scenario=$2 records=${3:-} few=200 many=600 collect=engine_step each=1 what=call
[ "$scenario" != takeover ] || collect=bench_engine_step each=2 what=record

count() {
    valgrind --tool=callgrind --toggle-collect="$collect" --callgrind-out-file=/dev/null \
        "$program" "$scenario" "$1" $records 2>&1 | awk '/Collected/ { print $NF }'
}

a=$(count $few)
b=$(count $many)
echo "$scenario${records:+ with records}: $(((b - a) / (many - few) / each)) instructions a $what"
