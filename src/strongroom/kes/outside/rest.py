"""What the stores behind a cloud's REST interface share: bearer tokens, JSON, failures in the port's words."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from strongroom.errors import Incomplete, TooLarge, Unavailable
from strongroom.kes.domain.errors import StoreDenied, StoreFailed, StoreShut, StoreUnreachable
from strongroom.net.client import HttpClient
from strongroom.sdk.clock import PeerClock

EARLY_SECONDS = 120.0  # a token is replaced so long before it ends
RETRIES = 2
_KINDS = {401: StoreShut, 403: StoreDenied}
RETRIED = {429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and when it ends, monotonic seconds."""

    text: str
    ends: float

    def __repr__(self) -> str:
        return f"Token(ends={self.ends})"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON document, {} without one."""

    status: int
    document: dict[str, Any]


class Rest:
    """Sends JSON with a token that is fetched when needed, once for all who wait."""

    def __init__(self, name: str, http: HttpClient, fetch: Callable[[HttpClient], Awaitable[Token]]) -> None:
        """name begins the messages; fetch gets a new token."""
        self._name, self._http, self._fetch = name, http, fetch
        self.clock = PeerClock()
        self._token: Token | None = None
        self._turn = asyncio.Lock()

    async def call(self, method: str, url: str, document: object = None, *, accept: frozenset[int]) -> Answer:
        """Return the answer if its status is 2xx or in accept; raise StoreDenied, StoreFailed, StoreUnreachable."""
        for attempt in range(RETRIES + 1):
            answer = await self._once(method, url, document)
            if answer.status == 401 and attempt == 0:
                self._token = None  # revoked early
            elif answer.status not in RETRIED or answer.status in accept or attempt == RETRIES:
                break
            else:
                await asyncio.sleep(0.2 * (attempt + 1))
        if answer.status < 300 or answer.status in accept:
            return answer
        kind = _KINDS.get(answer.status, StoreFailed)
        raise kind(f"{self._name}: {method} {url.partition('?')[0]}: {answer.status} {_reason(answer.document)}")

    async def reach(self, url: str) -> float:
        """Return how many seconds any answer to a plain GET takes; raise StoreUnreachable."""
        start = time.monotonic()
        try:
            self.clock.heard((await self._http.request("GET", url, timeout=10)).headers)
        except (Unavailable, Incomplete, TooLarge, ValueError) as error:
            raise StoreUnreachable(f"{self._name}: {error}") from error
        return time.monotonic() - start

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _once(self, method: str, url: str, document: object) -> Answer:
        try:
            token = await self._bearer()
            headers = {"Authorization": f"Bearer {token.text}", "Content-Type": "application/json"}
            body = b"" if document is None else json.dumps(document).encode()
            answer = await self._http.request(method, url, headers=headers, body=body, timeout=15)
        except (Unavailable, Incomplete, TooLarge) as error:
            raise StoreUnreachable(f"{self._name}: {error}") from error
        self.clock.heard(answer.headers)
        return Answer(answer.status, parse(self._name, answer.body))

    async def _bearer(self) -> Token:
        async with self._turn:
            if self._token is None or self._token.ends - EARLY_SECONDS < time.monotonic():
                self._token = await self._fetch(self._http)
            return self._token


async def fetch_token(
    name: str, http: HttpClient, method: str, url: str, headers: dict[str, str], body: bytes = b""
) -> Token:
    """Ask for a token in the manner of OAuth 2 (RFC 6749, 5.1); raise StoreShut or StoreUnreachable."""
    try:
        answer = await http.request(method, url, headers=headers, body=body, timeout=10)
    except (Unavailable, Incomplete, TooLarge) as error:
        raise StoreUnreachable(f"{name}: no token: {error}") from error
    document = parse(name, answer.body)
    if answer.status != 200 or "access_token" not in document:
        raise StoreShut(f"{name}: no token: {answer.status} {_reason(document)}")
    return Token(str(document["access_token"]), time.monotonic() + float(document.get("expires_in", 300)))


def parse(name: str, body: bytes) -> dict[str, Any]:
    """Return a JSON object; raise StoreFailed for rubbish."""
    if not body.strip():
        return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StoreFailed(f"{name}: the answer is not JSON") from error
    return document if isinstance(document, dict) else {}


def _reason(document: dict[str, Any]) -> str:
    error = document.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or "")[:300]
    return str(document.get("error_description") or error or "")[:300]
