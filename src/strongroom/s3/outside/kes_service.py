"""A KES as the S3 box's key service: started, watched, cached, and shown to operators (sse.md 9, 10, 12)."""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from strongroom.errors import BadSettings, Denied, Error, Malformed, NotFound, NotSupported
from strongroom.s3.domain.key_errors import (
    GENERATE,
    KeyDisabled,
    KeyForbidden,
    KeyNotFound,
    KeyServiceAway,
    KeyServiceFailed,
)
from strongroom.s3.domain.key_service import LOCK_WITHIN
from strongroom.s3.domain.ports import DataKeys
from strongroom.s3.outside.kes_failures import translated
from strongroom.s3.outside.kes_keys import KesKeys
from strongroom.s3.outside.key_cache import CachedKeys
from strongroom.s3.outside.key_events import KeyEvents
from strongroom.sdk.kes import KesClient
from strongroom.sdk.kes_types import ApiKey, KeyExists
from strongroom.sdk.tls import client_tls

log = logging.getLogger("strongroom.s3")

CREATE, DELETE, LIST = "kms:KeyCreationFailed", "kms:KeyDeletionFailed", "kms:KeyListingFailed"
RELOAD_SECONDS = 900.0  # how often the client's certificate files are read again (sse.md 9.2)
_NAME = re.compile(r"(?!_\Z)[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,78}[0-9A-Za-z_])?")  # kes.md 1.3
STATUS_SECONDS = 5.0  # before an endpoint counts as offline


class KesAddress(Protocol):
    """How to reach a KES; the KesSettings of config/kms_environment.py fit."""

    @property
    def endpoints(self) -> Sequence[str]: ...
    @property
    def key_name(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def key_file(self) -> str: ...
    @property
    def cert_file(self) -> str: ...
    @property
    def key_password(self) -> str: ...
    @property
    def ca_path(self) -> str: ...


class KesService:
    """A KES in use. `keys` seals and opens for objects; the rest is domain/key_service.py's port for operators.

    default_ca: a file or folder of CA certificates, used when the settings name none (the server's `certs/CAs`).
    Raises BadSettings when certificates cannot be used. now() is monotonic seconds.
    """

    kind = "MinIO KES"

    def __init__(
        self,
        settings: KesAddress,
        *,
        lock_within: float = LOCK_WITHIN,
        default_ca: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.default_key = settings.key_name
        self._settings = settings
        self._tls = _tls(settings, default_ca)
        self._reloading: asyncio.Task[None] | None = None
        self.client = KesClient(settings.endpoints, self._tls)
        self.direct = KesKeys(self.client, settings.key_name)
        self.events = KeyEvents(self.direct, now, lock_within)
        cached = CachedKeys(self.direct, settings.key_name, now, self.events.keep_seconds)
        self.events.forget = cached.forget
        self.keys: DataKeys = cached

    async def start(self) -> list[str]:
        """Listen to key states, and make sure that the default key can be used, creating it if there is none.

        Returns warnings: a policy that forbids it is tolerated, as the original does (sse.md 10). Raises BadSettings
        when no retry can help; KeyServiceAway when one may, and everything is ready for it.
        """
        self.events.start()
        if self._reloading is None and not self._settings.api_key:
            self._reloading = asyncio.create_task(self._reload_now_and_then())
        try:
            await self.direct.generate("", b"{}")
        except KeyNotFound:
            return await self._create_default()
        except (KeyForbidden, KeyDisabled) as error:
            return [f"the default key cannot be used: {error.detail}"]
        except KeyServiceFailed as error:
            raise BadSettings(f"Failed to connect to KMS: {error.detail}") from error
        return []

    async def _create_default(self) -> list[str]:
        path = "/v1/key/create/" + self.default_key
        try:
            with translated(GENERATE, path):
                await self.client.create(self.default_key)
        except KeyExists:
            return []  # another server was faster
        except KeyForbidden as error:
            return [f"there is no default key, and it cannot be created: {error.detail}"]
        return []

    def reload(self) -> None:
        """Read the client's certificate again, for connections made from now on; a broken pair changes nothing."""
        settings = self._settings
        if settings.api_key:
            return
        try:
            client_tls(cert=settings.cert_file, key=settings.key_file, password=settings.key_password or None)
            self._tls.load_cert_chain(settings.cert_file, settings.key_file, settings.key_password or None)
        except (BadSettings, OSError, ValueError) as error:
            log.error("the key service's client certificate was not reloaded: %s", error)

    async def _reload_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            self.reload()

    async def close(self) -> None:
        """End streams and connections."""
        if self._reloading is not None:
            self._reloading.cancel()
        await self.events.stop()
        await self.client.close()

    # ---- for operators
    async def endpoints(self) -> Mapping[str, str]:
        """Return each endpoint's state, `online` or `offline`."""
        found = await asyncio.gather(*map(self._state, self.client.endpoints))
        return dict(zip(self.client.endpoints, found, strict=True))

    async def _state(self, endpoint: str) -> str:
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                await self.client.status(endpoint)
        except (Denied, NotFound, Malformed):
            return "online"  # it answers; Guide 1's policy does not allow the status
        except (Error, TimeoutError):
            return "offline"
        return "online"

    async def version(self) -> str:
        """Return the service's version."""
        with translated(LIST, "/version"):
            return await self.client.version()

    async def apis(self) -> Sequence[Mapping[str, Any]]:
        """Return the service's routes: Method, Path, MaxBody (bytes), Timeout (seconds)."""
        with translated(LIST, "/v1/api"):
            routes = await self.client.apis()
        return [
            {"Method": one.method, "Path": one.path, "MaxBody": one.max_body, "Timeout": one.timeout} for one in routes
        ]

    async def names(self, prefix: str) -> Sequence[str]:
        """Return the names of all keys that start with prefix."""
        with translated(LIST, f"/v1/key/list/{prefix}*"):
            return await self.client.keys(prefix + "*")

    async def create(self, name: str) -> None:
        """Make a key; raise AlreadyExists, and Malformed for what is no name."""
        if not _NAME.fullmatch(name):
            raise Malformed(f"key name '{name}' is empty, too long or contains invalid characters")
        with translated(CREATE, "/v1/key/create/" + name):
            await self.client.create(name)

    async def change(self, verb: str, name: str) -> Mapping[str, Any]:
        """Do `rotate`, `disable`, `enable` or `restore`; return the key's state afterwards."""
        calls = {
            "rotate": self.client.rotate,
            "disable": self.client.disable,
            "enable": self.client.enable,
            "restore": self.client.restore,
        }
        return await self._lifecycle(verb, name, lambda: calls[verb](name))

    async def delete(self, name: str, after_seconds: float) -> Mapping[str, Any]:
        """Schedule a key's deletion; return its state."""
        return await self._lifecycle("delete", name, lambda: self.client.delete_later(name, after_seconds))

    async def describe(self, name: str) -> Mapping[str, Any]:
        """Return a key's state and versions; of an original KES what it knows."""
        try:
            return await self._lifecycle("describe", name, lambda: self.client.lifecycle(name))
        except NotSupported:
            with translated(LIST, "/v1/key/describe/" + name):
                info = await self.client.describe(name)
            return {"name": info.name, "created_at": info.created_at, "created_by": info.created_by}

    async def _lifecycle(self, verb: str, name: str, call: Callable[[], Any]) -> Mapping[str, Any]:
        """Call one of our own routes. An original KES has none: its 404 names no key."""
        path = f"/v1/lifecycle/{verb}/{name}"
        try:
            with translated(DELETE if verb == "delete" else GENERATE, path):
                found: Mapping[str, Any] = await call()
        except KeyNotFound as error:
            if "key does not exist" in error.detail:
                raise
            raise NotSupported(f"this key service cannot {verb} keys") from error
        except KeyForbidden as error:
            error.text = f"insufficient permissions to perform KMS operation: {error.detail}"
            raise
        except (KeyServiceAway, KeyServiceFailed) as error:  # who may change keys may know why it failed
            error.text = f"the key server could not {verb} the key: {error.__cause__}"
            raise
        if verb != "describe":
            self.events.forget(name)
        return found


def _tls(settings: KesAddress, default_ca: str) -> ssl.SSLContext:
    """Return the client's TLS. A CA path that is not there is ignored, as the original does."""
    named = settings.ca_path or default_ca
    ca = named if named and Path(named).exists() else None
    try:
        if settings.api_key:
            return client_tls(ca=ca, api_key=ApiKey.parse(settings.api_key))
        _readable(settings.cert_file, "certificate")
        _readable(settings.key_file, "private key")
        password = settings.key_password or None
        return client_tls(ca=ca, cert=settings.cert_file, key=settings.key_file, password=password)
    except (BadSettings, Malformed) as error:
        raise BadSettings(f"Failed to connect to KMS: {error}") from error


def _readable(path: str, what: str) -> None:
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        reason = f"open {path}: {(error.strerror or str(error)).lower()}"
        raise BadSettings(
            f"Unable to load KES client {what} as specified by the shell environment: {reason}"
        ) from error
