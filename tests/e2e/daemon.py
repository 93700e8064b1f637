#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/daemon.py PORT PID FLOW: what the daemon's owner does to it (signals, orders, bounds) while phones talk."""
import os
import re
import signal
import socket
import subprocess
import sys
import time

import sip
from sip import Message, Phone, call, check, held, nothing_is_left, sdp, wait_for

PORT, PID = int(sys.argv[1]), int(sys.argv[2])
CONFIG, LOG = f"{sip.FOLDER}/refereed.yaml", f"{sip.FOLDER}/refereed.log"


def log():
    with open(LOG, encoding="utf-8") as f:
        return f.read()


def order(*words):
    """What the daemon answers to refereectl, and its exit status."""
    command = [f"{sip.BUILD}/refereectl", "-s", f"{sip.FOLDER}/admin", *words]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.stdout + run.stderr, run.returncode


def pair():
    a, b = Phone("A", 1001, PORT), Phone("B", 1002, PORT)
    a.register()
    b.register()
    return a, b


def refused_call(caller, callee):
    """The answer to one call more; the callee must hear nothing of it."""
    sent, answer = caller.ask("INVITE", callee.url(), body=sdp(caller.address, 9))
    caller.send(caller.ack_refusal(sent, answer))
    probe = callee.ask("OPTIONS", callee.url())[1]
    check("it is still alive", probe.status in (200, 503), probe)
    check("no INVITE went out", not any(m.is_request and m.method == "INVITE" for m in callee.waiting))
    return answer


# ---- bounds

def ports():
    """Two pairs: one call."""
    a, b = pair()
    here, there = call(a, b)
    check("both pairs are taken", held("ports") == [2], held("ports"))
    answer = refused_call(a, b)
    check("the next call is answered 503", answer.status == 503, answer)
    check("with Retry-After", int(answer.get("Retry-After")) > 0, answer.get("Retry-After"))
    check("the first goes on", here.ask("OPTIONS").status == 200)
    here.bye()
    there.answer_bye()
    nothing_is_left()
    here, there = call(a, b)
    there.bye()
    here.answer_bye()
    nothing_is_left()


def emergency():
    """Four pairs, half of them for emergency calls; 1003 is one."""
    a, b = pair()
    c = Phone("C", 1003, PORT)
    c.register()
    here, there = call(a, b)
    answer = refused_call(a, b)
    check("the next call is answered 503", answer.status == 503, answer)
    check("with Retry-After", int(answer.get("Retry-After")) > 0, answer.get("Retry-After"))
    help_, centre = call(a, c)
    check("an emergency call is not", held("ports") == [4], held("ports"))
    help_.bye()
    centre.answer_bye()
    here.bye()
    there.answer_bye()
    nothing_is_left()


def calls():
    """limits.calls = 1."""
    a, b = pair()
    here, there = call(a, b)
    answer = refused_call(a, b)
    check("the next call is answered 503", answer.status == 503, answer)
    check("with Retry-After", int(answer.get("Retry-After")) > 0, answer.get("Retry-After"))
    check("and is counted", sip.metric("pool_full") == 1, sip.metric("pool_full"))
    check("the first goes on", here.ask("OPTIONS").status == 200)
    here.bye()
    there.answer_bye()
    nothing_is_left()
    here, there = call(a, b)
    here.bye()
    there.answer_bye()


def registrations():
    """limits.registrations = 2."""
    a, b = pair()
    c = Phone("C", 1003, PORT)
    _, answer = c.ask("REGISTER", f"sip:127.0.0.1:{PORT}", ["Expires: 600"], To=f"<{c.url()}>")
    check("the third is answered 503", answer.status == 503, answer)
    check("with Retry-After", int(answer.get("Retry-After")) > 0)
    a.register(0)
    c.register()


def transactions():
    """limits.transactions = 16, each held for 32 s."""
    a = Phone("A", 1001, PORT)
    answers = []
    for _ in range(24):
        sent = Message(a.new("OPTIONS", a.url()))
        a.send(sent.data)
        answers.append(a.final(sent))
    status = [m.status for m in answers]
    check("first 200, then 503", status == sorted(status) and {*status} == {200, 503}, status)
    check("with Retry-After", int(answers[-1].get("Retry-After")) > 0)
    check("and counted", sip.metric("pool_full") == status.count(503), sip.metric("pool_full"))


def overload():
    """limits.lag = 1us: always too much to do; 1002 is an emergency number."""
    a, b = pair()
    here, there = call(a, b)

    def refused(method, uri, **more):
        sent, answer = a.ask(method, uri, **more)
        if method == "INVITE":
            a.send(a.ack_refusal(sent, answer))
        if answer.status == 503:
            check("with Retry-After", int(answer.get("Retry-After")) > 0, answer.get("Retry-After"))
        return answer.status == 503

    wait_for("a new call is answered 503", lambda: refused("INVITE", a.url("1003"), body=sdp(a.address, 9)))
    wait_for("at last REGISTER too", lambda: refused("REGISTER", f"sip:127.0.0.1:{PORT}", To=f"<{a.url()}>"))
    check("both are counted", sip.metric("overload_refused") >= 2, sip.metric("overload_refused"))
    check("the call goes on", here.ask("OPTIONS").status == 200)
    for _ in range(5):
        out, back = call(a, b)
        out.bye()
        back.answer_bye()
    here.bye()
    there.answer_bye()
    nothing_is_left()


# ---- signals

def rewrite(change):
    with open(CONFIG, encoding="utf-8") as f:
        text = f.read()
    with open(CONFIG, "w", encoding="utf-8") as f:
        f.write(change(text))
    before = log().count(" reload: ")
    os.kill(PID, signal.SIGHUP)
    wait_for("the log tells of a reload", lambda: log().count(" reload: ") > before)


def reload():
    a, b = pair()
    here, there = call(a, b)
    trunk = Phone("trunk", 900, PORT)
    check("no route yet: 404", refused_call(a, trunk).status == 404)
    hop = f"{trunk.address}:{trunk.port}"
    rewrite(lambda text: text.replace("name: '1003'", "name: '1004'").replace("secret1003", "secret1004") +
            f"routes: [{{name: trunk, prefix: \"9\", next_hop: '{hop}'}}]\n")
    Phone("D", 1004, PORT).register()
    gone = Phone("C", 1003, PORT)
    _, answer = gone.ask("REGISTER", f"sip:127.0.0.1:{PORT}", To=f"<{gone.url()}>")
    check("who is no user any more may not register", answer.status in (401, 403), answer)
    out, back = call(a, trunk)
    out.bye()
    back.answer_bye()
    check("the call of before survived", there.ask("OPTIONS").status == 200)
    rewrite(lambda text: text + "nonsense: true\n")
    lines = log().splitlines()
    bad = next(line for line in reversed(lines) if " reload: " in line)
    check("a bad file is named with its line", re.search(r"refereed\.yaml:\d+: nonsense", bad), bad)
    check("and changes nothing", "nothing was changed" in bad, bad)
    Phone("D", 1004, PORT).register()
    here.bye()
    there.answer_bye()
    nothing_is_left()


def drain():
    """SIGTERM with a call that does not end by itself; drain.timeout = 1s."""
    a, b = pair()
    here, there = call(a, b)
    os.kill(PID, signal.SIGTERM)
    wait_for("it drains", lambda: " drain: " in log())
    answer = refused_call(a, b)
    check("a new call is answered 503", answer.status == 503 and answer.get("Retry-After"), answer)
    check("the old one goes on", here.ask("OPTIONS").status == 200)
    for dialog in (here, there):
        bye = dialog.phone.request("BYE", dialog.call_id)
        check(f"{dialog.phone.name} gets BYE at the deadline", "Shutting down" in bye.get("Reason"), bye.get("Reason"))
        dialog.phone.respond(bye, 200)


def drain_ends_early():
    """The last call ends before the deadline of a minute."""
    a, b = pair()
    here, there = call(a, b)
    order("drain")
    wait_for("it drains", lambda: " drain: " in log())
    here.bye()
    there.answer_bye()


# ---- orders

def orders():
    a, b = pair()
    here, there = call(a, b)
    text, status = order("calls")
    check("calls: one line a call", status == 0 and text.count("\n") >= 1 and "1001" in text, text)
    number = re.search(r"\b[0-9a-f]{16}\b", text)[0]
    text, status = order("show", number)
    check("show: legs, states, streams", status == 0 and len(re.findall(r"^  leg \d UP", text, re.M)) == 2 and
          text.count("    stream ") == 2, text)
    check("show: the ladder so far", re.search(r"send: INVITE .*\n(.*\n)*.*recv: ACK", text), text)
    check("show: Call-IDs of both sides", here.call_id in text and there.call_id in text, text)
    text, status = order("registrations")
    check("registrations", status == 0 and a.address in text and b.address in text, text)
    check("metrics", sip.metric("calls_answered") == 1 and sip.metric("registrations") == 2)
    check("leftover", held("calls", "legs", "bindings") == [1, 2, 2], held("calls", "legs", "bindings"))
    check("version", order("version")[0].startswith("refereed "))
    for wrong in (["dance"], ["show", "0123456789abcdef"], ["show"]):
        text, status = order(*wrong)
        check(f"{' '.join(wrong)}: an error", status != 0 and text, text)
    media(here, there)
    here.bye()
    there.answer_bye()
    nothing_is_left()


def media(here, there):
    """RTP both ways, from where the descriptions say and to where the daemon said; counted by show."""
    ends = []
    for dialog in (here, there):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((dialog.phone.address, dialog.rtp))
        s.settimeout(sip.LIMIT)
        ends.append((s, dialog.relay))
    for i, (s, to) in enumerate(ends):
        for n in range(10):
            s.sendto(bytes([0x80, 0, 0, n, 0, 0, 0, n * 160 // 256, 0, 0, 0, 7 + i]) + b"\xd5" * 160, ("127.0.0.1", to))
            data, source = ends[1 - i][0].recvfrom(2048)
            if data[12:] != b"\xd5" * 160 or source[1] != ends[1 - i][1]:
                raise sip.Failed(f"packet {n} came as {data!r} from {source}")
        print(f"ok: ten packets from {'BA'[1 - i]}", flush=True)
    check("they are counted", sip.metric("rtp_in") == 20 and sip.metric("rtp_out") == 20)
    for s, _ in ends:
        s.close()


FLOWS = {f.__name__: f for f in (ports, emergency, calls, registrations, transactions, overload, reload, drain,
                                 drain_ends_early, orders)}
if __name__ == "__main__":
    began = time.monotonic()
    sip.run(FLOWS, sys.argv[3:])
    print(f"took {time.monotonic() - began:.1f} s")
