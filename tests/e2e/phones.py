#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/phones.py FLOW PORT: real phones against the daemon at 127.0.0.1:PORT; B and T as in lib.sh.

A (1001) is baresip, B (1002) is linphonec, C (1003) is one of them. Each speaks a sine of its own from a file. What
baresip plays to its loudspeaker comes to us through ALSA's file plugin and a FIFO that is read at the pace of a sound
card; linphonec records to a file by itself. No sound hardware, no privilege.
"""
import fcntl
import json
import math
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import wave

LIMIT = float(os.environ.get("LIMIT", "20"))
BUILD, FOLDER = os.environ["B"], os.environ["T"]
RATE, TONE = 8000, {"A": 440, "B": 1200, "C": 880}
WINDOW = RATE // 10
F_SETPIPE_SZ = 1031


class Failed(Exception):
    pass


def wait_for(what, condition):
    """The condition's first true value; Failed after LIMIT seconds."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        value = condition()
        if value:
            print(f"ok: {what}", flush=True)
            return value
        time.sleep(0.05)
    raise Failed(f"{what}: not within {LIMIT:.0f} s")


def check(what, holds):
    if not holds:
        raise Failed(what)
    print(f"ok: {what}", flush=True)


def write_tone(path, hz, seconds=60):
    with wave.open(path, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(RATE)
        second = b"".join(struct.pack("<h", int(8000 * math.sin(2 * math.pi * hz * i / RATE))) for i in range(RATE))
        f.writeframes(second * seconds)


def goertzel(samples, hz):
    """The part of the samples' energy that lies at hz: 1 for a pure sine."""
    energy = sum(v * v for v in samples)
    if energy < len(samples) * 100:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hz / RATE)
    s1 = s2 = 0.0
    for v in samples:
        s1, s2 = v + coefficient * s1 - s2, s1
    return (s1 * s1 + s2 * s2 - coefficient * s1 * s2) * 2 / len(samples) / energy


def speaker(data):
    """Whose tone a window of sound is; ? if it is of none alone, None for silence."""
    samples = struct.unpack(f"<{len(data) // 2}h", data[:len(data) // 2 * 2])
    if not samples or max(map(abs, samples)) < 200:
        return None
    return next((name for name, hz in TONE.items() if goertzel(samples, hz) > 0.5), "?")


class Ear:
    """Reads what a phone plays, a window at a time, as slowly as a sound card would, and tells whose voice it is."""

    def __init__(self, path):
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, F_SETPIPE_SZ, 4096)  # what waits in it is delay
        self.heard = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        due = time.monotonic()
        while True:
            due += WINDOW / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                data = os.read(self.fd, 2 * WINDOW)
            except BlockingIOError:
                data = b""
            self.heard.append(speaker(data))

    def last(self, n):
        return self.heard[-n:]


class File:
    """The same of a file that a phone still writes; its length in the header is not yet right."""

    def __init__(self, path):
        self.path = path

    def last(self, n):
        with open(self.path, "rb") as f:
            data = f.read()[44:]
        size = 2 * WINDOW
        windows = [data[i:i + size] for i in range(0, len(data) - size + 1, size)]
        return [speaker(w) for w in windows[-n:]]


def hears(ear, name):
    """For a second and a half: this one mostly (a slip of the pace spoils a window), nobody else at all."""
    last = ear.last(15)
    return last.count(name) >= 8 and not {*last} - {name, None, "?"}


class Phone:
    """A process with its home folder, and what it printed."""

    running = []

    def __init__(self, name, command, **options):
        self.name = name
        self.process = subprocess.Popen(command, stderr=subprocess.STDOUT, env={**os.environ, "HOME": self.home},
                                        **options)
        Phone.running.append(self)

    @property
    def home(self):
        return os.path.abspath(f"{FOLDER}/{self.name}")

    def prepare(self):
        os.makedirs(self.home)
        write_tone(f"{self.home}/tone.wav", TONE[self.name])

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Baresip(Phone):
    """Orders and events by ctrl_tcp: JSON in netstrings."""

    def __init__(self, name, user, address, ports, secure=False):
        """secure: it speaks SRTP (keys in SDP), and nothing else."""
        self.name = name
        self.prepare()
        self.ear = Ear(f"{self.home}/ear")
        config = BARESIP.format(address=address, sip=ports[1], control=ports[0], home=self.home)
        self.write("config", config + ("module srtp.so\n" if secure else ""))
        self.write("accounts", f"<sip:{user}@127.0.0.1:{ports[2]}>;auth_user={user};auth_pass=secret{user};regint=600"
                               ";answermode=auto;audio_codecs=PCMU/8000/1" +
                   (";mediaenc=srtp-mand\n" if secure else "\n"))
        self.write(".asoundrc", f'pcm.ear {{ type file slave.pcm "null" file "{self.home}/ear" format raw }}\n')
        with open(f"{FOLDER}/{name}.log", "wb") as log:
            super().__init__(name, ["baresip", "-v", "-f", self.home], stdin=subprocess.DEVNULL, stdout=log)
        self.events = []
        self.socket = wait_for(f"{name} is there", lambda: self.connect(ports[0]))
        threading.Thread(target=self.read, daemon=True).start()

    def write(self, file, text):
        with open(f"{self.home}/{file}", "w", encoding="utf-8") as f:
            f.write(text)

    def connect(self, port):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            return None

    def read(self):
        data = b""
        while chunk := self.socket.recv(65536):
            data += chunk
            while (m := re.match(rb"(\d+):", data)) and len(data) > m.end() + int(m[1]):
                self.events.append(json.loads(data[m.end():m.end() + int(m[1])]))
                data = data[m.end() + int(m[1]) + 1:]

    def order(self, command, params=""):
        text = json.dumps({"command": command, "params": params}).encode()
        self.socket.sendall(b"%d:%s," % (len(text), text))

    def has(self, event):
        return any(e.get("type") == event for e in self.events)

    def has_ended(self):
        return self.has("CALL_CLOSED")


BARESIP = """poll_method epoll
sip_listen {address}:{sip}
net_interface {address}
audio_player alsa,ear
audio_source aufile,{home}/tone.wav
audio_alert alsa,null
ringback_disabled yes
module_path /usr/lib/baresip/modules
module g711.so
module alsa.so
module aufile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


class Linphonec(Phone):
    """Orders on its console."""

    def __init__(self, name, user, address, ports):
        self.name = name
        self.prepare()
        os.makedirs(f"{self.home}/.local/share/linphone")
        with open(f"{self.home}/rc", "w", encoding="utf-8") as f:
            f.write(LINPHONE.format(address=address, user=user, rtp=ports[0], sip=ports[1], daemon=ports[2]))
            if name == "C":  # what B would choose with it, Opus, is recorded at another rate
                f.write("".join(f"[audio_codec_{i}]\nmime={codec}\nrate={rate}\nchannels={channels}\nenabled={on}\n"
                                for i, (codec, rate, channels, on) in enumerate(CODECS)))
        command = ["linphonec", "-c", f"{self.home}/rc", "-a", "-d", "6", "-l", f"{self.home}/messages"]
        super().__init__(name, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.text = ""
        threading.Thread(target=self.read, daemon=True).start()
        for line in ("soundcard use files", f"play {self.home}/tone.wav", f"record {self.home}/recorded.wav"):
            self.order(line)
        self.ear = File(f"{self.home}/recorded.wav")

    def read(self):
        with open(f"{FOLDER}/{self.name}.log", "wb") as log:
            while chunk := os.read(self.process.stdout.fileno(), 65536):
                log.write(chunk)
                log.flush()
                self.text += chunk.decode(errors="replace")

    def order(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def has_ended(self):
        """All calls, the replaced one too."""
        return len(re.findall("Call .* ended", self.text)) == len(re.findall("assigned id", self.text))

    def expect(self, pattern):
        wait_for(f"{self.name} says {pattern!r}", lambda: re.search(pattern, self.text))

    def expect_message(self, pattern):
        """In its log, for what it does not tell on its console."""
        def found():
            with open(f"{self.home}/messages", encoding="utf-8", errors="replace") as f:
                return re.search(pattern, f.read())
        wait_for(f"{self.name} logs {pattern!r}", found)


CODECS = (("PCMU", 8000, 1, 1), ("opus", 48000, 2, 0), ("speex", 16000, 1, 0), ("speex", 8000, 1, 0),
          ("PCMA", 8000, 1, 0), ("G729", 8000, 1, 0))
LINPHONE = """[sip]
sip_port={sip}
sip_tcp_port=0
sip_tls_port=0
bind_address={address}
guess_hostname=0
[rtp]
bind_address={address}
audio_rtp_port={rtp}
[auth_info_0]
username={user}
passwd=secret{user}
realm=referee
[proxy_0]
reg_proxy=<sip:127.0.0.1:{daemon}>
reg_identity=sip:{user}@127.0.0.1:{daemon}
reg_expires=600
reg_sendregister=1
"""


class Scene:
    """Three phones, registered, and A talking with B. secure: names of those that speak SRTP alone."""

    def __init__(self, port, c_is=Baresip, secure=""):
        self.port = port
        self.a = Baresip("A", 1001, "127.0.0.2", (port + 1, port, port), "A" in secure)
        self.b = Linphonec("B", 1002, "127.0.0.3", (port + 4, port, port))
        more = {"secure": True} if "C" in secure else {}
        self.c = c_is("C", 1003, "127.0.0.4", (port + (6 if c_is is Linphonec else 2), port, port), **more)
        wait_for("all are registered", lambda: self.held("bindings") == 3)
        self.a.order("dial", self.uri(1002))
        wait_for("A is connected", lambda: self.a.has("CALL_ESTABLISHED"))
        self.b.expect("Media streams established")
        self.talk(self.a, self.b)

    def uri(self, user):
        return f"sip:{user}@127.0.0.1:{self.port}"

    def order(self, *words):
        command = [f"{BUILD}/refereectl", "-s", f"{FOLDER}/admin", *words]
        return subprocess.run(command, capture_output=True, text=True).stdout

    def ask(self, order):
        return dict(re.findall(r"^(\w+) (\d+)", self.order(order), re.M))

    def suites(self):
        """Of each stream of all calls, as refereectl shows it: its party's address and what is spoken with it."""
        calls = re.findall(r"^(?:call )?([0-9a-f]{16})", self.order("calls"), re.M)
        shown = "".join(self.order("show", call) for call in calls)
        return {(address, suite or "RTP") for address, suite in
                re.findall(r"stream \d+ to ([\d.]+):\d+(?: srtp (\S+))?", shown)}

    def held(self, what):
        return int(self.ask("leftover").get(what, -1))

    def count(self, metric):
        return int(self.ask("metrics").get(metric, -1))

    def talk(self, x, y):
        wait_for(f"{x.name} hears {y.name}", lambda: hears(x.ear, y.name))
        wait_for(f"{y.name} hears {x.name}", lambda: hears(y.ear, x.name))

    def hang_up(self, x, y):
        x.order("hangup")
        wait_for(f"{y.name}'s call has ended too", y.has_ended)
        self.nothing_is_left()

    def nothing_is_left(self):
        what = ("calls", "legs", "transfers", "ports")
        wait_for(f"no {', '.join(what)} left", lambda: not any(self.held(w) for w in what))

def attended(s):
    """C knows no Replaces: it is joined. T-7.1: both hear each other, under one SSRC."""
    consult_and_transfer(s)
    for phone in (s.a, s.c):
        with open(f"{FOLDER}/{phone.name}.log", encoding="utf-8", errors="replace") as log:
            check(f"{phone.name} hears one SSRC all the time", "SSRC changed" not in log.read())
    s.hang_up(s.a, s.c)


def attended_replaces(s):
    """C takes the INVITE with Replaces and ends the dialog that it replaced."""
    consult_and_transfer(s)
    s.c.expect_message(r"(?i)\nReplaces: *~")
    s.hang_up(s.a, s.c)


def consult_and_transfer(s):
    s.b.order("pause")
    s.b.expect("Call 1 with .* is now paused")
    s.b.order("call " + s.uri(1003))
    s.b.expect("Media streams established with sip:1003")
    s.talk(s.c, s.b)
    s.b.order("pause")
    s.b.expect("Call 2 with .* is now paused")
    s.b.order("transfer 1 --to-call 2")
    s.talk(s.a, s.c)
    s.b.expect("Call 1 with .* ended")
    s.b.expect("Call 2 with .* ended")
    wait_for("one transfer is done", lambda: s.count("transfers_done") == 1)


SUITE = "AES_CM_128_HMAC_SHA1_80"


def srtp_attended(s):
    """T-7.4: A speaks SRTP, B and C plain RTP."""
    check("A by SRTP, B by RTP", s.suites() == {("127.0.0.2", SUITE), ("127.0.0.3", "RTP")})
    consult_and_transfer(s)
    check("A by SRTP, C by RTP", s.suites() == {("127.0.0.2", SUITE), ("127.0.0.4", "RTP")})
    s.hang_up(s.a, s.c)


def srtp_blind(s):
    """T-7.4: A speaks plain RTP, C, to whom it is transferred, SRTP."""
    s.b.order("transfer 1 " + s.uri(1003))
    s.talk(s.a, s.c)
    s.b.expect("Call 1 with .* ended")
    wait_for("one transfer is done", lambda: s.count("transfers_done") == 1)
    check("A by RTP, C by SRTP", s.suites() == {("127.0.0.2", "RTP"), ("127.0.0.4", SUITE)})
    s.hang_up(s.c, s.a)


def blind_linphonec(s):
    """First to nobody: the call stays as it was."""
    s.b.order("transfer 1 " + s.uri(1009))
    wait_for("the transfer to nobody has failed", lambda: s.count("transfers_failed") == 1)
    s.b.expect_message("Transfer state .* to .LinphoneCallError")
    s.talk(s.a, s.b)
    s.b.order("transfer 1 " + s.uri(1003))
    s.talk(s.a, s.c)
    s.b.expect("Call 1 with .* ended")
    wait_for("one transfer is done", lambda: s.count("transfers_done") == 1)
    s.hang_up(s.c, s.a)


def blind_baresip(s):
    s.a.order("transfer", s.uri(1003))
    s.talk(s.c, s.b)
    wait_for("A's call has ended", lambda: s.a.has("CALL_CLOSED"))
    wait_for("one transfer is done", lambda: s.count("transfers_done") == 1)
    s.c.order("hangup")
    s.b.expect("Call 1 with .* ended")
    s.nothing_is_left()


FLOWS = {f.__name__: f for f in (attended, attended_replaces, blind_linphonec, blind_baresip, srtp_attended,
                                 srtp_blind)}
SECURE = {"srtp_attended": "A", "srtp_blind": "C"}


def stopped(*_):
    """By SIGTERM, which may come twice: the phones must still be ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def main(flow, port):
    signal.signal(signal.SIGTERM, stopped)
    try:
        c_is = Linphonec if flow == "attended_replaces" else Baresip
        FLOWS[flow](Scene(int(port), c_is, SECURE.get(flow, "")))
    finally:
        for phone in Phone.running:
            phone.end()
            if isinstance(phone, Baresip):
                print(phone.name, "heard:", " ".join(w or "-" for w in phone.ear.heard))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failure:
        sys.exit(f"FAIL: {failure}")
