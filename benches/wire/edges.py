#!/usr/bin/env python3
"""Attacks on the edges of a server on loopback, bounded, and what held meanwhile.

    benches/wire/edges.py [PORTCULLIS] [ATTACK...]

Each attack starts a server and an upstream of its own, asks as an ordinary client would meanwhile (misses over UDP and
the control socket), and prints the share of one core, the memory and the delays. It ends with 1 if something did not
hold. Python 3.9 or later, Linux; nothing else.
"""

import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ATTACKS = {}


def attack(function):
    ATTACKS[function.__name__] = function
    return function


# ---- DNS and HTTP, as far as they are needed -------------------------------------------------------------------------


def query(name, qtype=1, number=7, pad=0):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    option = struct.pack("!HH", 12, pad - 4) + bytes(pad - 4) if pad else b""
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(option)) + option
    return struct.pack("!6H", number, 0x100, 1, 0, 0, 1) + labels + struct.pack("!BHH", 0, qtype, 1) + opt


def framed(message):
    return struct.pack("!H", len(message)) + message


def end_of_question(message):
    at = 12
    while message[at]:
        at += message[at] + 1
    return at + 5


def upstream():
    """Answers A with one address, and TXT with about 60,000 octets over TCP. Runs in a process of its own."""
    while True:
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
            break
        except OSError:
            continue
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    tcp.listen(64)

    def answer(message, over_tcp):
        end = end_of_question(message)
        qtype = message[end - 4 : end - 2]
        if qtype != b"\0\x10":
            head = message[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
            return head + message[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
        if not over_tcp:
            return message[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + message[12:end]
        record = b"\xc0\x0c\0\x10\0\1\0\0\0\x3c" + struct.pack("!H", 200) + b"\xc7" + bytes(199)
        count = 60000 // len(record)
        head = message[:2] + struct.pack("!5H", 0x8180, 1, count, 0, 0)
        return head + message[12:end] + b"".join(struct.pack("!H", 0xC00C) + record[2:10] + struct.pack("!H", 200)
            + b"\xc7" + struct.pack("!H", n) + bytes(197) for n in range(count))

    def serve(stream):
        kept = b""
        while True:
            try:
                some = stream.recv(65536)
            except OSError:
                return
            if not some:
                return
            kept += some
            while len(kept) >= 2 and len(kept) >= 2 + (length := struct.unpack("!H", kept[:2])[0]):
                try:
                    stream.sendall(framed(answer(kept[2 : 2 + length], True)))
                except OSError:
                    return
                kept = kept[2 + length :]

    def listen():
        while True:
            stream, _ = tcp.accept()
            threading.Thread(target=serve, args=(stream,), daemon=True).start()

    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        # The two don't wait for one another.
        if os.fork() == 0:
            listen()
        while True:
            message, peer = udp.recvfrom(4096)
            if b"\x06silent" not in message:
                udp.sendto(answer(message, False), peer)
    return pid, udp.getsockname()[1]


class Server:
    """`portcullis serve` in a folder of its own, with an upstream."""

    def __init__(self, more="", files=None, descriptors=None):
        self.folder = tempfile.TemporaryDirectory()
        self.upstream, port = upstream()
        for name, text in (files or {}).items():
            with open(os.path.join(self.folder.name, name), "w") as file:
                file.write(text)
        self.path = os.path.join(self.folder.name, "portcullis.toml")
        self.base = f"""[server]
listen = ["127.0.0.1:0"]
SERVER
[upstream]
servers = ["udp://127.0.0.1:{port}"]
timeout = "2s"
[metrics]
listen = "127.0.0.1:0"
[blockpage]
listen = ["127.0.0.1:0"]
[control]
socket = "ctl.sock"
state = "orders.json"
"""
        self.configure(more)
        limit = None
        if descriptors:
            limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        self.child = subprocess.Popen(
            [PORTCULLIS, "serve", "--ready-json", "--config", self.path],
            stdout=subprocess.PIPE, stderr=self.log, preexec_fn=limit,
        )

    def configure(self, more):
        server, _, rest = more.partition("---\n") if "---\n" in more else ("", "", more)
        with open(self.path, "w") as file:
            file.write(self.base.replace("SERVER\n", server) + rest)

    def ready(self):
        line = self.child.stdout.readline()
        assert line, open(self.log.name).read()
        ready = json.loads(line)
        address = lambda text: (text.rsplit(":", 1)[0], int(text.rsplit(":", 1)[1]))
        self.dns, self.web, self.page = (address(ready[key][0]) for key in ("dns", "web", "blockpage"))
        return self

    def memory(self):
        with open(f"/proc/{self.child.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

    def ticks(self):
        with open(f"/proc/{self.child.pid}/stat") as file:
            parts = file.read().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def stop(self):
        began = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        status = self.child.wait(20)
        os.killpg(self.upstream, signal.SIGKILL)
        os.waitpid(self.upstream, 0)
        return status, time.monotonic() - began


class Others:
    """An ordinary client, in a process of its own: a miss over UDP every 10 ms, an order every 100 ms."""

    def __init__(self, server):
        self.server, self.cpu, self.began = server, server.ticks(), time.monotonic()
        self.told, end = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            self.delays, self.lost, self.control, self.silent, self.peak, self.going = [], 0, [], 0, 0, True
            threads = [threading.Thread(target=each) for each in (self.misses, self.orders)]
            signal.signal(signal.SIGTERM, self.stop)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            with os.fdopen(end, "w") as file:
                json.dump([self.delays, self.lost, self.control, self.silent, self.peak], file)
            os._exit(0)
        os.close(end)

    def stop(self, *_):
        self.going = False

    def misses(self):
        number = 0
        while self.going:
            number += 1
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(3)
                began = time.monotonic()
                udp.sendto(query(f"o{number}.others{number % 97}.test", number=number % 65536), self.server.dns)
                try:
                    reply = udp.recv(4096)
                    self.delays.append(time.monotonic() - began)
                    self.lost += reply[3] & 15 != 0
                except OSError:
                    self.lost += 1
            self.peak = max(self.peak, self.server.memory())
            time.sleep(0.01)

    def orders(self):
        while self.going:
            began = time.monotonic()
            try:
                with socket.socket(socket.AF_UNIX) as control:
                    control.settimeout(3)
                    control.connect(os.path.join(self.server.folder.name, "ctl.sock"))
                    control.sendall(b'{"do":"status"}\n')
                    assert b'"ok":true' in control.recv(4096)
                self.control.append(time.monotonic() - began)
            except (OSError, AssertionError):
                self.silent += 1
            time.sleep(0.1)

    def end(self):
        took = time.monotonic() - self.began
        core = (self.server.ticks() - self.cpu) / took
        os.kill(self.child, signal.SIGTERM)
        with os.fdopen(self.told) as file:
            delays, lost, control, silent, peak = json.load(file)
        os.waitpid(self.child, 0)
        at = lambda all, share: sorted(all)[int(len(all) * share)] * 1000 if all else float("nan")
        return {
            "seconds": took, "core": core, "peak MB": peak, "misses": len(delays), "lost": lost,
            "p50 ms": at(delays, 0.5), "p99 ms": at(delays, 0.99), "max ms": max(delays, default=9e9) * 1000,
            "control": len(control), "control silent": silent, "control max ms": max(control, default=9e9) * 1000,
        }


FAILED = []


def tell(name, told, **held):
    text = ", ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in told.items())
    print(f"{name}: {text}")
    for what, so in held.items():
        if not so:
            print(f"  NOT HELD: {what.replace('_', ' ')}")
            FAILED.append(f"{name}: {what}")
    sys.stdout.flush()


def answers_over_tcp(server, within):
    """Seconds until a new connection is answered."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        try:
            with socket.create_connection(server.dns, 1) as stream:
                stream.sendall(framed(query("tcp.test")))
                if stream.recv(4096):
                    return time.monotonic() - began
        except OSError:
            pass
        time.sleep(0.01)
    return float("inf")


def scraped(server):
    began = time.monotonic()
    with socket.create_connection(server.web, 3) as stream:
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while some := stream.recv(65536):
            text += some
    assert b"portcullis_queries_total" in text
    return time.monotonic() - began


# ---- the attacks -----------------------------------------------------------------------------------------------------


def fill(name, where, octets, descriptors=300, count=300):
    server = Server(descriptors=descriptors).ready()
    others = Others(server)
    streams = []
    until = time.monotonic() + 5
    while time.monotonic() < until:
        # Whoever is closed comes back.
        while len(streams) < count:
            stream = socket.create_connection(where(server), 3)
            stream.setblocking(False)
            try:
                stream.send(octets)
            except OSError:
                pass
            streams.append(stream)
        alive = []
        for stream in streams:
            try:
                gone = stream.recv(1) == b""
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                stream.close()
            else:
                alive.append(stream)
        streams = alive
        time.sleep(0.1)
    tcp = answers_over_tcp(server, 5)
    told = others.end() | {"descriptors": server.descriptors(), "TCP s": tcp}
    for stream in streams:
        stream.close()
    again = answers_over_tcp(server, 5)
    page = scraped(server)
    tell(name, told | {"again s": again, "page s": page}, nothing_lost=told["lost"] == 0, control_answers=told["control silent"] == 0,
        under_a_tenth_of_a_core=told["core"] < 0.1 + 0.1, tcp_within_a_second=tcp < 1, recovered_within_a_second=again < 1)
    server.stop()


@attack
def metrics():
    fill("metrics, 300 that say nothing", lambda server: server.web, b"")
    fill("metrics, 300 with half a head", lambda server: server.web, b"GET /metrics HTTP/1.1\r\nHost:")


@attack
def page():
    fill("block page, 300 with half a head", lambda server: server.page, b"GET / HTTP/1.1\r\nHost:")


@attack
def tcp():
    fill("DNS over TCP, 300 that say nothing", lambda server: server.dns, b"")


def idle(name, more):
    server = Server(more).ready()
    others = Others(server)
    began, streams, made = time.monotonic(), [], 0
    while made < 20000 and time.monotonic() - began < 9:
        stream = socket.socket()
        stream.settimeout(3)
        try:
            stream.bind((f"127.0.0.{1 if 'outside' in name else 2}", 0))
            stream.connect(server.dns)
            made += 1
        except OSError:
            pass
        streams.append(stream)
        if len(streams) > 15000:
            streams.pop(0).close()
        ahead = began + made * 9 / 20000 - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    told = others.end() | {"connections": made, "descriptors": server.descriptors()}
    held = {"control_answers": told["control silent"] == 0, "under_a_fifth_of_a_core": told["core"] < 0.2}
    if "outside" not in name:
        told["TCP s"] = answers_over_tcp(server, 5)
        held |= {"nothing_lost": told["lost"] == 0, "tcp_within_a_second": told["TCP s"] < 1}
    tell(name, told, **held)
    for stream in streams:
        stream.close()
    server.stop()


@attack
def many():
    idle("20,000 idle connections", "")
    idle("20,000 from outside of allow", 'allow = ["192.0.2.0/24"]\n---\n')


def hold(name, count, octets, seconds=6, after=10, per_address=1000, again=None):
    server = Server().ready()
    for n in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(3)
            udp.sendto(query(f"warm{n}.test"), server.dns)
            udp.recv(4096)
    before = server.memory()
    others = Others(server)
    streams = []
    for n in range(count):
        stream = socket.socket()
        stream.bind((f"127.0.0.{2 + n // per_address}", 0))
        stream.connect(server.dns)
        stream.setblocking(False)
        streams.append([stream, octets(n), 0])
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        left = [each for each in streams if each[1]]
        if not left:
            time.sleep(0.05)
            continue
        _, ready, _ = select.select([], left_sockets(left), [], 0.2) if len(left) < 500 else ([], left_sockets(left), [])
        ready = set(ready)
        for each in left:
            if each[0] in ready:
                try:
                    sent = each[0].send(each[1][:16384])
                    each[1] = each[1][sent:]
                    each[2] += sent
                    if not each[1] and again:
                        each[1] = again(each[2])
                except BlockingIOError:
                    pass
                except OSError:
                    each[1] = b""
        if len(left) >= 500:
            time.sleep(0.05)
    told = others.end() | {"before MB": before, "sent MB": sum(each[2] for each in streams) / 1e6}
    for stream, *_ in streams:
        stream.close()
    time.sleep(after)
    told["after MB"] = server.memory()
    tell(name, told, under_200_MB=told["peak MB"] < 200, under_100_MB_after=told["after MB"] < 100,
        others_within_500_ms=told["p99 ms"] < 500, nothing_lost=told["lost"] == 0)
    server.stop()


def left_sockets(left):
    return [each[0] for each in left]


@attack
def pipeline():
    def misses(n):
        return b"".join(framed(query(f"m{k}.d{n}.test", number=k)) for k in range(2000))
    hold("150 that pipeline misses and read nothing", 150, misses)
    def padded(n):
        return b"".join(framed(query(f"m{k}.d{n}.test", number=k, pad=60000)) for k in range(80))
    hold("150 that pipeline misses of 60,000 octets", 150, padded)
    def silent(n):
        return b"".join(framed(query(f"m{k}.d{n}.silent", number=k)) for k in range(2000))
    hold("150 that pipeline misses that nobody answers", 150, silent)
    def long(n):
        return b"".join(framed(query(f"m{k}.d{n}.silent", number=k, pad=60000)) for k in range(80))
    hold("150 that pipeline misses of 60,000 octets that nobody answers", 150, long)
    def large(n):
        return b"".join(framed(query(f"m{k}.d{n}.test", qtype=16, number=k)) for k in range(70))
    hold("150 that ask for replies of 60,000 octets and read nothing", 150, large)


@attack
def announce():
    hold("5,000 that announce 65,535 octets", 5000, lambda n: b"\xff\xff\0")
    hold("5,000 that send 60,000 of 65,535 octets", 5000, lambda n: b"\xff\xff" + bytes(60000), seconds=12)


if __name__ == "__main__":
    words = sys.argv[1:]
    PORTCULLIS = words.pop(0) if words and words[0] not in ATTACKS else "target/debug/portcullis"
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for word in words or ATTACKS:
        ATTACKS[word]()
    sys.exit(1 if FAILED else 0)
