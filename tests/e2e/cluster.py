#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cluster.py PORT1 PORT2 REDIS: calls over two daemons that share a Redis. Phones send each message to the daemon
that `at` names, or to one at random: what a balancer in front may do."""
import os
import random
import re
import signal
import subprocess
import sys
import time

import sip
from nodes import run
from sip import Dialog, Failed, Message, Phone, check, sdp, wait_for

PORTS = [int(sys.argv[1]), int(sys.argv[2])]
BUILD, FOLDER = sip.BUILD, sip.FOLDER


class Roaming(Phone):
    """Its messages reach any daemon that lives."""
    alive = [0, 1]
    at = None

    def send(self, data):
        node = self.at if self.at is not None else random.choice(Roaming.alive)
        self.socket.sendto(data, (sip.HOST, PORTS[node]))

    def url(self, user=None):
        return f"sip:{user or self.user}@{sip.HOST}:{PORTS[0]}"


def ctl(node, order):
    run = subprocess.run([f"{BUILD}/refereectl", "-s", f"{FOLDER}/admin{node}", order], capture_output=True, text=True)
    return run.stdout


def number(node, order, name):
    found = re.search(rf"^{name} (\d+)", ctl(node, order), re.M)
    return int(found[1]) if found else -1


def buckets(node):
    """The set of its own, by its own word."""
    mine = set()
    for line in ctl(node, "buckets").splitlines():
        which, owner = line.split()
        first, _, last = which.partition("-")
        if int(owner) == node + 1:
            mine.update(range(int(first, 16), int(last or first, 16) + 1))
    return mine


def all_owned(nodes):
    owned = [buckets(n) for n in nodes]
    return len(set().union(*owned)) == 4096 == sum(map(len, owned))


def owner_of(dialog):
    """The node that has the call of this dialog: our tag in it is a token with the bucket."""
    bucket = int(dialog.tags[1][3:6], 16)
    return next(n for n in Roaming.alive if bucket in buckets(n))


def start_call(caller, callee):
    """Answered; both sides' dialogs."""
    uri = caller.url(callee.user)
    invite = Message(caller.new("INVITE", uri, ["Supported: replaces"], sdp(caller.address, 21000)))
    caller.send(invite.data)
    answer = caller.expect("challenge or INVITE", lambda m: m.status in (401, 407) and m.method == "INVITE")
    caller.send(caller.ack_refusal(invite, answer))
    challenge = answer.get("WWW-Authenticate") or answer.get("Proxy-Authenticate")
    name = "Authorization" if answer.status == 401 else "Proxy-Authorization"
    again = Message(caller.new("INVITE", uri, ["Supported: replaces",
                               f"{name}: {sip.digest(challenge, caller.user, 'INVITE', uri)}"],
                               sdp(caller.address, 21000), From=invite.get("From"), Call_ID=invite.get("Call-ID"),
                               CSeq="2 INVITE"))
    caller.send(again.data)
    there = Dialog.called(callee, callee.request("INVITE"), headers=["Supported: replaces"])
    ok = caller.final(again)
    check(f"{callee.name} answers {caller.name}", ok.status == 200, ok)
    here = Dialog(caller, invite.get("Call-ID"), invite.get("From"), ok.get("To"), ok.contact, 2)
    here.see(ok.body)
    here.ack(2)
    return here, there


def calls_of_both_nodes(alice, bob, carol):
    """ALICE with BOB at one node, BOB with CAROL at the other."""
    for _ in range(30):
        a, b = start_call(alice, bob)
        c, d = start_call(bob, carol)
        if owner_of(a) != owner_of(c):
            return a, b, c, d
        for dialog, other in ((a, b), (c, d)):
            dialog.bye()
            other.answer_bye()
    raise Failed("no two calls at two nodes in 30 tries")


def refer(b, c):
    mine, theirs = c.tags
    to = (f"<{b.phone.url('1003')}?Replaces={c.call_id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{mine}>")
    answer = b.ask("REFER", [f"Refer-To: {to}"])
    check("the REFER is accepted", answer.status == 202, answer)


def pump(phones, dialogs, until):
    """Phones answer what comes until the condition holds."""
    end = time.monotonic() + sip.LIMIT
    while not until():
        if time.monotonic() > end:
            raise Failed("phones wait in vain")
        for phone in phones:
            phone.receive(time.monotonic() + 0.02)
            for m in [m for m in phone.waiting if m.is_request]:
                phone.waiting.remove(m)
                if m.method == "INVITE" and not m.start.startswith("ACK"):
                    known = [d for d in dialogs if d.phone is phone and d.call_id == m.get("Call-ID")]
                    if known:
                        known[0].sdp_version += 1
                        phone.respond(m, 200, body=sdp(phone.address, known[0].rtp, version=known[0].sdp_version))
                elif not m.start.startswith("ACK"):
                    phone.respond(m, 200)
                    if m.method == "NOTIFY":
                        pump.told = m.body
                    for d in dialogs:
                        if m.start.startswith("BYE") and d.call_id == m.get("Call-ID") and d.phone is phone:
                            d.over = True


def transfer(alice, bob, carol):
    a, b, c, d = calls_of_both_nodes(alice, bob, carol)
    refer(b, c)
    invite = carol.request("INVITE")
    check("the INVITE to CAROL replaces her own dialog", d.call_id in invite.get("Replaces"), invite)
    target = Dialog.called(carol, invite, headers=["Supported: replaces"])
    d.bye()
    pump.told = ""
    pump([alice, bob, carol], [a, b, c, d, target], lambda: "200" in pump.told)
    print("ok: the final NOTIFY says 200", flush=True)
    return a, target


def redis(*words):
    return subprocess.run(["redis-cli", "-p", sys.argv[3], *words], capture_output=True).stdout


def formats():
    """Of all records of calls in Redis."""
    found = set()
    for key in redis("--scan", "--pattern", "referee:c:*").split():
        found.update(re.findall(rb"RFR(.)", redis("hgetall", key), re.S))
    return b"".join(sorted(found))


def older_node(alice, bob):
    """With a call up: node 2 reads format 1 only, then 2 as well."""
    wait_for("both write format 2", lambda: all("written format 2" in ctl(n, "records") for n in (0, 1)))
    a, b = start_call(alice, bob)
    wait_for("its record is of format 2", lambda: formats() == b"\2")
    check("node 2 is told to take format 1 only", "node 2 takes up to 1" in ctl(1, "records 1"))
    wait_for("both write format 1", lambda: all("written format 1" in ctl(n, "records") for n in (0, 1)))
    wait_for("the record of the call that is up is of format 1", lambda: formats() == b"\1")
    check("no such format", ctl(1, "records 9") + ctl(1, "records 0") + ctl(1, "records x") == "")
    check("node 2 takes all again", "node 2 takes up to 2" in ctl(1, "records auto"))
    wait_for("both write format 2", lambda: all("written format 2" in ctl(n, "records") for n in (0, 1)))
    answer = a.ask("BYE")
    check("ALICE hangs up", answer.status == 200, answer)
    b.answer_bye()
    wait_for("nothing of it is left in Redis", lambda: formats() == b"")


def make_newer(alice, bob, node):
    """A call that this node has, whose record becomes one of a release to come."""
    while True:
        a, b = start_call(alice, bob)
        if owner_of(a) == node:
            break
        a.bye()
        b.answer_bye()
    key, field = f"referee:c:{{{a.tags[1][3:6]}}}", a.tags[1][6:22]
    value = redis("hget", key, field)[:-1]
    at = value.index(b"RFR") + 3
    subprocess.run(["redis-cli", "-p", sys.argv[3], "-x", "hset", key, field], capture_output=True, check=True,
                   input=value[:at] + b"\x09" + value[at + 1:])
    check("its record is of format 9", b"\x09" in formats(), formats())
    return a


def unread(a, node):
    """What the survivor cannot read it names, counts, and leaves alone until a party of it has hung up."""
    check("it is counted", number(node, "metrics", "records_unreadable") == 1)
    log = open(f"{FOLDER}/node{node}.log").read()
    check("it is named", f"{a.tags[1][6:22]} is left alone: of format 9" in log)
    check("it is in Redis still", b"\x09" in formats(), formats())
    answer = a.ask("BYE")
    check("who hangs up is told that there is no such call", answer.status == 481, answer)
    wait_for("it has left Redis", lambda: b"\x09" not in formats())


def hang_up(a, target, phones):
    target.over = False
    answer = a.ask("BYE")
    check("ALICE hangs up", answer.status == 200, answer)
    pump(phones, [target], lambda: target.over)
    print("ok: CAROL is hung up on", flush=True)


def main():
    phones = [Roaming(n, u, PORTS[0]) for n, u in (("ALICE", "1001"), ("BOB", "1002"), ("CAROL", "1003"))]
    wait_for("both daemons own all buckets", lambda: all_owned([0, 1]))
    for phone in phones:
        phone.register()
    wait_for("both know three registrations",
             lambda: all(number(n, "leftover", "bindings") == 3 for n in (0, 1)))
    older_node(*phones[:2])
    a, target = transfer(*phones)
    hang_up(a, target, phones)
    moved = sum(number(n, "metrics", "calls_moved") for n in (0, 1))
    check("a call was moved", moved == 1, moved)
    wait_for("no call is left", lambda: all(number(n, "leftover", "calls") == 0 for n in (0, 1)))
    a, target = transfer(*phones)
    victim = owner_of_call()
    newer = make_newer(*phones[:2], victim)
    os.kill(int(open(f"{FOLDER}/pid{victim}").read()), signal.SIGKILL)
    Roaming.alive = [1 - victim]
    print(f"ok: node {victim + 1} is killed", flush=True)
    wait_for("the other one owns all buckets", lambda: all_owned(Roaming.alive))
    pump(phones, [a, target], lambda: number(1 - victim, "leftover", "calls") == 1)
    check("the call was taken over", number(1 - victim, "metrics", "calls_recovered") >= 1)
    unread(newer, 1 - victim)
    hang_up(a, target, phones)


def owner_of_call():
    return next(n for n in (0, 1) if number(n, "leftover", "calls") > 0)


if __name__ == "__main__":
    run(main)
