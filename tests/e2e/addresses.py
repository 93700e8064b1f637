#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/addresses.py PORT MODE ADDRESS...: a daemon with two IPv4 addresses for media and an IPv6 one, each with
two pairs of ports: legs take them in turn, each one of its family, and a call for which none is left gets 503 before
anybody rings. A party that goes over to the other family is told of an address of that. MODE as in fastpath.py."""
import sys
import threading
import time

import sip
from fastpath import ADDRESSES, MEDIA_ADDRESSES, hears, in_kernel
from sip import Dialog, Failed, Phone, check, invite, nothing_is_left, wait_for
from speech import Speaker


def speak(here, there, mode):
    """Until both have heard each other."""
    a, b = Speaker(here, here.relay_address, 0), Speaker(there, there.relay_address, 1)
    hears(a, 1)
    hears(b, 0)
    in_kernel(mode, (a, b))
    for speaker in (a, b):
        speaker.stop()
        check(f"{speaker.who} heard nothing else", not speaker.bad)


def talk(caller, callee, mode):
    """The two dialogs, once both have heard each other."""
    here, there = sip.call(caller, callee)
    speak(here, there, mode)
    return here, there


def roam(here, there, media, mode):
    """The first of the two goes over to another address; where it is told to send to from then on."""
    here.phone.media = media
    answering = threading.Thread(target=there.answer_reinvite)
    answering.start()
    here.reinvite("sendrecv")
    answering.join()
    here.offer = here.seen
    speak(here, there, mode)
    return here.relay_address


def hang_up(here, there):
    here.bye()
    there.answer_bye()


def refused(caller, callee):
    """503 before the callee hears of it; else the call is refused by the callee."""
    again = invite(caller, callee)
    while not callee.waiting and not any(m.status >= 200 for m in caller.waiting):
        callee.receive(time.monotonic() + 0.02)
        caller.receive(time.monotonic() + 0.02)
    if callee.waiting:
        Dialog.called(callee, callee.request("INVITE"), status=486)
    answer = caller.final(again)
    caller.send(caller.ack_refusal(again, answer))
    check("refused by one of the two", answer.status == 486 or (answer.status == 503 and answer.get("Retry-After")),
          answer)
    return answer.status == 503


def walk(port, mode, first, second, sixth):
    a, b, c = (Phone(name, 1001 + i, port, ADDRESSES[i]) for i, name in enumerate("ABC"))
    for phone, media in zip((a, b, c), MEDIA_ADDRESSES):
        phone.media = media or phone.address
        phone.register()
    c.media = "::1" if ":" not in c.media else c.media
    one = talk(a, b, mode)
    check("in turn", [d.relay_address for d in one] == [first, second])
    two = talk(c, a, "user")   # from one family to the other: never the kernel's
    check("each of its family", [d.relay_address for d in two] == [sixth, first])
    check("a call for which no ports are left gets 503, and nobody rings", refused(a, b))
    home = a.media
    check("who goes over to the other family is told of an address of it", roam(*one, c.media, "user") == sixth)
    check("... and back", roam(*one, home, mode) in (first, second))
    hang_up(*one)
    check("... those in quarantine are none", refused(a, b))
    hang_up(*two)
    wait_for("ports come back", lambda: not refused(a, b))
    nothing_is_left()


if __name__ == "__main__":
    try:
        walk(int(sys.argv[1]), *sys.argv[2:])
    except Failed as failure:
        sys.exit(f"FAIL: {failure}")
