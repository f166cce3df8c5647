#!/usr/bin/env python3
"""How a forwarder judges an upstream's trouble: slow, lossy, attacked with forged errors, or flooded with
names that nobody can answer. Prints a table of what held. Speaks only over loopback; ends what it started.

    judgement.py --portcullis target/release/portcullis [--unbound /usr/sbin/unbound] [--only slow,loss]
                 [--seconds 5]

The forged errors need CAP_NET_RAW and are left out without it.
"""

import argparse
import heapq
import multiprocessing
import os
import random
import select
import socket
import struct
import subprocess
import tempfile
import time

TIMEOUT = 2.0


def question(number, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def upstream(port, delay, loss, packets, stop, sources, ready):
    """Answers any name with an address, except names that begin with `lost`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    ready.set()
    waiting, number = [], 0
    chance = random.Random(7)
    while not stop.value:
        rest = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.05
        select.select([sock], [], [], min(rest, 0.05))
        for _ in range(200):
            try:
                packet, source = sock.recvfrom(4096)
            except OSError:
                break
            if packet[12:14] == b"\0\0":
                # A probe for the root.
                sock.sendto(packet[:2] + b"\x81\x80" + packet[4:6] + b"\0" * 6 + packet[12:17], source)
                continue
            packets.value += 1
            if sources is not None:
                sources.put(source[1])
            if packet[13:17] == b"lost" or chance.random() < loss:
                continue
            end = packet.index(b"\0", 12) + 5
            reply = packet[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + packet[12:end]
            reply += b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\1"
            number += 1
            low, high = delay
            heapq.heappush(waiting, (time.monotonic() + low + (high - low) * chance.random(), number, reply, source))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, reply, source = heapq.heappop(waiting)
            if chance.random() >= loss:
                try:
                    sock.sendto(reply, source)
                except OSError:
                    pass


def ask(port, rate, seconds, source="127.0.0.1", wait=9.0, name="n{}.d{}.example"):
    """Asks at a steady rate; returns (asked, answered, errors, latencies)."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind((source, 0))
    sock.setblocking(False)
    sent, times, errors, latencies = {}, [], 0, []
    count, begin = int(rate * seconds), time.monotonic()
    number = 0
    run = random.randrange(1 << 30)
    while True:
        now = time.monotonic()
        while number < count and begin + number / rate <= now:
            sent[number & 0xFFFF] = now
            sock.sendto(question(number, name.format(f"{run}x{number}", number % 97)), ("127.0.0.1", port))
            number += 1
        if number >= count and (not sent or now > begin + seconds + wait):
            return count, len(latencies), errors, sorted(latencies)
        select.select([sock], [], [], 0.001)
        while True:
            try:
                reply = sock.recv(4096)
            except OSError:
                break
            at = sent.pop(struct.unpack(">H", reply[:2])[0], None)
            if at is None:
                continue
            if reply[3] & 15 == 0 and reply[7] > 0:
                latencies.append(time.monotonic() - at)
            else:
                errors += 1


def flood(port, rate, seconds, source):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 0))
    sock.setblocking(False)
    begin, number = time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        while number < (time.monotonic() - begin) * rate:
            try:
                sock.sendto(question(number, f"lost{number}.flood{number % 30011}.example{number % 53}"), ("127.0.0.1", port))
            except OSError:
                pass
            number += 1
        time.sleep(0.001)
        try:
            while sock.recv(4096):
                pass
        except OSError:
            pass


def forge(port, seconds, sources):
    """Reports, for every source port that is in use, that the upstream's port is closed."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        try:
            source = sources.get(timeout=0.05)
        except Exception:
            continue
        inner = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 60, 1, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
        inner += struct.pack(">HHHH", source, port, 40, 0)
        packet = struct.pack(">BBHI", 3, 3, 0, 0) + inner
        total = sum(struct.unpack(f">{len(packet) // 2}H", packet))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        raw.sendto(packet[:2] + struct.pack(">H", ~total & 0xFFFF) + packet[4:], ("127.0.0.1", 0))


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def start(which, program, folder, port, up):
    log = open(os.path.join(folder, "log"), "w")
    if which == "portcullis":
        path = os.path.join(folder, "portcullis.toml")
        with open(path, "w") as file:
            file.write(f'[server]\nlisten = ["127.0.0.1:{port}"]\nallow = ["127.0.0.0/8"]\n')
            file.write(f'[upstream]\nservers = ["127.0.0.1:{up}"]\ntimeout = "{TIMEOUT:g}s"\n[cache]\nsize = "0"\n')
        command = [program, "serve", "-c", path]
    else:
        path = os.path.join(folder, "unbound.conf")
        with open(path, "w") as file:
            file.write(
                f"server:\n interface: 127.0.0.1@{port}\n access-control: 127.0.0.0/8 allow\n"
                f' do-daemonize: no\n username: ""\n chroot: ""\n pidfile: ""\n directory: "{folder}"\n'
                " use-syslog: no\n do-not-query-localhost: no\n num-threads: 1\n outgoing-range: 4096\n"
                " num-queries-per-thread: 2048\n module-config: iterator\n msg-cache-size: 1m\n"
                f'forward-zone:\n name: "."\n forward-addr: 127.0.0.1@{up}\n'
            )
        command = [program, "-c", path]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.3)
            sock.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\7version\4bind\0\0\x10\0\3", ("127.0.0.1", port))
            try:
                sock.recv(512)
                return process
            except OSError:
                pass
    process.terminate()
    raise SystemExit(f"{which} does not answer: {open(log.name).read()[-500:]}")


def measure(which, program, delay, loss, rate, seconds, attack=None):
    port, up = free_port(), free_port()
    packets, stop = multiprocessing.Value("q", 0, lock=False), multiprocessing.Value("b", 0, lock=False)
    sources = multiprocessing.Queue() if attack == "forge" else None
    ready = multiprocessing.Event()
    others = [multiprocessing.Process(target=upstream, args=(up, delay, loss, packets, stop, sources, ready))]
    if attack == "flood":
        others.append(multiprocessing.Process(target=flood, args=(port, 20_000, seconds + 1, "127.0.0.66")))
    if attack == "flood-same":
        others.append(multiprocessing.Process(target=flood, args=(port, 20_000, seconds + 1, "127.0.0.1")))
    if attack == "forge":
        others.append(multiprocessing.Process(target=forge, args=(up, seconds + 1, sources)))
    with tempfile.TemporaryDirectory() as folder:
        others[0].start()
        ready.wait(20)
        process = start(which, program, folder, port, up)
        try:
            for other in others[1:]:
                other.start()
            asked, answered, errors, latencies = ask(port, rate, seconds, "127.0.0.1")
        finally:
            process.terminate()
            stop.value = 1
            process.wait()
            for other in others:
                other.join(10)
                if other.is_alive():
                    other.terminate()
    p99 = latencies[int(len(latencies) * 0.99)] * 1000 if latencies else float("nan")
    return asked, answered, errors, p99, packets.value / asked


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--portcullis", required=True)
    options.add_argument("--unbound")
    options.add_argument("--only", default="slow,loss,forge,flood")
    options.add_argument("--seconds", type=float, default=5)
    options = options.parse_args()
    programs = [("portcullis", options.portcullis)]
    if options.unbound:
        programs.append(("unbound", options.unbound))
    cases = []
    only = options.only.split(",")
    if "slow" in only:
        for part in (0.4, 0.65, 0.9):
            cases.append((f"a reply takes {part} of the time limit", (part * TIMEOUT,) * 2, 0, 500, None))
        cases.append(("a reply takes 0.4 to 0.9 of it", (0.4 * TIMEOUT, 0.9 * TIMEOUT), 0, 500, None))
    if "loss" in only:
        cases.append(("30 % of all packets are lost", (0.01, 0.02), 0.3, 200, None))
        cases.append(("15 % of all packets are lost", (0.01, 0.02), 0.15, 200, None))
    if "forge" in only:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
            cases.append(("an error is forged for every packet", (0.1, 0.1), 0, 500, "forge"))
        except PermissionError:
            print("forged errors: left out, CAP_NET_RAW is needed")
    if "flood" in only:
        cases.append(("20,000 a second that nobody answers", (0.02, 0.02), 0, 200, "flood"))
        cases.append(("the same, from the same client", (0.02, 0.02), 0, 200, "flood-same"))
    print("| case | server | asked | answered | errors | lost | p99, ms | packets a question |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for what, delay, loss, rate, attack in cases:
        for which, program in programs:
            asked, answered, errors, p99, ratio = measure(which, program, delay, loss, rate, options.seconds, attack)
            ratio = "" if attack in ("flood", "flood-same") else f"{ratio:.2f}"
            print(
                f"| {what} | {which} | {asked} | {answered} | {errors} | {asked - answered - errors} | {p99:.0f} | {ratio} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
