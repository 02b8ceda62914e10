"""Finishes deletions that are due, also when nobody asks for the key any more (docs/formats/kes-key-states.md)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from strongroom.kes.domain.errors import KeyNotFound, StoreFailed, StoreShut
from strongroom.kes.domain.lifecycle import deletion_entry
from strongroom.kes.handlers.dates import deletion_of, value_of
from strongroom.kes.handlers.keyring import Keyring
from strongroom.kes.handlers.keys import PAGE
from strongroom.kes.handlers.making import erase
from strongroom.kes.handlers.watch import Watch

LIST_SECONDS = 600.0  # between two searches of the whole store for keys that wait
AGAIN_SECONDS = 60.0  # before a deletion that failed, or that a clock speaks against, is tried again
_SUFFIX = deletion_entry("")


@dataclass(slots=True)
class Deletions:
    """Deletions that this server knows of: of keys in its cache, and of all keys of a store that it may list.

    now() is in seconds since 1970. Several servers of one store may finish the same deletion.
    """

    keyring: Keyring
    watch: Watch
    now: Callable[[], float] = time.time
    _due: dict[str, float] = field(default_factory=dict)
    _later: dict[str, float] = field(default_factory=dict)  # monotonic: not to be tried before
    _listed_at: float | None = None  # monotonic

    async def finish(self) -> None:
        """Delete what is due. Raises what the store raises when it is away; then the next call goes on.

        What fails with one key alone is told to the operator, and keeps no other key from its deletion.
        """
        if self._listed_at is None or time.monotonic() - self._listed_at >= LIST_SECONDS:
            await self._search()
        for name, entry in self.keyring.entries.items():
            if entry.key.deletion is not None:
                self._due[name] = entry.key.deletion.due
        for name in [name for name, due in self._due.items() if due <= self.now() and self._may_try(name)]:
            await self._try(name)

    async def _search(self) -> None:
        after = ""
        try:
            while page := await self.keyring.store.names("", after, PAGE):
                for entry in page:
                    if entry.endswith(_SUFFIX):
                        self._due[entry.removesuffix(_SUFFIX)] = 0.0  # to be looked at
                after = page[-1]
        except StoreShut:
            raise
        except StoreFailed as error:  # a policy without the right to list, as the first guide's
            self.watch.log.debug(f"keys that wait for their deletion cannot be listed: {error}")
        self._listed_at = time.monotonic()

    def _may_try(self, name: str) -> bool:
        return self._later.get(name, 0.0) <= time.monotonic()

    async def _try(self, name: str) -> None:
        try:
            async with self.keyring.changes.of(name):
                await self._finish(name)
        except StoreShut:
            raise
        except StoreFailed as error:
            self._later[name] = time.monotonic() + AGAIN_SECONDS
            self.watch.log.error(f"key '{name}' cannot be deleted, although its time has come: {error}")

    async def _finish(self, name: str) -> None:
        store = self.keyring.store
        deletion = await deletion_of(lambda entry: value_of(store, entry), name)
        if deletion is None:
            self._forget(name)  # restored
            return
        self._due[name] = deletion.due
        if deletion.due > self.now():
            return  # put off, or only now found
        if not deletion.is_due(self.now(), store.clock_ahead):
            self._later[name] = time.monotonic() + AGAIN_SECONDS
            words = f"our clock is {store.clock_ahead:.0f} s ahead of the key store's"
            self.watch.log.warn(f"key '{name}' is not deleted yet: {words}")
            return
        try:
            await erase(self.keyring, self.watch, name, deletion.by, self.now())
            self.watch.log.info(f"key '{name}' was deleted: its time had come")
        except KeyNotFound:
            self.watch.log.debug(f"key '{name}' is gone already")
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._due.pop(name, None)
        self._later.pop(name, None)
