"""A client for the Vault protocol: our kms, OpenBao, Vault (kes.md 6.4, vault.md).

async with VaultClient("https://127.0.0.1:8200", tls) as vault:
    login = await vault.login("approle", {"role_id": "...", "secret_id": "..."})
    vault.token = login.token
    secret = await vault.read("kv/data/app")
"""

import asyncio
import json
import random
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin

from strongroom.errors import Denied, Error, Incomplete, Malformed, NotFound, Unavailable
from strongroom.net.client import ClientAnswer, HttpClient
from strongroom.request_id import HEADER, current
from strongroom.sdk.clock import PeerClock

TIMEOUT_SECONDS = 60.0
RETRIED = {412, 429}  # and every 5xx except 501 (kes.md 6.4)
PAUSES = (1.0, 2.0)  # seconds before the second and the third attempt, plus up to as much again at random
MAX_ANSWER = 32 << 20  # bytes
REDIRECTS = {301, 302, 307}  # a standby server sends its clients to the active one

# A health request answers 200 or 299 in every state of the server with these (kes.md 6.4).
HEALTH = "drsecondarycode=299&performancestandbycode=299&sealedcode=299&standbycode=299&uninitcode=299"


class VaultSealed(Unavailable):
    """The server is sealed."""


class CasMismatch(Malformed):
    """A KV v2 write found another version than it asked for."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a login or a renewal gave; lease is in seconds, 0 for a token without an end."""

    token: str = field(repr=False)
    lease: float
    renewable: bool


@dataclass(frozen=True, slots=True)
class Health:
    """The server's state."""

    initialized: bool
    sealed: bool
    standby: bool
    version: str


class VaultClient:
    """Speaks to one server. `token` and `namespace` go with every request unless it says otherwise."""

    def __init__(
        self,
        address: str,
        tls: ssl.SSLContext | None = None,
        *,
        token: str = "",
        namespace: str = "",
        timeout: float = TIMEOUT_SECONDS,
        retries: int = len(PAUSES),
    ) -> None:
        self.address = address.rstrip("/")
        self.token = token
        self.namespace = namespace
        self.clock = PeerClock()
        self._http = HttpClient(tls=tls)
        self._timeout, self._retries = timeout, retries

    async def __aenter__(self) -> "VaultClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._http.close()

    async def call(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        query: str = "",
        namespace: str | None = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        """Send one request to /v1/<path> and return the answer's document, {} without one.

        Raises NotFound (404), Denied (403), CasMismatch or Malformed (other 4xx), VaultSealed, Unavailable, TooLarge.
        """
        url = f"{self.address}/v1/{quote(path, safe='/')}" + (f"?{query}" if query else "")
        body = b"" if document is None else json.dumps(document).encode()
        headers = {"X-Vault-Request": "true"}
        used_token = self.token if token is None else token
        used_namespace = self.namespace if namespace is None else namespace
        if used_token:
            headers["X-Vault-Token"] = used_token
        if used_namespace:
            headers["X-Vault-Namespace"] = used_namespace
        if request_id := current.get():
            headers[HEADER] = request_id
        answer = await self._attempts(method, url, headers, body)
        if not 200 <= answer.status < 300:
            raise _error(answer)
        return _document(answer)

    async def _attempts(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> ClientAnswer:
        attempt = 0
        while True:
            last = attempt >= self._retries
            try:
                answer = await self._once(method, url, headers, body)
                if answer.status in REDIRECTS:
                    answer = await self._once(method, _elsewhere(url, answer), headers, body)
            except (Unavailable, Incomplete, ValueError) as error:  # or a redirect to what is no address
                if last:
                    raise Unavailable(str(error)) from error
            else:
                again = answer.status in RETRIED or (answer.status >= 500 and answer.status != 501)
                if not again or last or _is_sealed(answer):
                    return answer
            await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)] * (1 + random.random() * 0.5))  # noqa: S311
            attempt += 1

    async def _once(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> ClientAnswer:
        answer = await self._http.request(
            method, url, headers=headers, body=body, timeout=self._timeout, limit=MAX_ANSWER
        )
        self.clock.heard(answer.headers)
        return answer

    # ---- secrets
    async def read(self, path: str, query: str = "") -> dict[str, Any]:
        """Return the `data` of a path; raise NotFound."""
        return _object((await self.call("GET", path, query=query)).get("data"))

    async def write(self, path: str, document: object) -> dict[str, Any]:
        """Write a document and return what the server answers."""
        return await self.call("PUT", path, document)

    async def ask(self, path: str, document: object) -> dict[str, Any]:
        """Send a document to a path that works with it, as those of transit, and return the answer's `data`."""
        return _object((await self.call("POST", path, document)).get("data"))

    async def delete(self, path: str) -> None:
        """Delete a path; the server does not say whether there was anything."""
        await self.call("DELETE", path)

    async def list(self, path: str) -> list[str]:
        """Return the names below a path, folders with a slash behind; [] when there are none."""
        try:
            keys = _object((await self.call("GET", path, query="list=true")).get("data")).get("keys") or []
        except NotFound:
            return []
        if not isinstance(keys, list):
            raise Unavailable("the server's list is not one")
        return [str(key) for key in keys]

    # ---- tokens
    async def login(self, engine: str, document: object, *, namespace: str | None = None, token: str = "") -> Login:
        """Log in at auth/<engine>/login; the token is returned, not yet used. namespace "" is the root."""
        path = f"auth/{engine.strip('/')}/login"
        return _login(await self.call("PUT", path, document, namespace=namespace, token=token))

    async def renew(self) -> Login:
        """Prolong the token in use."""
        return _login(await self.call("PUT", "auth/token/renew-self", {"increment": 0}))

    async def token_is_good(self) -> bool:
        """Say whether the server knows the token in use."""
        try:
            await self.call("GET", "auth/token/lookup-self")
        except Denied:
            return False
        except NotFound:
            return True  # a policy may forbid the look-up in this way; the token itself was known
        return True

    # ---- the server
    async def health(self) -> Health:
        """Return the server's state; namespaces have none of their own."""
        document = await self.call("GET", "sys/health", query=HEALTH, namespace="")
        initialized, sealed, standby = (bool(document.get(name)) for name in ("initialized", "sealed", "standby"))
        return Health(initialized, sealed, standby, str(document.get("version", "")))


def _login(document: dict[str, Any]) -> Login:
    auth = document.get("auth")
    if not isinstance(auth, dict) or not auth.get("client_token"):
        raise Malformed("the login's answer holds no token")
    lease = auth.get("lease_duration") or 0
    if not isinstance(lease, int | float):
        raise Malformed("the login's answer holds no duration")
    return Login(str(auth["client_token"]), float(lease), bool(auth.get("renewable")))


def _elsewhere(url: str, answer: ClientAnswer) -> str:
    """Return where a redirect leads, the token with it: never out of TLS. Raises Unavailable, ValueError."""
    target = urljoin(url, answer.headers.get("location", ""))
    if target == url or (url.startswith("https://") and not target.startswith("https://")):
        raise Unavailable(f"the server redirects to '{target}'")
    return target


def _document(answer: ClientAnswer) -> dict[str, Any]:
    if not answer.body.strip():
        return {}
    try:
        return _object(json.loads(answer.body))
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"the server's answer is not JSON: {error}") from error


def _object(value: object) -> dict[str, Any]:
    """Return a JSON object, {} for null; raise Unavailable: whoever answers something else is no Vault."""
    if not isinstance(value, dict | None):
        raise Unavailable("the server's answer is not a JSON object")
    return value or {}


def _is_sealed(answer: ClientAnswer) -> bool:
    return answer.status == 503 and b"sealed" in answer.body


class SoftDeleted(NotFound):
    """A KV v2 entry whose version was deleted but whose metadata is still there."""


def _error(answer: ClientAnswer) -> Error:
    """Return what an answer of 400 and more means; the message holds the server's errors."""
    try:
        document = _document(answer)
    except Unavailable:  # a proxy's page: it says nothing about what the server has
        return Unavailable(f"{answer.status} without JSON")
    errors = document.get("errors")
    text = (
        f"{answer.status} {', '.join(map(str, errors))}" if isinstance(errors, list) and errors else str(answer.status)
    )
    if answer.status == 404:
        data = document.get("data")
        return SoftDeleted(text) if isinstance(data, dict) and data.get("metadata") else NotFound(text)
    if answer.status == 403:
        return Denied(text)
    if _is_sealed(answer):
        return VaultSealed(text)
    if answer.status == 400 and "check-and-set" in text:
        return CasMismatch(text)
    return Malformed(text) if 400 <= answer.status < 500 and answer.status not in RETRIED else Unavailable(text)
