#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# bench/call/curve.sh B SECONDS TARGET: the curve of goodput, phases of so many seconds; its picture in B/bench-curve.
set -eu
build=$1 folder=$1/bench-curve
mkdir -p "$folder"
"$build/bench-call" --daemon "$build/refereed" --target "$3" --curve "$folder" --seconds "$2"
gnuplot -e "out='$folder/curve.svg'; folder='$folder'" bench/call/curve.gnuplot
