# SPDX-License-Identifier: AGPL-3.0-or-later
"""SIP by hand, for the tests in this folder: messages as they are on the wire, and phones that say what they are told.

A phone sends and receives on a loopback address of its own. What it did not expect yet stays in its list, and is still
there when it is looked for. Nothing is repeated: what is sent twice is the daemon's.
"""
import hashlib
import os
import random
import re
import socket
import subprocess
import sys
import time

LIMIT = float(os.environ.get("LIMIT", "20"))
BUILD, FOLDER = os.environ.get("B", "build/gcc"), os.environ.get("T", ".")
HOST = os.environ.get("DAEMON", "127.0.0.1")
REALM = "referee"


class Failed(Exception):
    pass


def check(what, holds, more=""):
    if not holds:
        raise Failed(f"{what}{': ' if more else ''}{more}")
    print(f"ok: {what}", flush=True)


def wait_for(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {LIMIT:.0f} s")
        time.sleep(0.02)
    print(f"ok: {what}", flush=True)


def ctl(order):
    """The daemon's answer as a dictionary of name and number."""
    run = subprocess.run([f"{BUILD}/refereectl", "-s", f"{FOLDER}/admin", order], capture_output=True, text=True)
    return {k: int(v) for k, v in re.findall(r"^(\w+) (\d+)", run.stdout, re.M)}


def metric(name):
    return ctl("metrics").get(name, -1)


def held(*names):
    now = ctl("leftover")
    return [now.get(n, -1) for n in names]


def nothing_is_left():
    names = ("calls", "legs", "transfers", "ports")
    wait_for("no calls, legs, transfers, ports left", lambda: not any(held(*names)))


def token():
    return f"{random.getrandbits(64):016x}"


def loopback():
    """An address that nobody else is likely to use."""
    return f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(2, 254)}"


class Message:
    def __init__(self, data):
        self.data = data
        head, _, self.body = data.decode(errors="replace").partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [(k.strip().lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]
        self.is_request = not self.start.startswith("SIP/2.0 ")
        self.status = 0 if self.is_request else int(self.start.split()[1])
        number, _, self.method = self.get("CSeq").partition(" ")
        self.cseq = int(number) if number.isdigit() else -1

    def get(self, name):
        return next((v for k, v in self.headers if k == name.lower()), "")

    def all(self, name):
        return [v for k, v in self.headers if k == name.lower()]

    def tag(self, name):
        found = re.search(r";\s*tag=([^;\s]+)", self.get(name))
        return found[1] if found else ""

    @property
    def uri(self):
        return self.start.split(" ")[1] if self.is_request else ""

    @property
    def contact(self):
        return re.search(r"<([^>]*)>", self.get("Contact"))[1]

    def __repr__(self):
        return f"{self.start} [{self.cseq} {self.method}]"


def message(start, headers, body=""):
    """headers: pairs, or lines as they shall be. Content-Length is put in unless it is there."""
    lines = [h if isinstance(h, str) else f"{h[0]}: {h[1]}" for h in headers]
    if not any(re.match(r"(content-length|l)\s*:", line, re.I) for line in lines):
        lines.append(f"Content-Length: {len(body.encode())}")
    return "\r\n".join([start, *lines, "", ""]).encode() + body.encode()


def sdp(address, port, direction="sendrecv", version=1, formats="0 8 101"):
    net = f"IN IP{6 if ':' in address else 4} {address}"
    return (f"v=0\r\no=- 7 {version} {net}\r\ns=-\r\nc={net}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n")


def direction_of(body):
    found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", body, re.M)
    return found[1] if found else "sendrecv"


def digest(challenge, user, method, uri):
    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()
    realm = re.search(r'realm="([^"]*)"', challenge)[1]
    nonce = re.search(r'nonce="([^"]*)"', challenge)[1]
    ha1, ha2 = md5(f"{user}:{realm}:secret{user}"), md5(f"{method}:{uri}")
    response = md5(f"{ha1}:{nonce}:00000001:abcd:auth:{ha2}")
    return (f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
            f'algorithm=MD5, cnonce="abcd", qop=auth, nc=00000001')


class Phone:
    """A socket, and a user's name. media: its address in SDP, which may be of another family."""

    def __init__(self, name, user, daemon, address=None, port=5060):
        self.name, self.user, self.daemon = name, user, (HOST, daemon)
        self.address, self.port = address or loopback(), port
        self.media = self.address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, port))
        self.waiting = []

    def send(self, data):
        self.socket.sendto(data, self.daemon)

    def receive(self, end):
        self.socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return False
        if data.strip():
            self.waiting.append(Message(data))
            print(f"   {self.name} <- {self.waiting[-1]!r}", flush=True)
        return True

    def expect(self, what, matches):
        """The first message for which matches(message); taken out of the list."""
        end = time.monotonic() + LIMIT
        while True:
            for m in self.waiting:
                if matches(m):
                    self.waiting.remove(m)
                    return m
            if time.monotonic() > end:
                raise Failed(f"{self.name} waits for {what}; it has {self.waiting}")
            self.receive(end)

    def request(self, method, call_id=None):
        return self.expect(method, lambda m: m.is_request and m.method == method and m.start.startswith(method) and
                           call_id in (None, m.get("Call-ID")))

    def final(self, sent):
        """The final response to a request of ours."""
        return self.expect(f"a final response to {sent!r}", lambda m: m.status >= 200 and m.method == sent.method and
                           m.cseq == sent.cseq and m.get("Call-ID") == sent.get("Call-ID"))

    def provisional(self, sent, status):
        return self.expect(f"{status} to {sent!r}", lambda m: m.status == status and m.cseq == sent.cseq and
                           m.get("Call-ID") == sent.get("Call-ID"))

    def via(self):
        return f"SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{token()}"

    def url(self, user=None):
        return f"sip:{user or self.user}@{HOST}:{self.daemon[1]}"

    def contact(self):
        return f"<sip:{self.user}@{self.address}:{self.port}>"

    def new(self, method, uri, headers=(), body="", **replace):
        """A request outside of a dialog; `replace` other values, None for none."""
        h = {"Via": self.via(), "Max-Forwards": "70", "From": f"<{self.url()}>;tag={token()}", "To": f"<{uri}>",
             "Call-ID": token(), "CSeq": f"1 {method}", "Contact": self.contact()}
        h.update({k.replace("_", "-"): v for k, v in replace.items()})
        h = [(k, v) for k, v in h.items() if v is not None]
        if body and not any(str(x).startswith("Content-Type") for x in headers):
            h.append(("Content-Type", "application/sdp"))
        return message(f"{method} {uri} SIP/2.0", [*h, *headers], body)

    def ask(self, method, uri, headers=(), body="", **replace):
        """Sends it, with credentials if it is challenged; the request that was answered, and the final answer."""
        sent = Message(self.new(method, uri, headers, body, **replace))
        self.send(sent.data)
        answer = self.final(sent)
        if answer.status not in (401, 407):
            return sent, answer
        if method == "INVITE":
            self.send(self.ack_refusal(sent, answer))
        challenge = answer.get("WWW-Authenticate") or answer.get("Proxy-Authenticate")
        name = "Authorization" if answer.status == 401 else "Proxy-Authorization"
        again = Message(self.new(method, uri, [*headers, f"{name}: {digest(challenge, self.user, method, uri)}"], body,
                                 **{**replace, "From": sent.get("From"), "To": sent.get("To"),
                                    "Call_ID": sent.get("Call-ID"), "CSeq": f"{sent.cseq + 1} {method}"}))
        self.send(again.data)
        return again, self.final(again)

    @staticmethod
    def ack_refusal(invite, answer):
        keep = [(k, invite.get(k)) for k in ("Via", "From", "Call-ID", "Max-Forwards")]
        return message(f"ACK {invite.uri} SIP/2.0", [*keep, ("To", answer.get("To")), ("CSeq", f"{invite.cseq} ACK")])

    def register(self, expires=600):
        _, answer = self.ask("REGISTER", f"sip:{HOST}:{self.daemon[1]}", [f"Expires: {expires}"],
                             To=f"<{self.url()}>")
        check(f"{self.name} registers for {expires} s", answer.status == 200, answer)

    def respond(self, request, status, headers=(), body="", tag=None):
        h = [("Via", v) for v in request.all("Via")]
        h += [(k, request.get(k)) for k in ("From", "Call-ID", "CSeq")]
        to = request.get("To")
        h.append(("To", f"{to};tag={tag}" if tag and "tag=" not in to else to))
        if body:
            h.append(("Content-Type", "application/sdp"))
        if status < 300 and request.method in ("INVITE", "REFER", "NOTIFY"):
            h.append(("Contact", self.contact()))
        self.send(message(f"SIP/2.0 {status} Here", [*h, *headers], body))


class Dialog:
    """One side of a dialog of a phone's."""

    def __init__(self, phone, call_id, local, remote, target, cseq=1):
        self.phone, self.call_id, self.local, self.remote, self.target = phone, call_id, local, remote, target
        self.cseq, self.sdp_version, self.offer, self.seen = cseq, 1, None, ""
        self.rtp = 20000 + 2 * random.randint(0, 5000)

    @classmethod
    def called(cls, phone, invite, status=200, headers=(), tag=None):
        """Answers an INVITE with 180 and a final status; for 2xx waits for the ACK."""
        tag = tag or token()
        self = cls(phone, invite.get("Call-ID"), f"{invite.get('To')};tag={tag}", invite.get("From"),
                   invite.contact, 100)
        self.offer, self.invite, self.tag = invite.body, invite, tag
        self.see(invite.body)
        phone.respond(invite, 180, headers, tag=tag)
        if status:
            self.answer(status, headers)
        return self

    def answer(self, status=200, headers=()):
        body = sdp(self.phone.media, self.rtp) if status < 300 else ""
        self.phone.respond(self.invite, status, headers, body, self.tag)
        self.phone.request("ACK", self.call_id)

    def see(self, description):
        """RFC 3264 section 8: one session for all of the dialog; its version rises by one if anything changed."""
        pattern = r"^o=(\S+ \S+) (\d+) (.*)\r\n"
        old, new = (re.search(pattern, text, re.M) for text in (self.seen, description))
        if old and (old[1], old[3]) != (new[1], new[3]):
            raise Failed(f"{self.phone.name}: another session: {old[0]} then {new[0]}")
        changed = old and re.sub(pattern, "", self.seen, flags=re.M) != re.sub(pattern, "", description, flags=re.M)
        if old and int(new[2]) != int(old[2]) + bool(changed):
            raise Failed(f"{self.phone.name}: version {old[2]} then {new[2]}, changed: {changed}")
        self.seen = description

    @property
    def relay(self):
        """The port that this side was told to send to at first."""
        return int(re.search(r"^m=audio (\d+)", self.offer, re.M)[1])

    @property
    def relay_address(self):
        return re.search(r"^c=IN IP[46] (\S+)", self.offer, re.M)[1]

    @property
    def tags(self):
        """Ours, theirs."""
        return [re.search(r"tag=([^;\s]+)", h)[1] for h in (self.local, self.remote)]

    def message(self, method, headers=(), body="", cseq=None):
        if cseq is None:
            self.cseq += 1
        h = [("Via", self.phone.via()), ("Max-Forwards", "70"), ("From", self.local), ("To", self.remote),
             ("Call-ID", self.call_id), ("CSeq", f"{cseq or self.cseq} {method}"), ("Contact", self.phone.contact())]
        if body:
            h.append(("Content-Type", "application/sdp"))
        return Message(message(f"{method} {self.target} SIP/2.0", [*h, *headers], body))

    def ask(self, method, headers=(), body=""):
        sent = self.message(method, headers, body)
        self.phone.send(sent.data)
        return self.phone.final(sent)

    def ack(self, cseq):
        self.phone.send(self.message("ACK", cseq=cseq).data)

    def reinvite(self, direction):
        """The direction that the other side answers."""
        self.sdp_version += 1
        answer = self.ask("INVITE", body=sdp(self.phone.media, self.rtp, direction, self.sdp_version))
        self.ack(self.cseq)
        check(f"{self.phone.name}'s re-INVITE {direction}", answer.status == 200, answer)
        self.see(answer.body)
        return direction_of(answer.body)

    def answer_reinvite(self, direction=None, status=200):
        """The direction that was offered. Answered as it must be, or as told."""
        invite = self.phone.request("INVITE", self.call_id)
        self.see(invite.body)
        offered = direction_of(invite.body)
        mirror = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(offered, offered)
        self.sdp_version += 1
        body = sdp(self.phone.media, self.rtp, direction or mirror, self.sdp_version) if status < 300 else ""
        self.phone.respond(invite, status, body=body)
        self.phone.request("ACK", self.call_id)
        return offered

    def bye(self):
        answer = self.ask("BYE")
        check(f"{self.phone.name} hangs up", answer.status == 200, answer)

    def answer_bye(self):
        self.phone.respond(self.phone.request("BYE", self.call_id), 200)
        print(f"ok: {self.phone.name} is hung up on", flush=True)

    def refer(self, refer_to, headers=()):
        return self.ask("REFER", [f"Refer-To: {refer_to}", *headers])

    def notified(self, status=200):
        """Answers the next NOTIFY of a REFER; its status line's code, and its Subscription-State."""
        notify = self.phone.request("NOTIFY", self.call_id)
        self.phone.respond(notify, status)
        return int(notify.body.split()[1]), notify.get("Subscription-State")

    def result(self):
        """Of the final NOTIFY."""
        while True:
            status, state = self.notified()
            print(f"   {self.phone.name} is told {status}, {state}", flush=True)
            if status >= 200:
                check("the final NOTIFY ends the subscription", state.startswith("terminated;reason=noresource"), state)
                return status


def invite(caller, callee, rtp=20000, headers=()):
    """Sends one, with credentials; it is not yet answered."""
    uri = caller.url(callee.user)
    first = Message(caller.new("INVITE", uri, headers, sdp(caller.media, rtp)))
    caller.send(first.data)
    challenge = caller.final(first)
    caller.send(caller.ack_refusal(first, challenge))
    credentials = digest(challenge.get("Proxy-Authenticate"), caller.user, "INVITE", uri)
    again = Message(caller.new("INVITE", uri, [f"Proxy-Authorization: {credentials}", *headers], first.body,
                               From=first.get("From"), Call_ID=first.get("Call-ID"), CSeq="2 INVITE"))
    caller.send(again.data)
    return again


def call(caller, callee, callee_headers=(), caller_headers=()):
    """A call between two phones, answered: the dialogs of both."""
    rtp = 20000 + 2 * random.randint(0, 5000)
    again = invite(caller, callee, rtp, caller_headers)
    there = Dialog.called(callee, callee.request("INVITE"), headers=callee_headers)
    answer = caller.final(again)
    check(f"{caller.name} calls {callee.name}", answer.status == 200, answer)
    here = Dialog(caller, again.get("Call-ID"), again.get("From"), answer.get("To"), answer.contact, 2)
    here.rtp, here.offer = rtp, answer.body
    here.see(answer.body)
    here.ack(2)
    return here, there


def run(flows, names):
    """Each flow by its name, or all; the exit status."""
    for name in names or flows:
        print(f"== {name}", flush=True)
        try:
            flows[name]()
        except Failed as failure:
            sys.exit(f"FAIL: {name}: {failure}")
