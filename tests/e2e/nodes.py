# SPDX-License-Identifier: AGPL-3.0-or-later
"""Daemons that share a Redis, and phones that send to any of them and know from which one a message came.

Each node has an address of its own for each of: SIP, the other nodes, media. In namespaces (`netns`) the addresses
differ, on loopback the ports. Each has SHARDS shards, of the environment. What Redis says of the owner of a call is
sampled, so that who acts can be compared."""
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import sip
from sip import Dialog, Failed, Message, Phone, check, direction_of, sdp, wait_for

USERS = ("1001", "1002", "1003")
SHARDS = int(os.environ.get("SHARDS", "1"))


class Node:
    """One daemon: `number` from 1 on, SIP at (host, port), the other nodes at `link`."""

    def __init__(self, number, host, port, link, redis, netns=None, advertise=None):
        self.number, self.host, self.port, self.netns = number, host, port, netns
        self.name, self.child, self.program = f"node{number}", None, "refereed"
        self.admin, self.log = f"{sip.FOLDER}/admin{number}", f"{sip.FOLDER}/{self.name}.log"
        media = 30000 if netns else port // 2 * 2 + 10
        users = [{"name": n, "password": f"secret{n}"} for n in USERS]
        self.config = {
            "version": 1,
            "sip": {"listen": [f"{host}:{port}"], "advertise": advertise or f"{host}:{port}", "t1": "200ms"},
            "auth": {"algorithms": ["md5"], "secret": "the-same-on-every-node"},
            "media": {"ports": f"{media}-{media + 79}", "quarantine": "0s", "advertise": host, "fastpath": "off"},
            "users": users, "log": {"level": "debug"}, "admin": {"socket": self.admin},
            "cluster": {"node": number, "listen": link}, "runtime": {"shards": SHARDS},
            "store": {"kind": "redis", "servers": [redis], "durability": "confirmed", "timeout": "500ms"},
            "limits": {"calls": 50, "transactions": "1k", "registrations": 64, "trace_lines": 1024},
        }

    def start(self):
        path = f"{sip.FOLDER}/{self.name}.yaml"
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.config, f)
        inside = ["nsenter", f"--net=/run/netns/{self.netns}"] if self.netns else []
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen([*inside, f"{sip.BUILD}/{self.program}", "-c", path], stdout=log, stderr=log)
        wait_for(f"{self.name} is ready", lambda: self.says("ready") or self.child.poll() is not None)
        check(f"{self.name} runs", self.child.poll() is None)

    def says(self, text):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return text in f.read()

    def signal(self, which):
        os.kill(self.child.pid, which)

    def stop(self):
        if self.child and self.child.poll() is None:
            self.signal(signal.SIGCONT)
            self.child.terminate()
            try:
                self.child.wait(sip.LIMIT)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def ctl(self, order):
        run = subprocess.run([f"{sip.BUILD}/refereectl", "-s", self.admin, order], capture_output=True, text=True)
        return run.stdout

    def count(self, order, name):
        found = re.search(rf"^{name} (\d+)", self.ctl(order), re.M)
        return int(found[1]) if found else -1

    def view(self):
        """What it says of each bucket's owner: {owner: set of buckets}."""
        owners = {}
        for line in self.ctl("buckets").splitlines():
            which, owner = line.split()
            first, _, last = which.partition("-")
            owners.setdefault(int(owner), set()).update(range(int(first, 16), int(last or first, 16) + 1))
        return owners

    def buckets(self):
        return self.view().get(self.number, set())


class Cluster:
    def __init__(self, nodes, redis):
        self.nodes, self.redis = nodes, redis  # redis: (host, port)
        self.watched, self.owners, self.ends = [], [], False

    def cli(self, *words):
        run = subprocess.run(["redis-cli", "-h", self.redis[0], "-p", str(self.redis[1]), *words], capture_output=True,
                             encoding="latin-1")
        return run.stdout.strip()

    def keys(self):
        """Of records: those of calls."""
        return [k for k in self.cli("--raw", "KEYS", "referee:c:*").splitlines() if k]

    def owner(self, bucket):
        """(node, epoch) by Redis, which alone decides."""
        found = re.fullmatch(r"(\d+)\.(\d+)", self.cli("--raw", "GET", key("b", bucket)))
        return (node_of(found[1]), int(found[2])) if found else (0, 0)

    def records(self, bucket):
        return self.cli("HGETALL", key("c", bucket))

    def node_of(self, dialog):
        return self.nodes[self.owner(bucket_of(dialog))[0] - 1]

    def all_owned(self, nodes=None):
        """Each bucket by one of these nodes, by their own word."""
        owned = [n.buckets() for n in nodes or self.nodes]
        return len(set().union(*owned)) == 4096 == sum(map(len, owned))

    def stop(self):
        self.ends = True
        for node in self.nodes:
            node.stop()

    # -- who writes

    def listen(self):
        """Begins to note each command that Redis carries out: (address of the client or "lua", words)."""
        self.commands = []
        threading.Thread(target=self.monitor, daemon=True).start()
        wait_for("Redis tells what it is asked", lambda: self.commands)

    def monitor(self):
        with socket.create_connection(self.redis) as s:
            s.sendall(b"MONITOR\r\n")
            for line in s.makefile("r", encoding="latin-1"):
                found = re.match(r"\+\S+ \[\d+ (\S+)\] (.*)", line)
                self.commands.append((found[1], found[2]) if found else ("", line))

    def connections(self, node):
        """The addresses that Redis sees of this node."""
        run = subprocess.run(["ss", "-Htnp", f"dport = :{self.redis[1]}"], capture_output=True, text=True)
        return {line.split()[3] for line in run.stdout.splitlines() if f"pid={node.child.pid}," in line}

    def written_by(self, node, buckets, since=0):
        """What scripts of this node changed in the records and owners of these buckets."""
        mine, names, caller, found = self.connections(node), [key(k, b) for k in "cb" for b in buckets], "", []
        for client, words in self.commands[since:]:
            caller = caller if client == "lua" else client
            if client == "lua" and caller in mine and re.match('"(hset|hdel|set|del|expire)"', words):
                found += [words for name in names if name in words]
        return found

    # -- who owns, in the course of time

    def watch(self, dialogs):
        """Begins to sample the owners of these dialogs' buckets: (time before, time after, bucket, node, epoch)."""
        self.watched = sorted({bucket_of(d) for d in dialogs})
        threading.Thread(target=self.sample, daemon=True).start()

    def sample(self):
        with socket.create_connection(self.redis) as s:
            f = s.makefile("rb")
            names = [key("b", b) for b in self.watched]
            ask = "".join(f"${len(w)}\r\n{w}\r\n" for w in ["MGET", *names])
            while not self.ends:
                before = time.monotonic()
                s.sendall(f"*{len(names) + 1}\r\n{ask}".encode())
                f.readline()
                values = [f.read(int(f.readline()[1:]) + 2).decode().strip() for _ in names]
                after = time.monotonic()
                for bucket, value in zip(self.watched, values):
                    node, _, epoch = value.partition(".")
                    self.owners.append((before, after, bucket, node_of(node), int(epoch)))
                time.sleep(0.02)

    def may_act(self, bucket, at, slack):
        """The nodes that Redis names as owners of the bucket round about that time."""
        times = [(b, a, n) for b, a, k, n, _ in self.owners if k == bucket]
        near = {n for b, a, n in times if b - slack <= at <= a + slack}
        before = [n for b, a, n in times if a <= at]
        return near | set(before[-1:])

    def epochs(self, bucket):
        """Each (node, epoch) that there was, in order."""
        seen = []
        for *_, b, node, epoch in self.owners:
            if b == bucket and (node, epoch) not in seen[-1:]:
                seen.append((node, epoch))
        return seen


def node_of(member):
    """Of a shard's number in the cluster: core/base/member.h."""
    return int(member) & 0xffff


def settle(what, condition):
    """wait_for what takes programs to look at: less often."""
    wait_for(what, lambda: condition() or time.sleep(0.15))


def serve(what, condition):
    """settle, while the phones answer: who takes a call over has to tell them."""
    wait_for(what, lambda: condition() or Roaming.all[0].drain(0.15))


def key(kind, bucket):
    return f"referee:{kind}:{{{bucket:03x}}}"


def bucket_of(dialog):
    """Our tag in it is a token with the bucket."""
    return int(dialog.tags[1][3:6], 16)


class Roaming(Phone):
    """Its requests go to the nodes in `alive`, one at random, or to `at`. Its answers go to where the question came
    from (RFC 3581), and so do its ACKs: a balancer in front keeps to that. What it gets is kept with its sender."""
    alive, all = [], []
    at = None

    def __init__(self, name, user, address=None, port=5060):
        self.got, self.said, self.came, self.dialogs, self.automatic = [], {}, {}, [], True
        Roaming.all.append(self)
        super().__init__(name, user, Roaming.alive[0].port, address, port)

    def send(self, data):
        node, m = self.at or random.choice(Roaming.alive), Message(data)
        if m.start.startswith("ACK"):
            self.said["ACK", m.get("Call-ID"), m.cseq] = data
        elif m.status >= 200:
            self.said[m.method, m.get("Via")] = data
        to = (node.host, node.port)
        if not self.at:
            to = self.came.get(m.get("Via") if not m.is_request else (m.get("Call-ID"), m.start[:4]), to)
        self.socket.sendto(data, to)

    def again(self, m):
        """What has been answered, or acknowledged, and comes again gets the same again: RFC 3261, 13.2.2.4, 17.2."""
        if m.is_request and not m.start.startswith("ACK"):
            return self.said.get((m.method, m.get("Via")))
        return self.said.get(("ACK", m.get("Call-ID"), m.cseq)) if m.status >= 200 and m.method == "INVITE" else None

    def url(self, user=None):
        return f"sip:{user or self.user}@{Roaming.alive[0].host}:{Roaming.alive[0].port}"

    def receive(self, end):
        """Whatever comes to any of them. True: something came for this one."""
        ready, _, _ = select.select([p.socket for p in Roaming.all], [], [], max(0.001, end - time.monotonic()))
        for phone in [p for p in Roaming.all if p.socket in ready]:
            phone.take(*phone.socket.recvfrom(65536))
        return self.socket in ready

    def take(self, data, source):
        if not data.strip():
            return
        m = Message(data)
        self.got.append((time.monotonic(), source, m))
        self.came[m.get("Via") if m.is_request else (m.get("Call-ID"), "ACK ")] = source
        print(f"   {self.name} <- {m!r} from {source[0]}:{source[1]}", flush=True)
        again = self.again(m)
        if again:
            self.send(again)
        elif not self.answers(m):
            self.waiting.append(m)

    def answers(self, m):
        """A re-INVITE, by itself: who takes a call over moves its media."""
        known = [d for d in self.dialogs if d.call_id == m.get("Call-ID") and m.start.startswith("INVITE")]
        if not known or not self.automatic:
            return m.start.startswith("ACK") and any(d.call_id == m.get("Call-ID") for d in self.dialogs)
        d, offered = known[0], direction_of(m.body)
        d.sdp_version += 1
        mirror = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(offered, offered)
        self.respond(m, 200, body=sdp(self.address, d.rtp, mirror, d.sdp_version))
        d.offered = offered
        return True

    def final(self, sent):
        """Sent again until it is answered: a node that is gone, or does not know yet what is its own, says nothing."""
        end, again = time.monotonic() + sip.LIMIT, time.monotonic() + 0.7
        while time.monotonic() < end:
            for m in self.waiting:
                if m.status >= 200 and m.cseq == sent.cseq and m.method == sent.method and \
                        m.get("Call-ID") == sent.get("Call-ID"):
                    self.waiting.remove(m)
                    return m
            if not self.receive(min(end, again)) and time.monotonic() >= again:
                again = time.monotonic() + 0.7
                self.send(sent.data)
        raise Failed(f"{self.name} waits for a final response to {sent!r}; it has {self.waiting}")

    def drain(self, seconds):
        """All that comes in this time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.receive(end)


def call(caller, callee):
    """Answered; both sides' dialogs."""
    rtp = 20000 + 2 * random.randint(0, 5000)
    uri, body = caller.url(callee.user), sdp(caller.address, rtp)
    again, headers = Message(caller.new("INVITE", uri, body=body)), []
    caller.send(again.data)
    answer = caller.expect("challenge", lambda m: m.status in (401, 407) and m.get("Call-ID") == again.get("Call-ID"))
    caller.send(caller.ack_refusal(again, answer))
    challenge = answer.get("WWW-Authenticate") or answer.get("Proxy-Authenticate")
    name = "Authorization" if answer.status == 401 else "Proxy-Authorization"
    headers = [f"{name}: {sip.digest(challenge, caller.user, 'INVITE', uri)}"]
    again = Message(caller.new("INVITE", uri, headers, body, From=again.get("From"), Call_ID=again.get("Call-ID"),
                               CSeq="2 INVITE"))
    caller.send(again.data)
    there = Dialog.called(callee, callee.request("INVITE"))
    ok = caller.final(again)
    check(f"{caller.name} calls {callee.name}", ok.status == 200, ok)
    here = Dialog(caller, again.get("Call-ID"), again.get("From"), ok.get("To"), ok.contact, 2)
    here.rtp, here.offer = rtp, ok.body
    here.see(ok.body)
    here.ack(2)
    caller.dialogs.append(here)
    callee.dialogs.append(there)
    here.offered = there.offered = "sendrecv"
    return here, there


def hold(dialog):
    """Again after 491: who took the call over may have an offer of its own open (RFC 3261 section 14.1)."""
    end = time.monotonic() + sip.LIMIT
    dialog.sdp_version += 1
    body = sdp(dialog.phone.address, dialog.rtp, "sendonly", dialog.sdp_version)
    while True:
        answer = dialog.ask("INVITE", body=body)
        dialog.ack(dialog.cseq)
        if answer.status != 491 or time.monotonic() > end:
            break
        dialog.phone.drain(random.uniform(0.2, 1))
    check(f"{dialog.phone.name} holds", answer.status == 200, answer)


def talk(here, there):
    """Both sides reach each other, from whichever node."""
    hold(here)
    check("the other side is held", there.offered == "sendonly", there.offered)
    hold(there)
    check("and holds", here.offered in ("sendonly", "inactive"), here.offered)


def transferred(first, second, moved):
    """A talks with B at one place, B asks C at another and refers A to C: one call goes over, as `moved` counts them.
    Both sides of what has come of it."""
    (here, there), (asks, target) = first, second
    before, (mine, theirs), b = moved(), asks.tags, there.phone
    names = f"Replaces={asks.call_id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{mine}"
    answer = there.refer(f"<{b.url(target.phone.user)}?{names}>")
    check("B's REFER is accepted", answer.status == 202, answer)
    check("the final NOTIFY says 200", there.result() == 200)
    for dialog in (there, asks):
        dialog.answer_bye()
    check("one call went over", moved() == before + 1)
    talk(here, target)
    return here, target


def calls_of(cluster, owner, count, caller, callee):
    """So many calls that this node owns; the others are ended."""
    kept = []
    for _ in range(60):
        pair = call(caller, callee)
        if cluster.node_of(pair[0]) is owner:
            kept.append(pair)
        else:
            pair[0].bye()
            pair[1].answer_bye()
        if len(kept) == count:
            return kept
    raise Failed(f"no {count} calls of {owner.name} in 60 tries")


def run(main):
    """The whole of a script: what has failed is said, and its status tells."""
    try:
        main()
    except Failed as e:
        print(f"FAIL: {e}", flush=True)
        sys.exit(1)
