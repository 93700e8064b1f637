# SPDX-License-Identifier: AGPL-3.0-or-later
"""Real Redis servers for the tests in this folder: one, with Sentinels, or a cluster. They end with the test."""
import atexit
import ctypes
import os
import re
import signal
import socket
import subprocess
import time

FOLDER = os.path.abspath(os.environ.get("T", "."))
LIMIT = float(os.environ.get("LIMIT", "20"))
HOST = "127.0.0.1"
started = []


def end_all():
    for child in started:
        if child.poll() is None:
            child.kill()
            child.wait()


atexit.register(end_all)
signal.signal(signal.SIGTERM, lambda *_: exit(143))


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def spawn(name, *command):
    with open(f"{FOLDER}/{name}.log", "ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                 preexec_fn=die_with_parent)
    started.append(child)
    return child


def free_ports(count, spare=0):
    """Ports that nobody listens on, with port + spare free too."""
    found = []
    for port in range(12000 + os.getpid() % 3000 * 2, 32000):
        with socket.socket() as a, socket.socket() as b:
            try:
                a.bind((HOST, port))
                b.bind((HOST, port + spare if spare else 0))
            except (OSError, OverflowError):
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


def until(what, condition, limit=LIMIT):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {limit:.0f} s")
        time.sleep(0.05)


class Redis:
    def __init__(self, port=None, *options, ready=True, ask=()):
        self.port = port or free_ports(1)[0]
        self.options = options
        self.ask = ask
        self.child = None
        self.start(ready)

    def start(self, ready=True):
        folder = f"{FOLDER}/redis-{self.port}"
        os.makedirs(folder, exist_ok=True)
        self.child = spawn(f"redis-{self.port}", "redis-server", "--port", str(self.port), "--bind", HOST, "--dir",
                           folder, "--save", "", *self.options)
        if ready:
            until("a server", lambda: re.search("PONG|NOAUTH", self.cli("ping", check=False)))

    def cli(self, *words, check=True):
        """What it says; waits no longer than two seconds, so that one that is frozen does not stop the test."""
        command = ["timeout", "2", "redis-cli", "-p", str(self.port), "--no-auth-warning", *self.ask, *words]
        run = subprocess.run(command, capture_output=True, text=True)
        if check and run.returncode:
            raise OSError(f"{words}: {run.stdout} {run.stderr}")
        return run.stdout.strip()

    def kill(self):
        self.child.kill()
        self.child.wait()

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)

    def is_master(self):
        return self.cli("role", check=False).startswith("master")

    def records(self):
        """Calls kept here."""
        keys = self.cli("keys", "referee:c:*", check=False).split()
        counts = [self.cli("hlen", key, check=False) for key in keys]
        return sum(int(n) for n in counts if n.isdigit())


def certificates():
    """Those of an authority, of a server and of another authority: their files, and the server's key."""
    def run(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    name = f"{FOLDER}/tls-"
    for who in ("ca", "other"):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            f"/CN={who}", "-keyout", f"{name}{who}.key", "-out", f"{name}{who}.pem")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=redis.example",
        "-addext", "subjectAltName=DNS:redis.example", "-keyout", f"{name}server.key", "-out", f"{name}server.csr")
    run("x509", "-req", "-in", f"{name}server.csr", "-CA", f"{name}ca.pem", "-CAkey", f"{name}ca.key", "-days", "2",
        "-copy_extensions", "copy", "-out", f"{name}server.pem")
    return [f"{name}{file}" for file in ("ca.pem", "server.pem", "server.key", "other.pem")]


class Guarded:
    """A master, a replica, three Sentinels."""

    def __init__(self):
        ports = free_ports(5)
        self.servers = [Redis(ports[0]), Redis(ports[1], "--replicaof", HOST, str(ports[0]))]
        self.sentinels = ports[2:]
        until("a replica", lambda: "connected_slaves:1" in self.servers[0].cli("info", "replication"))
        for port in self.sentinels:
            path = f"{FOLDER}/sentinel-{port}.conf"
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"port {port}\nbind {HOST}\ndir {FOLDER}\nsentinel monitor referee {HOST} {ports[0]} 2\n"
                        "sentinel down-after-milliseconds referee 800\nsentinel failover-timeout referee 3000\n")
            spawn(f"sentinel-{port}", "redis-server", path, "--sentinel")
        until("the Sentinels know each other", lambda: all(
            "num-other-sentinels\n2\n" in self.ask(p, "sentinel", "master", "referee") + "\n" and
            "num-slaves\n1\n" in self.ask(p, "sentinel", "master", "referee") + "\n" for p in self.sentinels))

    def ask(self, port, *words):
        run = subprocess.run(["timeout", "2", "redis-cli", "-p", str(port), *words], capture_output=True, text=True)
        return run.stdout.strip()

    def master(self):
        return next((s for s in self.servers if s.child.poll() is None and s.is_master()), None)


class Cluster:
    """Three masters, a replica each."""

    def __init__(self):
        ports = free_ports(6, spare=10000)
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage",
                   "no", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
        self.servers = [Redis(port, *options) for port in ports]
        nodes = [f"{HOST}:{port}" for port in ports]
        subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes"],
                       check=True, capture_output=True)
        until("the cluster is whole", self.is_whole)

    def alive(self):
        return [s for s in self.servers if s.child.poll() is None]

    def is_whole(self):
        infos = [s.cli("cluster", "info", check=False) for s in self.alive()]
        return all("cluster_state:ok" in i and "cluster_slots_ok:16384" in i for i in infos)

    def masters(self):
        return [s for s in self.alive() if s.is_master()]

    def replicas_are_ready(self):
        return all("master_link_status:up" in s.cli("info", "replication") for s in self.alive() if not s.is_master())

    def records(self):
        return sum(s.records() for s in self.masters())
