"""The S3 box put together: settings in, a running server out."""

import asyncio
import contextlib
import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.config.kms_environment import KmsSettings
from strongroom.errors import BadSettings, Error
from strongroom.net.limits import Limits
from strongroom.net.server import Server, listen
from strongroom.net.tls import TlsContext, server_tls
from strongroom.net.workers import Worker, this_worker
from strongroom.s3 import crew, operators, siblings
from strongroom.s3.auditing import Auditor, audit_log
from strongroom.s3.beginning import KeyService, begin
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.key_service import LOCK_WITHIN
from strongroom.s3.domain.principals import Credential
from strongroom.s3.handlers.access import PolicyAccess
from strongroom.s3.handlers.call import Box, BoxSettings
from strongroom.s3.handlers.entrance import Entrance
from strongroom.s3.handlers.following import Following
from strongroom.s3.handlers.health import Health
from strongroom.s3.handlers.jobs import Jobs
from strongroom.s3.handlers.lifecycle import Lifecycle
from strongroom.s3.handlers.notify import Notifier
from strongroom.s3.handlers.running_reads import RunningReads
from strongroom.s3.handlers.sealing import Sealing
from strongroom.s3.outside import webhook
from strongroom.s3.outside.kes_service import KesService
from strongroom.s3.outside.lock_watch import LockWatch
from strongroom.s3.outside.static_key import StaticKey
from strongroom.s3.settings import Settings
from strongroom.s3.spans import Spans
from strongroom.s3.storage.memory import MemoryStore
from strongroom.s3.telemetry import Telemetry
from strongroom.s3.wire.authenticate import Verifier
from strongroom.s3.wire.errors import refuse_http

if TYPE_CHECKING:
    from strongroom.net.run import Signals
    from strongroom.s3.storage.files import FilesStore

log = logging.getLogger("strongroom.s3")


@dataclass(slots=True)
class Running:
    """A server that accepts requests."""

    box: Box
    server: Server
    store: "MemoryStore | FilesStore"
    service: KeyService | None
    control: operators.ProcessControl | operators.WorkerControl
    warnings: list[str] = field(default_factory=list)
    waiting: "asyncio.Task[None] | None" = None  # for a key service that was away at the start
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: Jobs | None = None
    telemetry: Telemetry | None = None
    background: "list[asyncio.Task[None]]" = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server.port)

    @property
    def url(self) -> str:
        """Where clients on this machine find it."""
        return crew.url_of(self.server.host, self.port, self.server.tls is not None)

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Finish the requests that run, then what is queued for the disk."""
        await self.server.stop(grace_seconds)
        if self.waiting is not None:
            self.waiting.cancel()
        if self.jobs is not None:
            await self.jobs.close()
        for task in self.background:
            task.cancel()
        if self.telemetry is not None:
            self.telemetry.close()
        await self.store.close()
        if self.service is not None:
            await self.service.close()


async def start(settings: Settings, worker: Worker | None = None) -> Running:
    """Start the server; raise BadSettings when it cannot run so.

    A key service that does not answer now is no reason to stop: plain and SSE-C objects are served until it does.
    worker: this process's place when it is one of several.
    """
    tls, stopped = _tls(settings.certs), asyncio.Event()
    service = key_service(settings)
    async with contextlib.AsyncExitStack() as undo:
        if service is not None:
            undo.push_async_callback(service.close)
        store = await _store(settings.folder, worker)
        undo.push_async_callback(store.close)
        telemetry = _telemetry(settings, store, service, worker)
        office = _office(settings, store, service, telemetry, worker, stopped)
        if office.jobs is not None:
            undo.push_async_callback(office.jobs.close)
        warnings, waiting = await begin(service, office)
        if waiting is not None:
            undo.callback(waiting.cancel)
        box = make_box(settings, store, office)
        if box.reads is not None and isinstance(service, KesService):
            service.events.locked = LockWatch(box.reads, service.direct).locked
        following = siblings.following(store, store, office) if worker else None
        server = await _listen(settings, box, office, tls, telemetry, following, worker)
        undo.pop_all()
    background = [asyncio.create_task(store.warm()), *_background(settings, box, office, telemetry, worker)]
    control, jobs = office.control, office.jobs
    return Running(box, server, store, service, control, warnings, waiting, stopped, jobs, telemetry, background)


def _telemetry(
    settings: Settings, store: "MemoryStore | FilesStore", service: KeyService | None, worker: Worker | None
) -> Telemetry:
    auditor = Auditor(audit_log(crew.audit_path(settings.audit, worker)))
    telemetry = Telemetry(store, auditor, public=settings.public_metrics)
    telemetry.service = service
    telemetry.spans = Spans() if settings.spans else None
    return telemetry


def _office(
    settings: Settings,
    store: "MemoryStore | FilesStore",
    service: KeyService | None,
    telemetry: Telemetry,
    worker: Worker | None,
    stopped: asyncio.Event,
) -> operators.Office:
    root = Credential(settings.root.access, bytes(settings.root.secret).decode(), root=True)
    return operators.make_office(
        Directory(root, ready=False),
        store,
        service,
        service.keys if service else None,
        operators.WorkerControl(worker.signal_parent) if worker else operators.ProcessControl(stopped.set),
        store=store,
        bucket_keys=bucket_keys(settings, service),
        telemetry=telemetry,
        runs_jobs=worker is None or worker.first,
    )


def _background(
    settings: Settings, box: Box, office: operators.Office, telemetry: Telemetry, worker: Worker | None
) -> "list[asyncio.Task[None]]":
    """Start what runs beside the requests; of several processes the first alone does what one must do."""
    works = [telemetry.audit.checkpoints(), box.sealing.opened.tidy()]
    if worker is None or worker.first:
        vouching = box.sealing.list_keys
        rules = Lifecycle(box.store, time.time, day_seconds=settings.day_seconds, list_keys=vouching)
        works += [rules.run(), box.notifier.run()]
    if worker is not None:
        works += siblings.works(box, office, telemetry, worker)
    return [asyncio.create_task(work) for work in works]


async def _listen(
    settings: Settings,
    box: Box,
    office: operators.Office,
    tls: TlsContext | None,
    telemetry: Telemetry,
    following: Following | None,
    worker: Worker | None,
) -> Server:
    endpoint = f"{settings.host or '127.0.0.1'}:{settings.port}"
    deployment = await operators.deployment_id(box.system) if box.system else ""
    facts = operators.facts(endpoint, deployment, str(settings.folder or "/"), settings.region)
    specials = (Health(), telemetry, *office.entrances(box, facts))
    entrance, limits = Entrance(box, specials, telemetry, following), Limits(head_bytes=128 * 1024)
    sock = worker.sock if worker is not None else None
    try:
        return await listen(
            entrance, settings.host, settings.port, tls=tls, limits=limits, refuse=refuse_http, sock=sock
        )
    except OSError as error:
        reason = error.strerror or error
        raise BadSettings(f"cannot listen on {settings.host or '*'}:{settings.port}: {reason}") from error


def make_box(settings: Settings, store: "MemoryStore | FilesStore", office: operators.Office) -> Box:
    """Put the parts together."""
    automatic = Encryption(Kind(settings.kms.auto_encryption)) if settings.kms.auto_encryption else None
    directory, keys = office.iam.directory, office.keys
    verifier = Verifier(directory, settings.region, settings.sigv2, settings.domains)
    sealing = Sealing(keys, store, time.time, automatic=automatic, bucket_keys=bucket_keys(settings, office.service))
    box_settings = BoxSettings(
        settings.region,
        settings.domains,
        settings.trusted_proxies,
        day=int(settings.day_seconds * 1_000_000_000),
        checksum=settings.checksum,
    )
    reads = RunningReads() if settings.cut_running_reads else None
    notifier = Notifier(
        store, settings.region, {hook.name: webhook.sender(hook.url, hook.token) for hook in settings.webhooks}
    )
    access = PolicyAccess(directory)
    return Box(store, store, verifier, access, sealing, box_settings, time.time, notifier, reads)


def bucket_keys(settings: Settings, service: object) -> bool:
    """Say whether objects may share data keys: making one of a static key costs nothing."""
    return settings.kms.bucket_keys and isinstance(service, KesService)


def key_service(settings: Settings) -> KeyService | None:
    """Return where data keys come from, None without a key service; raise BadSettings."""
    return service_of(settings.kms, settings.certs, settings.lock_within)


def service_of(kms: KmsSettings, certs: Path | None, lock_within: float = LOCK_WITHIN) -> KeyService | None:
    """Return the key service of such settings, None without one; raise BadSettings."""
    if kms.static is not None:
        return StaticKey(kms.static.key_name, kms.static.key)
    if kms.kes is not None:
        authorities = str(certs / "CAs") if certs is not None else ""
        return KesService(kms.kes, lock_within=lock_within, default_ca=authorities)
    return None


async def _store(folder: Path | None, worker: Worker | None) -> "MemoryStore | FilesStore":
    if folder is None:
        return MemoryStore()
    from strongroom.s3.storage.files import open_store

    return await open_store(folder, worker=worker is not None)


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

    worker = this_worker()

    async def main(signals: "Signals") -> int:
        running = await start(settings, worker)
        if worker is None or worker.first:
            for warning in (*settings.root.warnings, *settings.kms.warnings, *running.warnings):
                print(warning, file=sys.stderr)
        if worker is None:
            print(f"API: {running.url}", flush=True)
        else:
            worker.ready()
        signals.on_reload(lambda: _reload(running))
        ends = [asyncio.create_task(event.wait()) for event in (signals.stopped, running.stopped)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await running.stop()
        again.append(running.control.again and not signals.stopped.is_set())
        return 0

    again: list[bool] = []
    try:
        code = run(main)
        if any(again):
            crew.execute_again()
        return code
    except Error as error:
        if worker is None or worker.first:  # the others have the same to say
            print(f"FATAL {error}", file=sys.stderr)
        return 1


def _reload(running: Running) -> None:
    """Read certificates again: the server's own, and the one that the key service knows it by."""
    if isinstance(running.service, KesService):
        running.service.reload()
    try:
        if running.server.tls is not None:
            running.server.tls.reload()
    except Error as error:
        log.error("certificates were not reloaded: %s", error)
