"""Reading stored bodies: from memory, or from one file or many as if they were one."""

import bisect
import itertools
import os
from collections.abc import Sequence

from strongroom.errors import Tampered
from strongroom.s3.storage.folders import BodyFiles


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


class FileBody:
    """A body in files, with small parts in between in memory.

    Every file is open from the start: deleting the version unlinks names only, so reading goes on to the end.
    """

    __slots__ = ("_pieces", "_starts", "inline", "stored")

    def __init__(self, files: BodyFiles, pieces: Sequence[tuple[int, str | bytes]]) -> None:
        """pieces: length and file name, or bytes. Raise FileNotFoundError when a file is gone."""
        self.inline: bytes | None = None
        self._starts = [0, *itertools.accumulate(length for length, _ in pieces)]
        self.stored = self._starts.pop()
        self._pieces: list[int | bytes] = []
        try:
            for _, place in pieces:
                self._pieces.append(files.open(place) if isinstance(place, str) else place)
        except OSError:
            self.close()
            raise

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
        while buffer:
            count = os.preadv(piece, [buffer], offset)
            if count == 0:
                raise Tampered(f"stored file ends at {offset}")
            buffer = buffer[count:]
            offset += count

    def close(self) -> None:
        """Close the files."""
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            if isinstance(piece, int):
                os.close(piece)

    def __del__(self) -> None:
        self.close()
