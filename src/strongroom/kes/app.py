"""The key server put together: `start` for programs and tests, `serve` for the command line."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import strongroom
from strongroom.audit.log import AuditLog, FileSink, Sink, StreamSink
from strongroom.crypto.keyciphertext import KeyType
from strongroom.errors import BadSettings, Error
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.errors import KeyExists, KeyNotFound
from strongroom.kes.domain.lifecycle import deleted_entry, iso
from strongroom.kes.domain.policy import Policies
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.domain.records import Moment, StoredKey
from strongroom.kes.domain.settings import MemorySettings, Settings, TlsSettings
from strongroom.kes.handlers.call import Server as ServerParts
from strongroom.kes.handlers.call import State
from strongroom.kes.handlers.counters import Counters
from strongroom.kes.handlers.deletions import Deletions
from strongroom.kes.handlers.entrance import Entrance, refuse
from strongroom.kes.handlers.keyring import Keyring
from strongroom.kes.handlers.loading import maybe
from strongroom.kes.handlers.turns import Turns
from strongroom.kes.handlers.watch import Watch
from strongroom.kes.listener import forwarded_verifier, listener_tls
from strongroom.kes.stores import open_store
from strongroom.net.limits import Limits
from strongroom.net.server import Server, listen
from strongroom.observe.log import Log

__all__ = ["App", "Settings", "development", "serve", "start"]
GRACE_SECONDS = 5.0
RETIRE_SECONDS = 15.0  # that a replaced store stays open: the longest that a route may take (kes.md 1.5)
LIMITS = Limits(head_seconds=5.0, idle_seconds=90.0)  # kes.md 1.1
CERTIFICATE_SECONDS = 900.0  # how often certificate files are read again (kes.md 2.3)


@dataclass(slots=True)
class App:
    """A running key server. `reload` swaps settings; `stop` finishes what runs."""

    entrance: Entrance
    server: Server
    log: Log
    audit: AuditLog
    store: KeyStore
    _tasks: list["asyncio.Task[None]"]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.port)

    @property
    def state(self) -> State:
        """What the last reload made."""
        return self.entrance.state

    async def reload(self, settings: Settings) -> None:
        """Use new settings from the next request on; raise Error, and keep what runs, when they cannot be used.

        The address stays; open connections keep their handshake; the cache starts empty (kes.md 4.5), except that a
        store which does not answer takes no key away that offline mode may serve.
        """
        tls = listener_tls(settings)
        old = self.entrance.state
        state = await _make_state(settings, self.log, old.keyring.changes, _kept(old, settings))
        try:
            audit = self._audit_for(settings)
        except (Error, OSError):
            await _discard(state, old.keyring.store)
            raise
        if not state.watch.read_at and settings.store == old.settings.store:
            state.keyring.fallback.adopt(old.keyring.entries, state.keyring.epoch)
        if self.server.tls is not None:
            self.server.tls.replace(tls)
        self.entrance.replace(state)
        self.log.level = settings.error_level
        self.store = state.keyring.store
        replaced, self.audit, self.entrance.server.audit = self.audit, audit, audit
        if replaced is not audit:
            await asyncio.to_thread(replaced.close)
        await old.watch.end()
        if old.keyring.store is not self.store:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tasks.append(asyncio.create_task(_retire(old)))

    def _audit_for(self, settings: Settings) -> AuditLog:
        """Return the audit log for new settings: the one that is open, or one in its place. Raises BadSettings."""
        old = self.entrance.state.settings
        if (settings.audit_on, settings.audit) == (old.audit_on, old.audit):
            return self.audit
        self.audit.settle()  # the same file may be opened again, and its chain goes on from its last line
        audit = open_audit(settings, self.log)
        audit.take_subscribers(self.audit)
        return audit

    async def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Answer what runs, then end everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in list(self.entrance.server.stopping):
            end()
        await self.state.watch.stop()
        await self.server.stop(grace_seconds)
        await self.state.keyring.store.close()
        if self.audit.active:
            self.audit.add(f'{{"time":"{iso(time.time())}","event":"stopped"')
        self.audit.close()


async def start(settings: Settings, *, log: Log | None = None) -> App:
    """Open the store, make the predefined keys, listen. Raises Error, or OSError for the address."""
    log = log or Log(settings.error_level)
    tls = listener_tls(settings)
    state = await _make_state(settings, log, Turns())
    audit: AuditLog | None = None
    try:
        audit = open_audit(settings, log)
        parts = ServerParts(strongroom.__version__, log, audit, Counters())
        entrance = Entrance(parts, state)
        server = await listen(entrance, settings.host, settings.port, tls=tls, limits=LIMITS, refuse=refuse)
    except (Error, OSError):
        await state.watch.stop()
        await state.keyring.store.close()
        if audit is not None:
            audit.close()
        raise
    app = App(entrance, server, log, audit, state.keyring.store, [])
    app._tasks.append(asyncio.create_task(_every_second(app)))
    return app


def _kept(old: State, settings: Settings) -> KeyStore | None:
    """Return the store that a reload goes on with: one in memory, which would be empty if it were made anew."""
    in_memory = isinstance(old.settings.store, MemorySettings) and isinstance(settings.store, MemorySettings)
    return old.keyring.store if in_memory else None


async def _retire(old: State) -> None:
    """Close the store of a state that was replaced, once the requests that use it have had their time."""
    try:
        await asyncio.sleep(RETIRE_SECONDS)
    finally:
        await old.keyring.stop()
        await old.keyring.store.close()


async def _make_state(settings: Settings, log: Log, changes: Turns, kept: KeyStore | None = None) -> State:
    policies, verify = Policies.of(settings.admin, settings.policies), forwarded_verifier(settings)
    store = kept or await open_store(settings.store, log.warn)
    keyring = Keyring(store, log.warn, changes=changes)
    watch = Watch(keyring, settings.cache, settings.lock, log)
    try:
        await watch.start()
        watch.every(max(settings.lock.within, 0.1), Deletions(keyring, watch).finish)
        await _make_keys(settings, keyring)
    except BaseException:
        await watch.stop()
        if store is not kept:
            await store.close()
        raise
    return State(settings, policies, keyring, watch, iso(time.time()), verify)


async def _discard(state: State, kept: KeyStore) -> None:
    """End a state that never came into use; kept is a store that another one goes on with."""
    await state.watch.stop()
    if state.keyring.store is not kept:
        await state.keyring.store.close()


async def _make_keys(settings: Settings, keyring: Keyring) -> None:
    """Create the predefined keys that are absent; one that was deleted stays so."""
    for name in settings.keys:
        async with keyring.changes.of(name):
            await _make_key(name, settings.admin, keyring)


async def _make_key(name: str, admin: str, keyring: Keyring) -> None:
    try:
        await keyring.store.get(name)
    except KeyNotFound:
        if await maybe(keyring.store, deleted_entry(name), keyring.warn) is not None:
            return
        created_at = Moment(*divmod(time.time_ns(), 10**9))
        stored = StoredKey(os.urandom(32), KeyType.AES256, os.urandom(32), created_at, admin)
        with contextlib.suppress(KeyExists):  # another server was faster
            await keyring.store.create(name, storedkey.encode(stored))


def open_audit(settings: Settings, log: Log) -> AuditLog:
    """Open the sink that the settings name, and the key that seals its checkpoints. Raises BadSettings."""
    wanted, key = settings.audit, b""
    sink: Sink | None = None
    if settings.audit_on and wanted.file:
        file = FileSink(wanted.file, rotate_bytes=wanted.rotate_bytes, keep=wanted.keep)
        sink, key = file, audit_key(wanted.key_file or wanted.file + ".key")
    elif settings.audit_on:
        sink = StreamSink()
    audit = AuditLog(sink, key=key, refuse_when_full=wanted.refuse_when_full, warn=log.error)
    if sink is not None:
        audit.add(f'{{"time":"{iso(time.time())}","event":"started","prev":"{audit.head}"')
    return audit


def audit_key(path: str) -> bytes:
    """Return the 32 bytes of a checkpoint key file, made with mode 0600 if it is missing. Raises BadSettings."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        key = Path(path).read_bytes()
        if len(key) != 32:
            raise BadSettings(f"audit key {path}: not 32 bytes") from None
        return key
    except OSError as error:
        raise BadSettings(f"audit key {path}: {error.strerror}") from error
    key = os.urandom(32)
    with open(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


async def _every_second(app: App) -> None:
    """Seal the audit log each second; read the certificate again each quarter of an hour."""
    certificate_at = time.monotonic() + CERTIFICATE_SECONDS
    while True:
        app.state.keyring.now = time.time()
        await asyncio.sleep(1)
        try:
            app.audit.checkpoint(iso(time.time()))
        except Exception as error:  # whatever it is, the next second is tried
            app.log.error(str(error) or type(error).__name__)
        if time.monotonic() >= certificate_at and app.server.tls is not None:
            certificate_at = time.monotonic() + CERTIFICATE_SECONDS
            try:
                app.server.tls.reload()
            except Exception as error:  # the certificate that is there stays
                app.log.error(f"failed to read the TLS certificate again: {error}")


def development(host: str, port: int, admin: str, cert: str, key: str) -> Settings:
    """Return settings that keep keys in memory."""
    return Settings(host=host, port=port, admin=admin, tls=TlsSettings(key, cert), store=MemorySettings())


def serve(
    settings: Settings,
    reload: Callable[[], Settings] | None = None,
    *,
    ready: Callable[[Settings, int], None] | None = None,
) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP, and a change of one of `settings.files`, reads the settings again.

    ready is called with the settings in use and the port, once requests are accepted and after each reload.
    """
    from strongroom.kes.running import run_server

    return run_server(settings, reload, ready)
