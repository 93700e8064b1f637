#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# bench/call/all.sh B [OPTION...]: all targets one after the other; tables on stdout, pictures in B/bench-calls.
set -eu
build=$1 folder=$1/bench-calls
shift
mkdir -p "$folder"
"$build/bench-call" --daemon "$build/refereed" --suite "$folder" --seconds 3 "$@"
for suffix in svg png; do
    terminal="${suffix/png/pngcairo} size 1200,700"
    gnuplot -e "terminal='$terminal'; out='$folder/call.$suffix'; data='$folder/call.dat'" bench/call/call.gnuplot
done
echo
echo "$folder/call.dat, call.svg, call.png"
