#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cluster_zombie.py PORT REDIS-PORT: the owner of four calls is stopped past its lease, and goes on."""
import signal
import sys
import time

from nodes import Cluster, Node, Roaming, bucket_of, call, calls_of, hold, settle
from sip import Failed, check, direction_of, sdp

PORT, REDIS = int(sys.argv[1]), int(sys.argv[2])


def came_from(phones, node, since):
    """What the node sent to them since then."""
    return [(phone.name, m) for phone in phones for at, source, m in phone.got
            if at > since and source[1] == node.port]


def zombie(cluster):
    nodes = cluster.nodes
    for node in nodes:
        node.start()
    settle("both own all buckets", cluster.all_owned)
    Roaming.alive = list(nodes)
    a, b = Roaming("A", "1001"), Roaming("B", "1002")
    for phone in (a, b):
        phone.register()
    settle("both know the registrations", lambda: all(n.count("leftover", "bindings") == 2 for n in nodes))
    first = call(a, b)
    owner = cluster.node_of(first[0])
    other = nodes[2 - owner.number]
    open_, talk, late, still = first, *calls_of(cluster, owner, 3, a, b)
    lost = [bucket_of(here) for here, _ in (open_, talk, late, still)]

    # In the first call B's hold is under way, and A has not answered: the owner would send it again.
    a.automatic = False
    held = open_[1].message("INVITE", body=sdp(b.address, open_[1].rtp, "sendonly", 2))
    b.send(held.data)
    unanswered = a.request("INVITE", open_[0].call_id)
    owner.signal(signal.SIGSTOP)
    Roaming.alive = [other]
    print(f"ok: {owner.name} sleeps", flush=True)
    settle(f"{other.name} owns all", lambda: cluster.all_owned([other]))
    check("by Redis too", all(cluster.owner(k)[0] == other.number for k in lost), [cluster.owner(k) for k in lost])

    # The calls go on. A's answer to the hold goes to both: to the sleeper it lies in its socket until it wakes.
    body = sdp(a.address, open_[0].rtp, "recvonly", 2)
    a.at = owner
    a.respond(unanswered, 200, body=body)
    a.at = None
    a.respond(unanswered, 200, body=body)
    open_[0].sdp_version = open_[1].sdp_version = 2
    a.automatic = True
    check("B's hold is answered", b.final(held).status == 200)
    open_[1].ack(held.cseq)
    check("it holds A", direction_of(unanswered.body) == "sendonly")
    talk[0].bye()
    talk[1].answer_bye()

    # A's BYE of another call lies in the sleeper's socket too.
    a.at = owner
    bye = late[0].message("BYE")
    a.send(bye.data)
    a.at = None
    a.drain(2)
    cluster.listen()
    kept = [cluster.owner(k) for k in lost]
    woken = time.monotonic()
    owner.signal(signal.SIGCONT)
    print(f"ok: {owner.name} wakes", flush=True)

    # A phone that goes on asking it is served, by the other one.
    a.at = b.at = owner
    check("A's BYE to it is passed on", a.final(bye).status == 200)
    late[1].answer_bye()
    hold(still[1])
    check("which holds A", still[0].offered == "sendonly", still[0].offered)
    a.at = b.at = None
    settle(f"{owner.name} is a member again", lambda: f"node {owner.number}" in other.ctl("nodes") and
           "no link" not in other.ctl("nodes") and "suspended" not in owner.ctl("nodes"))
    settle("it owns buckets again", lambda: cluster.all_owned() and len(owner.buckets()) > 1000)
    a.drain(1.5)
    check("it sent nothing", not came_from((a, b), owner, woken), came_from((a, b), owner, woken))
    # A bucket without a call may have been given back to it: by a new epoch.
    now = [cluster.owner(k) for k in lost]
    check("the calls that live have the owner and epoch that they had", [now[0], now[3]] == [kept[0], kept[3]])
    check("the others' epochs only rose", all(n[1] > o[1] or n == o for n, o in zip(now, kept)), now)
    wrote = cluster.written_by(owner, [lost[0], lost[3]])
    check("it has written nothing of them", not wrote, wrote)
    check("which would have been seen", cluster.written_by(owner, sorted(owner.buckets())[:100]))
    check("and of those that ended there is none", not cluster.records(lost[1]) + cluster.records(lost[2]))
    check("it has forgotten its calls", owner.count("leftover", "calls") == 0, owner.ctl("leftover"))

    # All is well: the old calls end, a new one is made.
    Roaming.alive = list(nodes)
    for here, there in (open_, still, call(b, a)):
        here.bye()
        there.answer_bye()
    settle("no call is left", lambda: all(n.count("leftover", "calls") == 0 for n in nodes))


def main():
    redis = f"127.0.0.1:{REDIS}"
    cluster = Cluster([Node(i + 1, "127.0.0.1", PORT + 120 * i, f"127.0.0.1:{PORT + 1 + 120 * i}", redis,
                            advertise=f"127.0.0.1:{PORT}") for i in range(2)], ("127.0.0.1", REDIS))
    for node in cluster.nodes:
        node.config["cluster"]["rebalance"] = "idle"  # what it lost does not come back to it
    try:
        zombie(cluster)
    except Failed as e:
        sys.exit(f"FAIL: {e}")
    finally:
        cluster.stop()


main()
