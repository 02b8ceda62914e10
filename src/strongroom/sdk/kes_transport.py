"""How a KES client speaks to a cluster: fail-over, retries, lists, event streams (kes.md 11.1)."""

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Self
from urllib.parse import quote, urlsplit

import msgspec

from strongroom.errors import Incomplete, Malformed, Unavailable
from strongroom.kes.wire import errors as wire_errors
from strongroom.net.client import ClientAnswer, HttpClient
from strongroom.request_id import HEADER, current
from strongroom.sdk.clock import PeerClock

ASIDE_SECONDS = 30.0  # how long an endpoint that failed is tried last (kes.md 11.1)
RETRIES = 2  # further attempts after a network error or a 503
RETRY_SECONDS = 0.2  # pause before a further attempt: this, up to five times as long at random
TIMEOUT_SECONDS = 15.0
MAX_ANSWER = 1 << 20  # bytes of an error (kes.md 11.1), or of an event
UNEXPECTED = "the server's answer is not what it should be"


class KesTransport:
    """The connections to one KES cluster. Safe for many requests at a time; close it (or use `async with`)."""

    def __init__(self, endpoints: Sequence[str], tls: ssl.SSLContext, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """endpoints are URLs or host:port, tried local ones first; timeout is in seconds, for each attempt."""
        self.endpoints = [_endpoint(endpoint) for endpoint in endpoints]
        if not self.endpoints:
            raise Malformed("no KES endpoint")
        self._order = sorted(self.endpoints, key=lambda one: (not _is_local(one), random.random()))  # noqa: S311
        self._aside: dict[str, float] = {}
        self.clock = PeerClock()
        self._http = HttpClient(tls=tls)
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._http.close()

    async def _names(self, path: str, member: str, pattern: str) -> list[str]:
        names: list[str] = []
        while True:
            answer = await self._call("GET", path, pattern)
            if answer.headers.get("content-type") == "application/x-ndjson":
                return names + _old_names(answer.body)
            page = object_of(answer)
            found = page.get(member) or []
            if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
                raise Malformed(UNEXPECTED)
            names += found
            pattern = str(page.get("continue_at") or "")
            if not pattern or not found:
                return names

    async def _call(self, method: str, path: str, argument: str, document: object = None) -> ClientAnswer:
        body = b"" if document is None else msgspec.json.encode(document)
        return await self._send(method, path + quote(argument, safe=""), body)

    async def _send(self, method: str, path: str, body: bytes = b"", *, endpoint: str | None = None) -> ClientAnswer:
        """Send to the best endpoint, then the others; raise what the last answer means if it is no success."""
        failure: Exception = Unavailable("no KES endpoint")
        for used in [endpoint] if endpoint else self._candidates():
            try:
                answer = await self._attempts(used, method, path, body)
            except Unavailable as error:
                self._aside[used] = time.monotonic()
                failure = error
                continue
            if answer.status == 200:
                self._aside.pop(used, None)
                return answer
            failure = wire_errors.from_answer(answer.status, answer.headers.get("content-type", ""), answer.body)
            if answer.status < 500 or answer.status == 501:
                raise failure
            self._aside[used] = time.monotonic()
        raise failure

    async def _attempts(self, endpoint: str, method: str, path: str, body: bytes) -> ClientAnswer:
        """Send to one endpoint; again after network errors and 503 (kes.md 11.1). Raises Unavailable."""
        headers = {HEADER: request_id} if (request_id := current.get()) else {}
        for attempt in range(RETRIES + 1):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS * (1 + 4 * random.random()))  # noqa: S311
            last = attempt == RETRIES
            try:
                answer = await self._http.request(
                    method, endpoint + path, headers=headers, body=body, timeout=self._timeout, follow=True
                )
            except (Unavailable, Incomplete) as error:
                if last:
                    raise Unavailable(str(error)) from error
                continue
            self.clock.heard(answer.headers)
            if answer.status != 503 or last:
                return answer
        raise Unavailable(f"{endpoint} does not answer")

    def _candidates(self) -> list[str]:
        """Return the endpoints in the order to try: those put aside within the last 30 seconds come last."""
        if len(self._order) == 1 or not self._aside:
            return self._order
        limit = time.monotonic() - ASIDE_SECONDS
        return sorted(self._order, key=lambda one: self._aside.get(one, 0.0) > limit)

    async def _events(self, path: str, endpoint: str | None = None) -> AsyncGenerator[dict[str, Any], None]:
        used = endpoint or self._candidates()[0]
        async with self._http.open("GET", used + path, timeout=0) as answer:
            if answer.status != 200:
                body = await answer.read(MAX_ANSWER)
                raise wire_errors.from_answer(answer.status, answer.headers.get("content-type", ""), body)
            rest = b""
            async for chunk in answer.chunks():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_ANSWER:
                    raise Malformed("the server's events have lines without an end")
                for line in filter(None, lines):
                    yield _object(line)


def _endpoint(text: str) -> str:
    """Return an endpoint as a URL; raise Malformed for what has no host or a bad port."""
    place = text.strip().removeprefix("https://").removeprefix("http://").rstrip("/")
    try:
        found = urlsplit(f"https://{place}")
        if not found.hostname or found.port == 0 or found.path or found.query:
            raise ValueError("not HOST:PORT")
    except ValueError as error:
        raise Malformed(f"KES endpoint '{text}': {error}") from error
    return f"https://{place}"


def _is_local(endpoint: str) -> bool:
    host = endpoint.removeprefix("https://").rsplit(":", 1)[0]
    return host in {"localhost", "[::1]"} or host.startswith("127.")


def json_of(body: bytes) -> Any:
    """Return an answer's document; raise Malformed."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the server's answer is not JSON: {error}") from error


def object_of(answer: ClientAnswer, *members: str) -> dict[str, Any]:
    """Return an answer that is an object and has these members; raise Malformed: who answers otherwise is no KES."""
    document = _object(answer.body)
    if not all(member in document for member in members):
        raise Malformed(UNEXPECTED)
    return document


def _object(body: bytes) -> dict[str, Any]:
    document = json_of(body)
    if not isinstance(document, dict):
        raise Malformed(UNEXPECTED)
    return document


def _old_names(body: bytes) -> list[str]:
    """Read the NDJSON list of old servers: `{"name": ...}` or `{"error": ...}` a line (kes.md 1.6)."""
    names = []
    for line in filter(None, body.split(b"\n")):
        try:
            entry = {member.lower(): value for member, value in json.loads(line).items()}
        except (ValueError, AttributeError) as error:
            raise Malformed(f"the server's list is not one object a line: {error}") from error
        if entry.get("error"):
            raise Unavailable(str(entry["error"]))
        names.append(str(entry.get("name") or entry.get("identity") or ""))
    return names
