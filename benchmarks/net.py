"""What net costs: answers a second, CPU of the server for each, and bytes a second for large bodies.

    python benchmarks/net.py [--seconds 2] [--only NAME]

The server is a process of its own, pinned to one core; the load comes from this process on another. CPU per request
is the server's own, so that a busy machine disturbs it little. `echo` is a bare uvloop protocol that parses nothing:
the floor. `aiohttp` is aiohttp.web, for comparison.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import uvloop
from load import Result, insecure_tls, request, run_load

KIB4 = b"x" * 4096
MIB = b"y" * (1 << 20)
SIZE = 64 << 20
JSON = (("Content-Type", "application/json"),)
BODY = b'{"context":"' + b"QUJD" * 20 + b'"}'
ANSWER = b'{"plaintext":"' + b"A" * 44 + b'","ciphertext":"' + b"B" * 104 + b'"}\n'


# -- the servers


def used() -> bytes:
    """Return this process's CPU seconds and resident KiB as JSON."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return json.dumps([time.process_time(), pages * resource.getpagesize() >> 10]).encode()


def make_handler():
    from strongroom.messages import Response, Windows

    small = Response(200, JSON, ANSWER)
    page = Response(200, (("Content-Type", "application/octet-stream"),), KIB4)

    async def put(body):
        count = 0

        def sink(view: memoryview) -> None:
            nonlocal count
            count += len(view)

        await body.feed(sink)
        return Response(200, (), b"%d" % count)

    async def later():
        return page

    def handler(request, body):
        path = request.path
        if path == "/4k":
            return page
        if path == "/key":
            return small
        if path == "/later":
            return later()
        if path == "/big":
            return Response(200, (), Windows(SIZE, iter([MIB] * (SIZE >> 20))))
        if path == "/put":
            return put(body)
        return Response(200, JSON, used())

    return handler


class Echo(asyncio.Protocol):
    """The floor: a fixed answer to whatever comes."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4096\r\n\r\n" + KIB4

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if b"/usage" in data:
            body = used()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        else:
            self.transport.write(self.ANSWER)


async def serve(kind: str, folder: str) -> None:
    loop = asyncio.get_running_loop()
    if kind == "echo":
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
    elif kind == "aiohttp":
        port = await serve_aiohttp()
    else:
        from strongroom.net.server import listen

        port = (await listen(make_handler(), "127.0.0.1", 0, tls=server_tls_of(kind, folder))).port
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def server_tls_of(kind: str, folder: str):
    from strongroom.net.tls import server_tls
    from strongroom.net.tls_openssl import any_client_tls

    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    if kind == "tls":
        return server_tls(cert, key)
    return any_client_tls(cert, key) if kind == "mtls" else None


async def serve_aiohttp() -> int:
    from aiohttp import web

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=KIB4)

    async def usage(_: web.Request) -> web.Response:
        return web.Response(body=used())

    app = web.Application()
    app.add_routes([web.get("/4k", page), web.get("/usage", usage)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return site._server.sockets[0].getsockname()[1]


@contextlib.contextmanager
def server(kind: str, folder: str) -> Iterator[int]:
    command = [sys.executable, __file__, "--serve", kind, "--folder", folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        os.sched_setaffinity(process.pid, {0})
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


# -- the load


async def usage(port: int, tls) -> tuple[float, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(request("GET", "/usage"))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    seconds, resident = json.loads(await reader.readexactly(length))
    writer.close()
    return seconds, resident


CASES = {
    "echo 4 KiB": ("echo", "GET", "/4k", b"", 16),
    "aiohttp 4 KiB": ("aiohttp", "GET", "/4k", b"", 16),
    "plain 4 KiB": ("plain", "GET", "/4k", b"", 16),
    "plain 4 KiB awaited": ("plain", "GET", "/later", b"", 16),
    "plain data key": ("plain", "POST", "/key", BODY, 16),
    "tls data key": ("tls", "POST", "/key", BODY, 16),
    "mtls data key": ("mtls", "POST", "/key", BODY, 16),
    "tls new connection": ("tls", "POST", "/key", BODY, 0),
    "mtls new connection": ("mtls", "POST", "/key", BODY, 0),
    "plain GET 64 MiB": ("plain", "GET", "/big", b"", 2),
    "tls GET 64 MiB": ("tls", "GET", "/big", b"", 2),
    "plain PUT 64 MiB": ("plain", "PUT", "/put", MIB, 2),
    "tls PUT 64 MiB": ("tls", "PUT", "/put", MIB, 2),
}


async def connecting(port: int, tls, seconds: float):
    """Make connections one after the other, from threads, and ask once on each."""
    result, until = Result(), time.perf_counter() + seconds

    def one() -> int:
        count = 0
        while time.perf_counter() < until:
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                tls.wrap_socket(plain) as sock,
            ):
                sock.sendall(request("POST", "/key", BODY))
                sock.recv(65536)
            count += 1
        return count

    began = time.perf_counter()
    result.answers = sum(await asyncio.gather(*(asyncio.to_thread(one) for _ in range(8))))
    result.seconds = time.perf_counter() - began
    return result


async def measure(name: str, folder: str, seconds: float) -> None:
    kind, method, path, body, connections = CASES[name]
    headers = ("User-Agent: load/1.0", "Accept: */*", "Content-Type: application/json")
    raw = request(method, path, body * (SIZE >> 20) if path == "/put" else body, headers)
    secure = kind in {"tls", "mtls"}
    tls = insecure_tls(f"{folder}/client.pem", f"{folder}/client-key.pem") if secure else None
    with server(kind, folder) as port:

        async def load(seconds: float) -> Result:
            if not connections:
                return await connecting(port, tls, seconds)
            requests = [repeat(raw)] * connections
            return await run_load(
                "127.0.0.1", port, requests.__getitem__, connections=connections, seconds=seconds, tls=tls
            )

        await load(0.3)
        before, _ = await usage(port, tls)
        result = await load(seconds)
        after, resident = await usage(port, tls)
    each = (after - before) / max(result.answers, 1)
    if "64 MiB" in name:
        rates = f"{result.rate * SIZE / 1e9:6.2f} GB/s, {SIZE / each / 1e9:6.2f} GB/s per core of the server"
    else:
        rates = f"{result.rate:8.0f}/s, {each * 1e6:6.1f} us CPU each, {1 / each:8.0f}/s per core"
    print(f"{name:22} {rates}, p99 {result.percentile(0.99):.2f} ms, {resident >> 10} MB, {result.failures} failed")


def make_certificates(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    now = datetime.datetime.now(datetime.UTC)
    for stem, key in (("", ec.generate_private_key(ec.SECP256R1())), ("client", ed25519.Ed25519PrivateKey.generate())):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, stem or "localhost")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        certificate = builder.sign(key, hashes.SHA256() if not stem else None)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / (f"{stem}-key.pem" if stem else "key.pem")).write_bytes(pem)
        (folder / f"{stem or 'cert'}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", default="")
    words = parser.parse_args()
    if words.serve:
        uvloop.run(serve(words.serve, words.folder))
        return
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {0})
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(Path(folder))
        began = time.monotonic()
        for name in CASES:
            if words.only in name:
                uvloop.run(measure(name, folder, words.seconds))
        print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
