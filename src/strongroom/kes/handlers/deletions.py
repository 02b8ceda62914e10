"""Finishes deletions that are due, also when nobody asks for the key any more (docs/formats/kes-key-states.md)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from strongroom.kes.domain.errors import KeyNotFound, StoreFailed
from strongroom.kes.domain.lifecycle import Deletion, decode_entry, deletion_entry
from strongroom.kes.handlers.keyring import Keyring
from strongroom.kes.handlers.keys import PAGE
from strongroom.kes.handlers.making import erase
from strongroom.kes.handlers.watch import Watch

LIST_SECONDS = 600.0  # between two searches of the whole store for keys that wait
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
    _listed_at: float | None = None  # monotonic

    async def finish(self) -> None:
        """Delete what is due. Raises what the store raises; what was not reached stays for the next call."""
        if self._listed_at is None or time.monotonic() - self._listed_at >= LIST_SECONDS:
            await self._search()
        for name, entry in self.keyring.entries.items():
            if entry.key.deletion is not None:
                self._due[name] = entry.key.deletion.due
        for name in [name for name, due in self._due.items() if due <= self.now()]:
            async with self.keyring.changes.of(name):
                await self._finish(name)

    async def _search(self) -> None:
        after = ""
        try:
            while page := await self.keyring.store.names("", after, PAGE):
                for entry in page:
                    if entry.endswith(_SUFFIX):
                        await self._note(entry.removesuffix(_SUFFIX))
                after = page[-1]
        except StoreFailed as error:  # a policy without the right to list, as the first guide's
            self.watch.log.debug(f"keys that wait for their deletion cannot be listed: {error}")
        self._listed_at = time.monotonic()

    async def _note(self, name: str) -> Deletion | None:
        """Remember when a key is due as the store has it now."""
        try:
            found = decode_entry(await self.keyring.store.get(deletion_entry(name)), Deletion)
        except KeyNotFound:
            self._due.pop(name, None)
            return None
        self._due[name] = found.due
        return found

    async def _finish(self, name: str) -> None:
        deletion = await self._note(name)
        if deletion is None or deletion.due > self.now():
            return  # restored, or put off
        try:
            await erase(self.keyring, self.watch, name, deletion.by, self.now())
            self.watch.log.info(f"key '{name}' was deleted: its time had come")
        except KeyNotFound:
            self.watch.log.debug(f"key '{name}' is gone already")
        self._due.pop(name, None)
