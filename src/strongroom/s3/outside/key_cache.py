"""A cache of opened data keys, and the Bucket Keys: DataKeys before other DataKeys (architecture.md 2, 9; 7).

Keys are kept in memory only, no longer than `keep_seconds()` says at the moment of use: minutes while the key
service tells us of locks, `lock_within` when it does not, so that the bound on a lock holds by time alone.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from strongroom.crypto.secret import Secret
from strongroom.s3.domain.ports import DataKey, DataKeys

T = TypeVar("T", Secret, DataKey)
Place = tuple[str, bytes, bytes]  # key name, ciphertext (b"" in a request for a new key), context


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: T
    made: float


class _Shelf(Generic[T]):
    """Values by place: the least recently used goes first, and what is asked for twice at once is fetched once."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._kept: OrderedDict[Place, _Kept[T]] = OrderedDict()
        self._coming: dict[Place, asyncio.Future[T]] = {}

    def get(self, place: Place, oldest: float) -> T | None:
        """Return a value that was made after `oldest`."""
        kept = self._kept.get(place)
        if kept is None:
            return None
        if kept.made <= oldest:
            del self._kept[place]
            return None
        self._kept.move_to_end(place)
        return kept.value

    def put(self, place: Place, made: float, value: T) -> None:
        """Keep a value."""
        self._kept[place] = _Kept(value, made)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    async def fetch(self, place: Place, made: float, source: Callable[[], Awaitable[T]]) -> T:
        """Return what source makes; those who come while it is being made wait for the same."""
        coming = self._coming.get(place)
        while coming is not None:
            try:
                return await asyncio.shield(coming)
            except asyncio.CancelledError:
                if not coming.cancelled():
                    raise  # it is us who are cancelled; whoever fetches goes on
            coming = self._coming.get(place)
        future = self._coming[place] = asyncio.get_running_loop().create_future()
        try:
            value = await source()
        except BaseException as error:
            self._settle(place, future)
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # looked at, also when nobody else waits
            else:
                future.cancel()
            raise
        if self._settle(place, future):  # not forgotten meanwhile
            self.put(place, made, value)
        future.set_result(value)
        return value

    def _settle(self, place: Place, future: "asyncio.Future[T]") -> bool:
        if self._coming.get(place) is not future:
            return False
        del self._coming[place]
        return True

    def forget(self, key_name: str | None) -> None:
        """Drop what belongs to a key, also what is on its way; None: everything."""
        for shelf in (self._kept, self._coming):
            for place in [place for place in shelf if key_name is None or place[0] == key_name]:
                shelf.pop(place, None)

    def __len__(self) -> int:
        return len(self._kept)


class CachedKeys:
    """DataKeys that remember. now() is monotonic seconds."""

    def __init__(
        self,
        keys: DataKeys,
        default_key: str,
        now: Callable[[], float],
        keep_seconds: Callable[[], float],
        entries: int = 10_000,
    ) -> None:
        self._keys = keys
        self._default = default_key
        self._now = now
        self._keep_seconds = keep_seconds
        self._opened: _Shelf[Secret] = _Shelf(entries)
        self._shared: _Shelf[DataKey] = _Shelf(entries)

    async def generate(self, key_name: str, context: bytes, *, shared: bool = False) -> DataKey:
        """Make a data key, or return a shared one that is young enough."""
        name = key_name or self._default
        if not shared:
            return await self._keys.generate(name, context)
        found = self.kept_shared(name, context)
        if found is None:
            now, place = self._now(), (name, b"", context)
            found = await self._shared.fetch(place, now, lambda: self._keys.generate(name, context))
            if self._shared.get(place, now - 1.0) is found:  # not forgotten meanwhile; who writes reads soon
                self._opened.put((name, found.ciphertext, context), now, found.plaintext)
        return found

    async def unseal(self, key_name: str, ciphertext: bytes, context: bytes) -> Secret:
        """Open a data key, or return one that was opened a short while ago."""
        name = key_name or self._default
        now, place = self._now(), (name, ciphertext, context)
        found = self._opened.get(place, now - self._keep_seconds())
        if found is None:
            found = await self._opened.fetch(place, now, lambda: self._keys.unseal(name, ciphertext, context))
        return found

    def kept(self, key_name: str, ciphertext: bytes, context: bytes, *, use: bool = False) -> Secret | None:
        """Return a data key that was opened a short while ago."""
        return self._opened.get((key_name or self._default, ciphertext, context), self._now() - self._keep_seconds())

    def kept_shared(self, key_name: str, context: bytes) -> DataKey | None:
        """Return the Bucket Key of this context, if one is young enough."""
        return self._shared.get((key_name or self._default, b"", context), self._now() - self._keep_seconds())

    def forget(self, key_name: str | None = None) -> None:
        """Drop every data key of a key that was locked, deleted or rotated; without a name, all."""
        self._opened.forget(key_name)
        self._shared.forget(key_name)

    @property
    def size(self) -> int:
        """How many data keys are in memory."""
        return len(self._opened) + len(self._shared)
