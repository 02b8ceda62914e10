"""A Response's head as bytes."""

import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from ..messages import Response, Stream, Windows

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_STATUS[413] = b"HTTP/1.1 413 Request Entity Too Large\r\n"  # Go's words, in Python's table since 3.13 others
_STATUS[416] = b"HTTP/1.1 416 Requested Range Not Satisfiable\r\n"
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date"})
NO_BODY = frozenset({204, 304})


class Renderer:
    """Renders heads, remembering what repeats: the Date line of this second and the last block of headers."""

    __slots__ = ("_block", "_date", "_headers", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._date = b""
        self._headers: object = None
        self._block = b""

    def head(self, response: Response, *, http10: bool, keep_alive: bool) -> bytes:
        """Return the head of response, the empty line included; raise ValueError for headers that cannot be sent.

        A Stream is chunked for HTTP/1.1 and ended by closing for HTTP/1.0. 204 and 304 announce no body.
        """
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        status = response.status
        line = _STATUS.get(status) or f"HTTP/1.1 {status:03d} \r\n".encode()
        headers = response.headers
        if headers is not self._headers or type(headers) is not tuple:
            self._block = _block(headers)
            self._headers = headers
        body = response.body
        if status in NO_BODY:
            length = b""
        elif type(body) is bytes:
            length = b"Content-Length: %d\r\n" % len(body)
        elif type(body) is Windows:
            length = b"Content-Length: %d\r\n" % body.length
        else:
            length = b"" if http10 else b"Transfer-Encoding: chunked\r\n"
        if not keep_alive:
            length += b"Connection: close\r\n"
        elif http10:
            length += b"Connection: keep-alive\r\n"
        return line + self._block + response.lines + self._date + length + b"\r\n"


def _block(headers: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"{_name(name)}{value}\r\n" for name, value in headers]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise ValueError("a response header holds a line break")
    return text.encode("latin-1")


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    """Return a name and what follows it; raise ValueError for one that no box may set."""
    if name.lower() in _OURS:
        raise ValueError("a response header that net adds itself")
    return f"{name}: "


def is_stream(response: Response) -> bool:
    """Say whether the response's body has no length."""
    return type(response.body) is Stream
