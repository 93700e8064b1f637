#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""releases.py PORT REDIS-PORT: a node of the release before, which knows no records of the newest format, beside one of
this release. Each dies under the calls of both, and each drains: the other one has all of them, and what it writes the
older can read as long as it lives."""
import re
import signal
import sys

from nodes import Cluster, Node, Roaming, calls_of, serve, settle, talk, transferred
from sip import Failed, check

PORT, REDIS = int(sys.argv[1]), int(sys.argv[2])


def formats(cluster):
    """Of all records of calls in Redis."""
    return {ord(f) for k in cluster.keys() for f in re.findall("RFR(.)", cluster.cli("HGETALL", k), re.S)}


def written(nodes, which):
    return all(f"written format {which}\n" in n.ctl("records") for n in nodes)


def count(cluster, what, name):
    return sum(n.count(what, name) for n in cluster.nodes if n.child and n.child.poll() is None)


def add(cluster, calls, phones, node):
    """Two calls that this node has."""
    calls += calls_of(cluster, node, 2, *phones[:2])
    serve("all calls are there", lambda: count(cluster, "leftover", "calls") == len(calls))


def transfer(cluster, calls, phones, one, two):
    """From the one release to the other goes what A and B have at the one."""
    first, second = calls_of(cluster, one, 1, *phones[:2])[0], calls_of(cluster, two, 1, *phones[1:])[0]
    calls.append(transferred(first, second, lambda: count(cluster, "metrics", "calls_moved")))


def joins(cluster, calls, node, which):
    """It comes to the other one's calls, and gets its part of the buckets."""
    node.start()
    serve(f"both write format {which}", lambda: written(cluster.nodes, which))
    serve("each has buckets", lambda: cluster.all_owned() and all(len(n.buckets()) > 1000 for n in cluster.nodes))
    Roaming.alive = list(cluster.nodes)
    serve("no call is lost on its way", lambda: count(cluster, "leftover", "calls") == len(calls))
    serve(f"all records are of format {which}", lambda: formats(cluster) == {which})


def goes(cluster, calls, node, drains):
    """It dies, or hands everything over; the other one has all calls then."""
    other = next(n for n in cluster.nodes if n is not node)
    if drains:
        check(f"{node.name} drains", node.ctl("drain") == "draining\n")
    else:
        node.signal(signal.SIGKILL)
    Roaming.alive = [other]
    serve(f"{node.name} is gone", lambda: node.child.poll() is not None)
    check("as it was to", not drains or (node.child.returncode == 0 and node.says("stop: drained")))
    serve(f"{other.name} has all buckets", lambda: cluster.all_owned([other]))
    serve("and all calls", lambda: other.count("leftover", "calls") == len(calls))
    check("it has read every record", other.count("metrics", "records_unreadable") == 0)
    for pair in calls:
        talk(*pair)


def releases(cluster):
    older, newer = cluster.nodes
    phones, calls = [], []
    older.start()
    settle("the older has all buckets", lambda: cluster.all_owned([older]))
    Roaming.alive = [older]
    phones = [Roaming(n, u) for n, u in (("A", "1001"), ("B", "1002"), ("C", "1003"))]
    for phone in phones:
        phone.register()
    check("it knows no format 2", older.ctl("records").startswith("newest format 1\n"), older.ctl("records"))
    add(cluster, calls, phones, older)
    for drains in (False, True):
        joins(cluster, calls, newer, 1)
        add(cluster, calls, phones, older)
        add(cluster, calls, phones, newer)
        transfer(cluster, calls, phones, *((newer, older) if drains else (older, newer)))
        goes(cluster, calls, older, drains)
        serve("the newer one writes format 2", lambda: written([newer], 2))
        add(cluster, calls, phones, newer)
        check("and so does Redis have them", 2 in formats(cluster), formats(cluster))
        joins(cluster, calls, older, 1)
        goes(cluster, calls, newer, drains)
    for here, there in calls:
        here.bye()
        there.answer_bye()
    serve("no call is left", lambda: older.count("leftover", "calls") == 0)
    serve("nothing is left in Redis", lambda: not formats(cluster))
    print(f"{len(calls)} calls, each taken over by the other release", flush=True)


def main():
    redis = f"127.0.0.1:{REDIS}"
    cluster = Cluster([Node(i + 1, "127.0.0.1", PORT + 120 * i, f"127.0.0.1:{PORT + 1 + 120 * i}", redis,
                            advertise=f"127.0.0.1:{PORT}") for i in range(2)], ("127.0.0.1", REDIS))
    cluster.nodes[0].program = "refereed-older"
    for node in cluster.nodes:
        node.config["transfer"] = {"transferor_bye_wait": "200ms"}
        node.config["store"]["timeout"] = "2s"  # a Redis that the machine does not let run is not one that is lost
    try:
        releases(cluster)
    except Failed as e:
        sys.exit(f"FAIL: {e}")
    finally:
        cluster.stop()


main()
