"""Keys in a Vault, an OpenBao or our kms: KV v1 or v2, transit in between if wanted (kes.md 6.4)."""

import asyncio
import base64
import contextlib
import os
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from strongroom.errors import BadSettings, Denied, Error, NotFound, Unavailable
from strongroom.kes.domain.errors import (
    KeyExists,
    KeyNotFound,
    StoreDenied,
    StoredKeyDamaged,
    StoreFailed,
    StoreShut,
    StoreUnreachable,
)
from strongroom.kes.domain.pages import page
from strongroom.kes.domain.settings import VaultSettings
from strongroom.kes.storage.vault_token import TokenKeeper
from strongroom.sdk.tls import client_tls
from strongroom.sdk.vault import CasMismatch, SoftDeleted, VaultClient, VaultSealed

T = TypeVar("T")
Warn = Callable[[str], None]
_TRANSIT = re.compile(r"vault:v\d+:")
_TRUE = {"1", "t", "true", "yes"}


class VaultStore:
    """See KeyStore. The JSON member that holds a value is named like the key (kes.md 6.4)."""

    def __init__(self, settings: VaultSettings, client: VaultClient, keeper: TokenKeeper, warn: Warn) -> None:
        self.description = f"Hashicorp Vault: {settings.endpoint}"
        self._settings, self._client, self._keeper, self._warn = settings, client, keeper, warn
        self._sealed = False
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def connect(cls, settings: VaultSettings, warn: Warn) -> "VaultStore":
        """Log in; raise BadSettings or Unavailable when that fails."""
        if settings.version not in {"v1", "v2"}:
            raise BadSettings(f"vault: invalid engine API version '{settings.version}'")
        client = _client(settings)
        keeper = TokenKeeper(client, settings.login, warn)
        try:
            await keeper.login()
        except Error as error:
            await client.close()
            raise type(error)(f"vault: cannot log in at {settings.endpoint}: {error}") from error
        store = cls(settings, client, keeper, warn)
        store._tasks = [asyncio.create_task(keeper.keep()), asyncio.create_task(store._watch_seal())]
        return store

    async def close(self) -> None:
        """See KeyStore."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    @property
    def clock_ahead(self) -> float:
        """See KeyStore."""
        return self._client.clock.ahead

    async def status(self) -> float:
        """Ask for the server's health; raise StoreUnreachable when it is sealed, not initialised or away."""
        start = time.monotonic()
        try:
            health = await self._client.health()
        except Unavailable as error:
            raise StoreUnreachable(f"vault: {error}") from error
        except Error as error:
            raise StoreFailed(f"vault: {error}") from error
        self._sealed = health.sealed
        if health.sealed or not health.initialized:
            raise StoreUnreachable("vault: key store is sealed" if health.sealed else "vault: not initialized")
        return time.monotonic() - start

    async def create(self, name: str, value: bytes) -> None:
        """See KeyStore. KV v2 writes with `cas: 0`; KV v1 cannot, so the value is read back and compared."""
        try:
            await self._do(lambda: self._read(name))
        except KeyNotFound:
            text = await self._wrap(value.decode())
        else:
            raise KeyExists(name)
        document: dict[str, Any] = {name: text}
        if self._settings.version == "v2":
            document = {"options": {"cas": 0}, "data": document}
        try:
            await self._do(lambda: self._write(name, document))
        except (KeyExists, StoreDenied):
            if not await self._is_ours(name, text):
                raise
            return
        if self._settings.version == "v1" and not await self._is_ours(name, text):
            raise StoreFailed(f"vault: '{name}' was written and is not there")

    async def _is_ours(self, name: str, text: str) -> bool:
        """Say whether the entry, if there is one, is what we have written; raise KeyExists for another one.

        A write whose answer was lost is tried again, and then meets itself: as a mismatch, or, under a policy without
        `update`, as a denial.
        """
        try:
            found = await self._do(lambda: self._read(name))
        except KeyNotFound:
            return False
        if found != text:
            raise KeyExists(f"{name}: somebody else was a moment earlier")
        return True

    async def get(self, name: str) -> bytes:
        """See KeyStore."""
        text = await self._do(lambda: self._read(name))
        return (await self._unwrap(text)).encode(errors="replace")

    async def delete(self, name: str) -> None:
        """See KeyStore; the server does not say whether there was anything."""
        path = self._path("metadata", name)
        await self._do(lambda: self._client.delete(path))

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """See KeyStore. Folders are left out; an empty listing is none."""
        path = self._path("metadata", "")
        found = await self._do(lambda: self._client.list(path))
        return page([name for name in found if not name.endswith("/")], prefix, after, limit)

    # ---- one request each
    def _path(self, part: str, name: str) -> str:
        """Return <engine>/<prefix>/<name>, for KV v2 with part behind the engine."""
        settings = self._settings
        parts = (settings.engine, part if settings.version == "v2" else "", settings.prefix, name)
        return "/".join(filter(None, (one.strip("/") for one in parts)))

    async def _read(self, name: str) -> str:
        query = "version=1" if self._settings.version == "v2" else ""
        try:
            found = await self._client.read(self._path("data", name), query)
        except SoftDeleted as error:
            raise StoredKeyDamaged(f"vault: '{name}' is deleted but its metadata is not") from error
        data = found.get("data") if self._settings.version == "v2" else found
        if not isinstance(data, dict) or name not in data:
            raise StoredKeyDamaged(f"vault: failed to read '{name}': entry exists but no secret key is present")
        if not isinstance(data[name], str):
            raise StoredKeyDamaged(f"vault: failed to read '{name}': invalid K/V format")
        return str(data[name])

    async def _write(self, name: str, document: dict[str, Any]) -> None:
        try:
            await self._client.write(self._path("data", name), document)
        except CasMismatch as error:
            raise KeyExists(name) from error

    async def _wrap(self, text: str) -> str:
        """Encrypt a value with the transit key, if there is one."""
        settings = self._settings
        if not settings.transit_key:
            return text
        document = {"plaintext": base64.b64encode(text.encode()).decode()}
        path = f"{settings.transit_engine.strip('/')}/encrypt/{settings.transit_key}"
        data = await self._transit(path, document)
        sealed = str(data.get("ciphertext", ""))
        if not _TRANSIT.match(sealed):
            raise StoreFailed("vault: transit answered without a ciphertext")
        return sealed

    async def _unwrap(self, text: str) -> str:
        """Decrypt a value of any version of the transit key; values from before transit are plain."""
        settings = self._settings
        if not _TRANSIT.match(text):
            return text
        if not settings.transit_key:
            raise StoreFailed("vault: key is encrypted with vault transit key")
        path = f"{settings.transit_engine.strip('/')}/decrypt/{settings.transit_key}"
        data = await self._transit(path, {"ciphertext": text})
        try:
            return base64.b64decode(data["plaintext"], validate=True).decode()
        except (KeyError, TypeError, ValueError) as error:
            raise StoreFailed("vault: transit answered without a plaintext") from error

    async def _transit(self, path: str, document: dict[str, str]) -> dict[str, Any]:
        """Ask the transit engine. That its mount is missing must never look like a missing key."""
        try:
            return await self._do(lambda: self._client.ask(path, document))
        except KeyNotFound as error:
            raise StoreFailed(f"vault: no transit engine at '{path}'") from error

    async def _do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a request; log in again once if the token is no longer good; say failures in the port's words."""
        if self._sealed:
            raise StoreUnreachable("vault: key store is sealed")
        try:
            try:
                return await work()
            except Denied:
                if not await self._login_again():
                    raise
                return await work()
        except (KeyExists, KeyNotFound, StoreFailed, StoreUnreachable):
            raise
        except NotFound as error:
            raise KeyNotFound(str(error)) from error
        except Denied as error:
            raise StoreDenied(f"vault: permission denied: {error}") from error
        except VaultSealed as error:
            self._sealed = True
            raise StoreUnreachable("vault: key store is sealed") from error
        except Unavailable as error:  # no answer, or one of the 500s
            raise StoreUnreachable(f"vault: {error}") from error
        except Error as error:
            raise StoreFailed(f"vault: {error}") from error

    async def _login_again(self) -> bool:
        """Say whether there is a new token; raise StoreShut or StoreUnreachable when there is no good one at all."""
        try:
            return await self._keeper.login_again()
        except Unavailable as error:
            raise StoreUnreachable(f"vault: cannot log in again: {error}") from error
        except Error as error:
            raise StoreShut(f"vault: cannot log in again: {error}") from error

    async def _watch_seal(self) -> None:
        """Look every ping whether the server is sealed: requests then fail at once, and work again after unsealing."""
        while True:
            try:
                with contextlib.suppress(Unavailable):  # requests find that out by themselves
                    await self.status()
            except Exception as error:  # or a server that was sealed once would count as sealed for ever
                self._warn(f"vault: cannot look whether it is sealed: {type(error).__name__}: {error}")
            await asyncio.sleep(1.0 if self._sealed else max(0.1, self._settings.ping))


def _client(settings: VaultSettings) -> VaultClient:
    """Make the client; the VAULT_ variables that the original's library looks at count here too (kes.md 6.4)."""
    env = os.environ
    tls: ssl.SSLContext | None = None
    if not settings.endpoint.startswith("http://"):
        tls = client_tls(
            ca=settings.ca or env.get("VAULT_CACERT") or None,
            cert=settings.cert or None,
            key=settings.key or None,
            insecure=env.get("VAULT_SKIP_VERIFY", "").lower() in _TRUE,
        )
    endpoint = settings.endpoint if "://" in settings.endpoint else f"https://{settings.endpoint}"
    retries = env.get("VAULT_MAX_RETRIES", "")
    return VaultClient(
        endpoint,
        tls,
        namespace=settings.namespace or env.get("VAULT_NAMESPACE", ""),
        retries=int(retries) if retries.isdigit() else 2,
    )
