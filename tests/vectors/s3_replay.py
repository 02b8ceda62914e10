"""Replays recorded S3 requests against a server of ours: fills the placeholders, signs again, sends raw bytes."""

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import re
import uuid
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from strongroom.s3.wire import sigv4

HERE = Path(__file__).parent
ACCESS, SECRET, REGION = "minio", "minio123", "us-east-1"


def load(path):
    return json.loads((HERE / path).read_text())


def overrides(box):
    path = HERE / "overrides" / f"{box}.json"
    return json.loads(path.read_text()) if path.exists() else {}


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def element(self, name):
        found = re.search(rf"<{name}>(.*?)</{name}>", self.text, re.S)
        return found[1] if found else None


async def exchange(port, raw, method, *, half_close=False):
    """Send raw bytes on a connection of its own; None when it is cut without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        await writer.drain()
        if half_close:
            writer.write_eof()
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        while head.startswith(b"HTTP/1.1 100"):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        lines = head.decode("latin-1").split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:] if line)}
        status = int(lines[0].split()[1])
        body = b""
        if method != "HEAD" and status not in (204, 304):
            body = await asyncio.wait_for(reader.readexactly(int(headers.get("content-length", "0"))), 10)
        return Answer(status, headers, body)
    except asyncio.IncompleteReadError:
        return None
    finally:
        writer.close()


def raw_request(method, target, headers, body):
    lines = [f"{method} {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8") + body


@dataclass
class Signer:
    """Signs like the recorder: exactly the headers that are listed as signed."""

    port: int
    access: str = ACCESS
    secret: str = SECRET
    shift: dict = field(default_factory=dict)  # test name → seconds that the client's clock is off

    def when(self, name):
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.shift.get(name, 0))

    def signature(self, name, method, target, signed, payload, *, when, secret=None, scope_date=None, region=REGION):
        date = when.strftime(sigv4.AMZ_DATE)
        scope_date = scope_date or date[:8]
        path, _, query = target.partition("?")
        canonical = sigv4.canonical_request(
            method,
            sigv4.canonical_path(path),
            sigv4.canonical_query(sigv4.parse_query(query)),
            sorted(signed.items()),
            payload,
        )
        key = sigv4.signing_key(secret or self.secret, scope_date, region)
        text = sigv4.string_to_sign(date, sigv4.scope(scope_date, region), canonical)
        return sigv4.signature(key, text)


def http_date(when):
    return format_datetime(when, usegmt=True)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def md5_base64(body):
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def chunked(body, seed, key, when):
    """Frame a body as one signed chunk and the empty one."""
    date = when.strftime(sigv4.AMZ_DATE)
    where = sigv4.scope(date[:8], REGION)
    out, previous = b"", seed
    for piece in (body, b""):
        previous = sigv4.signature(key, sigv4.chunk_string(date, where, previous, sha256(piece)))
        out += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), previous.encode(), piece)
    return out


__all__ = ["hmac", "quote", "uuid"]
