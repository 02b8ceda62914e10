"""Counts and times every use of a data key, for operators and metrics (sse.md 12.2, 13)."""

import time
from bisect import bisect_right
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from strongroom.crypto.secret import Secret
from strongroom.errors import Error, Unavailable
from strongroom.s3.domain.key_errors import KeyServiceFailed
from strongroom.s3.domain.ports import DataKey, DataKeys

T = TypeVar("T")
BOUNDS_MS = (10, 50, 100, 250, 500, 1000, 1500, 3000, 5000, 10000)


class CountedKeys:
    """DataKeys around others; `success`, `error`, `failure` and `histogram()` tell what happened."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys
        self.success = self.error = self.failure = 0
        self._slots = [0] * (len(BOUNDS_MS) + 1)

    async def generate(self, key_name: str, context: bytes, *, shared: bool = False) -> DataKey:
        """Make a data key; raises what the others raise."""
        return await self._count(self._keys.generate(key_name, context, shared=shared))

    async def unseal(self, key_name: str, ciphertext: bytes, context: bytes) -> Secret:
        """Open a data key; raises what the others raise."""
        return await self._count(self._keys.unseal(key_name, ciphertext, context))

    def kept(self, key_name: str, ciphertext: bytes, context: bytes, *, use: bool = False) -> Secret | None:
        """Return what the others keep."""
        found = self._keys.kept(key_name, ciphertext, context)
        return self._at_once(found) if use else found

    def kept_shared(self, key_name: str, context: bytes) -> DataKey | None:
        """Return what the others keep."""
        return self._at_once(self._keys.kept_shared(key_name, context))

    def _at_once(self, found: T | None) -> T | None:
        if found is not None:
            self.success += 1
            self._slots[0] += 1
        return found

    async def _count(self, use: Awaitable[T]) -> T:
        begun = time.perf_counter_ns()
        try:
            result = await use
        except (Unavailable, KeyServiceFailed):
            self.failure += 1
            raise
        except Error:
            self.error += 1
            raise
        else:
            self.success += 1
            return result
        finally:
            milliseconds = (time.perf_counter_ns() - begun) // 1_000_000
            self._slots[bisect_right(BOUNDS_MS, milliseconds)] += 1

    def histogram(self) -> Mapping[str, int]:
        """Return nanoseconds, as text, → uses that took at most so long; cumulative."""
        counts, total = {}, 0
        for bound, slot in zip(BOUNDS_MS, self._slots, strict=False):
            total += slot
            counts[str(bound * 1_000_000)] = total
        return counts
