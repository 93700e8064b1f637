# SPDX-License-Identifier: AGPL-3.0-or-later
"""Calls for the relays: by SIP through refereed, by the ng protocol through rtpengine. The parties exist only in SDP. A
party is told where to send; that is all that is wanted."""
import re
import select
import socket
import time

WINDOW, LIMIT = 32, 60.0


def party(number):
    return f"10.200.{number // 200}.{number % 200 + 1}"


def sdp(address):
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
            "a=rtpmap:0 PCMU/8000\r\n")


def port_of(text):
    return int(re.search(r"m=audio (\d+)", text)[1])


def header(text, name):
    return re.search(rf"^{name}: (.*?)\r$", text, re.M)[1]


def message(start, headers, body=""):
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{start}\r\n{headers}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class Sip:
    """Caller and called party of all calls, at one address each."""

    def __init__(self, daemon, here):
        self.daemon, self.here, self.made = (daemon, 5060), here, 0
        self.caller, self.called = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.caller.bind((here, 5080))
        self.called.bind((here, 5070))
        self.ports = {}

    def close(self):
        self.caller.close()
        self.called.close()

    def invite(self, k):
        h = (f"Via: SIP/2.0/UDP {self.here}:5080;branch=z9hG4bKi{k}\r\nMax-Forwards: 70\r\n"
             f"From: <sip:load@{self.here}>;tag=f{k}\r\nTo: <sip:{k}@far.example>\r\nCall-ID: load-{k}\r\n"
             f"CSeq: 1 INVITE\r\nContact: <sip:load@{self.here}:5080>")
        self.caller.sendto(message(f"INVITE sip:{k}@far.example SIP/2.0", h, sdp(party(2 * k))), self.daemon)

    def answered(self, text):
        """The caller's 200; its number."""
        if not text.startswith("SIP/2.0 200"):
            if not text.startswith("SIP/2.0 1"):
                raise RuntimeError(text.split("\r\n")[0])
            return None
        k = int(header(text, "Call-ID").split("-")[1])
        contact = re.search(r"<([^>]*)>", header(text, "Contact"))[1]
        h = (f"Via: SIP/2.0/UDP {self.here}:5080;branch=z9hG4bKa{k}\r\nMax-Forwards: 70\r\n"
             f"From: {header(text, 'From')}\r\nTo: {header(text, 'To')}\r\nCall-ID: load-{k}\r\nCSeq: 1 ACK")
        self.caller.sendto(message(f"ACK {contact} SIP/2.0", h), self.daemon)
        first = 2 * k not in self.ports
        self.ports[2 * k] = port_of(text)
        return k if first else None

    def answer(self, text):
        if not text.startswith("INVITE"):
            return
        k = int(re.match(r"INVITE sip:(\d+)@", text)[1])
        self.ports[2 * k + 1] = port_of(text)
        via = "\r\n".join(f"Via: {v}" for v in re.findall(r"^Via: (.*?)\r$", text, re.M))
        h = (f"{via}\r\nFrom: {header(text, 'From')}\r\nTo: {header(text, 'To')};tag=t{k}\r\n"
             f"Call-ID: {header(text, 'Call-ID')}\r\nCSeq: {header(text, 'CSeq')}\r\n"
             f"Contact: <sip:{k}@{self.here}:5070>")
        self.called.sendto(message("SIP/2.0 200 OK", h, sdp(party(2 * k + 1))), self.daemon)

    def make(self, count):
        """Until there are `count` calls in all."""
        asked, end = self.made, time.monotonic() + LIMIT
        while self.made < count:
            while asked < count and asked - self.made < WINDOW:
                self.invite(asked)
                asked += 1
            for s in select.select([self.caller, self.called], [], [], 1)[0]:
                text = s.recv(65536).decode()
                if s is self.called:
                    self.answer(text)
                elif self.answered(text) is not None:
                    self.made += 1
            if time.monotonic() > end:
                raise RuntimeError(f"{self.made} calls of {count} within {LIMIT:.0f} s")

    def flows(self, daemon, count):
        return [(party(p), 4000, daemon, self.ports[p]) for p in range(2 * count)]


def bencode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return f"{len(value)}:{value}".encode()


class Ng:
    """rtpengine's control protocol over UDP."""

    def __init__(self, daemon):
        self.socket, self.daemon, self.made, self.ports = None, (daemon, 2223), 0, {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5)

    def ask(self, k, command, body, **more):
        request = {"command": command, "call-id": f"load-{k}", "from-tag": f"f{k}", "sdp": body, "ICE": "remove",
                   "replace": ["origin", "session-connection"], **more}
        self.socket.sendto(f"{k}{command} ".encode() + bencode(request), self.daemon)
        reply = self.socket.recv(65536).decode()
        if "6:result2:ok" not in reply:
            raise RuntimeError(reply)
        return port_of(reply)

    def make(self, count):
        while self.made < count:
            k = self.made
            self.ports[2 * k + 1] = self.ask(k, "offer", sdp(party(2 * k)))
            self.ports[2 * k] = self.ask(k, "answer", sdp(party(2 * k + 1)), **{"to-tag": f"t{k}"})
            self.made += 1

    flows = Sip.flows

    def close(self):
        self.socket.close()
