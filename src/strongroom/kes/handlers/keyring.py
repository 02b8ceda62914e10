"""Master keys in memory: fetched once, kept for a while, and never used in a state that the store has since changed.

Every entry carries the epoch it was read under. The watch raises the epoch when `generation-` changed, and an entry of
an older epoch is read again before it is used, so that finding out costs one comparison per request.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from strongroom.errors import Unavailable
from strongroom.kes.domain.errors import KeyNotFound, StoreDenied, StoredKeyDamaged, StoreUnreachable
from strongroom.kes.domain.lifecycle import (
    KeyVersion,
    MasterKey,
)
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.handlers.fallback import PATIENCE_SECONDS, Entry, Fallback
from strongroom.kes.handlers.loading import load
from strongroom.kes.handlers.turns import Turns
from strongroom.kes.wire import headers as wire_headers

Log = Callable[[str], None]


@dataclass(slots=True)
class Keyring:
    """The cache of one key store. `entries` is read directly by the hot path."""

    store: KeyStore
    warn: Log = field(default=lambda text: None)
    noticed: Callable[[MasterKey, MasterKey | None], None] = field(default=lambda old, new: None)  # what others changed
    entries: dict[str, Entry] = field(default_factory=dict)
    epoch: int = 0
    generation: str = "0"  # as in Generation.text
    with_states: bool = True  # False: the store has never had a state, so that one read fetches a key
    now: float = 0.0  # seconds since 1970, set once a second: exact enough for `last_used`
    fallback: Fallback = field(default_factory=Fallback)
    hits: int = 0
    misses: int = 0
    changes: Turns = field(default_factory=Turns)  # held while a key is made, changed or deleted
    _fetches: Turns = field(default_factory=Turns)
    _warned: set[str] = field(default_factory=set)
    _reads: dict[str, "asyncio.Task[Entry]"] = field(default_factory=dict)  # that nobody may be waiting for

    def cached(self, name: str) -> MasterKey | None:
        """Return a key that may be used now without asking the store, and mark it used."""
        entry = self.entries.get(name)
        if entry is None or entry.epoch != self.epoch:
            return None
        entry.used = True
        entry.last_used = self.now
        self.hits += 1
        return entry.key

    async def get(self, name: str) -> MasterKey:
        """Return a key, from the store if need be; many calls for one name make one fetch. Raises KeyNotFound."""
        key = self.cached(name)
        if key is not None:
            return key
        async with self._fetches.of(name):
            return await self._fetch(name)

    async def reread(self, name: str) -> MasterKey:
        """Read a key again although it is cached. Raises KeyNotFound, and forgets it then."""
        async with self._fetches.of(name):
            return await self._fetch(name, force=True)

    def forget(self, name: str) -> None:
        """Drop a key that was changed or deleted, also as a fallback."""
        self.entries.pop(name, None)
        self.fallback.forget(name, self.epoch)

    def drop_all(self) -> None:
        """Drop every key: the `any` timer's work."""
        self.fallback.keep(self.entries)
        self.entries = {}

    def drop_unused(self) -> None:
        """Drop what was not used since the last call: the `unused` timer's work, every half interval."""
        self.fallback.keep({name: entry for name, entry in self.entries.items() if not entry.used})
        self.entries = {name: entry for name, entry in self.entries.items() if entry.used}
        for entry in self.entries.values():
            entry.used = False

    def forget_all(self) -> None:
        """Forget every key, also as a fallback: offline mode has lasted as long as it may."""
        self.entries = {}
        self.fallback.clear()

    def drop_doubted(self, before: float) -> None:
        """Drop the keys that could not be read again since before (monotonic seconds)."""
        late = [name for name, entry in self.entries.items() if entry.doubted and entry.doubted <= before]
        for name in late:
            del self.entries[name]

    def store_answers(self) -> None:
        """Have every key that was served in doubt read again before its next use."""
        self.fallback.away = False
        for entry in self.entries.values():
            if entry.doubted:
                entry.epoch = -1

    async def stop(self) -> None:
        """End the reads that nobody waits for."""
        reads = list(self._reads.values())
        for task in reads:
            task.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    async def _fetch(self, name: str, *, force: bool = False) -> MasterKey:
        """Return the key as the store has it; without force, the last known one if the store does not answer."""
        if not force and (key := self.cached(name)) is not None:
            return key
        last = None if force else self.fallback.last_known(name, self.entries.get(name), self.epoch)
        if last is None:
            return (await self._read(name)).key
        if self.fallback.away:
            return self._doubt(name, last)
        return await self._read_or(name, last)

    async def _read_or(self, name: str, last: Entry) -> MasterKey:
        """Read a key; serve the last known one when the store fails, or takes too long: the read then goes on."""
        task = self._reads.get(name)
        if task is None:
            task = self._reads[name] = asyncio.create_task(self._read(name))
            task.add_done_callback(lambda task: self._ended(name, task))
            await asyncio.wait((task,), timeout=PATIENCE_SECONDS)
        if task.done():
            try:
                return await self._still_there(name, task.result())
            except (StoreDenied, StoredKeyDamaged):
                raise
            except Unavailable as error:
                self.fallback.alarm(f"key '{name}' cannot be read: {error}")
        else:
            self.fallback.alarm(f"key '{name}' was not read within {PATIENCE_SECONDS:g} s")
        if self.fallback.is_barred(name, last):  # changed here meanwhile
            raise StoreUnreachable(f"the new state of key '{name}' cannot be read")
        return self._doubt(name, last)

    async def _still_there(self, name: str, entry: Entry) -> MasterKey:
        """Return the key of a read that has ended; a timer or a change may have dropped it before we came to know."""
        if name not in self.entries:
            if self.fallback.is_barred(name, entry):
                return (await self._read(name)).key
            self.entries[name] = entry
        return entry.key

    def _ended(self, name: str, task: "asyncio.Task[Entry]") -> None:
        self._reads.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waited was told

    def _doubt(self, name: str, last: Entry) -> MasterKey:
        """Serve a key until the store answers (`store_answers`), or for `cache.expiry.offline` at most."""
        last.doubted = last.doubted or time.monotonic()
        last.epoch = self.epoch
        last.used, last.last_used = True, self.now
        self.entries[name] = last
        return last.key

    async def _read(self, name: str) -> Entry:
        """Ask the store and keep what it says. A caller that awaits this finds the entry, until it awaits again."""
        self.misses += 1
        epoch, generation = self.epoch, self.generation  # before reading: a later change makes this entry old at once
        try:
            key = await load(self.store, name, with_states=self.with_states, warn=self.warn_once)
        except KeyNotFound:
            gone = self.entries.get(name)
            if gone is not None and gone.read_under > epoch:
                return gone  # made again: a read that began later has ended before
            if gone is not None:
                del self.entries[name]
                self.noticed(gone.key, None)
            self.fallback.confirmed(name, epoch)
            raise
        old = self.entries.get(name)
        if old is not None:
            if old.read_under > epoch:
                return old  # a read that began later has ended before
            self.noticed(old.key, key)
        last_used = old.last_used if old else 0.0
        headers = answer_headers(key.current, generation)
        entry = self.entries[name] = Entry(key, epoch, headers, last_used=last_used, read_under=epoch)
        self.fallback.confirmed(name, epoch)
        return entry

    def warn_once(self, text: str) -> None:
        """Tell the operator something that would otherwise be told again and again."""
        if text not in self._warned and len(self._warned) < 1000:
            self._warned.add(text)
            self.warn(text)


def answer_headers(version: KeyVersion, generation: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of a JSON answer that a key's version sealed or opened."""
    return (
        ("Content-Type", "application/json"),
        (wire_headers.VERSION, str(version.number)),
        (wire_headers.FINGERPRINT, version.fingerprint),
        (wire_headers.GENERATION, generation),
    )
