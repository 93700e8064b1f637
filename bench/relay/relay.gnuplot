# SPDX-License-Identifier: AGPL-3.0-or-later
# From bench/relay/run.py: terminal, out, data, columns.
eval "set terminal ".terminal
set output out
set title "CPU time for a packet, whole path less the bare wire"
set ylabel "ns (logarithmic)"
set logscale y
set yrange [50:*]
set grid y
set key outside top horizontal
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 noborder
set xtics font ",8"
plot for [i=2:columns] data using i:xtic(1) title columnheader(i)
