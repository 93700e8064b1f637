# SPDX-License-Identifier: AGPL-3.0-or-later
"""RTP of one party, every payload of which is known: who said it and which one it was. What is heard is kept with all
that a listener could notice of it."""
import socket
import struct
import threading
import time
from collections import namedtuple

FRAME, INTERVAL = 160, 0.02
Heard = namedtuple("Heard", "at who number seq stamp ssrc marker kind src")


class Speaker(threading.Thread):
    """Speaks every 20 ms from its dialog's RTP port to where the dialog's SDP says, until it is told to stop."""

    def __init__(self, dialog, host, who, kind=0, address=None, seq=None):
        super().__init__(daemon=True)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address or dialog.phone.media, dialog.rtp))
        self.to, self.who, self.kind = (host, dialog.relay), who, kind
        self.ssrc, self.seq, self.stamp = 0x1000 * (who + 1) + dialog.rtp, 1000 * who + dialog.rtp, 7000 * who
        self.seq = self.seq if seq is None else seq
        self.sent, self.heard, self.bad, self.on, self.speaks = [], [], [], True, True
        self.turn = threading.Lock()
        self.ear = threading.Thread(target=self.listen, daemon=True)
        self.ear.start()
        self.start()

    def payload(self, number):
        return struct.pack(">II", self.who, number) * (FRAME // 8)

    def packet(self, number):
        header = struct.pack(">BBHII", 0x80, self.kind, self.seq & 0xffff, self.stamp & 0xffffffff, self.ssrc)
        return header + self.payload(number)

    def say(self):
        packet = self.packet(len(self.sent))
        self.sent.append(time.monotonic())
        self.socket.sendto(packet, self.to)
        self.seq += 1
        self.stamp += FRAME

    def run(self):
        due = time.monotonic()
        while self.on:
            with self.turn:
                if self.speaks:
                    self.say()
            due += INTERVAL
            time.sleep(max(0, due - time.monotonic()))

    def pause(self):
        """What is in `sent` has been sent, and no more is until `speaks` is set."""
        with self.turn:
            self.speaks = False

    def has_heard_all(self, other):
        """Up to the last packet of `other`, which has paused."""
        last = self.heard[-1] if self.heard else None
        return last and (last.who, last.number) == (other.who, len(other.sent) - 1)

    def listen(self):
        self.socket.settimeout(0.1)
        while self.on:
            try:
                data, src = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                return
            self.take(data, src, time.monotonic())

    def take(self, data, src, at):
        if len(data) != 12 + FRAME or data[12:20] * (FRAME // 8) != data[12:]:
            self.bad.append(data)
            return
        first, kind, seq, stamp, ssrc = struct.unpack(">BBHII", data[:12])
        who, number = struct.unpack(">II", data[12:20])
        self.heard.append(Heard(at, who, number, seq, stamp, ssrc, bool(kind & 0x80), kind & 0x7f, src))

    def rebind(self):
        """Another port of the same address, as a NAT gives that forgot."""
        other = socket.socket(self.socket.family, socket.SOCK_DGRAM)
        other.bind((self.socket.getsockname()[0], 0))
        other.settimeout(0.1)
        self.former, self.socket = self.socket, other

    def stop(self):
        self.on = False
        self.join()
        self.ear.join()
        self.socket.close()


def faults(heard):
    """What a listener would notice of all it heard: nothing, if it was one stream. Within one speaker the stamps go by
    the frame; where another one begins they go by the time passed, to half a frame and what a busy machine adds."""
    found = []
    for one, two in zip(heard, heard[1:]):
        step = (two.stamp - one.stamp) & 0xffffffff
        if two.ssrc != one.ssrc:
            found.append(("ssrc", one, two))
        if two.seq != (one.seq + 1) & 0xffff:
            found.append(("seq", one, two))
        if one.who == two.who:
            if step != FRAME * (two.number - one.number):
                found.append(("stamp", one, two))
            continue
        if not two.marker:
            found.append(("marker", one, two))
        if abs(step - (two.at - one.at) * 8000) > 8000 * 0.05:
            found.append(("time", one, two))
    return found
