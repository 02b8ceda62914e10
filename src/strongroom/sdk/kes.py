"""A client for KES servers, ours and the original (kes.md 1, 11.1).

    tls = client_tls(api_key=ApiKey.parse("kes:v1:..."), ca="ca.crt")
    async with KesClient(["https://127.0.0.1:7373"], tls) as kes:
        key = await kes.generate("my-key", b"{}")
        opened = await kes.decrypt("my-key", key.ciphertext, b"{}")

Errors are those of `kes/domain/errors.py` (KeyNotFound, KeyExists, NotAuthentic, KeyDisabled, ...) and the shared ones
behind them (Denied, Unavailable); the message is the server's text.
"""

import asyncio
import base64
import binascii
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from strongroom.errors import Incomplete, Malformed, Unavailable
from strongroom.kes.domain.records import ApiRoute, DataKey, KeyInfo, Opened
from strongroom.kes.wire import errors as wire_errors
from strongroom.kes.wire.headers import FINGERPRINT, GENERATION, VERSION
from strongroom.net.client import ClientAnswer, HttpClient

ASIDE_SECONDS = 30.0  # how long an endpoint that failed is tried last (kes.md 11.1)
RETRIES = 2  # further attempts after a network error or a 503
RETRY_SECONDS = 0.2  # pause before a further attempt: this, up to five times as long at random
TIMEOUT_SECONDS = 15.0
MAX_ANSWER = 1 << 20  # bytes of an error (kes.md 11.1)


class _Answer(msgspec.Struct):
    plaintext: bytes = b""
    ciphertext: bytes = b""
    hmac: bytes = b""


_decode = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True, slots=True)
class Status:
    """What `/v1/status` says; `raw` is the whole document. store_reachable is None when it cannot be told."""

    endpoint: str
    version: str
    uptime_seconds: float
    latency_seconds: float  # of this request, as seen here
    store_reachable: bool | None
    raw: Mapping[str, Any]


class KesClient:
    """Speaks to one KES cluster. Safe for many requests at a time; close it (or use `async with`)."""

    def __init__(self, endpoints: Sequence[str], tls: ssl.SSLContext, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """endpoints are URLs or host:port, tried local ones first; timeout is in seconds, for each attempt."""
        self.endpoints = [_endpoint(endpoint) for endpoint in endpoints]
        if not self.endpoints:
            raise Malformed("no KES endpoint")
        self._order = sorted(self.endpoints, key=lambda one: (not _is_local(one), random.random()))  # noqa: S311
        self._aside: dict[str, float] = {}
        self._http = HttpClient(tls=tls)
        self._timeout = timeout

    async def __aenter__(self) -> "KesClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._http.close()

    # ---- keys
    async def create(self, name: str) -> None:
        """Create a key; raise KeyExists if there is one."""
        await self._call("POST", "/v1/key/create/", name)

    async def import_key(self, name: str, key: bytes, cipher: str = "AES256") -> None:
        """Create a key of given 32 bytes; raise KeyExists if there is one."""
        await self._call("POST", "/v1/key/import/", name, {"key": _b64(key), "cipher": cipher})

    async def generate(self, name: str, context: bytes = b"") -> DataKey:
        """Make a data key, sealed to context."""
        body = b'{"context":"' + base64.b64encode(context) + b'"}' if context else b""
        answer = await self._send("POST", "/v1/key/generate/" + quote(name, safe=""), body)
        made, (version, fingerprint, generation) = _opened(answer), _marks(answer)
        return DataKey(made.plaintext, made.ciphertext, version, fingerprint, generation)

    async def decrypt(self, name: str, ciphertext: bytes, context: bytes = b"") -> Opened:
        """Open a ciphertext; raise NotAuthentic when key, context or bytes are not those it was sealed with."""
        body = b'{"ciphertext":"' + base64.b64encode(ciphertext)
        body += b'","context":"' + base64.b64encode(context) + b'"}' if context else b'"}'
        answer = await self._send("POST", "/v1/key/decrypt/" + quote(name, safe=""), body)
        return Opened(_opened(answer).plaintext, *_marks(answer))

    async def decrypt_all(self, name: str, items: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """Open many (ciphertext, context) pairs under one key, up to 1000 (kes.md 1.7, not in every server)."""
        body = [{"ciphertext": _b64(ciphertext), "context": _b64(context)} for ciphertext, context in items]
        answer = await self._call("POST", "/v1/key/bulk/decrypt/", name, body)
        return [base64.b64decode(item.get("plaintext") or "") for item in _json(answer)]

    async def encrypt(self, name: str, plaintext: bytes, context: bytes = b"") -> bytes:
        """Seal up to about 749 kB to context; return the ciphertext."""
        body = {"plaintext": _b64(plaintext), "context": _b64(context)}
        return _opened(await self._call("POST", "/v1/key/encrypt/", name, body)).ciphertext

    async def hmac(self, name: str, message: bytes) -> bytes:
        """Return the HMAC-SHA-256 of message under the key's HMAC key; raise NoHmacKey if it has none."""
        return _opened(await self._call("PUT", "/v1/key/hmac/", name, {"message": _b64(message)})).hmac

    async def describe(self, name: str) -> KeyInfo:
        """Say what is known about a key; raise KeyNotFound."""
        info = _json(await self._call("GET", "/v1/key/describe/", name))
        members = (str(info.get(member) or "") for member in ("name", "algorithm", "created_at", "created_by"))
        return KeyInfo(*members)

    async def delete(self, name: str) -> None:
        """Delete a key for ever. Some stores cannot tell that there was none."""
        await self._call("DELETE", "/v1/key/delete/", name)

    async def keys(self, pattern: str = "*") -> list[str]:
        """Return the names of the keys that pattern selects, sorted."""
        return await self._names("/v1/key/list/", "names", pattern)

    # ---- secrets: small values that the server keeps (kes.md 1.7; servers of 2023, and ours)
    async def create_secret(self, name: str, value: bytes) -> None:
        """Store a value under a free name; raise SecretExists if it is taken."""
        await self._call("POST", "/v1/secret/create/", name, {"bytes": _b64(value), "type": "generic"})

    async def secret(self, name: str) -> bytes:
        """Return a value; raise SecretNotFound."""
        found = _json(await self._call("GET", "/v1/secret/read/", name))
        return base64.b64decode(found.get("bytes") or "")

    async def delete_secret(self, name: str) -> None:
        """Forget a value; raise SecretNotFound."""
        await self._call("DELETE", "/v1/secret/delete/", name)

    async def secrets(self, pattern: str = "*") -> list[str]:
        """Return the names that pattern selects."""
        return await self._names("/v1/secret/list/", "names", pattern)

    # ---- policies and identities
    async def policies(self, pattern: str = "*") -> list[str]:
        """Return the names of the policies that pattern selects."""
        return await self._names("/v1/policy/list/", "names", pattern)

    async def describe_policy(self, name: str) -> dict[str, Any]:
        """Return name, created_at and created_by of a policy."""
        return dict(_json(await self._call("GET", "/v1/policy/describe/", name)))

    async def policy(self, name: str) -> dict[str, Any]:
        """Return a policy's document: allow, deny, created_at, created_by."""
        return dict(_json(await self._call("GET", "/v1/policy/read/", name)))

    async def identities(self, pattern: str = "*") -> list[str]:
        """Return the identities that pattern selects."""
        return await self._names("/v1/identity/list/", "identities", pattern)

    async def identity(self, identity: str | None = None) -> dict[str, Any]:
        """Describe an identity, or the caller's own."""
        path = "/v1/identity/self/describe" if identity is None else "/v1/identity/describe/"
        return dict(_json(await self._call("GET", path, identity or "")))

    # ---- the server
    async def ready(self) -> bool:
        """Say whether the server and its key store can work; raise Unavailable or StoreUnreachable when not."""
        await self._send("GET", "/v1/ready")
        return True

    async def version(self) -> str:
        """Return the server's version."""
        return str(_json(await self._send("GET", "/version")).get("version", ""))

    async def status(self, endpoint: str | None = None) -> Status:
        """Return the status of one endpoint (of the first that answers, by default)."""
        start = time.monotonic()
        document = _json(await self._send("GET", "/v1/status", endpoint=endpoint))
        away = bool(document.get("keystore_unreachable") or document.get("keystore_unavailable"))
        reachable = not away if away or "keystore_latency" in document else None
        uptime = float(document.get("uptime", 0))
        used = endpoint or self._order[0]
        return Status(used, document.get("version", ""), uptime, time.monotonic() - start, reachable, document)

    async def apis(self) -> list[ApiRoute]:
        """Return the server's routes."""
        rows = _json(await self._send("GET", "/v1/api"))
        return [ApiRoute(one["method"], one["path"], one["max_body"], one["timeout"]) for one in rows]

    async def metrics(self, *, ours: bool = False) -> str:
        """Return the metrics as Prometheus text; with ours also those an original does not have."""
        answer = await self._send("GET", "/v1/metrics?ours" if ours else "/v1/metrics")
        return answer.body.decode()

    async def log(self, kind: str = "audit") -> AsyncIterator[dict[str, Any]]:
        """Yield the events of the audit or error log as they happen, until the server or the caller ends it."""
        async for event in self._events(f"/v1/log/{kind}"):
            yield event

    # ---- key versions and states (ours; docs/reference/kes.md)
    async def rotate(self, name: str) -> dict[str, Any]:
        """Add a version to a key: new data keys use it, old ciphertexts stay open."""
        return dict(_json(await self._call("POST", "/v1/lifecycle/rotate/", name)))

    async def disable(self, name: str) -> dict[str, Any]:
        """Refuse every use of the key, on every server of the store within `lock_within`."""
        return dict(_json(await self._call("POST", "/v1/lifecycle/disable/", name)))

    async def enable(self, name: str) -> dict[str, Any]:
        """Undo disable."""
        return dict(_json(await self._call("POST", "/v1/lifecycle/enable/", name)))

    async def delete_later(self, name: str, after_seconds: float) -> dict[str, Any]:
        """Refuse the key now and delete it when the time has passed, unless it is restored."""
        return dict(_json(await self._call("POST", "/v1/lifecycle/delete/", name, {"after": after_seconds})))

    async def restore(self, name: str) -> dict[str, Any]:
        """Take back a delete_later."""
        return dict(_json(await self._call("POST", "/v1/lifecycle/restore/", name)))

    async def recreate(self, name: str) -> dict[str, Any]:
        """Create a new key under the name of a deleted one. What the old key sealed stays shut for ever."""
        return dict(_json(await self._call("POST", "/v1/lifecycle/recreate/", name)))

    async def lifecycle(self, name: str) -> dict[str, Any]:
        """Describe a key's state and versions."""
        return dict(_json(await self._call("GET", "/v1/lifecycle/describe/", name)))

    async def lifecycle_list(self, pattern: str = "*") -> list[dict[str, Any]]:
        """Describe the state and versions of every key that pattern selects."""
        return list(_json(await self._call("GET", "/v1/lifecycle/list/", pattern)).get("keys", []))

    async def events(self, after: str = "", endpoint: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield key state changes and heartbeats (`/v1/lifecycle/events`); after is the last generation seen."""
        path = "/v1/lifecycle/events" + (f"?after={quote(after, safe='')}" if after else "")
        async for event in self._events(path, endpoint):
            yield event

    # ---- the wire
    async def _names(self, path: str, member: str, pattern: str) -> list[str]:
        names: list[str] = []
        while True:
            answer = await self._call("GET", path, pattern)
            if answer.headers.get("content-type") == "application/x-ndjson":
                return names + _old_names(answer.body)
            page = _json(answer)
            names += page.get(member) or []
            pattern = page.get("continue_at") or ""
            if not pattern or not page.get(member):
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
        for attempt in range(RETRIES + 1):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS * (1 + 4 * random.random()))  # noqa: S311
            last = attempt == RETRIES
            try:
                answer = await self._http.request(
                    method, endpoint + path, body=body, timeout=self._timeout, follow=True
                )
            except (Unavailable, Incomplete) as error:
                if last:
                    raise Unavailable(str(error)) from error
                continue
            if answer.status != 503 or last:
                return answer
        raise Unavailable(f"{endpoint} does not answer")

    def _candidates(self) -> list[str]:
        """Return the endpoints in the order to try: those put aside within the last 30 seconds come last."""
        if len(self._order) == 1 or not self._aside:
            return self._order
        limit = time.monotonic() - ASIDE_SECONDS
        return sorted(self._order, key=lambda one: self._aside.get(one, 0.0) > limit)

    async def _events(self, path: str, endpoint: str | None = None) -> AsyncIterator[dict[str, Any]]:
        used = endpoint or self._candidates()[0]
        async with self._http.open("GET", used + path, timeout=0) as answer:
            if answer.status != 200:
                body = await answer.read(MAX_ANSWER)
                raise wire_errors.from_answer(answer.status, answer.headers.get("content-type", ""), body)
            rest = b""
            async for chunk in answer.chunks():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    yield json.loads(line)


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


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(answer: ClientAnswer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise Malformed(f"the server's answer is not JSON: {error}") from error


def _opened(answer: ClientAnswer) -> _Answer:
    try:
        return _decode(answer.body)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise Malformed(f"the server's answer is not what it should be: {error}") from error


def _marks(answer: ClientAnswer) -> tuple[int | None, str, str]:
    """Return the key version, fingerprint and generation that our servers add to answers."""
    version = answer.headers.get(VERSION)
    number = int(version) if version and version.isdigit() else None
    return number, answer.headers.get(FINGERPRINT, ""), answer.headers.get(GENERATION, "")


def _old_names(body: bytes) -> list[str]:
    """Read the NDJSON list of old servers: `{"name": ...}` or `{"error": ...}` a line (kes.md 1.6)."""
    names = []
    for line in filter(None, body.split(b"\n")):
        entry = {member.lower(): value for member, value in json.loads(line).items()}
        if entry.get("error"):
            raise Unavailable(str(entry["error"]))
        names.append(str(entry.get("name") or entry.get("identity") or ""))
    return names
