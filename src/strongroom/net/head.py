"""A request head: bytes to a Request and what its body's framing will be.

llhttp checks the syntax; the rules that it leaves open, or that request smuggling lives on, are here:
RFC 9112 2.2, 3.2, 6.1, 6.3 and RFC 9110 10.1.1.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from ..errors import Malformed
from ..messages import Peer, Request

KNOWN: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"})
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([\x21-\x7e\x80-\xff]+) HTTP/(\d)\.(\d)")
_ABSOLUTE = re.compile(r"https?://([^/?#@]+)(/[^#]*|\?[^#]*)?", re.IGNORECASE)
_NAMES: dict[bytes, str] = {}  # header names in lower case, by their spelling
_NAMES_KEPT = 1024  # entries: a hostile client cannot make it grow further
_NAME_KEPT = 64  # bytes of a name that is kept


class Refused(Malformed):
    """A request that is answered by net itself; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Head(msgspec.Struct, frozen=True):
    """A parsed request head. length: bytes of body that follow; None for a chunked one."""

    method: str
    target: str
    headers: Mapping[str, str]
    raw: tuple[tuple[bytes, bytes], ...]
    length: int | None
    keep_alive: bool
    expect: bool
    http10: bool
    path: str = "/"
    query: str = ""

    def request(self, peer: Peer) -> Request:
        """Return a Request of its own: a head may serve for several, as clients repeat theirs."""
        return Request(self.method, self.target, self.path, self.query, self.headers, self.raw, peer)


class _Fields:
    """Collects what llhttp finds: the header map and the headers as they came."""

    __slots__ = ("headers", "raw")
    on_message_complete = bool  # llhttp calls it unconditionally; the cheapest callable there is

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.raw: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes | None) -> None:
        value = value.rstrip(b" \t") if value else b""  # llhttp leaves what trails
        self.raw.append((name, value))
        key = _NAMES.get(name) or _lower(name)
        headers = self.headers
        if key in headers:
            headers[key] += ", " + value.decode("latin-1")
            if key == "host":
                raise Refused(400, "more than one Host header")
        else:
            headers[key] = value.decode("latin-1")


def _lower(name: bytes) -> str:
    key = name.decode("latin-1").lower()
    if len(_NAMES) < _NAMES_KEPT and len(name) <= _NAME_KEPT:
        _NAMES[name] = key
    return key


def parse_head(data: bytes, verbs: frozenset[str], max_headers: int) -> Head:
    """Return the head that data holds: everything from the first byte to the empty line included.

    verbs are accepted besides those of RFC 9110. Header values are decoded as Latin-1, so that encoding them again
    gives the bytes that came. Raises Refused.
    """
    line = _LINE.fullmatch(data, 0, data.find(b"\r\n"))
    if line is None:
        raise Refused(400, "malformed request line")
    method, target = line[1].decode(), line[2].decode("latin-1")
    if line[3] != b"1" or line[4] not in b"01":
        raise Refused(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if method not in KNOWN:
        if method not in verbs:
            raise Refused(405, f"method {method} is not known")
        data = b"POST" + data[line.end(1) :]  # llhttp refuses LIST and the like
    fields = _Fields()
    _feed(fields, data)
    if len(fields.raw) > max_headers:
        raise Refused(431, "too many header fields")
    return _judge(method, target, fields, line[4] == b"0")


def _feed(fields: _Fields, data: bytes) -> None:
    try:
        HttpRequestParser(fields).feed_data(data)
    except HttpParserUpgrade:
        pass  # we never upgrade; the framing that counts is judged from the fields, not by llhttp
    except HttpParserError as error:
        cause = error.__context__
        raise cause if isinstance(cause, Refused) else Refused(400, f"malformed request head: {error}") from None


def _judge(method: str, target: str, fields: _Fields, http10: bool) -> Head:
    headers = fields.headers
    if target[0] != "/":
        target = _odd_target(method, target, headers)
    if "host" not in headers and not http10:
        raise Refused(400, "no Host header")
    connection = headers.get("connection")
    keep_alive = not http10
    if connection is not None:
        options = {option.strip() for option in connection.lower().split(",")}
        keep_alive = "close" not in options and (not http10 or "keep-alive" in options)
    expect = headers.get("expect")
    if expect and expect.lower() != "100-continue":
        raise Refused(417, "an expectation other than 100-continue")
    length = _length(headers, http10)
    path, _, query = target.partition("?")
    waits = bool(expect) and not http10
    return Head(
        method, target, MappingProxyType(headers), tuple(fields.raw), length, keep_alive, waits, http10, path, query
    )


def _length(headers: dict[str, str], http10: bool) -> int | None:
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is None:
        if length is None:
            return 0
        if not length.isascii() or not length.isdigit() or len(length) > 18:
            raise Refused(400, "malformed Content-Length")
        return int(length)
    if http10 or length is not None:
        raise Refused(400, "Transfer-Encoding on HTTP/1.0, or together with Content-Length")
    if coding.lower() != "chunked":
        raise Refused(501, "a transfer coding other than chunked")
    return None


def _odd_target(method: str, target: str, headers: dict[str, str]) -> str:
    """Return the origin form of an absolute target, whose authority replaces Host (RFC 9112, 3.2.2)."""
    if target == "*" and method == "OPTIONS":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Refused(400, "malformed request target")
    headers["host"] = absolute[1]
    rest = absolute[2] or "/"
    return rest if rest[0] == "/" else "/" + rest
