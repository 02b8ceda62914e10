"""S3 requests byte by byte: signed as they should be, and then broken by the test that sends them."""

import contextlib
import datetime
import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from strongroom.s3.wire import sigv4

USER, SECRET, REGION = "minio", "minio123", "us-east-1"


@dataclass
class Answer:
    """status 0: the connection ended without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        return found[1].decode() if found else self.headers.get("x-minio-error-code", "")


def signed(method, path, headers=(), *, query="", payload=b"", port=0):
    """Return a request's head, and the signing key, date and signature that signed chunks go on from.

    payload: the body, or the text of x-amz-content-sha256.
    """
    date = datetime.datetime.now(datetime.UTC).strftime(sigv4.AMZ_DATE)
    key = sigv4.signing_key(SECRET, date[:8], REGION)
    digest = payload if isinstance(payload, str) else hashlib.sha256(payload).hexdigest()
    made = sigv4.sign(
        method,
        path,
        sigv4.parse_query(query),
        {"host": f"127.0.0.1:{port}", **dict(headers)},
        access_key=USER,
        key=key,
        region=REGION,
        amz_date=date,
        payload_hash=digest,
    )
    if isinstance(payload, bytes):
        made.setdefault("content-length", str(len(payload)))
    lines = [f"{method} {path}{'?' + query if query else ''} HTTP/1.1", *(f"{k}: {v}" for k, v in made.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n", (key, date, made["authorization"][-64:])


def chunks(pieces, seed) -> bytes:
    """Frame pieces as signed aws-chunks, the last empty one included."""
    key, date, previous = seed
    out = b""
    for piece in (*pieces, b""):
        text = sigv4.chunk_string(
            date, sigv4.scope(date[:8], REGION, "s3"), previous, hashlib.sha256(piece).hexdigest()
        )
        previous = sigv4.signature(key, text)
        out += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), previous.encode(), piece)
    return out


class Wire:
    """One connection."""

    def __init__(self, port, seconds=60.0):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """Read one answer; what comes before it with status 1xx is passed over."""
        try:
            return self._answer()
        except ConnectionError:
            return Answer(0, {}, b"")

    def _answer(self) -> Answer:
        status = 100
        while 100 <= status < 200:
            line = self.file.readline()
            if not line:
                return Answer(0, {}, b"")
            status = int(line.split()[1])
            headers = {}
            while (line := self.file.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
        if "content-length" in headers:
            return Answer(status, headers, self.file.read(int(headers["content-length"])))
        return Answer(status, headers, b"" if status in (204, 304) else self.file.read())

    def call(self, method, path, headers=(), *, query="", body=b"", payload=None) -> Answer:
        """Send a whole request, and return its answer. payload: see signed()."""
        head, _ = signed(
            method, path, headers, query=query, payload=body if payload is None else payload, port=self.port
        )
        with contextlib.suppress(ConnectionError):  # refused before it was sent
            self.send(head + body)
        if method == "HEAD":
            return self._head()
        return self.answer()

    def _head(self) -> Answer:
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, b"")


def call(port, method, path, headers=(), **more) -> Answer:
    """Send one request over a connection of its own."""
    with Wire(port) as wire:
        return wire.call(method, path, headers, **more)


def resident(pid: int) -> int:
    """Return the bytes of memory that a process and its children hold."""
    found = 0
    for one in (pid, *_children(pid)):
        fields = Path(f"/proc/{one}/status").read_text()
        found += int(re.search(r"VmRSS:\s+(\d+) kB", fields)[1]) * 1024
    return found


def _children(pid):
    return [int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()]


def descriptors(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
