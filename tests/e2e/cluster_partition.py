#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cluster_partition.py NET: in the namespace NET-h, where `sipN`, `peerN`, `storeN` are the ends of node N's links.
Phones offer something new in each of their calls all the time, to any node, while one is cut off."""
import random
import subprocess
import sys
import time

import sip
from nodes import Cluster, Node, Roaming, bucket_of, call, calls_of, settle
from sip import Failed, Message, check, sdp

NET = sys.argv[1]
SLACK = 0.3  # of the sampling of owners, and of what was on its way


def link(net, node, up):
    subprocess.run(["ip", "link", "set", f"{net}{node.number}", "up" if up else "down"], check=True)


class Talker:
    """One side of a call that holds and resumes without an end. 491 and silence are no harm: it asks again."""

    def __init__(self, dialog):
        self.dialog, self.sent, self.next, self.answered, self.last, self.gap = dialog, None, 0, 0, time.monotonic(), 0
        self.refused, self.goes_on = [], True

    def step(self, now):
        d = self.dialog
        if not self.sent and self.goes_on and now >= self.next:
            d.sdp_version += 1
            direction = "sendonly" if d.sdp_version % 2 else "sendrecv"
            self.sent = d.message("INVITE", body=sdp(d.phone.address, d.rtp, direction, d.sdp_version))
            self.again = now
        if not self.sent:
            return
        for m in d.phone.waiting:
            if m.status >= 200 and m.cseq == self.sent.cseq and m.get("Call-ID") == d.call_id and m.method == "INVITE":
                d.phone.waiting.remove(m)
                self.finished(m, now)
                return
        if now >= self.again:
            d.phone.send(self.sent.data)
            self.again = now + 0.5

    def finished(self, m, now):
        if m.status == 200:
            self.dialog.ack(m.cseq)
            self.answered += 1
            self.gap, self.last = max(self.gap, now - self.last), now
        else:
            self.dialog.phone.send(self.dialog.phone.ack_refusal(self.sent, m))
            if m.status != 491:
                self.refused.append(m)
        self.sent, self.next = None, now + random.uniform(0.1, 0.4)


def stir(talkers, seconds=0.0, until=None):
    """The talkers talk, for so long or until something holds."""
    end = time.monotonic() + (seconds or sip.LIMIT)
    look = 0
    while time.monotonic() < end:
        now = time.monotonic()
        for talker in talkers:
            talker.step(now)
        if until and now >= look:
            if until():
                return True
            look = time.monotonic() + 0.3
        Roaming.all[0].receive(time.monotonic() + 0.05)
    return not until


def finish(talkers):
    """What is open is answered."""
    for talker in talkers:
        talker.goes_on = False
    check("every offer is answered", stir(talkers, until=lambda: not any(t.sent for t in talkers)),
          [t.sent for t in talkers])
    for talker in talkers:
        talker.goes_on = True


def acted_wrongly(cluster, pairs, since):
    """Messages of these calls that came from a node which Redis did not name as the owner then."""
    bucket, found = {d.call_id: bucket_of(d) for pair in pairs for d in pair}, []
    for phone in Roaming.all:
        for at, source, m in phone.got:
            k = bucket.get(m.get("Call-ID"))
            if k is not None and at > since and int(source[0].rpartition(".")[2]) not in cluster.may_act(k, at, SLACK):
                found.append((phone.name, round(at - since, 2), source[0], m, sorted(cluster.may_act(k, at, SLACK))))
    return found


def is_well(nodes):
    """What `refereectl nodes` says, of three nodes."""
    return nodes.count("linked") == 2 and not any(bad in nodes for bad in ("no link", "suspended", "without"))


def serves(phone, node):
    """Is an OPTIONS to it, as a balancer in front sends it, answered?"""
    probe = Message(phone.new("OPTIONS", f"sip:{node.host}:{node.port}"))
    phone.socket.sendto(probe.data, (node.host, node.port))
    end = time.monotonic() + 1
    while time.monotonic() < end:
        phone.receive(end)
        for m in [m for m in phone.waiting if m.get("Call-ID") == probe.get("Call-ID")]:
            phone.waiting.remove(m)
            return m.status == 200
    return False


def all_without_store(cluster, pairs):
    """Redis out of reach of all: each keeps its own calls, as long as it takes, and nobody claims anything."""
    print("== no Redis for anybody", flush=True)
    talkers = [Talker(pair[1]) for pair in pairs]
    buckets = [bucket_of(pair[0]) for pair in pairs]
    owners, since = [cluster.owner(k) for k in buckets], time.monotonic()
    for node in cluster.nodes:
        link("store", node, False)
    check("each has lost it", stir(talkers, until=lambda: all("without" in n.ctl("nodes") for n in cluster.nodes)))
    before = [t.answered for t in talkers]
    stir(talkers, 2)
    check("and goes on with its calls", all(t.answered > n for t, n in zip(talkers, before)), before)
    for node in cluster.nodes:
        link("store", node, True)
    check("Redis is there again", stir(talkers, until=lambda: all(is_well(n.ctl("nodes")) for n in cluster.nodes)))
    stir(talkers, 4)
    finish(talkers)
    now = [cluster.owner(k) for k in buckets]
    check("the owners are the same", [n for n, _ in now] == [n for n, _ in owners], (owners, now))
    wrong = acted_wrongly(cluster, pairs, since)
    check("and nobody else acted", not wrong, wrong)


def cut(cluster, name, nets, victim, pairs):
    """One of the three partitions, and its end."""
    print(f"== {name}: node {victim.number}", flush=True)
    talkers = [Talker(pair[1]) for pair in pairs]
    others = [n for n in cluster.nodes if n is not victim]
    stir(talkers, 0.5)
    buckets = [bucket_of(pair[0]) for pair in pairs]
    owners, since = [cluster.owner(k) for k in buckets], time.monotonic()
    for net in nets:
        link(net, victim, False)
    if "store" in nets:
        check("the others take its buckets", stir(talkers, until=lambda: cluster.all_owned(others)))
        took = time.monotonic() - since
        print(f"   within {took:.1f} s", flush=True)
        check("who asks it whether it serves is told nothing", nets == ["store"] or not serves(Roaming.all[0], victim))
    stir(talkers, 1.5)
    finish(talkers)
    now = [cluster.owner(k) for k in buckets]
    check("owners changed where the store was lost, and only there",
          all((n != o) == ("store" in nets and o[0] == victim.number) for n, o in zip(now, owners)), (owners, now))
    wrong = acted_wrongly(cluster, pairs, since)
    check("at most one node acted for a call while it was cut off", not wrong, wrong)
    for net in nets:
        link(net, victim, True)
    check("it is a member again", stir(talkers, until=lambda: all(is_well(n.ctl("nodes")) for n in cluster.nodes)),
          [n.ctl("nodes") for n in cluster.nodes])
    check("all buckets are owned, by it too", stir(talkers, until=lambda: cluster.all_owned() and victim.buckets()))
    stir(talkers, 0.5)
    finish(talkers)
    wrong = acted_wrongly(cluster, pairs, since)
    check("nor after that", not wrong, wrong)
    refused = [m for t in talkers for m in t.refused]
    check("no offer was refused", not refused, refused)
    gap = max(t.gap for t in talkers)
    print(f"   {sum(t.answered for t in talkers)} offers answered, the longest wait {gap:.1f} s", flush=True)


def partition(cluster):
    nodes = cluster.nodes
    for node in nodes:
        node.start()
    settle("all buckets are owned", cluster.all_owned)
    Roaming.alive = list(nodes)
    a, b = Roaming("A", "1001", "10.98.1.101"), Roaming("B", "1002", "10.98.1.102")
    for phone in (a, b):
        phone.register()
    settle("all know the registrations", lambda: all(n.count("leftover", "bindings") == 2 for n in nodes))
    pairs = [pair for node in nodes for pair in calls_of(cluster, node, 1, a, b)]
    cluster.watch([pair[0] for pair in pairs])
    for name, nets in (("no Redis", ["store"]), ("no peers", ["peer"]), ("neither", ["store", "peer"])):
        cut(cluster, name, nets, cluster.node_of(pairs[0][0]), pairs)
    all_without_store(cluster, pairs)
    check("each serves again", all(serves(a, n) for n in nodes))
    for pair in (*pairs, call(a, b)):
        pair[0].bye()
        pair[1].answer_bye()
    settle("no call is left", lambda: all(n.count("leftover", "calls") == 0 for n in nodes))
    check("nor a record of one", not [k for k in cluster.keys() if len(k) == len("referee:c:{000}")], cluster.keys())


def main():
    nodes = [Node(i, f"10.98.1.{i}", 5060, f"10.98.2.{i}:7060", "10.98.3.254:6379", f"{NET}-{i}",
                  advertise="10.98.1.1:5060") for i in (1, 2, 3)]
    cluster = Cluster(nodes, ("10.98.3.254", 6379))
    for node in nodes:
        node.config["cluster"]["rebalance"] = "idle"  # who has a call is changed by nothing but the cuts
    try:
        partition(cluster)
    except Failed as e:
        sys.exit(f"FAIL: {e}")
    finally:
        cluster.stop()


main()
