#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cluster_join.py PORT REDIS-PORT: calls that are up when a third node comes, drains and returns."""
import random
import sys
import time

from nodes import SHARDS, Cluster, Node, Roaming, bucket_of, call, node_of, settle
from sip import LIMIT, Failed, check

PORT, REDIS = int(sys.argv[1]), int(sys.argv[2])
CALLS, MOVING = 6, 2  # at least so many of them go over
MASK = (1 << 64) - 1


def weight(node, bucket):
    """By which the nodes agree whose a bucket ought to be: store/lease.c."""
    x = (node << 16 | bucket) * 0x9e3779b97f4a7c15 & MASK
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & MASK
    x = (x ^ x >> 27) * 0x94d049bb133111eb & MASK
    return x ^ x >> 31


def is_for(node, dialog):
    members = [shard << 16 | n for n in (1, 2, 3) for shard in range(SHARDS)]
    return node_of(max(members, key=lambda m: weight(m, bucket_of(dialog)))) == node


class Asker:
    """Asks in all dialogs, in turn, and knows how long the longest answer took."""

    def __init__(self, dialogs):
        self.dialogs, self.longest, self.asked = dialogs, 0, 0

    def once(self):
        dialog = self.dialogs[self.asked % len(self.dialogs)]
        self.asked += 1
        began = time.monotonic()
        answer = dialog.ask("OPTIONS")
        if answer.status != 200:
            raise Failed(f"{dialog.phone.name} gets {answer!r} for its OPTIONS")
        self.longest = max(self.longest, time.monotonic() - began)
        dialog.phone.drain(0.01)

    def until(self, what, condition):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            for _ in range(12):
                self.once()
            if condition():
                print(f"ok: {what}", flush=True)
                return
        raise Failed(f"not within {LIMIT} s: {what}")


def none_was_hung_up_on(phones):
    return not [m for p in phones for m in p.waiting if m.is_request and m.start.startswith("BYE")]


def join(cluster):
    nodes, third = cluster.nodes, cluster.nodes[2]
    for node in nodes[:2]:
        node.start()
    settle("two own all buckets", lambda: cluster.all_owned(nodes[:2]))
    Roaming.alive = nodes[:2]
    phones = a, b = Roaming("A", "1001"), Roaming("B", "1002")
    for phone in phones:
        phone.register()
    settle("both know the registrations", lambda: all(n.count("leftover", "bindings") == 2 for n in nodes[:2]))
    calls = []
    while len(calls) < CALLS or sum(is_for(3, here) for here, _ in calls) < MOVING:
        calls.append(call(a, b))
        check("not too many", len(calls) < 40)
    moving = [pair for pair in calls if is_for(3, pair[0])]
    starved = 0  # daemons that the machine did not let run for half a second: they ask first whether they may act
    asker = Asker([d for pair in random.sample(calls, len(calls)) for d in pair])

    for round_ in ("comes", "returns"):
        third.start()
        Roaming.alive = nodes
        asker.until(f"it {round_}, and has the calls that are its own",
                    lambda: third.count("leftover", "calls") == len(moving) and cluster.all_owned())
        check("the others have the others", sum(n.count("leftover", "calls") for n in nodes) == len(calls))
        check("which are those that ought to be", all(cluster.node_of(p[0]) is third for p in moving))
        Roaming.alive = nodes[:2]
        asker.until("every party has been told of its media",
                    lambda: third.count("metrics", "reanchored") >= 2 * len(moving))
        starved += sum(n.says("nothing is handled") for n in nodes)
        if round_ == "comes":
            check("it drains", third.ctl("drain") == "draining\n")
            asker.until("the calls are back", lambda: third.child.poll() is not None and
                        sum(n.count("leftover", "calls") for n in nodes[:2]) == len(calls))
    check("nobody was hung up on", none_was_hung_up_on(phones))
    print(f"join: {len(moving)} of {len(calls)} calls went over, back and over again; the longest of {asker.asked} "
          f"answers took {1000 * asker.longest:.0f} ms; {starved} times a daemon did not run for 500 ms", flush=True)
    check("each answer came within 500 ms, but for that", asker.longest < (2 if starved else 0.5), asker.longest)
    for here, there in calls:
        here.bye()
        there.answer_bye()
    settle("no call is left", lambda: all(n.count("leftover", "calls") == 0 for n in nodes))
    settle("nothing is left in Redis", lambda: not any("RFR" in cluster.cli("HGETALL", k) for k in cluster.keys()))


def main():
    redis = f"127.0.0.1:{REDIS}"
    cluster = Cluster([Node(i + 1, "127.0.0.1", PORT + 120 * i, f"127.0.0.1:{PORT + 1 + 120 * i}", redis,
                            advertise=f"127.0.0.1:{PORT}") for i in range(3)], ("127.0.0.1", REDIS))
    try:
        join(cluster)
    except Failed as e:
        sys.exit(f"FAIL: {e}")
    finally:
        cluster.stop()


main()
