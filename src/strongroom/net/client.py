"""The HTTP client of the services and the command line, over aiohttp."""

import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from yarl import URL

from ..errors import BadSettings, Incomplete, TooLarge, Unavailable

Headers = Iterable[tuple[str, str]] | Mapping[str, str]
RequestBody = bytes | AsyncIterator[bytes]
MAX_ANSWER = 64 * 1024 * 1024  # bytes that `request` gathers at most
_PIECE = 256 * 1024  # bytes of an answer handed over at a time
_QUIET = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")  # aiohttp's own; callers say what they send


def client_tls(
    *,
    ca_file: str | Path | None = None,
    insecure: bool = False,
    cert: str | Path | bytes | None = None,
    key: str | Path | bytes | None = None,
    password: bytes | None = None,
) -> ssl.SSLContext:
    """Return the TLS of a client; raise BadSettings when something cannot be used.

    ca_file: a PEM file or a folder of them, in place of the system's roots. insecure: verify nothing.
    cert, key: the client's certificate, as a path or as PEM bytes; bytes never touch a disk.
    """
    try:
        if ca_file is None:
            context = ssl.create_default_context()
        else:
            ca = Path(ca_file)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            for file in sorted(ca.iterdir()) if ca.is_dir() else (ca,):  # capath would want hashed names
                context.load_verify_locations(file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if cert is not None and key is not None:
            with _as_path(cert) as cert_path, _as_path(key) as key_path:
                context.load_cert_chain(cert_path, key_path, password or b"")
    except (OSError, ValueError) as error:
        raise BadSettings(f"TLS of the client: {error}") from error
    return context


@contextlib.contextmanager
def _as_path(source: str | Path | bytes) -> Iterator[str]:
    """Give PEM bytes a path in memory: OpenSSL reads files only."""
    if not isinstance(source, bytes):
        yield str(source)
        return
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, source)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """A whole answer. headers: names in lower case, repeated values joined with ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedAnswer:
    """An answer whose body is read piece by piece; an async context manager."""

    def __init__(self, session: aiohttp.ClientSession, request: "_Sent") -> None:
        self._session = session
        self._request = request
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> "StreamedAnswer":
        """Send the request. Raises Unavailable when the peer cannot be reached."""
        with _translated(self._request.url):
            self._response = await self._session.request(**self._request.arguments)
        self.status = self._response.status
        self.headers = _headers(self._response)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()  # the rest is not wanted: the connection cannot be used again

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; raise Incomplete when it is cut, Unavailable when the peer stalls."""
        with _translated(self._request.url):
            async for piece in self._response.content.iter_any():
                for at in range(0, len(piece), _PIECE):
                    yield piece[at : at + _PIECE]

    async def read(self, limit: int = MAX_ANSWER) -> bytes:
        """Return the whole body; raise TooLarge when it has more than limit bytes."""
        whole = bytearray()
        async for piece in self.chunks():
            whole += piece
            if len(whole) > limit:
                raise TooLarge(f"an answer of more than {limit} bytes from {self._request.url.origin()}")
        return bytes(whole)


@dataclass(slots=True)
class _Sent:
    url: URL
    arguments: dict[str, Any]


class HttpClient:
    """A pool of kept-alive connections. One event loop's; `close` it, or use it as an async context manager.

    tls          from `client_tls`; None: the system's roots
    connections  most to one host at a time
    timeout      seconds for a whole request, unless the request says otherwise
    connect_seconds, stall_seconds  for making a connection, and for a silent peer in the middle
    proxies      take HTTP_PROXY and the like from the environment
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        connections: int = 100,
        timeout: float | None = 30.0,
        connect_seconds: float = 10.0,
        stall_seconds: float | None = None,
        proxies: bool = False,
    ) -> None:
        self._tls = tls
        self._connections = connections
        self._timeout = timeout
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds
        self._proxies = proxies
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Headers = (),
        body: RequestBody = b"",
        timeout: float | None = None,  # noqa: ASYNC109 - part of what is sent, as in aiohttp
        follow: bool = False,
        limit: int = MAX_ANSWER,
    ) -> ClientAnswer:
        """Send a request and return the whole answer, whatever its status.

        url goes out as it is written: what is percent-encoded stays so. follow: follow redirects.
        Raises Unavailable (no connection, time-out), Incomplete (cut in the middle), TooLarge.
        """
        async with self.open(method, url, headers=headers, body=body, timeout=timeout, follow=follow) as answer:
            return ClientAnswer(answer.status, answer.headers, await answer.read(limit))

    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Headers = (),
        body: RequestBody = b"",
        timeout: float | None = None,
        follow: bool = False,
    ) -> StreamedAnswer:
        """Return an answer to be read piece by piece: `async with client.open(…) as answer`.

        timeout: seconds for the whole exchange, 0 for none (event streams).
        """
        total = self._timeout if timeout is None else timeout
        address = URL(url, encoded=True)
        arguments: dict[str, Any] = {
            "method": method,
            "url": address,
            "headers": headers.items() if isinstance(headers, Mapping) else list(headers),
            "data": body or None,
            "allow_redirects": follow,
            "timeout": aiohttp.ClientTimeout(
                total=total or None, connect=self._connect_seconds, sock_read=self._stall_seconds
            ),
        }
        return StreamedAnswer(self._ready(), _Sent(address, arguments))

    def _ready(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._tls if self._tls is not None else True, limit=0, limit_per_host=self._connections
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_QUIET,
                trust_env=self._proxies,
                read_bufsize=_PIECE,
                raise_for_status=False,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> "HttpClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in response.raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


@contextlib.contextmanager
def _translated(url: URL) -> Iterator[None]:
    """Turn the library's exceptions into ours; the query of the address may hold a secret and stays out."""
    place = url.origin()
    try:
        yield
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
        raise Incomplete(f"{place}: the answer was cut: {error}") from error
    except TimeoutError as error:
        raise Unavailable(f"{place}: no answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"{place}: {str(error) or type(error).__name__}") from error
