"""What the key server reaches on one core over mutual TLS, audit on.

    python benchmarks/kes.py [--seconds 5] [--connections 16] [--new]

The server runs on the first core, the load (plain sockets with Python's ssl, one thread) on the second. Besides
requests a second it prints the server's CPU time per request, which does not depend on how fast the load is.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from strongroom.cli.kes.server import _throw_away
from strongroom.kes.wire.apikey import ApiKey
from strongroom.sdk.tls import client_tls

TICK = os.sysconf("SC_CLK_TCK")
CONFIG = """\
version: v1
address: 127.0.0.1:0
admin: {{ identity: {admin} }}
tls: {{ key: {folder}/private.key, cert: {folder}/public.crt }}
log: {{ error: on, audit: on }}
audit: {{ file: {folder}/audit.log }}
keys: [ {{ name: bench }} ]
keystore: {{ fs: {{ path: {folder}/keys }} }}
"""


class Load:
    """Kept-alive connections that always have one request under way."""

    def __init__(self, port: int, tls: ssl.SSLContext, count: int) -> None:
        self.sockets = [self.connect(port, tls) for _ in range(count)]

    @staticmethod
    def connect(port: int, tls: ssl.SSLContext) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tls.wrap_socket(raw, server_hostname="localhost")

    def run(self, request: bytes, seconds: float) -> tuple[int, list[float]]:
        """Return how many requests were answered, and how long each took."""
        poll = select.epoll()
        by_descriptor = {one.fileno(): one for one in self.sockets}
        sent: dict[int, float] = {}
        for descriptor, one in by_descriptor.items():
            poll.register(descriptor, select.EPOLLIN)
            one.send(request)
            sent[descriptor] = time.perf_counter()
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for descriptor, _ in poll.poll(1):
                one = by_descriptor[descriptor]
                answer = one.recv(65536)
                now = time.perf_counter()
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"unexpected answer: {answer[:200]!r}")
                times.append(now - sent[descriptor])
                one.send(request)
                sent[descriptor] = now
        for one in self.sockets:
            one.recv(65536)
        poll.close()
        return len(times), times


def request(path: str, body: bytes) -> bytes:
    """Return one request's bytes."""
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mb(pid: int) -> float:
    """Return a process's resident memory."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


@contextlib.contextmanager
def server(folder: Path, admin: str, core: int):
    """Run a key server on one core; yield its process and port."""
    (folder / "kes.yml").write_text(CONFIG.format(admin=admin, folder=folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "strongroom.cli.main", "kes", "server", "--config", str(folder / "kes.yml")],
        stdout=subprocess.PIPE,
        text=True,
    )
    os.sched_setaffinity(process.pid, {core})
    try:
        for line in process.stdout:
            if found := re.match(r"listening on https://.*:(\d+)", line):
                break
        yield process, int(found[1])
    finally:
        process.terminate()
        process.wait(10)


def measure(name: str, load: Load, data: bytes, seconds: float, pid: int) -> None:
    """Print one row."""
    load.run(data, 0.5)
    before, start = cpu_seconds(pid), time.perf_counter()
    count, times = load.run(data, seconds)
    spent, passed = cpu_seconds(pid) - before, time.perf_counter() - start
    times.sort()
    p50, p99 = times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000
    print(
        f"{name:<28} {count / passed:>9,.0f} /s   p50 {p50:.2f} ms   p99 {p99:.2f} ms   "
        f"server CPU {spent / count * 1e6:.1f} us a request ({spent / passed:.0%} of the core)",
        flush=True,
    )


def main() -> None:
    """Print all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--new", action="store_true", help="also new connections a second")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _throw_away(folder)
        key = ApiKey.generate()
        tls = client_tls(api_key=key, ca=folder / "public.crt")
        with server(folder, key.identity, cores[0]) as (process, port):
            body = json.dumps({"context": base64.b64encode(b'{"bucket":"bucket/object"}').decode()}).encode()
            generate = request("/v1/key/generate/bench", body)
            one = Load(port, tls, 1)
            one.sockets[0].send(generate)
            made = json.loads(one.sockets[0].recv(65536).partition(b"\r\n\r\n")[2])
            decrypt = request(
                "/v1/key/decrypt/bench",
                json.dumps({"ciphertext": made["ciphertext"], "context": json.loads(body)["context"]}).encode(),
            )
            measure("generate, 1 connection", one, generate, options.seconds / 2, process.pid)
            load = Load(port, tls, options.connections)
            measure(f"generate, {options.connections} connections", load, generate, options.seconds, process.pid)
            measure(f"decrypt, {options.connections} connections", load, decrypt, options.seconds, process.pid)
            if options.new:
                new_connections(port, tls, options.seconds, process.pid)
            print(f"{'resident':<28} {resident_mb(process.pid):>9.0f} MB")


def new_connections(port: int, tls: ssl.SSLContext, seconds: float, pid: int) -> None:
    """Print how many new connections with one request each the server takes."""
    data = request("/version", b"").replace(b"POST", b"GET")
    before, start = cpu_seconds(pid), time.perf_counter()

    def connecting(_: int) -> int:
        count = 0
        while time.perf_counter() - start < seconds:
            one = Load.connect(port, tls)
            one.send(data)
            one.recv(4096)
            one.close()
            count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        count = sum(pool.map(connecting, range(8)))
    passed, spent = time.perf_counter() - start, cpu_seconds(pid) - before
    print(
        f"{'new connections':<28} {count / passed:>9,.0f} /s   server CPU {spent / count * 1e6:.0f} us each "
        f"({count / spent:,.0f} a second of CPU; the client takes as much)"
    )


if __name__ == "__main__":
    main()
