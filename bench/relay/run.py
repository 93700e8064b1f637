#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""bench/relay/run.py [--calls 100,1000,4000] [--rates 50000,150000,300000] [--seconds 1] [--passes 6] [--relays ...]

Relays side by side in one run: the bare wire, a bare hop (ends.bpf.c: each frame goes back as it came, so this is what
a second passage of a veth costs whoever relays), refereed by tc, by XDP, in user space, and rtpengine (user space, one
thread). By tc packets go straight to the other end of the veth; "device" is tc where something queues at our end (a
pfifo), so that they leave by the device, as they must by a network card. "packet" is user space, sending by a packet
socket; "user" by its ports' sockets. Each has a network namespace and a veth of its own to the parties' namespace; all
have the same calls up. Then, for each number of calls and each rate (0: as many as go), one after the other and again:
A B A B. Relay on CPU 0, load generator on CPU 1, both before all else there (SCHED_FIFO). 300000 packets a second are
more than a relay in user space takes. Ten minutes.

Memory: resident with so many calls up, their transactions of the last 32 s too, less that of the idle daemon. The
media's own part is what refereed in user space has more than another one that has the same calls with media.anchor no.

ns a packet: time of the generator's sending (in which a veth's other end runs, and so tc and XDP; it runs before all
else on its CPU), CPU time of the relay and of ksoftirqd, less what the bare wire costs for as many packets sent,
divided by the packets that came through; no less than the relay's own, where what was lost cost the sender less than
the wire.
"""
import argparse
import glob
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

from calls import Ng, Sip

B = os.environ.get("B", "build/gcc")
OUT = f"{B}/bench-relay"
NAME = f"rb{os.getpid()}"
RELAYS = ("wire", "tc", "xdp", "user", "rtpengine", "hop", "device", "packet")
# For its memory only: the same calls as `user`, and their media does not come here.
UNANCHORED = "sip only"
# Before whatever else runs here.
ON_CPU = ("chrt", "-f", "20", "taskset", "-c")
PORTS = (20000, 36001)


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True).stdout


def inside(space, command):
    return ["nsenter", f"--net=/run/netns/{space}", *command]


def schedstat(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def ksoftirqd():
    return [int(p) for p in sh("pgrep ksoftirqd", check=False).split()]


class Relay:
    def __init__(self, kind):
        self.kind, self.number = kind, (*RELAYS, UNANCHORED).index(kind)
        self.space, self.device = f"{NAME}-{self.number}", f"rb{self.number}"
        self.here, self.there = f"10.9{self.number}.0.2", f"10.9{self.number}.0.1"
        self.process = self.calls = None
        self.rss = {}

    def wire(self):
        sh(f"ip netns add {self.space}")
        sh(f"ip link add {self.device} type veth peer name {self.device} netns {self.space}")
        for prefix, address in (("", self.here), (f"-n {self.space}", self.there)):
            sh(f"ip {prefix} addr add {address}/24 dev {self.device}; ip {prefix} link set {self.device} up")
        sh(f"ip -n {self.space} link set lo up; ip -n {self.space} route add 10.200.0.0/16 via {self.here}")
        self.mac = re.search(r"link/ether (\S+)", sh(f"ip -n {self.space} link show {self.device}"))[1]
        self.ingress(f"tc -n {self.space}" if self.kind == "wire" else "tc", "sink")
        if self.kind == "xdp":
            sh(f"ip link set dev {self.device} xdpdrv obj {OUT}/ends.o sec xdp")
        if self.kind == "hop":
            self.ingress(f"tc -n {self.space}", "hop")
        if self.kind == "device":
            sh(f"tc -n {self.space} qdisc add dev {self.device} root pfifo")

    def ingress(self, tc, program):
        sh(f"{tc} qdisc add dev {self.device} clsact")
        sh(f"{tc} filter add dev {self.device} ingress bpf da obj {OUT}/ends.o sec tc/{program}")

    def command(self):
        if self.kind == "rtpengine":
            return ["rtpengine", "--table=-1", "--num-threads=1", f"--interface={self.there}", "--foreground",
                    f"--listen-ng={self.there}:2223", f"--port-min={PORTS[0]}", f"--port-max={PORTS[1]}",
                    "--timeout=7200", "--silent-timeout=7200", "--log-stderr", "--log-level=3", "--no-fallback"]
        config = f"{OUT}/{self.kind}.yaml"
        mode = {"tc": "tc", "device": "tc", "xdp": "xdp", "packet": "packet"}.get(self.kind, "off")
        anchor = "no" if self.kind == UNANCHORED else "yes"
        with open(config, "w", encoding="ascii") as f:
            f.write(f"""version: 1
sip: {{listen: ["{self.there}:5060"]}}
media: {{ports: {PORTS[0]}-{PORTS[1]}, fastpath: {mode}, fastpath_pins: "off", anchor: "{anchor}"}}
limits: {{calls: 4100, transactions: 64k, emergency_reserve: 0}}
store: {{records: 32k}}
admin: {{socket: "off"}}
peers: [{{name: load, address: {self.here}, trusted: true}}]
routes: [{{name: far, next_hop: "{self.here}:5070"}}]
""")
        return [f"{B}/refereed", "-c", config]

    def start(self):
        self.wire()
        if self.kind not in ("wire", "hop"):
            self.begin()

    def begin(self):
        log = open(f"{OUT}/{self.kind}.log", "w", encoding="ascii")
        self.process = subprocess.Popen(inside(self.space, [*ON_CPU, "0", *self.command()]), stdout=log,
                                        stderr=log)
        self.calls = Ng(self.there) if self.kind == "rtpengine" else Sip(self.there, self.here)
        self.wait()
        self.rss[0] = self.memory()

    def is_ready(self):
        if self.kind == "rtpengine":
            return ":2223 " in sh(" ".join(inside(self.space, ["ss", "-Hlnu"])))
        with open(f"{OUT}/{self.kind}.log", encoding="ascii") as f:
            return " ready: " in f.read()

    def wait(self):
        for _ in range(400):
            if self.is_ready():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        sys.exit(f"{self.kind} does not start: see {OUT}/{self.kind}.log")

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

    def fill(self, calls):
        """New calls in a new process: a flood leaves some relays with streams that are dead."""
        if not self.calls:
            return
        self.end()
        self.begin()
        self.calls.make(calls)
        self.rss[calls] = self.memory()

    def flows(self, calls):
        """In a random order, the same for all."""
        if self.calls:
            flows = self.calls.flows(self.there, calls)
        else:
            flows = [(f"10.200.{p // 200}.{p % 200 + 1}", 4000, self.there, PORTS[0] + p) for p in range(2 * calls)]
        random.Random(1).shuffle(flows)
        path = f"{OUT}/{self.kind}.flows"
        with open(path, "w", encoding="ascii") as f:
            f.writelines("%s %d %s %d\n" % flow for flow in flows)
        return path

    def measure(self, path, rate, seconds):
        command = [*ON_CPU, "1", f"{B}/bench-relay-load", path, self.device, self.mac, str(rate), str(seconds)]
        if self.kind == "wire":
            command += [self.device, f"/run/netns/{self.space}"]
        threads = ksoftirqd() + ([self.process.pid] if self.process else [])
        before = [schedstat(p) for p in threads]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            sys.exit(run.stderr)
        result = json.loads(run.stdout)
        result["relay_ns"] = sum(schedstat(p) - b for p, b in zip(threads, before))
        return result

    def end(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.calls.close()

    def stop(self):
        self.end()
        sh(f"ip link del {self.device}; ip netns del {self.space}", check=False)


def cost(kind, m, wire):
    """Not a number where less than half came through: there is nothing to divide by."""
    if m["received"] < 0.5 * m["sent"]:
        return math.nan
    whole = m["send_ns"] + m["relay_ns"] - (0 if kind == "wire" else wire * m["sent"])
    return max(whole, m["relay_ns"]) / max(1, m["received"])


def cell(relays, calls, rate, options):
    """Each relay in turn, `passes` times; medians."""
    found = {r.kind: [] for r in relays}
    paths = {r.kind: r.flows(calls) for r in relays}
    for r in relays:
        r.measure(paths[r.kind], 50000, 0.5)
    for _ in range(options.passes):
        for r in relays:
            found[r.kind].append(r.measure(paths[r.kind], rate, options.seconds))
    wire = statistics.median((m["send_ns"] + m["relay_ns"]) / m["sent"] for m in found["wire"])
    rows = []
    for r in relays:
        ns = [cost(r.kind, m, wire) for m in found[r.kind]]
        total = {k: sum(m[k] for m in found[r.kind]) for k in ("sent", "received", "bad", "disorder")}
        row = {"relay": r.kind, "calls": calls, "rate": rate, "ns": statistics.median(ns), "spread": max(ns) - min(ns),
               "offered": total["sent"] / options.passes / options.seconds,
               "pps": total["received"] / options.passes / options.seconds,
               "loss": 1 - total["received"] / total["sent"], "bad": total["bad"], "disorder": total["disorder"]}
        row |= {k: statistics.median(m[k] for m in found[r.kind]) for k in ("p50_us", "p99_us", "max_us")}
        rows.append(row)
        print(line(row), flush=True)
    return rows


HEAD = (f"{'relay':10} {'calls':>5} {'offered':>8} {'through':>8} {'loss %':>7} {'ns/packet':>9} {'spread':>7} "
        f"{'p50 us':>7} {'p99 us':>7} {'max us':>7} {'bad':>4}")


def line(r):
    return (f"{r['relay']:10} {r['calls']:5} {r['offered']:8.0f} {r['pps']:8.0f} {100 * r['loss']:7.2f} {r['ns']:9.0f} "
            f"{r['spread']:7.0f} {r['p50_us']:7.0f} {r['p99_us']:7.0f} {r['max_us']:7.0f} {r['bad']:4}")


def ratios(rows):
    lines = []
    for calls, rate in sorted({(r["calls"], r["rate"]) for r in rows}):
        by = {r["relay"]: r for r in rows if (r["calls"], r["rate"]) == (calls, rate)}
        if "rtpengine" in by:
            parts = [f"{k} {by['rtpengine']['ns'] / by[k]['ns']:.1f}" for k in ("tc", "device", "xdp", "packet", "user")
                     if k in by and by[k]["ns"] > 0 and by["rtpengine"]["ns"] > 0] or ["(too little came through)"]
            p99 = [f"{k} {by[k]['p99_us'] - by['wire']['p99_us']:+.0f}" for k in ("hop", "tc", "device", "xdp")
                   if k in by]
            lines.append(f"{calls:5} calls, {rate or 'all'} pps: rtpengine costs so many times as much as "
                         f"{', '.join(parts)}; p99 against the wire's, us: {', '.join(p99)}")
    return lines


def judged(what, values, goal, least):
    """The worst of the cells: against its goal, which is the least that will do, or the most."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return f"{what:58} {'-':>8}  goal {goal:5}  not measured"
    worst = min(known) if least else max(known)
    held = worst >= goal if least else worst <= goal
    some = "" if len(known) == len(values) else f", in {len(known)} of {len(values)} cells: else too little came"
    return f"{what:58} {worst:8.2f}  goal {goal:5}  {'held' if held else 'MISSED'}{some}"


def goals(rows, kib_a_call):
    """By the worst of all numbers of calls."""
    at = {(r["relay"], r["calls"], r["rate"]): r for r in rows}
    calls = sorted({r["calls"] for r in rows})
    rates = sorted({r["rate"] for r in rows}, key=lambda rate: rate or math.inf)

    def cheaper(kind, rate):
        pairs = [(at.get(("rtpengine", n, rate)), at.get((kind, n, rate))) for n in calls]
        return [a["ns"] / b["ns"] if b["ns"] > 0 else math.nan for a, b in pairs if a and b]

    def at_most(kind):
        """At the highest rate of which enough comes through both."""
        known = [[at[(k, n, rate)]["ns"] for k in ("rtpengine", kind)] for n in calls for rate in most(kind, n)]
        return [a / b for a, b in known]

    def most(kind, n):
        both = [[at.get((k, n, rate), {"ns": math.nan})["ns"] for k in ("rtpengine", kind)] for rate in rates]
        return [rate for rate, ns in zip(rates, both) if all(v > 0 for v in ns)][-1:]

    def at_its_own(kind):
        """Each of the two at the highest rate of which half came through it: as whoever is at 100 % costs."""
        own = [[[at[(k, n, rate)]["ns"] for rate in rates if (k, n, rate) in at and at[(k, n, rate)]["ns"] > 0][-1:]
                for k in ("rtpengine", kind)] for n in calls]
        return [a[0] / b[0] for a, b in own if a and b]

    def p99(kind, less):
        pairs = [(at.get((kind, n, 150000)), at.get((less, n, 150000))) for n in calls]
        return [a["p99_us"] - (b["p99_us"] if b else 0) for a, b in pairs if a]

    found = [judged(f"{kind}: CPU a packet, rtpengine's as many times, {name}", values, goal, True)
             for kind, name, values, goal in (("tc", "at saturation", at_most("tc"), 10),
                                              ("tc", "at 50 000 pps", cheaper("tc", 50000), 20),
                                              ("packet", "at saturation", at_most("packet"), 1.5),
                                              ("packet", "each at its own", at_its_own("packet"), 1.5),
                                              ("user", "at saturation", at_most("user"), 1.5),
                                              ("user", "each at its own", at_its_own("user"), 1.5))]
    found.append(judged("tc: p99 at 150 000 pps, us", p99("tc", None), 20, False))
    found.append(judged("tc: the same, more than the wire's", p99("tc", "wire"), 5, False))
    found.append(judged("tc: the same, more than a bare hop's", p99("tc", "hop"), 5, False))
    if "user" in kib_a_call:
        own = kib_a_call["user"] - kib_a_call[UNANCHORED]
        found.append(judged("user: RSS a call, media's own part, KiB", [own], 1, False))
        found.append(judged("user: RSS a call, its SIP and all, KiB", [kib_a_call["user"]], 3, False))
    return ["Goals, the worst of all numbers of calls; saturation is the highest rate of which at least half came",
            "through rtpengine, too; its own, through that relay:", *found, ""]


def memory_line(r, kib_a_call):
    less, most = sorted(r.rss)[-2:]
    kib_a_call[r.kind] = (r.rss[most] - r.rss[0]) / most
    further = (r.rss[most] - r.rss[less]) / (most - less)
    return (f"{r.kind:10} RSS {r.rss[0]} KiB, with {most} calls {r.rss[most]} KiB: "
            f"{kib_a_call[r.kind]:.2f} KiB a call, {further:.2f} a further one")


def plot(rows):
    """A bar a relay, in groups of calls and rate. False: not drawn."""
    groups = sorted({(r["calls"], r["rate"] or 10**9) for r in rows})
    kinds = [k for k in RELAYS if k not in ("wire", "hop") and any(r["relay"] == k for r in rows)]
    with open(f"{OUT}/relay.dat", "w", encoding="ascii") as f:
        f.write("cell " + " ".join(kinds) + "\n")
        for calls, rate in groups:
            at = {r["relay"]: r["ns"] for r in rows if (r["calls"], r["rate"] or 10**9) == (calls, rate)}
            name = f"{calls} calls\\n" + ("saturation" if rate == 10**9 else f"{rate // 1000}k pps")
            f.write(f'"{name}" ' + " ".join(f"{max(1, at.get(k, 1)):.0f}" for k in kinds) + "\n")
    if not shutil.which("gnuplot"):
        return False
    for terminal, suffix in (("svg size 1100,500", "svg"), ("pngcairo size 1100,500", "png")):
        sh(f"gnuplot -e \"terminal='{terminal}'; out='{OUT}/relay.{suffix}'; data='{OUT}/relay.dat'; "
           f"columns={len(kinds) + 1}\" bench/relay/relay.gnuplot")
    return True


def own_ports():
    """Each namespace made from here on has a table of UDP ports for itself, as a machine has. In one for all, the ports
    that six idle relays have bound stand in the way of each packet for the one that is measured."""
    try:
        with open("/proc/sys/net/ipv4/udp_child_hash_entries", "w", encoding="ascii") as f:
            f.write("65536")
    except OSError as e:
        print(f"one table of UDP ports for all relays: {e}")


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=numbers, default=[100, 1000, 4000])
    parser.add_argument("--rates", type=numbers, default=[50000, 150000, 300000])
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--relays", default="wire,hop,tc,device,xdp,packet,user,rtpengine")
    options = parser.parse_args()
    kinds = options.relays.split(",")
    if not shutil.which("rtpengine") and "rtpengine" in kinds:
        print("rtpengine is not installed and left out")
        kinds.remove("rtpengine")
    os.makedirs(OUT, exist_ok=True)
    if os.environ.get("BENCH_SPACE") is None:
        sh(f"ip netns add {NAME}")
        try:
            sys.exit(subprocess.call(inside(NAME, [sys.executable, *sys.argv]), env={**os.environ, "BENCH_SPACE": "1"}))
        finally:
            sh(f"ip netns del {NAME}", check=False)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sh("ip link set lo up")
    own_ports()
    sh("clang -target bpf -O2 -g -I/usr/include/$(uname -m)-linux-gnu -c bench/relay/ends.bpf.c"
       f" -o {OUT}/ends.o")
    relays, rows = [Relay(k) for k in kinds], []
    plain = [Relay(UNANCHORED)] if "user" in kinds else []
    try:
        for r in relays + plain:
            r.start()
        print(HEAD, flush=True)
        for calls in options.calls:
            for r in relays + plain:
                r.fill(calls)
            for rate in options.rates:
                rows += cell(relays, calls, rate, options)
        report = [HEAD, *map(line, rows), "", *ratios(rows), ""]
        kib_a_call = {}
        for r in relays + plain:
            if r.process:
                report.append(memory_line(r, kib_a_call))
        report += ["", *goals(rows, kib_a_call)]
        print("\n".join(report[len(rows) + 1:]))
        with open(f"{OUT}/table.txt", "w", encoding="ascii") as f:
            f.write("\n".join(report) + "\n")
        with open(f"{OUT}/results.json", "w", encoding="ascii") as f:
            json.dump(rows, f, indent=1)
        drawn = plot(rows)
        print(f"{OUT}/table.txt, " + ("relay.svg, relay.png" if drawn else "relay.dat; no plot: gnuplot is not there"))
    finally:
        for r in relays + plain:
            r.stop()


main()
