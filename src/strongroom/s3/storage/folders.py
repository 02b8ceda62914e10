"""Folders and body files of a bucket, and the fsyncs that make them last."""

import errno
import os
import secrets
import shutil
from pathlib import Path

from strongroom.s3.domain.ports import Buffer, DiskFull


def sync_folder(path: Path | str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder (mode 0700) and its missing parents, durably; one that is there already is fine."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    sync_folder(path.parent)


def remove_bucket_folder(folder: Path) -> None:
    """Remove a deleted bucket, rows last: what a crash leaves of it has its rows, which say that it was deleted."""
    for name in ("data", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


class BodyFiles:
    """The files of one bucket: tmp/ for what is not published, data/ab/ for what is.

    Names begin with the generation of the process that made them, so that a clean-up can tell whose they are.
    """

    def __init__(self, folder: Path, generation: int) -> None:
        self._tmp = str(folder / "tmp")
        self._data = str(folder / "data")
        self._generation = f"{generation}-"
        self._known: set[str] = set()  # subfolders of data/ that exist durably

    def new_name(self) -> str:
        """Return a name that was never used."""
        return self._generation + secrets.token_hex(16)

    def path(self, name: str) -> str:
        """Return where a published file is."""
        return f"{self._data}/{self._subfolder(name)}/{name}"

    @staticmethod
    def _subfolder(name: str) -> str:
        at = name.index("-") + 1
        return name[at : at + 2]

    def temporary(self, name: str) -> str:
        """Return where an unpublished file is."""
        return f"{self._tmp}/{name}"

    def create(self, name: str) -> int:
        """Create an unpublished file and return its descriptor."""
        return os.open(self.temporary(name), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def publish(self, name: str, descriptor: int) -> None:
        """Move a file to data/ and make its bytes and its name durable; raise OSError."""
        os.fdatasync(descriptor)
        target = self.path(name)
        folder = os.path.dirname(target)
        if folder not in self._known:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            sync_folder(self._data)  # also for a folder that a crashed process may have made without it
            self._known.add(folder)
        os.rename(self.temporary(name), target)
        sync_folder(folder)

    def open(self, name: str) -> int:
        """Open a published file for reading; raise FileNotFoundError."""
        return os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)

    def remove(self, name: str) -> None:
        """Unlink a published file; one that is gone already is fine."""
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            return

    def remove_all(self, names: list[str]) -> None:
        """Unlink published files."""
        for name in names:
            self.remove(name)

    def remove_temporary(self, name: str) -> None:
        """Unlink an unpublished file; one that is gone already is fine."""
        try:
            os.unlink(self.temporary(name))
        except FileNotFoundError:
            return


def write_all(descriptor: int, data: Buffer) -> None:
    """Append all of data; raise DiskFull or OSError."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(str(error)) from error
        raise
