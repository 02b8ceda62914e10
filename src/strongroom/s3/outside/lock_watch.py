"""Cuts running reads when their key is locked, also when that happened while no key server told of it."""

import asyncio
import logging
from typing import Protocol

from strongroom.errors import Error
from strongroom.s3.domain.key_errors import KeyDisabled, KeyNotFound
from strongroom.s3.domain.ports import DataKeys

log = logging.getLogger("strongroom.s3")


class Reads(Protocol):
    """The reads that are under way."""

    @property
    def keys(self) -> list[str]:
        """The keys that reads are running under."""

    def cut(self, key_name: str) -> int:
        """End the reads under a key; return how many."""


class LockWatch:
    """What `KeyEvents.locked` is to be. keys: not cached."""

    def __init__(self, reads: Reads, keys: DataKeys) -> None:
        self._reads = reads
        self._keys = keys
        self._asking: asyncio.Task[None] | None = None

    def locked(self, key_name: str) -> None:
        """Cut the reads under a key; with "" ask about every key that reads are running under."""
        if key_name:
            self._cut(key_name)
        elif self._reads.keys and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        for name in self._reads.keys:
            try:
                await self._keys.generate(name, b"{}")
            except (KeyDisabled, KeyNotFound):
                self._cut(name)
            except Error as error:
                log.debug("key %s: %s", name, error)

    def _cut(self, key_name: str) -> None:
        count = self._reads.cut(key_name)
        if count:
            log.warning("key %s was locked: %d running reads are cut", key_name, count)
