"""Reading stored bodies: from memory, or from one file or many as if they were one."""

import bisect
import itertools
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

from strongroom.errors import Tampered
from strongroom.s3.domain.ports import NoSuchVersion
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.storage.folders import BodyFiles
from strongroom.s3.storage.rows import Place

OPEN_AT_ONCE = 64  # files of one body that are open together; of a body with more, the last used ones


class InlineBody:
    """A body that was read with its row."""

    __slots__ = ("inline", "stored")

    def __init__(self, data: bytes) -> None:
        self.inline: bytes | None = data
        self.stored = len(data)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill buffer from offset; return the bytes read."""
        assert self.inline is not None
        piece = self.inline[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Nothing is held outside."""


class Holds:
    """Files that readers will still open: a deletion in this process unlinks them only after the last reader."""

    def __init__(self, remove: Callable[[list[str]], None]) -> None:
        self._remove = remove
        self._using = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._waiting: set[str] = set()

    def hold(self, names: Sequence[str]) -> None:
        """Keep these files until release()."""
        with self._using:
            self._counts.update(names)

    def release(self, names: Sequence[str]) -> None:
        """Let go of them; those deleted meanwhile are removed."""
        with self._using:
            self._counts.subtract(names)
            free = [name for name in names if self._counts[name] <= 0]
            for name in free:
                del self._counts[name]
            dead = [name for name in free if name in self._waiting]
            self._waiting.difference_update(dead)
        if dead:
            self._remove(dead)

    def removable(self, names: Sequence[str]) -> list[str]:
        """Return those of names that nobody holds; remember the others for later."""
        with self._using:
            held = {name for name in names if name in self._counts}
            self._waiting |= held
        return [name for name in names if name not in held]


class FileBody:
    """A body in files, with small parts in between in memory.

    Up to OPEN_AT_ONCE files are open from the start: deleting the version unlinks names only, and reading goes on to
    the end. More are held (Holds) and opened when they are reached; only a deletion by another process cuts such a
    reading short.
    """

    __slots__ = ("_files", "_held", "_holds", "_open", "_pieces", "_starts", "inline", "stored")

    def __init__(self, files: BodyFiles, pieces: Sequence[tuple[int, str | bytes]], holds: Holds) -> None:
        """pieces: length and file name, or bytes. Raise FileNotFoundError when a file is gone."""
        self.inline: bytes | None = None
        self._files = files
        self._holds = holds
        self._starts = [0, *itertools.accumulate(length for length, _ in pieces)]
        self.stored = self._starts.pop()
        self._pieces = [place for _, place in pieces]
        self._open: OrderedDict[str, int] = OrderedDict()
        self._held = [place for place in self._pieces if isinstance(place, str)]
        if len(self._held) > OPEN_AT_ONCE:
            holds.hold(self._held)
            return
        names, self._held = self._held, []
        try:
            for name in names:
                self._open[name] = files.open(name)
        except OSError:
            self.close()
            raise

    @property
    def lazy(self) -> bool:
        """Files are opened when they are reached."""
        return bool(self._held)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill buffer from offset, across parts; return the bytes read. Raise Tampered when a file is too short."""
        wanted = min(len(buffer), max(0, self.stored - offset))
        done = 0
        index = bisect.bisect_right(self._starts, offset) - 1
        while done < wanted:
            start = self._starts[index]
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.stored
            inside = offset + done - start
            length = min(wanted - done, end - start - inside)
            self._read_piece(index, inside, buffer[done : done + length])
            done += length
            index += 1
        return done

    def _read_piece(self, index: int, offset: int, buffer: memoryview) -> None:
        piece = self._pieces[index]
        if isinstance(piece, bytes):
            buffer[:] = piece[offset : offset + len(buffer)]
            return
        descriptor = self._descriptor(piece)
        while buffer:
            count = os.preadv(descriptor, [buffer], offset)
            if count == 0:
                raise Tampered(f"stored file ends at {offset}")
            buffer = buffer[count:]
            offset += count

    def _descriptor(self, name: str) -> int:
        descriptor = self._open.get(name)
        if descriptor is None:
            if len(self._open) >= OPEN_AT_ONCE:
                os.close(self._open.popitem(last=False)[1])
            try:
                descriptor = self._open[name] = self._files.open(name)
            except FileNotFoundError as error:
                raise NoSuchVersion(f"file {name} was deleted by another process") from error
        elif self._held:
            self._open.move_to_end(name)
        return descriptor

    def close(self) -> None:
        """Close the files."""
        while self._open:
            os.close(self._open.popitem()[1])
        held, self._held = self._held, []
        if held:
            self._holds.release(held)

    def __del__(self) -> None:
        self.close()


def pieces(version: ObjectVersion, place: Place, inline: bytes) -> list[tuple[int, str | bytes]]:
    """Pair every piece of a body with its length; small parts lie one behind the other in inline."""
    if not version.parts:
        return [(version.stored, name) for name in place.files if name is not None]
    found: list[tuple[int, str | bytes]] = []
    at = 0
    for part, name in zip(version.parts, place.files, strict=True):
        if name is not None:
            found.append((part.stored, name))
        else:
            found.append((part.stored, inline[at : at + part.stored]))
            at += part.stored
    return found
