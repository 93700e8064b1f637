#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cluster_drain.py PORT: a node drains while Redis is away."""
import sys

from nodes import Cluster, Node, Roaming, bucket_of, call, calls_of, serve, settle, talk
from redis_servers import HOST, Redis
from sip import Failed, check

PORT = int(sys.argv[1])


def call_at(node, caller, callee):
    """By the node's own word: Redis is not there to be asked."""
    for _ in range(60):
        here, there = call(caller, callee)
        if bucket_of(here) in node.buckets():
            return here, there
        here.bye()
        there.answer_bye()
    raise Failed(f"no call of {node.name} in 60 tries")


def hung_up_on(dialog):
    bye = dialog.phone.request("BYE", dialog.call_id)
    check(f"{dialog.phone.name} gets BYE, which says why", "cause=503" in bye.get("Reason"), bye.data)
    dialog.phone.respond(bye, 200)


def drain(cluster, redis):
    first, second = cluster.nodes
    for node in cluster.nodes:
        node.start()
    settle("all buckets are owned", cluster.all_owned)
    Roaming.alive = list(cluster.nodes)
    a, b = Roaming("A", "1001"), Roaming("B", "1002")
    for phone in (a, b):
        phone.register()
    settle("both know the registrations", lambda: all(n.count("leftover", "bindings") == 2 for n in cluster.nodes))
    known = calls_of(cluster, first, 1, a, b)[0]
    redis.kill()
    settle("each has lost Redis", lambda: all("without" in n.ctl("nodes") for n in cluster.nodes))
    unknown = call_at(first, a, b)

    check("the first node drains", first.ctl("drain") == "draining\n")
    for dialog in unknown:
        hung_up_on(dialog)
    settle("and ends", lambda: first.child.poll() is not None)
    byes = [m for p in (a, b) for m in p.waiting if m.is_request and m.start.startswith("BYE")]
    check("nobody else is hung up on", not byes, byes)

    Roaming.alive = [second]
    redis.start()
    serve("Redis is there again, and the other node has all", lambda: cluster.all_owned([second]))
    serve("with the call that was known", lambda: second.count("leftover", "calls") == 1)
    talk(*known)
    known[0].bye()
    known[1].answer_bye()
    settle("no call is left", lambda: second.count("leftover", "calls") == 0)
    settle("nor a record of one", lambda: not any("RFR" in cluster.cli("HGETALL", k) for k in cluster.keys()))


def main():
    redis = Redis(None, "--appendonly", "yes", "--appendfsync", "always")
    nodes = [Node(i + 1, HOST, PORT + 120 * i, f"{HOST}:{PORT + 1 + 120 * i}", f"{HOST}:{redis.port}",
                  advertise=f"{HOST}:{PORT}") for i in range(2)]
    for node in nodes:
        node.config["drain"] = {"timeout": "1s"}
        node.config["cluster"]["rebalance"] = "idle"  # the call that is known stays where it is
    cluster = Cluster(nodes, (HOST, redis.port))
    try:
        drain(cluster, redis)
    except Failed as e:
        sys.exit(f"FAIL: {e}")
    finally:
        cluster.stop()


main()
