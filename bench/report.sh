#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# bench/report.sh B SECTION...: bench/REPORT.md, made of what these commands print now; a section that is not named
# stays as it was. Each says of which commit it is, how long it took, and how busy the machine was before and after it;
# times and rates of a busy machine are hints, instructions are not. Fails if a command did.
set -u
build=$1
shift
report=bench/REPORT.md
declare -A title=(
    [engine]="Instructions a call" [flood]="What nobody should have sent" [parse]="Parser"
    [store]="Store" [relay]="Relay" [call]="Calls" [curve]="Overload")
declare -A command=(
    [engine]="make engine-count" [flood]="make bench-flood" [parse]="make bench-parse ROUNDS=${ROUNDS:-31}"
    [store]="make bench-store" [relay]="make bench-relay" [call]="make bench-call"
    [curve]="make bench-curve PHASE=${PHASE:-4}")
# A picture that the command leaves in the build, kept beside the report.
declare -A picture=([call]=bench-calls/call.svg [relay]=bench-relay/relay.svg [curve]=bench-curve/curve.svg)
failed=()

for s in "$@"; do
    [ -n "${title[$s]:-}" ] || { echo "bench/report.sh: no section $s; there are: ${!title[*]}" >&2; exit 2; }
done

load() {
    cut -d' ' -f1-3 /proc/loadavg
}

section() {
    local before start=$SECONDS status
    before=$(load)
    echo
    echo "## ${title[$1]}"
    echo
    echo '```'
    echo "\$ ${command[$1]}"
    B=$build timeout 1200 ${command[$1]} --no-print-directory -s 2>&1 | grep -vE '^ +(cc|ar|ld|bpf|skel) '
    status=${PIPESTATUS[0]}
    echo '```'
    echo
    if [ "$status" = 0 ] && [ -n "${picture[$1]:-}" ]; then
        cp "$build/${picture[$1]}" "bench/$1.svg"
        echo "![${title[$1]}]($1.svg)"
        echo
    fi
    if [ "$status" != 0 ]; then
        failed+=("$1")
        echo "**Failed**: exit status $status."
    fi
    echo "Commit $(git describe --always --dirty 2>/dev/null), $((SECONDS - start)) s." \
        "Load average before: $before; after: $(load)."
}

# What the report has of a section.
former() {
    [ -f "$report" ] && awk -v head="## ${title[$1]}" '/^## / { on = $0 == head; if (on) print "" } on' "$report" |
        sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
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
    for s in engine flood parse store relay call curve; do
        case " $* " in
        *" $s "*) echo "$s: ${command[$s]}" >&2; section "$s" ;;
        *) former "$s" ;;
        esac
    done
} >"$report.new"
mv "$report.new" "$report"
echo "$report is written"
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
