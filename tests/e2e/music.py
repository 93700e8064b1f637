#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/music.py PORT WAV: what a held phone hears of a daemon with hold = local, and one whose transferor is gone.
Without PORT: writes the WAV."""
import math
import socket
import struct
import sys
import time
import wave

import sip
from sip import Phone, call, check, nothing_is_left

HERTZ, RATE, FRAME = 620, 8000, 160


def write_wav(path):
    with wave.open(path, "wb") as w:
        w.setparams((1, 2, RATE, 0, "NONE", ""))
        w.writeframes(b"".join(struct.pack("<h", round(8000 * math.sin(2 * math.pi * HERTZ * i / RATE)))
                               for i in range(RATE * 2)))


def from_ulaw(code):
    code = ~code & 0xff
    value = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -value if code & 0x80 else value


def share(samples, hertz):
    """Of the energy, what lies at this frequency."""
    turn = [2 * math.pi * hertz * i / RATE for i in range(len(samples))]
    re = sum(s * math.cos(t) for s, t in zip(samples, turn))
    im = sum(s * math.sin(t) for s, t in zip(samples, turn))
    return 2 * (re * re + im * im) / (len(samples) * sum(s * s for s in samples) or 1)


class Ear:
    """The RTP socket of one side of a call: what it hears is one stream."""

    def __init__(self, dialog):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((dialog.phone.address, dialog.rtp))
        self.socket.settimeout(sip.LIMIT)
        self.to, self.seq = ("127.0.0.1", dialog.relay), 0

    def say(self):
        self.seq += 1
        self.socket.sendto(struct.pack(">BBHII", 0x80, 0, self.seq, self.seq * FRAME, 77) + b"\xd5" * FRAME, self.to)

    def hear(self):
        """Sequence, timestamp, SSRC, samples."""
        data = self.socket.recv(2048)
        _, kind, seq, stamp, ssrc = struct.unpack(">BBHII", data[:12])
        check("PCMU", kind & 0x7f == 0, kind)
        return seq, stamp, ssrc, [from_ulaw(b) for b in data[12:]]


def hold():
    """Row 32. The holder's 200 comes from us; the held one hears the file in its own stream, then the holder again."""
    a, b = Phone("A", 1001, int(sys.argv[1])), Phone("B", 1002, int(sys.argv[1]))
    for phone in (a, b):
        phone.register()
    here, there = call(a, b)
    held, holder = Ear(here), Ear(there)
    held.say()
    holder.say()
    before = held.hear()
    check("B is answered recvonly", there.reinvite("sendonly") == "recvonly")
    began = time.monotonic()
    heard = [held.hear() for _ in range(50)]
    took = time.monotonic() - began
    check("50 frames in a second", 0.9 < took < 1.2, took)
    check("in the stream of the call", {h[2] for h in heard} == {before[2]}, heard[0][:3])
    check("numbers go on", [h[0] for h in heard] == [before[0] + 1 + i for i in range(50)], heard[0][:3])
    steps = {heard[i + 1][1] - heard[i][1] for i in range(49)}
    check("and time does", steps == {FRAME}, steps)
    part = share(sum((h[3] for h in heard), []), HERTZ)
    check(f"what is heard is {HERTZ} Hz", part > 0.97, part)
    check("B is answered sendrecv", there.reinvite("sendrecv") == "sendrecv")
    time.sleep(0.1)
    held.socket.setblocking(False)
    try:
        while True:
            held.hear()
    except BlockingIOError:
        pass
    held.socket.settimeout(sip.LIMIT)
    holder.say()
    check("A hears B again", held.hear()[3] == [from_ulaw(0xd5)] * FRAME)
    here.bye()
    there.answer_bye()
    nothing_is_left()


def announcement():
    """Row 26. B has left, C refuses, B does not answer the recall: A hears the file to its end, once, then gets BYE."""
    a, b, c = (Phone(n, u, int(sys.argv[1])) for n, u in (("A", 1001), ("B", 1002), ("C", 1003)))
    for phone in (a, b, c):
        phone.register()
    here, there = call(a, b)
    left = Ear(here)
    left.say()
    check("B refers A to C", there.refer(f"<{b.url('1003')}>").status == 202)
    there.notified()
    to_c = c.request("INVITE")
    there.bye()
    c.respond(to_c, 486, tag="c")
    c.request("ACK")
    check("B is told", there.notified()[0] == 486)
    recall = b.request("INVITE")
    b.respond(recall, 180, tag="b")
    cancel = b.request("CANCEL", recall.get("Call-ID"))
    b.respond(cancel, 200)
    b.respond(recall, 487, tag="b")
    heard = [left.hear() for _ in range(2 * RATE // FRAME)]
    part = share(sum((h[3] for h in heard), []), HERTZ)
    check(f"A hears {HERTZ} Hz, all of the file", part > 0.97, part)
    here.answer_bye()
    left.socket.setblocking(False)
    try:
        left.hear()
        check("and no more", False)
    except BlockingIOError:
        pass
    nothing_is_left()


if len(sys.argv) == 2:
    write_wav(sys.argv[1])
else:
    sip.run({"hold": hold, "announcement": announcement}, [])
