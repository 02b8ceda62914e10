"""Keys kept by another key server as its secrets (kes.md 6.8): a server without a key store of its own."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from strongroom.errors import Denied, Error, Unavailable
from strongroom.kes.domain.errors import (
    KeyExists,
    KeyNotFound,
    SecretExists,
    SecretNotFound,
    StoreDenied,
    StoreFailed,
    StoreUnreachable,
)
from strongroom.kes.domain.pages import page
from strongroom.kes.domain.settings import KesSettings
from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls

T = TypeVar("T")


class KesStore:
    """See KeyStore."""

    def __init__(self, settings: KesSettings, client: KesClient) -> None:
        self.description = f"MinIO KES: {', '.join(settings.endpoints)}"
        self._client = client

    @classmethod
    async def connect(cls, settings: KesSettings) -> "KesStore":
        """Make a client and try it; raise StoreUnreachable when nobody answers."""
        tls = client_tls(cert=settings.cert or None, key=settings.key or None, ca=settings.ca or None)
        store = cls(settings, KesClient(settings.endpoints, tls))
        try:
            await store.status()
        except Error:
            await store.close()
            raise
        return store

    @property
    def clock_ahead(self) -> float:
        """See KeyStore."""
        return self._client.clock.ahead

    async def status(self) -> float:
        """See KeyStore: ready there is ready here."""
        start = time.monotonic()
        try:
            await self._client.ready()
        except Denied:
            await self._do(self._client.version)  # without the right to ask, an answer at all must do
        except Unavailable as error:
            raise StoreUnreachable(f"kes: {error}") from error
        return time.monotonic() - start

    async def create(self, name: str, value: bytes) -> None:
        """See KeyStore."""
        await self._do(lambda: self._client.create_secret(name, value))

    async def get(self, name: str) -> bytes:
        """See KeyStore."""
        return await self._do(lambda: self._client.secret(name))

    async def delete(self, name: str) -> None:
        """See KeyStore."""
        await self._do(lambda: self._client.delete_secret(name))

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """See KeyStore."""
        return page(await self._do(lambda: self._client.secrets(prefix + "*")), prefix, after, limit)

    async def close(self) -> None:
        """See KeyStore."""
        await self._client.close()

    async def _do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Say failures in the port's words."""
        try:
            return await work()
        except SecretExists as error:
            raise KeyExists(str(error)) from error
        except SecretNotFound as error:
            raise KeyNotFound(str(error)) from error
        except Denied as error:
            raise StoreDenied(f"kes: {error}") from error
        except StoreUnreachable:
            raise
        except Error as error:
            raise StoreFailed(f"kes: {error}") from error
