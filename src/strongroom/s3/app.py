"""The S3 box put together: settings in, a running server out."""

import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings
from strongroom.errors import BadSettings, Error
from strongroom.net.limits import Limits
from strongroom.net.server import Server, listen
from strongroom.net.tls import TlsContext, server_tls
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.ports import DataKeys
from strongroom.s3.domain.principals import Credential, RootOnly
from strongroom.s3.handlers import health
from strongroom.s3.handlers.call import Access, Box, BoxSettings, RootOnlyAccess
from strongroom.s3.handlers.entrance import Entrance, Special
from strongroom.s3.handlers.sealing import Sealing
from strongroom.s3.outside.static_key import StaticKey
from strongroom.s3.storage.memory import MemoryStore
from strongroom.s3.wire.authenticate import Verifier
from strongroom.s3.wire.errors import refuse_http

if TYPE_CHECKING:
    from strongroom.net.run import Signals
    from strongroom.s3.storage.files import FilesStore

log = logging.getLogger("strongroom.s3")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run the server.

    folder  where objects lie; None keeps them in memory
    certs   a folder with public.crt and private.key; TLS when both are there
    """

    root: RootCredentials
    folder: Path | None = None
    host: str = ""
    port: int = 9000
    certs: Path | None = None
    kms: KmsSettings = field(default_factory=KmsSettings)
    region: str = ""
    domains: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    sigv2: bool = True


@dataclass(slots=True)
class Running:
    """A server that accepts requests."""

    box: Box
    server: Server
    store: "MemoryStore | FilesStore"
    keys: DataKeys | None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server.port)

    @property
    def url(self) -> str:
        """Where clients on this machine find it."""
        host = self.server.host
        host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
        return f"{'http' if self.server.tls is None else 'https'}://{host}:{self.port}"

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Finish the requests that run, then what is queued for the disk."""
        await self.server.stop(grace_seconds)
        await self.store.close()
        close = getattr(self.keys, "close", None)
        if close is not None:
            await close()


async def start(settings: Settings) -> Running:
    """Start the server; raise BadSettings when it cannot run so."""
    tls = _tls(settings.certs)
    keys = await data_keys(settings.kms)
    store = await _store(settings.folder)
    try:
        box = make_box(settings, store, keys)
        entrance = Entrance(box, specials())
        server = await listen(
            entrance, settings.host, settings.port, tls=tls, limits=Limits(head_bytes=128 * 1024), refuse=refuse_http
        )
    except OSError as error:
        await store.close()
        raise BadSettings(
            f"cannot listen on {settings.host or '*'}:{settings.port}: {error.strerror or error}"
        ) from error
    except BaseException:
        await store.close()
        raise
    return Running(box, server, store, keys)


def specials() -> tuple[Special, ...]:
    """Return what answers outside S3, under `/minio/`."""
    return (health.special,)


def make_box(settings: Settings, store: "MemoryStore | FilesStore", keys: DataKeys | None) -> Box:
    """Put the parts together."""
    root = Credential(settings.root.access, bytes(settings.root.secret).decode(), root=True)
    automatic = Encryption(Kind(settings.kms.auto_encryption)) if settings.kms.auto_encryption else None
    access: Access = RootOnlyAccess()
    verifier = Verifier(RootOnly(root), settings.region, settings.sigv2, settings.domains)
    sealing = Sealing(keys, store, time.time, automatic=automatic, bucket_keys=settings.kms.bucket_keys)
    box_settings = BoxSettings(settings.region, settings.domains, settings.trusted_proxies)
    return Box(store, store, verifier, access, sealing, box_settings, time.time)


async def data_keys(kms: KmsSettings) -> DataKeys | None:
    """Return where data keys come from, None without a key service."""
    if kms.static is not None:
        return StaticKey(kms.static.key_name, kms.static.key)
    if kms.kes is not None:
        raise BadSettings("MINIO_KMS_KES_ENDPOINT: not yet")
    return None


async def _store(folder: Path | None) -> "MemoryStore | FilesStore":
    if folder is None:
        return MemoryStore()
    from strongroom.s3.storage.files import open_store

    return await open_store(folder)


def _tls(certs: Path | None) -> TlsContext | None:
    if certs is None:
        return None
    certificate, key = certs / "public.crt", certs / "private.key"
    if not certificate.exists() and not key.exists():
        return None
    return server_tls(certificate, key)


def serve(settings: Settings) -> int:
    """Run until SIGTERM; return the exit code."""
    from strongroom.net.run import run

    async def main(signals: "Signals") -> int:
        running = await start(settings)
        for warning in (*settings.root.warnings, *settings.kms.warnings):
            print(warning, file=sys.stderr)
        print(f"API: {running.url}", flush=True)
        tls = running.server.tls
        if tls is not None:
            signals.on_reload(lambda: _reload(tls))
        await signals.stopped.wait()
        await running.stop()
        return 0

    try:
        return run(main)
    except Error as error:
        print(f"FATAL {error}", file=sys.stderr)
        return 1


def _reload(tls: TlsContext) -> None:
    try:
        tls.reload()
    except Error as error:
        log.error("certificates were not reloaded: %s", error)
