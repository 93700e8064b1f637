#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/store.py FLOW...: calls while what happens to Redis happens: none of them fails, and all of them are in
Redis again afterwards."""
import os
import queue
import socket
import subprocess
import sys
import threading
import time

import sip
from redis_servers import HOST, Cluster, Guarded, Redis, certificates, free_ports, spawn
from sip import Phone, call, check, nothing_is_left, wait_for

PROGRAM = f"{sip.BUILD}/refereed"


def order(*words):
    run = subprocess.run([f"{sip.BUILD}/refereectl", "-s", f"{sip.FOLDER}/admin", *words], capture_output=True,
                         text=True)
    return run.stdout


class Daemon:
    def __init__(self, store, wait=True):
        self.port, media = free_ports(2)[0], free_ports(1)[0] // 2 * 2 + 100
        self.log = f"{sip.FOLDER}/refereed-{self.port}.log"
        config = f"{sip.FOLDER}/refereed-{self.port}.yaml"
        users = ", ".join(f"{{name: '{n}', password: secret{n}}}" for n in (1001, 1002))
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"version: 1\nsip: {{listen: ['{HOST}:{self.port}'], t1: 100ms}}\nusers: [{users}]\n"
                    f"media: {{ports: {media}-{media + 199}, quarantine: 0s}}\nstore: {store}\n"
                    f"admin: {{socket: '{sip.FOLDER}/admin'}}\nlimits: {{calls: 50}}\n")
        open(self.log, "wb").close()
        self.child = spawn(f"refereed-{self.port}", PROGRAM, "-c", config)
        if wait:
            wait_for("refereed is ready", lambda: self.says("ready"))
            self.phones = self.pair()

    def says(self, text):
        with open(self.log, encoding="utf-8") as f:
            return text in f.read()

    def pair(self):
        a, b = Phone("A", 1001, self.port), Phone("B", 1002, self.port)
        a.register()
        b.register()
        return a, b

    def call(self):
        begin = time.monotonic()
        dialogs = call(*self.phones)
        took = time.monotonic() - begin
        check(f"set up in {took * 1000:.0f} ms", took < 1.5)
        return dialogs

    def end(self, calls):
        for here, there in calls:
            here.bye()
            there.answer_bye()
        nothing_is_left()

    def stop(self):
        self.child.terminate()
        wait_for("refereed ends", lambda: self.child.poll() is not None)
        check("and ends well", self.child.returncode == 0, self.child.returncode)


def store_of(redis, more=""):
    return f"{{kind: redis, servers: ['{HOST}:{redis.port}'], timeout: 500ms{more}}}"


def is_up():
    return order("store").split("\n")[0].endswith(": up")


def through(redis, daemon, begin, end):
    """Calls before, during and after what begin() does and end() ends."""
    calls = [daemon.call(), daemon.call()]
    wait_for("they are in Redis", lambda: redis.records() == 2)
    begin()
    calls.append(daemon.call())
    check("a call of before goes on", calls[0][0].ask("OPTIONS").status == 200)
    calls[1][0].bye()
    calls[1][1].answer_bye()
    del calls[1]
    calls.append(daemon.call())
    end()
    calls.append(daemon.call())
    wait_for("the store is up", is_up)
    wait_for("all calls are in Redis, and none that has ended", lambda: redis.records() == len(calls))
    daemon.end(calls)
    wait_for("nothing is left in Redis", lambda: redis.records() == 0)
    daemon.stop()


def killed():
    redis = Redis(None, "--appendonly", "yes")
    through(redis, Daemon(store_of(redis)), redis.kill, redis.start)


def frozen():
    redis = Redis()
    daemon = Daemon(store_of(redis))

    def freeze():
        redis.freeze()
        wait_for("its silence is noticed", lambda: not is_up())
    through(redis, daemon, freeze, redis.thaw)


def full():
    redis = Redis(None, "--maxmemory-policy", "noeviction")
    daemon = Daemon(store_of(redis))
    through(redis, daemon, lambda: redis.cli("config", "set", "maxmemory", "1"),
            lambda: redis.cli("config", "set", "maxmemory", "0"))
    check("it said that no writes are taken", daemon.says("takes no writes"))


def read_only():
    """The server becomes somebody's replica, and a master again."""
    redis, other = Redis(), Redis()
    daemon = Daemon(store_of(redis))

    def promote():
        redis.cli("replicaof", "no", "one")
    through(redis, daemon, lambda: redis.cli("replicaof", HOST, "1"), promote)
    other.kill()


class Delay:
    """A server in front of another, 100 ms away from it."""

    def __init__(self, port, seconds=0.1):
        self.behind, self.seconds = port, seconds
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            here = self.listener.accept()[0]
            there = socket.create_connection((HOST, self.behind))
            for a, b in ((here, there), (there, here)):
                late = queue.Queue()
                threading.Thread(target=self.take, args=(a, late), daemon=True).start()
                threading.Thread(target=self.give, args=(b, late), daemon=True).start()

    def take(self, a, late):
        data = True
        while data:
            try:
                data = a.recv(65536)
            except OSError:
                data = b""
            late.put((time.monotonic() + self.seconds / 2, data))

    @staticmethod
    def give(b, late):
        while (one := late.get())[1]:
            time.sleep(max(0, one[0] - time.monotonic()))
            try:
                b.sendall(one[1])
            except OSError:
                break
        b.close()


def slow():
    redis = Redis()
    through(redis, Daemon(store_of(Delay(redis.port))), lambda: None, lambda: None)


def scripts_flushed():
    redis = Redis()
    through(redis, Daemon(store_of(redis)), lambda: redis.cli("script", "flush"), lambda: None)


def strangers():
    """Another product has keys of our names."""
    redis = Redis()
    daemon = Daemon(store_of(redis))
    redis.cli("eval", "for i=0,4095 do redis.call('set',string.format('referee:c:{%03x}',i),'x') end return 1", "0")
    calls = [daemon.call()]
    wait_for("they are counted", lambda: sip.metric("store_foreign") > 0)
    check("and named in the log", daemon.says("skipped what is not ours, call in bucket"))
    daemon.end(calls)
    daemon.stop()


# ---- starting

def ended(daemon):
    wait_for("refereed ends", lambda: daemon.child.poll() is not None)
    return daemon.child.returncode


def wrong_password():
    redis = Redis(None, "--requirepass", "right")
    for store, text in ((", password: wrong", "WRONGPASS invalid username-password pair or user is disabled."),
                        ("", "NOAUTH Authentication required.")):
        daemon = Daemon(store_of(redis, store), wait=False)
        check("exit status 2", ended(daemon) == 2, daemon.child.returncode)
        check("the server's own words", daemon.says(text))
    path = f"{sip.FOLDER}/password"
    with open(path, "w", encoding="utf-8") as f:
        f.write("right\n")
    Daemon(store_of(redis, f", password_file: '{path}'")).stop()


def rights():
    """The user that deploy/redis.conf names can do all; one that may not load scripts ends us."""
    with open("deploy/redis.conf", encoding="utf-8") as f:
        text = f.read()
    rule = text[text.index("# user referee"):].replace("\\\n#", "").strip("# \n").replace("PASSWORD", "secret")
    redis = Redis()
    redis.cli("acl", "setuser", *rule.split()[1:])
    redis.cli("acl", "setuser", "poor", "on", ">secret", "~*", "+@all", "-script")
    daemon = Daemon(store_of(redis, ", user: poor, password: secret"), wait=False)
    check("exit status 2", ended(daemon) == 2, daemon.child.returncode)
    check("the server's own words", daemon.says("NOPERM this user has no permissions to run the 'script|load' command"))
    daemon = Daemon(store_of(redis, ", user: referee, password: secret"))
    calls = [daemon.call()]
    wait_for("it is in Redis", lambda: redis.records() == 1)
    check("without an error", sip.metric("store_errors") == 0, order("metrics"))
    daemon.end(calls)
    daemon.stop()


def missing():
    """Redis is not there: that is said, and calls go on; where it is required it is waited for."""
    redis = Redis()
    redis.kill()
    daemon = Daemon(store_of(redis))
    check("it is said", daemon.says("Connection refused; starting without it"))
    calls = [daemon.call()]
    redis.start()
    wait_for("the call is in Redis", lambda: redis.records() == 1)
    daemon.end(calls)
    daemon.stop()
    redis.kill()
    daemon = Daemon(store_of(redis, ", required: true"), wait=False)
    wait_for("it is said", lambda: os.path.exists(daemon.log) and daemon.says("waiting for it"))
    check("not ready yet", not daemon.says("ready"))
    redis.start()
    wait_for("ready", lambda: daemon.says("ready"))
    daemon.stop()


def tls():
    ca, cert, key, other = certificates()
    port = free_ports(1)[0]
    redis = Redis(port, "--port", "0", "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key,
                  "--tls-ca-cert-file", ca, "--tls-auth-clients", "yes",
                  ask=("--tls", "--cacert", ca, "--cert", cert, "--key", key))
    ours = f", tls: true, tls_cert: '{cert}', tls_key: '{key}'"
    for wrong, text in ((f"{ours}, tls_ca: '{other}'", "certificate"),
                        (f"{ours}, tls_ca: '{ca}', tls_name: redis.example.org", "mismatch")):
        daemon = Daemon(store_of(redis, wrong))
        check("a wrong certificate is named", daemon.says(text), text)
        check("and nothing is written there", order("store").startswith("redis: connecting"), order("store"))
        daemon.stop()
    daemon = Daemon(store_of(redis, f", tls: true, tls_ca: '{other}x'"), wait=False)
    check("without its file it does not start", ended(daemon) == 2, daemon.child.returncode)
    through(redis, Daemon(store_of(redis, f"{ours}, tls_ca: '{ca}', tls_name: redis.example")),
            redis.freeze, redis.thaw)


# ---- Sentinel, cluster

def sentinel():
    guarded = Guarded()
    servers = ", ".join(f"'{HOST}:{port}'" for port in guarded.sentinels)
    daemon = Daemon(f"{{kind: redis, servers: [{servers}], sentinel: referee, timeout: 500ms, replicas: 1}}")
    first = guarded.master()
    calls = [daemon.call(), daemon.call()]
    wait_for("they are at the master", lambda: first.records() == 2)
    wait_for("and at the replica", lambda: sum(s.records() for s in guarded.servers) == 4)
    first.kill()
    calls.append(daemon.call())
    wait_for("the replica is promoted", lambda: guarded.master() is not None)
    calls.append(daemon.call())
    wait_for("the store is up", is_up)
    wait_for("all calls are in Redis", lambda: guarded.master().records() == len(calls))
    daemon.end(calls)
    wait_for("nothing is left in Redis", lambda: guarded.master().records() == 0)
    daemon.stop()


def cluster():
    servers = Cluster()
    daemon = Daemon(f"{{kind: redis, servers: ['{HOST}:{servers.servers[0].port}', "
                    f"'{HOST}:{servers.servers[3].port}'], cluster: true, timeout: 500ms}}")
    calls = [daemon.call() for _ in range(6)]
    wait_for("they are in Redis", lambda: servers.records() == 6)
    check("at more than one server", sum(s.records() > 0 for s in servers.masters()) > 1)

    # A master that is asked to hand over: MOVED.
    wait_for("the replicas are ready", servers.replicas_are_ready)
    replica = next(s for s in servers.alive() if not s.is_master())
    replica.cli("cluster", "failover")
    wait_for("it is the master", replica.is_master)
    while len(calls) < 36 and not sip.metric("store_redirects"):
        calls.append(daemon.call())
        wait_for("all calls are in Redis", lambda: servers.records() == len(calls))
    check("by redirection", sip.metric("store_redirects") > 0, order("metrics"))

    # A master that dies.
    wait_for("the replicas are ready", servers.replicas_are_ready)
    max(servers.masters(), key=lambda s: s.records()).kill()
    calls += [daemon.call() for _ in range(4)]
    wait_for("the cluster is whole", servers.is_whole)
    wait_for("the store is up", is_up)
    wait_for("all calls are in Redis again", lambda: servers.records() == len(calls))
    daemon.end(calls)
    wait_for("nothing is left in Redis", lambda: servers.records() == 0)
    daemon.stop()


if __name__ == "__main__":
    FLOWS = (killed, frozen, full, read_only, slow, scripts_flushed, strangers, wrong_password, rights, missing,
             tls, sentinel, cluster)
    sip.run({flow.__name__: flow for flow in FLOWS}, sys.argv[1:])
