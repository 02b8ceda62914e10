"""Sealed entries with a cache and units of work: what a request reads and writes, as one atomic batch.

Everything runs in the event loop's thread, so a request that computes without waiting sees no other in between.
A write is visible to later requests at once; who reads it before it is durable waits for it before answering.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from strongroom.errors import Tampered, Unavailable
from strongroom.kms.domain.barrier import Keyring
from strongroom.kms.domain.ports import EntryStore, Write

CACHE_ENTRIES = 32768
CACHE_BYTES = 64 * 1024 * 1024  # of keys and values that are kept
LARGEST = 1024 * 1024  # bytes of a value that is kept after it was read
MISSING = object()


class Entries:
    """The entries of an unsealed server, in clear, over a store of sealed ones."""

    def __init__(self, store: EntryStore, keyring: Keyring) -> None:
        self.store = store
        self.keyring = keyring
        self.failed: BaseException | None = None
        self._cache: OrderedDict[str, bytes | None] = OrderedDict()
        self._held = 0  # bytes in the cache
        self._pending: dict[str, Ticket] = {}

    def get(self, key: str) -> bytes | None:
        """Return the plaintext of an entry, None if there is none; raise Tampered."""
        value = self._cache.get(key, MISSING)
        if value is not MISSING:
            return value  # type: ignore[return-value]
        sealed = self.store.get(key)
        plain = None if sealed is None else self.keyring.open(key, sealed)
        if plain is None or len(plain) <= LARGEST:
            self._remember(key, plain)
            if self._full():
                self._shrink()
        return plain

    def waits(self, key: str) -> "Ticket | None":
        """Return the ticket of a write to key that is not durable yet."""
        return self._pending.get(key)

    def pending(self) -> "list[tuple[str, Ticket]]":
        """Return the keys with a write that is not durable yet."""
        return list(self._pending.items())

    def cached(self, key: str) -> bytes | None:
        """Return what the newest write left for a key that is pending."""
        return self._cache.get(key)

    def _remember(self, key: str, value: bytes | None) -> None:
        self._drop(key)
        self._cache[key] = value
        self._held += len(key) + (0 if value is None else len(value))

    def _full(self) -> bool:
        return len(self._cache) > CACHE_ENTRIES or self._held > CACHE_BYTES

    def _drop(self, key: str) -> None:
        value = self._cache.pop(key, MISSING)
        if value is not MISSING:
            self._held -= len(key) + (0 if value is None else len(value))  # type: ignore[arg-type]

    def _shrink(self) -> None:
        """Drop the oldest eighth, but nothing that is not durable yet: the storage does not have it."""
        entries, held = CACHE_ENTRIES - CACHE_ENTRIES // 8, CACHE_BYTES - CACHE_BYTES // 8
        for old in list(islice(self._cache, CACHE_ENTRIES // 4)):
            if len(self._cache) <= entries and self._held <= held:
                break
            if old not in self._pending:
                self._drop(old)

    def commit(self, writes: "dict[str, Write]", raw: "Sequence[Write]" = ()) -> "Ticket":
        """Queue the batch, with writes that are not under the barrier; the ticket is done when it is durable."""
        if self.failed is not None:
            raise Unavailable("storage failed earlier; restart the server") from self.failed
        ticket = Ticket()
        sealed = list(raw)
        for key, write in writes.items():
            self._pending[key] = ticket
            self._remember(key, write.value)
            value = None if write.value is None else self.keyring.seal(key, write.value)
            sealed.append(Write(key, value, write.erase))
        if self._full():
            self._shrink()
        self.store.submit(sealed, lambda error: self._settle(ticket, list(writes), error))
        return ticket

    def _settle(self, ticket: "Ticket", keys: list[str], error: BaseException | None) -> None:
        for key in keys:
            if self._pending.get(key) is ticket:
                del self._pending[key]
                if error is not None:
                    self._drop(key)
        if error is not None:
            self.failed = error
        ticket.finish(error)

    def forget(self) -> None:
        """Drop every plaintext (at seal)."""
        self._cache.clear()
        self._held = 0


class Ticket:
    """A batch on its way to the disk: `done` when it is durable, or failed."""

    __slots__ = ("_waiters", "done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: BaseException | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def finish(self, error: BaseException | None) -> None:
        """Mark as durable, or failed, and wake those who wait."""
        self.done, self.error = True, error
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Return once durable; raise Unavailable if the batch failed."""
        if not self.done:
            waiter = asyncio.get_running_loop().create_future()  # one each: cancelling a request cancels its own only
            self._waiters.append(waiter)
            await waiter
        if self.error is not None:
            raise Unavailable("a write did not reach the storage") from self.error


class Work:
    """What one request reads and writes; `commit` sends the writes as one batch."""

    __slots__ = ("_writes", "entries", "waiting")

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self.waiting: list[Ticket] = []
        self._writes: dict[str, Write] = {}

    def get(self, key: str) -> bytes | None:
        """Return an entry as this request sees it."""
        if self._writes:
            write = self._writes.get(key)
            if write is not None:
                return write.value
        entries = self.entries
        if entries._pending:
            ticket = entries._pending.get(key)
            if ticket is not None:
                self.waiting.append(ticket)
        return entries.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Store value under key."""
        self._writes[key] = Write(key, value)

    def delete(self, key: str, *, erase: bool = False) -> None:
        """Remove key; erase: no byte of it may stay in the files."""
        self._writes[key] = Write(key, None, erase)

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below prefix, this request's and pending writes included."""
        changes = [(key, self.entries.cached(key)) for key, _ in self.entries.pending() if key.startswith(prefix)]
        if changes:
            self.waiting += [ticket for key, ticket in self.entries.pending() if key.startswith(prefix)]
        changes += [(key, write.value) for key, write in self._writes.items() if key.startswith(prefix)]
        names = self.entries.store.names(prefix)
        return names if not changes else self._merged(prefix, names, dict(changes))

    def _merged(self, prefix: str, names: list[str], changes: dict[str, bytes | None]) -> list[str]:
        found = set(names)
        for key, value in changes.items():
            head, slash, _ = key[len(prefix) :].partition("/")
            name = head + slash
            if value is not None:
                found.add(name)
            elif not slash or not any(
                changes.get(k, b"") is not None for k in self.entries.store.keys(prefix + name, "", 1000)
            ):
                found.discard(name)
        return sorted(found, key=str.encode)

    def walk(self, prefix: str) -> list[str]:
        """Return every key below prefix, in byte order."""
        found: set[str] = set()
        after = ""
        while page := self.entries.store.keys(prefix, after, 1000):
            found.update(page)
            after = page[-1]
        for key, _ in self.entries.pending():
            if key.startswith(prefix):
                (found.discard if self.entries.cached(key) is None else found.add)(key)
        for key, write in self._writes.items():
            if key.startswith(prefix):
                (found.discard if write.value is None else found.add)(key)
        return sorted(found, key=str.encode)

    def commit(self) -> Ticket | None:
        """Queue this request's writes; None when there are none."""
        if not self._writes:
            return None
        return self.entries.commit(self.take())

    def take(self) -> dict[str, Write]:
        """Return the collected writes and forget them."""
        writes, self._writes = self._writes, {}
        return writes

    @property
    def changed(self) -> bool:
        """Whether there are writes that were not committed."""
        return bool(self._writes)

    def discard(self) -> None:
        """Forget the writes of a request that failed."""
        self._writes.clear()

    def load(self, key: str, kind: type[Any]) -> Any:
        """Return a record of the given msgspec type, None if there is none; raise Tampered for foreign bytes."""
        data = self.get(key)
        if data is None:
            return None
        try:
            return msgspec.msgpack.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise Tampered(f"{key}: not a {kind.__name__}") from error

    def store(self, key: str, record: Any) -> None:
        """Store a msgspec record."""
        self.put(key, msgspec.msgpack.encode(record))


class View:
    """The part of a Work below a prefix: all that one mount can reach."""

    __slots__ = ("prefix", "work")

    def __init__(self, work: Work, prefix: str) -> None:
        self.work = work
        self.prefix = prefix

    def get(self, key: str) -> bytes | None:
        """Return an entry of this mount."""
        return self.work.get(self.prefix + key)

    def put(self, key: str, value: bytes) -> None:
        """Store an entry of this mount."""
        self.work.put(self.prefix + key, value)

    def delete(self, key: str, *, erase: bool = False) -> None:
        """Remove an entry of this mount."""
        self.work.delete(self.prefix + key, erase=erase)

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below prefix."""
        return self.work.names(self.prefix + prefix)

    def walk(self, prefix: str) -> list[str]:
        """Return every key below prefix, without the mount's own prefix."""
        cut = len(self.prefix)
        return [key[cut:] for key in self.work.walk(self.prefix + prefix)]

    def load(self, key: str, kind: type[Any]) -> Any:
        """Return a record of this mount, None if there is none."""
        return self.work.load(self.prefix + key, kind)

    def store(self, key: str, record: Any) -> None:
        """Store a record of this mount."""
        self.work.store(self.prefix + key, record)
