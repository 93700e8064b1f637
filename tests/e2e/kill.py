#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill.py NET NODES vip|balancer [FLOW[.STAGE]...]: the real kill matrix. Calls of each flow are brought to each of its
stages, all at a node of their own choice; then that node is killed, once for all of them, and everybody goes on. Each
cell: the transfer completes, or is rolled back and the transferor is told; both hear each other; BYE works from either
side; nothing is left in the nodes and in Redis. Without names all cells are run."""
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import nodes
import sip
from kill_phones import Loop, Phone
from nodes import Cluster, Node
from sip import check, wait_for

NET, COUNT, FRONT = sys.argv[1], int(sys.argv[2]), sys.argv[3]
VIP, HUB, REDIS = "10.97.1.100", "10.97.1.254", ("10.97.3.254", 6379)
ADDRESS = {"a": "10.97.1.101", "b": "10.97.1.102", "c": "10.97.1.103", "r": "10.97.1.104"}
LIMIT = 40
GAP_LIMIT = 20  # seconds from the node's death until both hear each other, however busy the machine is

# Where everybody stands still until the node is dead: phone and what it has just been sent, or None: when the REFER is
# to be sent; "over": when the transfer is over.
STAGES = {
    "attended": {"talking": None, "target": ("c", "INVITE replaces"),
                 "ended": ("c", "200 BYE"), "transferee": ("a", "INVITE sendrecv"), "told": ("b", "NOTIFY 200"),
                 "over": "over"},
    "blind": {"accepted": ("b", "202 REFER"), "target": ("c", "INVITE"), "transferee": ("a", "INVITE sendrecv"),
              "told": ("b", "NOTIFY 200"), "over": "over"},
    "semi": {"ringing": ("c", "INVITE"), "accepted": ("b", "202 REFER"), "joined": ("c", "INVITE sendrecv"),
             "told": ("b", "NOTIFY 200")},
    "relay": {"referred": ("a", "REFER"), "target": ("c", "INVITE sendrecv"), "told": ("b", "NOTIFY 200"),
              "over": "over"},
}


class Front:
    """What stands between phones and nodes: an address that moves to another node, or a balancer by Call-ID."""

    def __init__(self, cluster):
        self.cluster, self.host, self.alive = cluster, VIP, list(cluster.nodes)
        if FRONT == "vip":
            self.move(self.alive[0])

    def move(self, node):
        """Every node has the address; the route says who gets what is sent there."""
        subprocess.run(["ip", "route", "replace", f"{VIP}/32", "via", node.host, "dev", "sip"], check=True)

    def send(self, sock, data):
        node = None
        if FRONT == "balancer":
            found = data.split(b"\r\nCall-ID: ", 1)
            node = self.alive[sum(found[1].split(b"\r\n")[0]) % len(self.alive)] if len(found) > 1 else self.alive[0]
        sock.sendto(data, (node.host if node else VIP, 5060))

    def died(self, node):
        """As its health check would notice."""
        self.alive.remove(node)
        if FRONT == "vip" and node is self.cluster.nodes[0]:
            self.move(self.alive[0])


class Cell:
    def __init__(self, loop, front, number, flow, stage):
        self.cluster, self.number, self.flow, self.stage = front, number, flow, stage
        self.phones, self.frozen, self.at_stage, self.why = [], False, False, ""
        self.stop, port = STAGES[flow][stage], 5100 + number
        role = "r" if flow == "relay" else "b"
        self.a, self.b, self.c = (Phone(loop, f"{n}{number:03}", ADDRESS[n], port, self) for n in ("a", role, "c"))
        self.ab = self.ba = self.bc = self.last = self.heard = None
        self.step, self.since, self.killed, self.gap, self.outcome = "call", 0, 0, 0, ""
        self.offers_at = 0
        self.ready = False

    name = property(lambda self: f"{self.flow}.{self.stage}")

    def uri(self, phone):
        return f"sip:{phone.name}@{self.cluster.host}"

    def rings(self, phone):
        return 1.5 if self.flow == "semi" and phone is self.c else 0.05

    def freeze(self):
        self.frozen = self.at_stage = True

    def saw(self, phone, m):
        """The message that this cell waits for."""
        if self.at_stage or not isinstance(self.stop, tuple) or self.step not in ("refer", "told"):
            return
        who, what = self.stop
        text = f"{m.status or m.method} {m.method if m.status else ''}".strip()
        text += " replaces" if m.get("Replaces") else ""
        text += " sendrecv" if m.is_request and sip.direction_of(m.body) == "sendrecv" and m.body else ""
        text += f" {m.body.split()[1]}" if m.method == "NOTIFY" and m.is_request and m.body else ""
        if who == {self.a: "a", self.b: "b", self.c: "c"}[phone] and set(what.split()) <= set(text.split()):
            self.freeze()

    # -- what people do

    def go(self, step):
        self.step, self.since = step, time.monotonic()

    def heard_for(self, seconds):
        """Both parties of a transfer that is over hear each other for so long."""
        until = time.monotonic() - seconds
        return all((at := s[0].hears(whom, 0)) and at < until
                   for s, whom in ((self.live(self.a), "c"), (self.live(self.c), "a")) if s)

    def live(self, phone):
        return [s for s in phone.sides if s.up and not s.ended]

    def turn(self):
        if not self.frozen and not self.why:
            getattr(self, f"do_{self.step}")()
            if time.monotonic() - self.since > LIMIT and self.step not in ("call", "refer", "discard", "over"):
                self.why = f"stands still at {self.step}, told {self.ba.told}: " + ", ".join(
                    f"{p.name} in {len(self.live(p))} calls" for p in self.phones)

    def do_call(self):
        if not self.ab:
            self.ab = self.a.dial(self.uri(self.b))
        self.ba = next(iter(self.live(self.b)), None)
        if self.ab.up and self.ba:
            self.go("hold")

    def held(self, side, step):
        if side.ended:
            self.why = "a call that was established is lost"
        elif not side.open and side.direction != "sendonly":
            side.offer("sendonly")
        elif not side.open and side.final.get("INVITE") == 200:
            self.go(step)
        elif not side.open:
            side.direction = "sendrecv"

    def do_hold(self):
        self.held(self.ba, "refer" if self.flow == "blind" else "consult")

    def do_consult(self):
        if not self.bc:
            self.bc = self.b.dial(self.uri(self.c))
        if self.flow == "semi" and "tag=" in self.bc.remote:
            self.go("refer")
        elif self.flow != "semi" and self.bc.up:
            self.go("hold_c")

    def do_hold_c(self):
        self.held(self.bc, "refer")

    def bucket(self, side):
        return int(side.tag(side.remote)[3:6], 16)

    def do_discard(self):
        """It is at another node: everybody hangs up."""
        for phone in self.phones:
            for side in self.live(phone):
                side.bye()

    def do_refer(self):
        if not self.ready:
            return
        if self.stop is None and not self.at_stage:
            self.freeze()
            return
        to = self.uri(self.c)
        if self.flow != "blind":
            replaces = (f"{self.bc.call_id};to-tag={self.bc.tag(self.bc.remote)};"
                        f"from-tag={self.bc.tag(self.bc.local)}")
            to += f"?Replaces={quote(replaces, safe='')}"
        self.go("told")
        self.ba.request("REFER", [f"Refer-To: <{to}>"])

    def do_told(self):
        if self.ba.refer >= 300 and not self.ba.told:
            self.ba.told = self.ba.refer
        if self.ba.told:
            self.go("after")

    def do_after(self):
        if self.ba.told < 300:
            self.ba.bye()
            self.go("join")
        elif self.ba.open or time.monotonic() < self.offers_at:
            return
        elif self.ba.direction == "sendrecv" and self.ba.final.get("INVITE") == 200:
            self.go("join")
        elif self.ba.direction == "sendrecv":
            # Refused, by 491: it has crossed one of the node's. It is as before, for a while (RFC 3261, 14.1).
            self.ba.direction, self.offers_at = "sendonly", time.monotonic() + random.uniform(0, 2)
        else:
            if self.bc and self.bc.up:
                self.bc.bye()
            self.ba.offer("sendrecv")

    def do_join(self):
        """Both hear each other, and nobody else is left."""
        other = self.c if self.ba.told < 300 else self.b
        third = self.b if other is self.c else self.c
        if self.stop == "over" and not self.at_stage and len(self.live(self.a)) == len(self.live(self.c)) == 1:
            self.freeze()
        mine, theirs = self.live(self.a), self.live(other)
        if len(mine) != 1 or len(theirs) != 1 or self.live(third) or not self.killed:
            return
        # What was on its way when the node died does not count.
        since = self.killed + 0.2
        heard = mine[0].hears(other.name[0], since), theirs[0].hears("a", since)
        if all(heard):
            self.gap = max(heard) - self.killed
            if self.stop == "over":
                self.why = ", ".join(f"{s.phone.name}: {why}" for s in (mine[0], theirs[0])
                                     if (why := s.jumps(self.killed + 0.2)))
            if self.gap > GAP_LIMIT:
                self.why = f"they hear each other after {self.gap:.1f} s only"
            self.outcome = "completed" if other is self.c else "rolled back"
            self.last, self.heard = (mine[0], theirs[0]) if self.number % 2 else (theirs[0], mine[0])
            self.last.bye()
            self.go("bye")

    def do_bye(self):
        if self.last.final.get("BYE", 0) >= 300:
            self.why = f"BYE is answered {self.last.final['BYE']}"
        elif self.last.final.get("BYE") and self.heard.got_bye:
            self.go("over")

    def do_over(self):
        pass


def make_node(number, count):
    host = f"10.97.1.{number}"
    node = Node(number, host, 5060, f"10.97.2.{number}:7060", f"{REDIS[0]}:{REDIS[1]}", f"{NET}-{number}",
                f"{VIP}:5060")
    node.config["users"] = []
    node.config["sip"].update(listen=[f"{VIP if FRONT == 'vip' else host}:5060"], t1="500ms")
    node.config["media"]["ports"] = "30000-30999"
    node.config["media"]["address"] = host
    node.config["limits"].update(calls=500, transactions="4k")
    node.config["peers"] = [{"name": k, "address": v, "trusted": True, "transfer": "relay" if k == "r" else "local"}
                            for k, v in ADDRESS.items()]
    node.config["routes"] = [{"name": k, "prefix": f"{k}{i:03}", "next_hop": f"{ADDRESS[k]}:{5100 + i}"}
                             for k in ADDRESS for i in range(count)]
    return node


def stage_all(loop, front, cluster, wanted, victim):
    """Each wanted cell once, with all its calls at the victim; the others end."""
    cells, gone, number = [], [], 0
    turn = lambda cell: lambda: [c.turn() for c in (cell, *gone)] and (cell.step in STOPS or cell.why)
    STOPS = ("refer",)
    at_victim = lambda side: side is None or cluster.owner(cell.bucket(side))[0] == victim.number
    for flow, stage in wanted:
        while True:
            cell = Cell(loop, front, number, flow, stage)
            number += 1
            STOPS = ("hold",)
            if loop.run(turn(cell), 10) and not cell.why and at_victim(cell.ab):
                STOPS = ("refer",)
                if loop.run(turn(cell), 10) and not cell.why and at_victim(cell.bc):
                    break
            if cell.why or number > 30 * len(wanted) + 60:
                raise sip.Failed(f"{cell.name}: no calls at {victim.name}: {cell.why}")
            cell.go("discard")
            gone.append(cell)
        cells.append(cell)
    for cell in cells:
        cell.ready = True
    return cells, gone


def main():
    names = sys.argv[4:]
    wanted = [(f, s) for f in STAGES for s in STAGES[f] if not names or f in names or f"{f}.{s}" in names]
    loop = Loop()
    cluster = Cluster([make_node(n + 1, 30 * len(wanted) + 62) for n in range(COUNT)], REDIS)
    try:
        for node in cluster.nodes:
            node.start()
        wait_for("every bucket has its owner", cluster.all_owned)
        front = Front(cluster)
        run(loop, front, cluster, wanted)
    finally:
        cluster.stop()


def run(loop, front, cluster, wanted):
    victim = cluster.nodes[0]
    cells, gone = stage_all(loop, front, cluster, wanted, victim)
    everybody = lambda test: lambda: [c.turn() for c in cells + gone] and all(test(c) for c in cells)
    if not loop.run(everybody(lambda c: c.at_stage or c.why), 20):
        raise sip.Failed("not at their stages: " + ", ".join(f"{c.name} ({c.step})" for c in cells if not c.at_stage))
    # Who was transferred has heard the other one for a while: that it is the same stream of RTP is in the record.
    if not loop.run(everybody(lambda c: c.stop != "over" or c.heard_for(0.5)), 20):
        raise sip.Failed("who was transferred hears nobody")
    victim.signal(signal.SIGKILL)
    victim.child.wait()
    killed = time.monotonic()
    threading.Thread(target=front.died, args=(victim,), daemon=True).start()
    print(f"ok: node 1 of {COUNT} is killed behind the {FRONT}, {len(cells)} cells are at their stages", flush=True)
    for cell in cells:
        cell.killed, cell.frozen = killed, False
        for phone in cell.phones:
            phone.thaw()
    loop.run(everybody(lambda c: c.step == "over" or c.why), LIMIT + 5)
    report(cells)
    left = cluster.nodes[1:]
    loop.run(lambda: [c.turn() for c in gone] and not any(n.count("leftover", "calls") for n in left) and
             not cluster.keys(), 45)
    for node in left:
        check(f"{node.name} holds no call", node.count("leftover", "calls") == 0, node.ctl("calls"))
    check("Redis has no record", not cluster.keys(), cluster.keys())
    lost = [c for c in cells if c.step != "over"]
    check("no cell is lost", not lost, [(c.name, c.why or c.step) for c in lost])


def report(cells):
    for c in cells:
        result = c.outcome if c.step == "over" else f"LOST: {c.why or 'stands still at ' + c.step}"
        print(f"cell {COUNT} nodes, {FRONT}, {c.name:22} {result:12} gap {c.gap:.2f} s", flush=True)
    gaps = [c.gap for c in cells if c.step == "over"]
    done, back = (sum(c.outcome == o and c.step == "over" for c in cells) for o in ("completed", "rolled back"))
    print(f"real kill matrix: enumerated {len(cells)}, run {len(cells)}, skipped 0, completed {done}, rolled back"
          f" {back}, lost {len(cells) - len(gaps)}, gap median {statistics.median(gaps or [0]):.2f} s, maximum"
          f" {max(gaps or [0]):.2f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except sip.Failed as e:
        print(f"FAIL: {e}", flush=True)
        sys.exit(1)
