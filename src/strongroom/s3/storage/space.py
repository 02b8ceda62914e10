"""Refusing new bodies before the disk is full, so that deletions and commits still have room."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from strongroom.s3.domain.ports import DiskFull

RESERVE = 256 * 1024 * 1024  # bytes kept free; on small disks a fiftieth of them
LOOK_SECONDS = 1.0  # how old the answer of the file system may be


class Space:
    """How much room the folder's file system has."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._looked = float("-inf")
        self._room = 0  # bytes above the reserve

    def check(self, size: int) -> None:
        """Raise DiskFull when size bytes would leave less than the reserve."""
        if self._clock() - self._looked > LOOK_SECONDS:
            self.look()
        if size > self._room:
            raise DiskFull(f"{self._folder}: {max(0, self._room)} bytes free above the reserve, {size} wanted")
        self._room -= size

    def look(self) -> int:
        """Ask the file system; return the bytes above the reserve."""
        found = os.statvfs(self._folder)
        reserve = min(RESERVE, found.f_blocks * found.f_frsize // 50)
        self._looked = self._clock()
        self._room = found.f_bavail * found.f_frsize - reserve
        return self._room
