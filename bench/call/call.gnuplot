# SPDX-License-Identifier: AGPL-3.0-or-later
# From bench/call/all.sh: terminal, out, data.
eval "set terminal ".terminal
set output out
set datafile missing "-"
set multiplot layout 2,3
set grid y
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 noborder
set xtics font ",7"
set yrange [0:*]
set key off
set title "CPU of a call at 1000/s, us"
plot data using 2:xtic(1)
set title "Calls/s with under 0.1 % failed"
plot data using 3:xtic(1)
set title "Memory of a held call, KiB"
plot data using 7:xtic(1)
set key outside bottom horizontal
set title "Transfers/s"
plot data using 8:xtic(1) title "attended", "" using 9 title "blind"
set title "Set-up at 1000/s, us (logarithmic)"
set logscale y
set yrange [10:*]
plot data using 4:xtic(1) title "p50", "" using 5 title "p99", "" using 6 title "p99.9"
unset multiplot
