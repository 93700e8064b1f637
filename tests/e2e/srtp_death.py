#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/srtp_death.py PORT REDIS: A speaks SRTP, B plain RTP, and both sequence numbers have rolled over. The
daemon is killed and started again, then killed and its calls are taken over by another one, elsewhere: each time both
go on hearing each other, A with the keys that it has, B with what the daemon reads of A's."""
import re
import signal
import sys
import time

import sip
from nodes import Cluster, Node, Roaming, call
from sip import Failed, check, nothing_is_left, wait_for
from speech import Speaker
from srtp import SecureSpeaker, key_of, new_key, secured

SEQ = 65536 - 25


class Talking(Roaming):
    """With a key it speaks SRTP. Its speaker follows what it is told."""
    key = speaker = None

    def dressed(self, body):
        return secured(body, self.key) if body and self.key else body

    def new(self, method, uri, headers=(), body="", **replace):
        return super().new(method, uri, headers, self.dressed(body), **replace)

    def respond(self, request, status, headers=(), body="", tag=None):
        super().respond(request, status, headers, self.dressed(body), tag)

    def answers(self, m):
        answered = super().answers(m)
        port = re.search(r"^m=audio (\d+)", m.body, re.M)
        if answered and m.start.startswith("INVITE") and port and self.speaker:
            self.speaker.to = (self.speaker.to[0], int(port[1]))
        return answered


def until(what, phones, condition):
    end = time.monotonic() + sip.LIMIT
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {sip.LIMIT:.0f} s")
        phones[0].drain(0.05)
    print(f"ok: {what}", flush=True)


def hear_each_other(what, a, b):
    """Each hears many more of the other."""
    since = len(a.speaker.sent), len(b.speaker.sent)

    def holds():
        heard = [sum(h.number >= n for h in list(y.speaker.heard)) for y, n in ((b, since[0]), (a, since[1]))]
        return min(heard) > 15
    until(f"{what}: both hear each other", (a, b), holds)


def kill(node):
    node.signal(signal.SIGKILL)
    node.child.wait()


def walk(port, redis):
    host = "127.0.0.1"
    nodes = [Node(i + 1, host, port + 120 * i, f"{host}:{port + 1 + 120 * i}", f"{host}:{redis}") for i in range(2)]
    cluster = Cluster(nodes, (host, redis))
    one, two = nodes
    Roaming.alive = [one]
    try:
        one.start()
        wait_for("all buckets are its", lambda: cluster.all_owned([one]))
        a, b = Talking("A", 1001), Talking("B", 1002)
        a.key = new_key()
        for phone in (a, b):
            phone.register()
        here, there = call(a, b)
        a.speaker = SecureSpeaker(here, host, 0, a.key, key_of(here.offer), seq=SEQ)
        b.speaker = Speaker(there, host, 1, seq=SEQ)
        # ... long enough ago for the record of it.
        until("both have rolled over", (a, b), lambda: all(s.heard and s.heard[-1].number > 60 for s in
                                                           (a.speaker, b.speaker)))
        kill(one)
        one.start()
        hear_each_other("the daemon was started again", a, b)
        two.start()
        wait_for("two nodes share the buckets", cluster.all_owned)
        bad = len(a.speaker.bad)
        survivor = two if cluster.node_of(here) is one else one
        kill(one if survivor is two else two)
        Roaming.alive = [survivor]
        hear_each_other("another one took the call over", a, b)
        check("A could read all that it heard", len(a.speaker.bad) == bad == 0, (bad, len(a.speaker.bad)))
        here.bye()
        until("B is hung up on", (a, b), lambda: any(m.method == "BYE" for m in b.waiting))
        b.respond(b.request("BYE"), 200)
        for phone in (a, b):
            phone.speaker.stop()
    finally:
        cluster.stop()


if __name__ == "__main__":
    try:
        walk(int(sys.argv[1]), int(sys.argv[2]))
    except Failed as failure:
        sys.exit(f"FAIL: {failure}")
