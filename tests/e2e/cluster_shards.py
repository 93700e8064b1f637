#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cluster_shards.py PORT REDIS-PORT: two nodes of two shards each. Attended transfers between shards of a node and of
two, then one node dies under the calls, comes back, and the other one drains."""
import re
import signal
import sys

from nodes import SHARDS, Cluster, Node, Roaming, bucket_of, call, key, serve, settle, talk, transferred
from sip import Failed, check

PORT, REDIS = int(sys.argv[1]), int(sys.argv[2])


def buckets_by_shard(node):
    return [int(n) for n in re.findall(r"^shard \d+ .* buckets (\d+)$", node.ctl("shards"), re.M)]


def is_shared(cluster):
    """Each shard of each node has its part, and all know of all."""
    parts = [buckets_by_shard(n) for n in cluster.nodes]
    return cluster.all_owned() and sum(map(sum, parts)) == 4096 and \
        all(len(p) == SHARDS and min(p) > 4096 // (4 * SHARDS) for p in parts)


def place_of(cluster, dialog):
    """(node, shard) by Redis."""
    member = int(cluster.cli("--raw", "GET", key("b", bucket_of(dialog))).partition(".")[0])
    return member & 0xffff, member >> 16


def call_at(cluster, place, caller, callee):
    for _ in range(80):
        pair = call(caller, callee)
        if place_of(cluster, pair[0]) == place:
            return pair
        pair[0].bye()
        pair[1].answer_bye()
    raise Failed(f"no call of {place} in 80 tries")


def count(cluster, what, name):
    return sum(n.count(what, name) for n in cluster.nodes if n.child.poll() is None)


def transfer(cluster, phones, first, second):
    """A talks with B at the one shard, B asks C at the other: then A with C."""
    a, b, c = phones
    return transferred(call_at(cluster, first, a, b), call_at(cluster, second, b, c),
                       lambda: count(cluster, "metrics", "calls_moved"))


def leave_open(here, there):
    """A request that nobody answers: the call is in the midst for 32 * T1."""
    here.phone.send(here.message("INFO").data)
    there.phone.request("INFO")
    return here, there


def shards(cluster):
    one, two = cluster.nodes
    for node in cluster.nodes:
        node.config["drain"] = {"timeout": "0s"}
        node.start()
    settle("every shard has its part of the buckets", lambda: is_shared(cluster))
    check("`nodes` speaks of nodes", all(n.ctl("nodes").count(f", shards {SHARDS},") == 2 for n in cluster.nodes) and
          all(n.ctl("nodes").count("\n") == 2 for n in cluster.nodes), one.ctl("nodes"))
    Roaming.alive = list(cluster.nodes)
    phones = [Roaming(n, u) for n, u in (("A", "1001"), ("B", "1002"), ("C", "1003"))]
    for phone in phones:
        phone.register()
    settle("all know the registrations", lambda: all(n.count("leftover", "bindings") == 3 for n in cluster.nodes))

    calls = [transfer(cluster, phones, first, second)
             for first, second in (((1, 0), (1, 1)), ((1, 1), (2, 0)), ((2, 1), (1, 0)))]
    calls += [call_at(cluster, (node, shard), *phones[:2]) for node in (1, 2) for shard in range(2)]
    settle("all calls are there, and no other", lambda: count(cluster, "leftover", "calls") == len(calls))

    one.signal(signal.SIGKILL)
    one.child.wait()
    Roaming.alive = [two]
    print("ok: node 1 is killed", flush=True)
    serve("the other one has all buckets", lambda: cluster.all_owned([two]))
    serve("and all calls", lambda: two.count("leftover", "calls") == len(calls))
    for pair in calls:
        talk(*pair)

    one.start()
    serve("node 1 is back, and each shard has its part again", lambda: is_shared(cluster))
    Roaming.alive = list(cluster.nodes)
    serve("no call is lost on its way", lambda: count(cluster, "leftover", "calls") == len(calls))
    for pair in calls:
        talk(*pair)
    calls.append(transfer(cluster, phones, (2, 0), (2, 1)))  # with ports of the first shard
    calls.append(leave_open(*call_at(cluster, (2, 0), *phones[:2])))
    check("node 2 drains", two.ctl("drain") == "draining\n")
    Roaming.alive = [one]
    serve("and ends, all its shards", lambda: two.child.poll() is not None)
    check("well", two.child.returncode == 0 and two.says("stop: drained"), two.child.returncode)
    check("node 1 has all buckets", cluster.all_owned([one]))
    serve("and all calls", lambda: one.count("leftover", "calls") == len(calls))
    for here, there in calls:
        talk(here, there)
        here.bye()
        there.answer_bye()
    serve("no call is left", lambda: one.count("leftover", "calls") == 0)
    serve("nothing is left in Redis", lambda: not any("RFR" in cluster.cli("HGETALL", k) for k in cluster.keys()))
    check("nothing was lost between shards", one.count("metrics", "mail_full") == 0)


def main():
    redis = f"127.0.0.1:{REDIS}"
    cluster = Cluster([Node(i + 1, "127.0.0.1", PORT + 140 * i, f"127.0.0.1:{PORT + 1 + 140 * i}", redis,
                            advertise=f"127.0.0.1:{PORT}") for i in range(2)], ("127.0.0.1", REDIS))
    for node in cluster.nodes:
        node.config["store"]["timeout"] = "2s"  # a Redis that the machine does not let run is not one that is lost
        node.config["transfer"] = {"transferor_bye_wait": "200ms"}
        node.config["media"]["ports"] = f"{node.port // 2 * 2 + 10}-{node.port // 2 * 2 + 129}"
    try:
        shards(cluster)
    except Failed as e:
        sys.exit(f"FAIL: {e}")
    finally:
        cluster.stop()


main()
