#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# bench/report.sh B SECTION...: bench/REPORT.md, made of what these commands print now. Each section says how busy the
# machine was before and after it; times and rates of a busy machine are hints, instructions are not.
set -u
build=$1
shift
report=bench/REPORT.md
declare -A title=(
    [engine]="Instructions a call" [flood]="What nobody should have sent" [parse]="Parser"
    [store]="Store" [relay]="Relay" [call]="Calls")
declare -A command=(
    [engine]="make engine-count" [flood]="make bench-flood" [parse]="make bench-parse ROUNDS=${ROUNDS:-31}"
    [store]="make bench-store" [relay]="make bench-relay" [call]="make bench-call")

load() {
    cut -d' ' -f1-3 /proc/loadavg
}

section() {
    local before
    before=$(load)
    echo
    echo "## ${title[$1]}"
    echo
    echo '```'
    echo "\$ ${command[$1]}"
    B=$build ${command[$1]} --no-print-directory -s 2>&1 | grep -vE '^ +(cc|ar|ld|bpf) ' || true
    echo '```'
    echo
    echo "Load average before: $before; after: $(load)."
}

{
    echo "# Measured"
    echo
    echo "Made by \`make bench\`. Times and rates belong to the machine and to what else it did, which is said below"
    echo "each section; instructions are counted by callgrind and do not depend on it."
    echo
    echo "- Machine: $(nproc) cores of $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)," \
        "$(awk '/MemTotal/ { printf "%d GiB", $2 / 1048576 + 0.5 }' /proc/meminfo), Linux $(uname -r)"
    echo "- Compiler: $(${CC:-gcc} --version | head -n 1), -O2"
    for s in "$@"; do
        section "$s"
    done
} >"$report.new"
mv "$report.new" "$report"
echo "$report is written"
