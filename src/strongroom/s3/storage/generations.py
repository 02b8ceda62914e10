"""Which processes of a server run, and which have crashed.

Each start of a process takes a number from system.db and holds a flock on a file of that name while it lives. Its
number is in the names of its body files, so a clean-up can tell what belongs to whom.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strongroom.s3.storage.folders import make_folder
from strongroom.s3.storage.system import SystemDb

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Generation:
    """A running process. dead: numbers whose process did not end in order, ascending; alive: those that still run."""

    number: int
    dead: tuple[int, ...]
    alive: frozenset[int]
    _folder: Path
    _lock: int

    def end(self, system: SystemDb) -> None:
        """Note an orderly end."""
        system.end_generations([self.number])
        forget(self._folder.parent, (self.number,))
        os.close(self._lock)


def begin(folder: Path, system: SystemDb) -> Generation:
    """Take a number for this process and look at the others. Blocks."""
    home = folder / "generations"
    make_folder(home)
    with _alone(home):  # nobody takes a number that is not locked yet for dead
        opened = system.open_generations()
        alive = frozenset(number for number in opened if _runs(home / str(number)))
        number = system.begin_generation()
        lock = os.open(home / str(number), _FLAGS, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return Generation(number, tuple(n for n in opened if n not in alive), alive, home, lock)


def forget(folder: Path, numbers: tuple[int, ...]) -> None:
    """Remove the files of generations that have ended."""
    for number in numbers:
        (folder / "generations" / str(number)).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    descriptor = os.open(home / "gate", _FLAGS, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _runs(path: Path) -> bool:
    """Say whether a process holds the file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
