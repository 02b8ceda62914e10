"""The kms put together: storage, seal, pipeline, listeners, the tasks that time asks for."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from strongroom.errors import BadSettings, Error
from strongroom.kms.backends import FACTORIES
from strongroom.kms.domain.ports import EntryStore
from strongroom.kms.handlers.cluster import Election, Member
from strongroom.kms.handlers.core import Core
from strongroom.kms.handlers.front import Front
from strongroom.kms.handlers.pipeline import VERBS, Pipeline
from strongroom.kms.handlers.render import error_body, json_response
from strongroom.kms.handlers.sealing import Sealing
from strongroom.kms.outside import snapshot
from strongroom.kms.outside.kubernetes import review_token
from strongroom.kms.outside.logs import open_log
from strongroom.kms.outside.seals import open_seal
from strongroom.kms.outside.sinks import open_sink
from strongroom.kms.settings import Listener, Settings
from strongroom.kms.storage.memory import MemoryStore
from strongroom.kms.storage.sqlite import SqliteStore, open_folder
from strongroom.messages import Handler, Response
from strongroom.net.limits import Limits
from strongroom.net.server import Server, listen
from strongroom.net.tls import TlsContext, server_tls
from strongroom.net.tls_openssl import any_client_tls
from strongroom.observe.log import Log

TICK = 1.0  # seconds between looks at what has expired
RETRY = 5  # ticks between tries to unseal with an outside seal that was away


@runtime_checkable
class Renewed(Protocol):
    """A seal with something to keep alive."""

    async def renew(self) -> None:
        """Keep it alive."""


def open_store(settings: Settings) -> EntryStore:
    """Open the storage that the settings name; raise BadSettings."""
    if settings.storage in ("file", "sqlite"):
        return SqliteStore(open_folder(Path(settings.storage_options["path"])), settings.storage)
    if settings.storage == "postgresql":
        from strongroom.kms.storage.postgresql import PostgresStore

        options = settings.storage_options
        url = options.get("connection_url") or os.environ.get("BAO_PG_CONNECTION_URL", "")
        url = url or os.environ.get("VAULT_PG_CONNECTION_URL", "")
        return PostgresStore(url, options.get("table") or "strongroom_kms")
    return MemoryStore()


def refuse(status: int, message: str) -> Response:
    """Render net's own refusals in the protocol's form."""
    return json_response(status, error_body([message] if status in (408, 413, 500) else []))


@dataclass(slots=True)
class Running:
    """A started server. port: the first listener's, the one that the system chose included."""

    core: Core
    sealing: Sealing
    servers: list[Server] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    root_token: str = ""
    unseal_key: str = ""

    @property
    def port(self) -> int:
        """Where the first listener listens."""
        return int(self.servers[0].port)

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Finish what runs, seal, close the storage."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.gather(*(server.stop(grace_seconds) for server in self.servers))
        self.sealing.seal()
        self.core.passwords.close()
        await asyncio.to_thread(self.core.store.close)

    def reload(self) -> None:
        """Read certificates again and open audit files anew (SIGHUP)."""
        for server in self.servers:
            if server.tls is not None:
                try:
                    server.tls.reload()
                except BadSettings as error:
                    self.core.warn(f"reload: {error}; the old certificate stays")
        for problem in self.core.audit.reopen():
            self.core.warn(f"reload: {problem}")


def tls_of(listener: Listener) -> TlsContext | None:
    """Return a listener's TLS; raise BadSettings."""
    if listener.tls_disable:
        return None
    narrowed = (listener.tls_min_version, listener.tls_max_version, listener.tls_cipher_suites) != ("1.2", "1.3", "")
    if not (listener.tls_client_ca_file or listener.disable_client_certs or narrowed):
        # clients may show any certificate, which auth/cert judges by itself
        return any_client_tls(listener.tls_cert_file, listener.tls_key_file, require_certificate=False)
    return server_tls(
        listener.tls_cert_file,
        listener.tls_key_file,
        client_ca=listener.tls_client_ca_file or None,
        client_required=listener.require_client_cert,
        min_version="1.3" if listener.tls_min_version == "1.3" else "1.2",
        max_version="1.2" if listener.tls_max_version == "1.2" else "1.3",
        ciphers=listener.tls_cipher_suites,
    )


async def start(settings: Settings, log: Log | None = None) -> Running:
    """Start a server and return it once it accepts requests; raise BadSettings or OSError."""
    log = log or open_log(settings)[0]
    seal = open_seal(settings.seal, settings.seal_options)
    store = open_store(settings)
    core = Core(settings, store, time.time_ns, FACTORIES, seal)
    core.old_seal = open_seal(settings.old_seal, settings.old_seal_options)
    core.write_snapshot, core.read_snapshot, core.spool = snapshot.write, snapshot.read, snapshot.spool
    core.warn, core.info = log.warn, log.info
    core.audit.open_sink, core.review_token = open_sink, review_token
    sealing = Sealing(core)
    running = Running(core, sealing)
    try:
        for listener in settings.listeners:
            running.servers.append(await _listen(core, sealing, listener))
        if isinstance(store, Election):
            core.cluster = member = Member(core, sealing, store, address_of(settings, running.port))
            running.tasks.append(asyncio.create_task(member.run()))
        await _unseal(running)
        if settings.dev:
            await _develop(running)
    except BaseException:
        await running.stop(0)
        raise
    running.tasks.append(asyncio.create_task(_tick(running)))
    return running


async def _unseal(running: Running) -> None:
    """Unseal with the seal outside, if there is one; a server whose seal is away starts sealed and tries again."""
    core = running.core
    try:
        if await running.sealing.unseal_by_itself() and core.cluster is not None:
            await core.cluster.unsealed()
    except Error as error:
        core.warn(f"the server stays sealed: {error}")


def address_of(settings: Settings, port: int) -> str:
    """Return where clients reach this server: api_addr, else the first listener's address."""
    listener = settings.listeners[0]
    host = "127.0.0.1" if listener.host in ("", "0.0.0.0", "::") else listener.host
    return settings.api_addr or f"http{'' if listener.tls_disable else 's'}://{host}:{port}"


async def _listen(core: Core, sealing: Sealing, listener: Listener) -> Server:
    handler: Handler = Pipeline(core, sealing, listener)
    turn_away = refuse
    if listener.forwarded_from or listener.response_headers:
        handler = front = Front(handler, listener)

        def turn_away(status: int, message: str) -> Response:
            return front.dress(refuse(status, message))

    limits = Limits(
        head_seconds=listener.http_read_header_timeout,
        idle_seconds=listener.http_idle_timeout,
        body_stall_seconds=min(listener.http_read_timeout or 30, listener.max_request_duration),
        send_stall_seconds=listener.http_write_timeout or 60,
    )
    try:
        return await listen(
            handler,
            listener.host,
            listener.port,
            tls=tls_of(listener),
            limits=limits,
            verbs=VERBS,
            refuse=turn_away,
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadSettings(f"cannot listen on {listener.host}:{listener.port}: {reason}") from error


async def _tick(running: Running) -> None:
    """Let the core do what time asks for, once a second."""
    core, turn = running.core, 0
    while True:
        await asyncio.sleep(TICK)
        turn += 1
        try:
            ticket = core.tick()
            while ticket is not None:
                await ticket.wait()
                ticket = core.sweep()
            await core.rotate_if_due()
            core.audit.seal()
            if isinstance(core.auto_seal, Renewed):
                await core.auto_seal.renew()
        except Exception as error:  # the next turn comes: tokens must go on to expire
            core.warn(f"background work failed: {error if isinstance(error, Error) else type(error).__name__}")
        if turn % RETRY == 0 and core.unsealed is None and not running.sealing.sealed_by_hand:
            await _unseal(running)


async def _develop(running: Running) -> None:
    """Make a development server ready: one share, unsealed, `secret/` as KV version 2 (vault.md 10.4)."""
    from strongroom.kms.domain.mounts import new_mount

    keys = await running.sealing.init({"secret_shares": 1, "secret_threshold": 1})
    running.root_token, running.unseal_key = keys["root_token"], keys["keys_base64"][0]
    running.sealing.unseal({"key": running.unseal_key})
    core, mount = running.core, new_mount("secret/", "kv", options={"version": "2"}, description="key/value secrets")
    core.live.mounts.add(mount)
    core.live.backends[mount.uuid] = core.backend(mount)
    work = core.work()
    core.save_mounts(work)
    work.commit()


def serve(settings: Settings, reread: Callable[[], Settings] | None = None) -> int:
    """Run a server until SIGTERM or SIGINT; return its exit code.

    SIGHUP reloads certificates, opens audit and log files anew, and takes the log level of what reread returns.
    """
    from strongroom.kms.running import run_server

    return run_server(settings, reread)
