"""A client for KES servers, ours and the original (kes.md 1, 11.1).

    tls = client_tls(api_key=ApiKey.parse("kes:v1:..."), ca="ca.crt")
    async with KesClient(["https://127.0.0.1:7373"], tls) as kes:
        key = await kes.generate("my-key", b"{}")
        opened = await kes.decrypt("my-key", key.ciphertext, b"{}")

Errors are those of `kes/domain/errors.py` (KeyNotFound, KeyExists, NotAuthentic, KeyDisabled, ...) and the shared ones
behind them (Denied, Unavailable); the message is the server's text.
"""

import base64
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from strongroom.errors import Malformed
from strongroom.kes.domain.records import ApiRoute, DataKey, KeyInfo, Opened
from strongroom.kes.wire.headers import FINGERPRINT, GENERATION, VERSION
from strongroom.net.client import ClientAnswer
from strongroom.sdk.kes_transport import UNEXPECTED, KesTransport, json_of, object_of


class _Answer(msgspec.Struct):
    plaintext: bytes = b""
    ciphertext: bytes = b""
    hmac: bytes = b""


_decode = msgspec.json.Decoder(_Answer).decode
_STATE = frozenset({"name", "state", "version", "fingerprint", "created_at"})  # of a key, whatever its state


@dataclass(frozen=True, slots=True)
class Status:
    """What `/v1/status` says; `raw` is the whole document. store_reachable is None when it cannot be told."""

    endpoint: str
    version: str
    uptime_seconds: float
    latency_seconds: float  # of this request, as seen here
    store_reachable: bool | None
    raw: Mapping[str, Any]


class KesClient(KesTransport):
    """Speaks to one KES cluster. Safe for many requests at a time; close it (or use `async with`)."""

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
        found = json_of(answer.body)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise Malformed(UNEXPECTED)
        return [_bytes(item.get("plaintext")) for item in found]

    async def encrypt(self, name: str, plaintext: bytes, context: bytes = b"") -> bytes:
        """Seal up to about 749 kB to context; return the ciphertext."""
        body = {"plaintext": _b64(plaintext), "context": _b64(context)}
        return _opened(await self._call("POST", "/v1/key/encrypt/", name, body)).ciphertext

    async def hmac(self, name: str, message: bytes) -> bytes:
        """Return the HMAC-SHA-256 of message under the key's HMAC key; raise NoHmacKey if it has none."""
        return _opened(await self._call("PUT", "/v1/key/hmac/", name, {"message": _b64(message)})).hmac

    async def describe(self, name: str) -> KeyInfo:
        """Say what is known about a key; raise KeyNotFound."""
        info = object_of(await self._call("GET", "/v1/key/describe/", name))
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
        found = object_of(await self._call("GET", "/v1/secret/read/", name))
        return _bytes(found.get("bytes"))

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
        return object_of(await self._call("GET", "/v1/policy/describe/", name))

    async def policy(self, name: str) -> dict[str, Any]:
        """Return a policy's document: allow, deny, created_at, created_by."""
        return object_of(await self._call("GET", "/v1/policy/read/", name))

    async def identities(self, pattern: str = "*") -> list[str]:
        """Return the identities that pattern selects."""
        return await self._names("/v1/identity/list/", "identities", pattern)

    async def identity(self, identity: str | None = None) -> dict[str, Any]:
        """Describe an identity, or the caller's own."""
        path = "/v1/identity/self/describe" if identity is None else "/v1/identity/describe/"
        return object_of(await self._call("GET", path, identity or ""))

    # ---- the server
    async def ready(self) -> bool:
        """Say whether the server and its key store can work; raise Unavailable or StoreUnreachable when not."""
        await self._send("GET", "/v1/ready")
        return True

    async def version(self) -> str:
        """Return the server's version."""
        return str(object_of(await self._send("GET", "/version")).get("version", ""))

    async def status(self, endpoint: str | None = None) -> Status:
        """Return the status of one endpoint (of the first that answers, by default)."""
        start = time.monotonic()
        document = object_of(await self._send("GET", "/v1/status", endpoint=endpoint))
        away = bool(document.get("keystore_unreachable") or document.get("keystore_unavailable"))
        reachable = not away if away or "keystore_latency" in document else None
        uptime = document.get("uptime", 0)
        if not isinstance(uptime, int | float):
            raise Malformed(UNEXPECTED)
        used = endpoint or self._order[0]
        return Status(used, document.get("version", ""), uptime, time.monotonic() - start, reachable, document)

    async def apis(self) -> list[ApiRoute]:
        """Return the server's routes."""
        try:
            return msgspec.json.decode((await self._send("GET", "/v1/api")).body, type=list[ApiRoute])
        except msgspec.MsgspecError as error:
            raise Malformed(f"{UNEXPECTED}: {error}") from error

    async def metrics(self, *, ours: bool = False) -> str:
        """Return the metrics as Prometheus text; with ours also those an original does not have."""
        answer = await self._send("GET", "/v1/metrics?ours" if ours else "/v1/metrics")
        return answer.body.decode()

    def log(self, kind: str = "audit") -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of the audit or error log as they happen, until the server or the caller ends it.

        Who leaves before the end closes the generator (`contextlib.aclosing`).
        """
        return self._events(f"/v1/log/{kind}")

    # ---- key versions and states (ours; docs/reference/kes.md)
    async def rotate(self, name: str) -> dict[str, Any]:
        """Add a version to a key: new data keys use it, old ciphertexts stay open."""
        return object_of(await self._call("POST", "/v1/lifecycle/rotate/", name))

    async def disable(self, name: str) -> dict[str, Any]:
        """Refuse every use of the key, on every server of the store within `lock_within`."""
        return object_of(await self._call("POST", "/v1/lifecycle/disable/", name))

    async def enable(self, name: str) -> dict[str, Any]:
        """Undo disable."""
        return object_of(await self._call("POST", "/v1/lifecycle/enable/", name))

    async def delete_later(self, name: str, after_seconds: float) -> dict[str, Any]:
        """Refuse the key now and delete it when the time has passed, unless it is restored."""
        return object_of(await self._call("POST", "/v1/lifecycle/delete/", name, {"after": after_seconds}))

    async def restore(self, name: str) -> dict[str, Any]:
        """Take back a delete_later."""
        return object_of(await self._call("POST", "/v1/lifecycle/restore/", name))

    async def recreate(self, name: str) -> dict[str, Any]:
        """Create a new key under the name of a deleted one. What the old key sealed stays shut for ever."""
        return object_of(await self._call("POST", "/v1/lifecycle/recreate/", name))

    async def lifecycle(self, name: str) -> dict[str, Any]:
        """Describe a key's state and versions."""
        return object_of(await self._call("GET", "/v1/lifecycle/describe/", name), *_STATE)

    async def lifecycle_list(self, pattern: str = "*") -> list[dict[str, Any]]:
        """Describe the state and versions of every key that pattern selects."""
        keys = object_of(await self._call("GET", "/v1/lifecycle/list/", pattern)).get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) and key.keys() >= _STATE for key in keys):
            raise Malformed(UNEXPECTED)
        return keys

    def events(self, after: str = "", endpoint: str | None = None) -> AsyncGenerator[dict[str, Any], None]:
        """Yield key state changes and heartbeats (`/v1/lifecycle/events`); after is the last generation seen.

        Who leaves before the end closes the generator (`contextlib.aclosing`).
        """
        path = "/v1/lifecycle/events" + (f"?after={quote(after, safe='')}" if after else "")
        return self._events(path, endpoint)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(value: object) -> bytes:
    if not isinstance(value, str | None):
        raise Malformed(UNEXPECTED)
    try:
        return base64.b64decode(value or "", validate=True)
    except ValueError as error:
        raise Malformed(f"{UNEXPECTED}: {error}") from error


def _opened(answer: ClientAnswer) -> _Answer:
    try:
        return _decode(answer.body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Malformed(f"{UNEXPECTED}: {error}") from error


def _marks(answer: ClientAnswer) -> tuple[int | None, str, str]:
    """Return the key version, fingerprint and generation that our servers add to answers."""
    version = answer.headers.get(VERSION)
    number = int(version) if version and version.isdigit() else None
    return number, answer.headers.get(FINGERPRINT, ""), answer.headers.get(GENERATION, "")
