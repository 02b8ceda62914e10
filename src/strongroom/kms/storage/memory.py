"""Entries in memory: tests and development."""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence

from strongroom.kms.domain.ports import Done, Write


def children(keys: Iterable[str], prefix: str) -> list[str]:
    """Return the names directly below prefix of sorted keys, each once, folders with `/`."""
    cut = len(prefix)
    names = {head + slash for head, slash, _ in (key[cut:].partition("/") for key in keys)}
    return sorted(names, key=str.encode)


class MemoryStore:
    """An EntryStore that lives and dies with the process."""

    kind = "inmem"

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._order: list[bytes] = []

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""
        return self._values.get(key)

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return up to limit keys below prefix after `after`, in byte order."""
        start = bisect_right(self._order, max(after, "").encode()) if after else 0
        head, found = prefix.encode(), []
        start = max(start, bisect_right(self._order, head) - 1 if prefix else 0, 0)
        for key in self._order[start:]:
            if key.startswith(head):
                if not after or key > after.encode():
                    found.append(key.decode())
            elif key > head:
                break
            if len(found) == limit:
                break
        return found

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below prefix."""
        return children(self.keys(prefix, "", len(self._order) + 1), prefix)

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Yield every entry of the moment of the call."""
        return iter(list(self._values.items()))

    def submit(self, writes: Sequence[Write], done: Done) -> None:
        """Apply the batch at once."""
        for write in writes:
            known = write.key in self._values
            if write.value is not None:
                self._values[write.key] = write.value
                if not known:
                    insort(self._order, write.key.encode())
            elif known:
                del self._values[write.key]
                self._order.remove(write.key.encode())
        done(None)

    def close(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._order.clear()
