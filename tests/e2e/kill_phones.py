# SPDX-License-Identifier: AGPL-3.0-or-later
"""Phones that carry on whatever becomes of the node they talk through: requests are repeated until they are answered,
answers until they are acknowledged (RFC 3261 section 17), and each dialog sends and hears RTP. One loop serves all."""
import heapq
import re
import select
import socket
import time

import sip
from sip import Message, direction_of, message, token

T1 = 0.5
FRAME = 0.04


class Loop:
    """Sockets and timers of all phones."""

    def __init__(self):
        self.poll, self.readers, self.timers, self.count = select.epoll(), {}, [], 0

    def reader(self, sock, callback):
        sock.setblocking(False)
        self.readers[sock.fileno()] = (sock, callback)
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def at(self, when, callback):
        self.count += 1
        heapq.heappush(self.timers, (when, self.count, callback))

    def run(self, until, limit):
        """False: the condition does not hold within the limit."""
        end = time.monotonic() + limit
        while not until():
            now = time.monotonic()
            if now > end:
                return False
            while self.timers and self.timers[0][0] <= now:
                heapq.heappop(self.timers)[2]()
            due = self.timers[0][0] if self.timers else now + 0.1
            for fd, _ in self.poll.poll(min(max(due - time.monotonic(), 0), 0.05)):
                sock, callback = self.readers[fd]
                try:
                    while True:
                        callback(*sock.recvfrom(4096))
                except (BlockingIOError, ConnectionError):
                    pass
        return True


class Side:
    """A phone's side of a dialog, with its media."""

    def __init__(self, phone, call_id, local, remote, target):
        self.phone, self.call_id, self.local, self.remote, self.target = phone, call_id, local, remote, target
        self.cseq, self.version, self.direction, self.to = 100, 0, "sendrecv", None
        self.up = self.ended = self.got_bye = False
        self.final, self.open, self.told, self.refer = {}, False, 0, 0  # final: status by method
        self.invite, self.cause, self.theirs = None, None, -1
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((phone.address, 0))
        self.port, self.sequence = self.rtp.getsockname()[1], 0
        self.heard = []  # (time, whose, SSRC, sequence number)
        phone.loop.reader(self.rtp, self.on_rtp)
        phone.loop.at(time.monotonic() + FRAME, self.play)

    def on_rtp(self, data, _):
        if len(data) == 172:
            self.heard.append((time.monotonic(), chr(data[12]), data[8:12], int.from_bytes(data[2:4], "big")))

    def play(self):
        """A frame of this phone's own sound, while it has somebody to say it to."""
        if self.ended:
            return
        self.sequence += 1
        if self.up and self.to and "send" in self.direction:
            head = bytes([0x80, 0]) + (self.sequence & 0xffff).to_bytes(2, "big")
            head += (self.sequence * 320 & 0xffffffff).to_bytes(4, "big") + self.port.to_bytes(4, "big")
            self.rtp.sendto(head + self.phone.name[0].encode() * 160, self.to)
        self.phone.loop.at(time.monotonic() + FRAME, self.play)

    def tag(self, header):
        found = re.search(r"tag=([^;>\s]+)", header)
        return found[1] if found else ""

    def sdp(self, direction):
        self.version += not self.version or direction != self.direction
        self.direction = direction
        return sip.sdp(self.phone.address, self.port, direction, self.version, "0")

    def learn(self, body):
        found = re.search(r"^m=audio (\d+)", body, re.M), re.search(r"^c=IN IP4 (\S+)", body, re.M)
        if found[0] and found[1]:
            self.to = (found[1][1], int(found[0][1]))

    def request(self, method, headers=(), body=""):
        self.cseq += 1
        self.open = self.open or method == "INVITE"
        self.phone.ask(self, Message(self.message(method, self.cseq, headers, body)))

    def message(self, method, cseq, headers=(), body=""):
        h = [("Via", self.phone.via()), ("Max-Forwards", "70"), ("From", self.local), ("To", self.remote),
             ("Call-ID", self.call_id), ("CSeq", f"{cseq} {method}"), ("Contact", self.phone.contact()),
             "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY", "Supported: replaces", *headers]
        if body and not any(str(x).startswith("Content-Type") for x in headers):
            h.append("Content-Type: application/sdp")
        return message(f"{method} {self.target} SIP/2.0", h, body)

    def bye(self):
        if not self.ended:
            self.ended, self.up = True, False
            self.request("BYE")

    def offer(self, direction):
        self.request("INVITE", body=self.sdp(direction))

    def hears(self, whom, since):
        """When it first heard this one after that time; 0: not yet."""
        return next((x[0] for x in reversed(self.heard) if x[0] >= since and x[1] == whom), 0) and \
            next(x[0] for x in self.heard if x[0] >= since and x[1] == whom)

    def jumps(self, at):
        """Why what it heard of one party before and behind this time is no single stream of RTP; "": it is."""
        before, behind = ([x for x in self.heard if (x[0] > at) == late] for late in (False, True))
        if not before or not behind or before[-1][1] != behind[0][1]:
            return "it does not hear the same one"
        if before[-1][2] != behind[0][2]:
            return f"SSRC {before[-1][2].hex()} becomes {behind[0][2].hex()}"
        ahead = (behind[0][3] - before[-1][3]) & 0xffff
        return "" if 0 < ahead < 0x8000 else f"sequence number {before[-1][3]}, then {behind[0][3]}"


class Phone:
    """Answers what comes as its `cell` says; while the cell is frozen nothing is read, said or repeated."""

    def __init__(self, loop, name, address, port, cell):
        self.loop, self.name, self.address, self.port, self.cell = loop, name, address, port, cell
        self.sides, self.clients, self.answers, self.waiting = [], {}, {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        loop.reader(self.socket, self.take)
        cell.phones.append(self)

    def via(self):
        return f"SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{token()};rport"

    def contact(self):
        return f"<sip:{self.name}@{self.address}:{self.port}>"

    def send(self, data):
        self.cell.cluster.send(self.socket, data)

    # -- what it asks

    def dial(self, uri, headers=(), cause=None):
        s = Side(self, token(), f"<sip:{self.name}@{self.cell.cluster.host}>;tag={token()}", f"<{uri}>", uri)
        s.cause = cause
        self.sides.append(s)
        s.request("INVITE", headers, s.sdp("sendrecv"))
        return s

    def ask(self, side, m):
        c = {"side": side, "m": m, "at": T1, "provisional": False}
        self.clients[re.search(r"branch=([^;]+)", m.get("Via"))[1]] = c
        self.send(m.data)
        self.loop.at(time.monotonic() + T1, lambda: self.again(c))

    def again(self, c):
        if c not in self.clients.values() or (c["provisional"] and c["m"].method == "INVITE"):
            return
        if not self.cell.frozen:
            self.send(c["m"].data)
        c["at"] = min(c["at"] * 2, 4)
        self.loop.at(time.monotonic() + c["at"], lambda: self.again(c))

    # -- what it answers

    def respond(self, side, request, status, body=""):
        h = [("Via", v) for v in request.all("Via")]
        h += [(k, request.get(k)) for k in ("From", "Call-ID", "CSeq")]
        to = request.get("To")
        own = re.search(r"tag=[^;>\s]+", side.local)[0] if side else "tag=nobody"
        h += [("To", to if "tag=" in to else f"{to};{own}"), ("Contact", self.contact()), "Supported: replaces",
              "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY"]
        if body:
            h.append("Content-Type: application/sdp")
        data = message(f"SIP/2.0 {status} Said", h, body)
        answer = {"data": data, "acked": request.method != "INVITE" or status < 200, "at": T1}
        self.answers[request.method, request.get("Via")] = answer
        self.send(data)
        if not answer["acked"]:
            answer["ack"] = (request.get("Call-ID"), request.cseq)
            self.loop.at(time.monotonic() + T1, lambda: self.repeat(answer))

    def repeat(self, answer):
        if answer["acked"] or answer["at"] > 4:
            return
        if not self.cell.frozen:
            self.send(answer["data"])
        answer["at"] *= 2
        self.loop.at(time.monotonic() + answer["at"], lambda: self.repeat(answer))

    # -- what comes

    def take(self, data, _):
        if not data.strip():
            return
        m = Message(data)
        print(f"   {time.monotonic():.3f} {self.name} <- {m!r}", flush=True)
        self.cell.saw(self, m)
        if self.cell.frozen:
            self.waiting.append(m)
        else:
            self.handle(m)

    def thaw(self):
        waiting, self.waiting = self.waiting, []
        for m in waiting:
            self.handle(m)

    def handle(self, m):
        (self.on_request if m.is_request else self.on_response)(m)

    def side(self, m, ours):
        tag = m.tag(ours)
        return next((s for s in self.sides if s.call_id == m.get("Call-ID") and (not tag or s.tag(s.local) == tag)),
                    None)

    def on_response(self, m):
        branch = re.search(r"branch=([^;,\s]+)", m.get("Via"))
        c = self.clients.get(branch[1]) if branch else None
        s = c["side"] if c else self.side(m, "From")
        if c and m.status < 200:
            c["provisional"] = True
            if m.method == "INVITE" and m.tag("To") and not s.up:
                s.remote = m.get("To")
        elif c:
            del self.clients[branch[1]]
            self.on_final(s, m, c["m"])
        if s and m.method == "INVITE" and 200 <= m.status < 300:
            self.send(s.message("ACK", m.cseq))

    def on_final(self, s, m, sent):
        s.final[m.method] = m.status
        if m.method == "INVITE":
            s.open = False
            if m.status >= 300:
                self.send(sip.Phone.ack_refusal(sent, m))
                s.ended = s.ended or not s.up or m.status == 481
            else:
                s.remote, s.target, s.up = m.get("To"), m.contact, not s.ended
                s.learn(m.body)
            self.tell(s, m.status)
        elif m.method == "REFER":
            s.refer = m.status
        elif m.status == 481 and m.method != "NOTIFY":
            s.ended = True

    def tell(self, s, status):
        """RFC 3515: what became of the call that a REFER made."""
        if not s.cause or s.cause[0].ended:
            return
        side, cseq = s.cause
        state = "active;expires=60" if status < 200 else "terminated;reason=noresource"
        side.request("NOTIFY", [f"Event: refer;id={cseq}", f"Subscription-State: {state}",
                                "Content-Type: message/sipfrag"], f"SIP/2.0 {status} Said\r\n")
        s.cause = s.cause if status < 200 else None

    def on_request(self, m):
        known = self.answers.get((m.start.split()[0], m.get("Via")))
        s = self.side(m, "To")
        if m.start.startswith("ACK"):
            for answer in self.answers.values():
                answer["acked"] = answer["acked"] or answer.get("ack") == (m.get("Call-ID"), m.cseq)
        elif known:
            self.send(known["data"])
        elif m.method == "INVITE" and not m.tag("To"):
            self.on_call(m)
        elif not s or (s.ended and m.method not in ("BYE", "NOTIFY")):
            self.respond(s, m, 481)
        elif m.cseq <= s.theirs:
            self.respond(s, m, 500)
        else:
            s.theirs = m.cseq
            getattr(self, f"on_{m.method.lower()}", lambda s, m: self.respond(s, m, 200))(s, m)

    def on_call(self, m):
        s = Side(self, m.get("Call-ID"), f"{m.get('To')};tag={token()}", m.get("From"), m.contact)
        s.theirs, s.invite = m.cseq, m
        self.sides.append(s)
        call_id, *parts = m.get("Replaces").replace(" ", "").split(";")
        old = next((x for x in self.sides if x.call_id == call_id and f"to-tag={x.tag(x.local)}" in parts), None)
        if not old:
            self.respond(s, m, 180)
            self.loop.at(time.monotonic() + self.cell.rings(self), lambda: self.answer(s))
            return
        self.answer(s)
        old.bye()

    def answer(self, s):
        if self.cell.frozen:
            self.loop.at(time.monotonic() + 0.1, lambda: self.answer(s))
        elif s.invite and not s.ended:
            m, s.invite, s.up = s.invite, None, True
            s.learn(m.body)
            self.respond(s, m, 200, s.sdp("sendrecv"))

    def on_invite(self, s, m):
        if s.open:
            self.respond(s, m, 491)
            return
        s.learn(m.body)
        offered = direction_of(m.body) if m.body else "sendrecv"
        mirror = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(offered, offered)
        self.respond(s, m, 200, s.sdp(mirror))

    def on_cancel(self, s, m):
        self.respond(s, m, 200)
        if s.invite:
            self.respond(s, s.invite, 487)
            s.invite, s.ended = None, True

    def on_bye(self, s, m):
        s.ended, s.got_bye, s.up = True, True, False
        self.respond(s, m, 200)

    def on_notify(self, s, m):
        self.respond(s, m, 200)
        if m.get("Subscription-State").startswith("terminated") and not s.told:
            s.told = int(m.body.split()[1])

    def on_refer(self, s, m):
        self.respond(s, m, 202)
        uri, _, replaces = re.search(r"<([^?>]*)(\?Replaces=)?([^&>]*)", m.get("Refer-To")).groups()
        headers = [f"Replaces: {sip_unquote(replaces)}", "Require: replaces"] if replaces else []
        n = self.dial(uri, headers, (s, m.cseq))
        self.tell(n, 100)


def sip_unquote(text):
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda x: chr(int(x[1], 16)), text)
