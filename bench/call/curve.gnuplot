# SPDX-License-Identifier: AGPL-3.0-or-later
# From bench/call/curve.sh: out, folder.
set terminal svg size 1100,800
set output out
set multiplot layout 2,2
set grid
set key top left
set xlabel "offered, % of the capacity"
set ylabel "% of the capacity"
set xrange [0:320]
set yrange [0:*]
set title "Goodput"
plot x<=100 ? x : 100 title "ideal" lc "grey", \
     folder."/curve.dat" using 1:2 with linespoints lw 2 title "calls done", \
     "" using 1:3 with linespoints title "calls done, for the CPU it had", \
     "" using 1:4 with linespoints title "503"
set title "Set-up"
set ylabel "ms"
plot folder."/curve.dat" using 1:5 with linespoints title "p50", "" using 1:6 with linespoints title "p99"
set title "Half load, three times the capacity, half load"
set xlabel "s"
set ylabel "% of the capacity"
set xrange [*:*]
plot folder."/recovery.dat" using 1:2 with steps title "offered", "" using 1:3 with steps lw 2 title "calls done", \
     "" using 1:4 with steps title "503"
set title "Set-up, the same"
set ylabel "ms"
plot folder."/recovery.dat" using 1:5 with steps title "p50", "" using 1:6 with steps title "p99"
unset multiplot
