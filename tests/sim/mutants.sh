#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/sim/mutants.sh DIR: plants each fault of mutants.txt in a scratch copy under DIR, builds the simulator of it and
# runs the fixed seeds. A fault that is not found within them lives, and that is a failure: of the simulator.
# With --check in place of DIR: whether each script still finds its line, and nothing is built.
set -u
dir=$1
table=${MUTANTS:-tests/sim/mutants.txt}
killed=0 alive=0

if [ "$dir" = --check ]; then
    while IFS='|' read -r class file script; do
        case $class in '#'* | '') continue ;; esac
        if sed -E "${script# }" "${file// /}" | cmp -s - "${file// /}"; then
            echo "FAIL mutants-check: ${class%% }: the script changes nothing in${file}"
            alive=$((alive + 1))
        else
            killed=$((killed + 1))
        fi
    done <"$table"
    echo "mutants-check: $killed passed, $alive failed, 0 skipped"
    [ $alive -eq 0 ]
    exit
fi

rm -rf "$dir/tree"
mkdir -p "$dir/tree/tests" "$dir/tree/build"
cp -rp Makefile deploy core parser rtp store "$dir/tree"
cp -rp tests/sim "$dir/tree/tests"
touch "$dir/tree/build/deps.build"
build="make --no-print-directory -s -C $dir/tree B=build/mutant CFLAGS=-Wno-error OPT=-O1 build/mutant/sim"
$build >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; echo "mutants: the copy does not build"; exit 1; }

printf '%-44s %-8s %s\n' FAULT VERDICT 'SEED AND FINDING'
while IFS='|' read -r class file script; do
    class=${class%% } file=${file// /} script=${script# }
    case $class in '#'* | '') continue ;; esac
    cp -p "$dir/tree/$file" "$dir/original"
    sed -i -E "$script" "$dir/tree/$file"
    if cmp -s "$dir/original" "$dir/tree/$file"; then
        verdict='NO SUCH' found="the script changes nothing in $file"
    elif ! $build >"$dir/build.log" 2>&1; then
        verdict='NO BUILD' found=$(grep -m 1 error "$dir/build.log")
    else
        worlds=(--seed 1 --count "${MUTANT_SEEDS:-50}")
        case $class in
            nodes:*) worlds=(--nodes --seed 1 --count 30) ;;
            shards:*) worlds=(--shards --seed 1 --count 30) ;;
            faults:*) worlds+=(--faults) ;;
        esac
        found=$(timeout 300 "$dir/tree/build/mutant/sim" "${worlds[@]}" --no-shrink 2>&1)
        status=$?
        verdict=ALIVE
        [ $status -eq 0 ] || verdict=killed
        found=$(sed -nE 's/^FAIL seed ([0-9]+) .* s: (.*)/\1: \2/p' <<<"$found" | head -n 1)
        [ -n "$found" ] || found="exit status $status"
    fi
    printf '%-44s %-8s %.100s\n' "$class" "$verdict" "$found"
    if [ "$verdict" = killed ]; then killed=$((killed + 1)); else alive=$((alive + 1)); fi
    cp -p "$dir/original" "$dir/tree/$file"
    touch "$dir/tree/$file"
done <"$table"

echo "sim-mutants: $killed passed, $alive failed, 0 skipped"
[ $alive -eq 0 ]
