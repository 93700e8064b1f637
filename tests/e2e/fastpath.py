#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/fastpath.py PORT MODE: one call with speech both ways and a chain of TRANSFERS (ten). Every payload is
looked at. MODE is what the daemon forwards by: tc, xdp, or user (packet, off). Where MEDIA and PHONES_MEDIA say so, the
media is of other addresses, and IPv6. fastpath.py --prepare DEVICE: it sends complete checksums from now on, as native
XDP on a veth's other end needs them."""
import array
import fcntl
import os
import socket
import struct
import sys
import time

import sip
from sip import Dialog, Failed, Phone, call, check, metric, nothing_is_left, wait_for
from speech import INTERVAL, Speaker, faults

ADDRESSES = os.environ.get("PHONES", "").split() or [None] * 3
MEDIA = os.environ.get("MEDIA", sip.HOST)  # the daemon's address for media, and the phones'
MEDIA_ADDRESSES = os.environ.get("PHONES_MEDIA", "").split() or ADDRESSES
SIOCETHTOOL, SET_TX_CHECKSUM = 0x8946, 0x17
TRANSFERS = int(os.environ.get("TRANSFERS", "10"))
DEVICE, DAEMON_MAC = os.environ.get("DEVICE"), os.environ.get("DAEMON_MAC")  # in namespaces only


def prepare(device):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        data = array.array("B", struct.pack("II", SET_TX_CHECKSUM, 0))
        fcntl.ioctl(s.fileno(), SIOCETHTOOL, struct.pack("16sP", device.encode(), data.buffer_info()[0]))


def hears(listener, who, more=10):
    """Until it has heard that many more of `who`."""
    def count():
        return sum(h.who == who for h in listener.heard)
    want = count() + more
    wait_for(f"{listener.who} hears {more} more of {who}", lambda: count() >= want)


def stand_still(one, other):
    """How many packets both have sent, and the daemon has seen, when none is on its way."""
    one.pause()
    other.pause()
    wait_for("both have heard all", lambda: one.has_heard_all(other) and other.has_heard_all(one))
    return len(one.sent) + len(other.sent), metric("rtp_in")


def in_kernel(mode, speakers):
    """Whether all of a second's packets passed without the daemon, or by it."""
    sent, seen = stand_still(*speakers)
    for speaker in speakers:
        speaker.speaks = True
    time.sleep(1)
    sent_then, seen_then = stand_still(*speakers)
    sent, seen = sent_then - sent, seen_then - seen
    for speaker in speakers:
        speaker.speaks = True
    check(f"{mode}: of {sent} packets the daemon saw {seen}", sent > 20 and
          seen == (sent if mode in ("user", "packet", "off") else 0))


FORGER = 99


def udp(address, port):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    return s


def forge(listener, source, port):
    """RTP in sequence, from where it must not come."""
    with udp(source, port) as s:
        for i in range(100):
            s.sendto(struct.pack(">BBHII", 0x80, 0, i, 160 * i, 5) + struct.pack(">II", FORGER, i) * 20, listener.to)


def comes_back(wire):
    """Whether the device has received what forge_tagged sent."""
    while True:
        try:
            frame, address = wire.recvfrom(2048)
        except BlockingIOError:
            return False
        if address[2] != socket.PACKET_OUTGOING and struct.pack(">II", FORGER, 0) in frame:
            return True


def forge_tagged(speaker):
    """The same as `speaker` sends, but of a VLAN that is not the daemon's: whatever its addresses say. It goes
    nowhere, not as a tagged frame either."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
        wire.bind((DEVICE, 3))
        wire.setblocking(False)
        send_tagged(speaker)
        time.sleep(0.2)
        check("nothing of another VLAN is forwarded", not comes_back(wire))


def send_tagged(speaker):
    source, port = speaker.socket.getsockname()[:2]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((DEVICE, 0))
        for i in range(20):
            rtp = struct.pack(">BBHII", 0x80, 0, (speaker.seq + 1) & 0xffff, speaker.stamp & 0xffffffff, speaker.ssrc)
            rtp += struct.pack(">II", FORGER, i) * 20
            udp_header = struct.pack(">HHHH", port, speaker.to[1], 8 + len(rtp), 0)
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(rtp), 0, 0, 64, 17, 0, socket.inet_aton(source),
                             socket.inet_aton(speaker.to[0]))
            total = sum(struct.unpack(">10H", ip))
            total = (total & 0xffff) + (total >> 16)
            ip = ip[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xffff) + ip[12:]
            frame = bytes.fromhex(DAEMON_MAC.replace(":", "")) + b"\2\0\0\0\0\1" + b"\x81\0\0\x07\x08\0"
            s.send(frame + ip + udp_header + rtp)


def rebinds(listener, speaker):
    """NAT rebinding: silent for a while, then there again from another port, and heard and spoken to there."""
    speaker.speaks = False
    time.sleep(2.2)
    speaker.rebind()
    speaker.speaks = True
    hears(listener, speaker.who)
    hears(speaker, listener.who)


def transfer(listener, dialog, phone, who, speaker):
    """The party of `dialog` refers A to `phone`, who begins to speak with its 200. Its dialog and speaker, and since
    when nobody may miss a packet of it."""
    answer = dialog.refer(f"<{dialog.phone.url(phone.user)}>")
    check("the REFER is answered 202", answer.status == 202, answer)
    new = Dialog.called(phone, phone.request("INVITE"), status=0)
    other = Speaker(new, MEDIA, who)
    new.answer()
    check("and told 200 in the end", dialog.result() == 200)
    agreed = time.monotonic()
    hears(listener, who)
    hears(other, listener.who)
    dialog.bye()
    speaker.stop()
    return new, other, agreed


def check_heard(listener, speaker, since, until, what):
    """Every payload that `speaker` sent in that time, once and in order."""
    numbers = [i for i, at in enumerate(speaker.sent) if since <= at <= until]
    heard = [h.number for h in listener.heard if h.who == speaker.who and h.number in set(numbers)]
    check(f"{what}: {len(numbers)} payloads", heard == numbers, (set(numbers) - set(heard), heard[:5]))


def check_splice(listener, before, after, index):
    """Nobody of before is heard once the new one was; the gap in packets more than one interval."""
    mine = [h for h in listener.heard if h.who in (before, after)]
    first = next(i for i, h in enumerate(mine) if h.who == after)
    late = [h for h in mine[first:] if h.who == before]
    gap = (mine[first].at - mine[first - 1].at) * 1000 if first else 0
    check(f"transfer {index}: none of {before} behind {after}; gap {gap:.1f} ms", not late, late[:2])


def sender_report(speaker, listener_socket, listener):
    """RTCP follows: the report's SSRC and RTP time are as the listener knows the stream."""
    now = speaker.stamp   # it speaks on meanwhile
    report = struct.pack(">BBHIQIII", 0x80, 200, 6, speaker.ssrc, 1 << 63, now & 0xffffffff, 5, 800)
    address, port = speaker.socket.getsockname()[:2]
    with udp(address, port + 1) as s:
        s.sendto(report, (speaker.to[0], speaker.to[1] + 1))
    data = listener_socket.recv(2048)
    ssrc, _, stamp = struct.unpack(">IQI", data[4:20])
    last = next(h for h in reversed(listener.heard) if h.who == speaker.who)
    said = 7000 * speaker.who + last.number * 160
    check("RTCP follows", ssrc == last.ssrc and (stamp - last.stamp) & 0xffffffff ==
          (now - said) & 0xffffffff, data.hex())


def chain(port, mode):
    a, b, c = (Phone(name, 1001 + i, port, ADDRESSES[i]) for i, name in enumerate("ABC"))
    for phone, media in zip((a, b, c), MEDIA_ADDRESSES):
        phone.media = media or phone.address
        phone.register()
    here, there = call(a, b)
    listener, speaker = Speaker(here, MEDIA, 0), Speaker(there, MEDIA, 1)
    ear = udp(a.media, here.rtp + 1)
    ear.settimeout(sip.LIMIT)
    hears(listener, 1)
    hears(speaker, 0)
    start = time.monotonic()
    in_kernel(mode, (listener, speaker))
    forge(listener, c.media, 0)
    forge(speaker, c.media, 0)
    forge(speaker, speaker.socket.getsockname()[0], 0)
    if DEVICE and ":" not in MEDIA:
        forge_tagged(speaker)
    end = time.monotonic() - 2 * INTERVAL
    time.sleep(0.2)
    check_heard(listener, speaker, start, end, "before: B at A")
    check_heard(speaker, listener, start, end, "before: A at B")
    for i in range(TRANSFERS):
        next_phone = (c, b)[i % 2]
        former = speaker
        there, speaker, agreed = transfer(listener, there, next_phone, 2 + i, former)
        check_heard(listener, speaker, agreed, time.monotonic() - 0.2, f"transfer {i + 1}: at A")
        check_heard(speaker, listener, agreed, time.monotonic() - 0.2, f"transfer {i + 1}: of A")
        check_splice(listener, former.who, speaker.who, i + 1)
    in_kernel(mode, (listener, speaker))
    sender_report(speaker, ear, listener)
    found = faults(list(listener.heard))
    rebinds(listener, speaker)
    in_kernel(mode, (listener, speaker))
    listener.stop()
    speaker.stop()
    check("nobody heard what was forged", not any(h.who == FORGER for s in (listener, speaker) for h in s.heard))
    check(f"A heard one stream of {len(listener.heard)} packets", not found and not listener.bad, found[:3])
    here.bye()
    there.answer_bye()
    nothing_is_left()


if __name__ == "__main__":
    if sys.argv[1] == "--prepare":
        prepare(sys.argv[2])
        sys.exit()
    try:
        chain(int(sys.argv[1]), sys.argv[2])
    except Failed as failure:
        sys.exit(f"FAIL: {failure}")
