#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cluster_full.py PORT1 PORT2 REDIS: two daemons with room for two and for four calls. Phones send each message to
either. What one has no room for the other serves; 503 with Retry-After is for when both are full."""
import sys

import sip
from cluster import Roaming, all_owned, number, owner_of, start_call
from nodes import run
from sip import Failed, Message, check, sdp, wait_for

ROOM = [2, 4]


def handed(node):
    return number(node, "metrics", "calls_handed")


def ring(caller, callee):
    """An INVITE that is not answered yet, with credentials; what the callee got of it."""
    uri, body = caller.url(callee.user), sdp(caller.address, 21000)
    first = Message(caller.new("INVITE", uri, body=body))
    caller.send(first.data)
    answer = caller.final(first)
    check(f"{caller.name} is challenged", answer.status == 407, answer)
    caller.send(caller.ack_refusal(first, answer))
    proof = sip.digest(answer.get("Proxy-Authenticate"), caller.user, "INVITE", uri)
    invite = Message(caller.new("INVITE", uri, [f"Proxy-Authorization: {proof}"], body, From=first.get("From"),
                                Call_ID=first.get("Call-ID"), CSeq="2 INVITE"))
    caller.send(invite.data)
    there = callee.request("INVITE")
    callee.respond(there, 180, tag=sip.token())
    caller.provisional(invite, 180)
    return invite, there


def until_handed(what, flow):
    """Whose Call-ID belongs to which node is chance: the flow, until it was done with a call that went over."""
    for _ in range(40):
        before = handed(0)
        flow()
        if handed(0) > before:
            print(f"ok: {what}, of a call that was handed over", flush=True)
            return
    raise Failed(f"{what}: no call was handed over in 40 tries")


def fill(node, caller, callee):
    """Calls that this node has, as many as it takes; the others are ended."""
    kept = []
    while number(node, "leftover", "calls") < ROOM[node]:
        here, there = start_call(caller, callee)
        if owner_of(here) == node:
            kept.append((here, there))
        else:
            here.bye()
            there.answer_bye()
    print(f"ok: node {node + 1} has {ROOM[node]} calls", flush=True)
    return kept


def hang_up(caller, callee, which):
    here, there = start_call(caller, callee)
    check("node 2 has it", owner_of(here) == 1)
    first, other = (here, there) if which == 0 else (there, here)
    first.bye()
    other.answer_bye()


def cancel(caller, callee):
    invite, there = ring(caller, callee)
    keep = [(k, invite.get(k)) for k in ("Via", "From", "To", "Call-ID", "Max-Forwards")]
    asked = Message(sip.message(f"CANCEL {invite.uri} SIP/2.0", [*keep, ("CSeq", f"{invite.cseq} CANCEL")]))
    caller.send(asked.data)
    check("the CANCEL is answered", caller.final(asked).status == 200)
    callee.respond(callee.request("CANCEL"), 200)
    callee.respond(there, 487, tag="cancelled")
    answer = caller.final(invite)
    check("the INVITE is answered 487", answer.status == 487, answer)
    caller.send(caller.ack_refusal(invite, answer))


def busy(caller, callee):
    """The first 486 is acknowledged. When the second one, which is not, has come again, the first would have too."""
    done, there = ring(caller, callee)
    callee.respond(there, 486, tag="busy")
    answer = caller.final(done)
    check("the INVITE is answered 486", answer.status == 486, answer)
    caller.send(caller.ack_refusal(done, answer))
    later, there = ring(caller, callee)
    callee.respond(there, 486, tag="busy")
    caller.final(later)
    answer = caller.final(later)
    caller.send(caller.ack_refusal(later, answer))
    again = [m for m in caller.waiting if m.status == 486 and m.get("Call-ID") == done.get("Call-ID")]
    check("its ACK is heard", not again, again)


def refused(caller, callee):
    sent, answer = caller.ask("INVITE", caller.url(callee.user), body=sdp(caller.address, 21000))
    caller.send(caller.ack_refusal(sent, answer))
    check("one call more is answered 503", answer.status == 503, answer)
    return answer


def room_again(caller, callee):
    """The first node has room: calls of the second one's buckets go there, once it has said so."""
    def taken():
        sent, answer = caller.ask("INVITE", caller.url("1003"), body=sdp(caller.address, 21000))
        caller.send(caller.ack_refusal(sent, answer))
        return answer.status == 480 and handed(1) > before
    before = handed(1)
    wait_for("a call of the second node's goes to the first one", taken)


def main():
    alice, bob = [Roaming(n, u, int(sys.argv[1])) for n, u in (("ALICE", "1001"), ("BOB", "1002"))]
    wait_for("both daemons own all buckets", lambda: all_owned([0, 1]))
    for phone in (alice, bob):
        phone.register()
    wait_for("both know two registrations", lambda: all(number(n, "leftover", "bindings") == 2 for n in (0, 1)))
    first = fill(0, alice, bob)
    for which, who in enumerate(("the caller hangs up", "the callee hangs up")):
        until_handed(who, lambda which=which: hang_up(alice, bob, which))
    until_handed("CANCEL while it rings", lambda: cancel(alice, bob))
    until_handed("ACK of a 486", lambda: busy(alice, bob))
    check("nothing was refused", not any(m.status == 503 for p in (alice, bob) for m in p.waiting))
    second = fill(1, alice, bob)
    for _ in range(4):
        answer = refused(alice, bob)
        check("with Retry-After", answer.get("Retry-After").isdigit(), answer.data)
    here, there = first.pop()
    here.bye()
    there.answer_bye()
    room_again(alice, bob)
    for here, there in first + second:
        here.bye()
        there.answer_bye()
    wait_for("no call is left", lambda: all(number(n, "leftover", "calls") == 0 for n in (0, 1)))


if __name__ == "__main__":
    run(main)
