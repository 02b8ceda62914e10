"""A load generator: fixed requests over kept-alive connections, each waiting for its answer.

python benchmarks/load.py --port 9000 --path /bucket/object --connections 16 --seconds 3
"""

import argparse
import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat

import uvloop


@dataclass
class Result:
    """What a run brought. latencies: seconds, one for each answer."""

    answers: int = 0
    bytes: int = 0
    failures: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return the latency in milliseconds that share of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


class _Client(asyncio.Protocol):
    """Sends a request, waits for the whole answer (by Content-Length), sends the next."""

    def __init__(self, requests: Iterator[bytes], result: Result, until: float) -> None:
        self._requests = requests
        self._result = result
        self._until = until
        self._left = 0
        self._head = b""
        self._bodiless = False  # the answer to a HEAD announces a length and brings nothing
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        request = next(self._requests, None) if self._began < self._until else None
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._bodiless = request.startswith(b"HEAD ")
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._result.bytes += len(data)
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._head[:end].lower()
            if not head.startswith(b"http/1.1 2"):
                self._result.failures += 1
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 and not self._bodiless else 0
            self._left = length - (len(self._head) - end - 4)
            self._head = b""
        if self._left <= 0:
            self._result.answers += 1
            self._result.latencies.append(time.perf_counter() - self._began)
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._result.failures += 1
            self.done.set_result(None)


async def run_load(
    host: str,
    port: int,
    requests: Callable[[int], Iterator[bytes]],
    *,
    connections: int = 16,
    seconds: float = 3.0,
    tls: ssl.SSLContext | None = None,
) -> Result:
    """Load host:port for some seconds. requests(n) gives the n-th connection's requests, raw bytes."""
    result = Result()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda n=n: _Client(requests(n), result, began + seconds), host, port, ssl=tls))[
            1
        ]
        for n in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    result.seconds = time.perf_counter() - began
    return result


def insecure_tls(cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """Return a client's TLS that verifies nothing, for servers with certificates made for a test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if cert and key:
        context.load_cert_chain(cert, key)
    return context


def request(method: str, path: str, body: bytes = b"", headers: tuple[str, ...] = ()) -> bytes:
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body or method in {"PUT", "POST"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--method", default="GET")
    parser.add_argument("--path", default="/")
    parser.add_argument("--body-bytes", type=int, default=0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--tls", action="store_true", help="verify nothing")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    words = parser.parse_args()
    raw = request(words.method, words.path, b"x" * words.body_bytes)
    tls = insecure_tls(words.cert, words.key) if words.tls else None
    result = uvloop.run(
        run_load(
            words.host,
            words.port,
            lambda _: repeat(raw),
            connections=words.connections,
            seconds=words.seconds,
            tls=tls,
        )
    )
    print(
        json.dumps(
            {
                "per_second": round(result.rate),
                "failures": result.failures,
                "p50_ms": round(result.percentile(0.5), 3),
                "p99_ms": round(result.percentile(0.99), 3),
                "mib_per_second": round(result.bytes / result.seconds / 2**20, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
