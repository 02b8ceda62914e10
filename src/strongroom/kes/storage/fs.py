"""Keys as files of one folder, in the original's layout (kes.md 6.3): the file's name is the key's, no newline.

The value is written to a nameless file, synced, and linked under its name, which fails if the name is taken: there is
never a file with half a key, and the folder is synced before the answer.
"""

import asyncio
import contextlib
import errno
import os
import re
import secrets
import time
from pathlib import Path

from strongroom.errors import BadSettings
from strongroom.kes.domain.errors import KeyExists, KeyNotFound, StoredKeyDamaged, StoreFailed, StoreUnreachable
from strongroom.kes.domain.pages import page

MAX_VALUE = 1 << 20  # bytes
LEFTOVER_SECONDS = 3600.0  # age at which a temporary file belongs to nobody any more
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}
_TEMPORARY = re.compile(r"\.[0-9A-Za-z_-]{1,128}\.[0-9a-f]{16}")
_NAME = re.compile(r"[0-9A-Za-z_-]{1,128}")


class FileStore:
    """See KeyStore; every method works in a thread."""

    clock_ahead = 0.0  # files have our own clock

    def __init__(self, folder: str | Path) -> None:
        """Make the folder, with its parents, if it is missing; raise BadSettings if that cannot be."""
        self._folder = Path(folder)
        self.description = f"Filesystem: {folder}"
        try:
            _make(self._folder)
            self._remove_leftovers()
            self._device = os.stat(self._folder).st_dev
        except FileExistsError:
            raise BadSettings(f"fs: '{folder}' is not a directory") from None
        except OSError as error:
            raise BadSettings(f"fs: '{folder}': {error.strerror}") from error

    def _remove_leftovers(self) -> None:
        """Remove temporary files of creations that a crash cut off; younger ones may be another server's work."""
        limit = time.time() - LEFTOVER_SECONDS
        for path in self._folder.glob(".*"):
            if _TEMPORARY.fullmatch(path.name) and path.lstat().st_mtime < limit:
                path.unlink(missing_ok=True)

    async def status(self) -> float:
        """Look at the folder; raise StoreUnreachable when it is gone."""
        start = time.monotonic()
        await asyncio.to_thread(self._check_folder)
        return time.monotonic() - start

    def _check_folder(self) -> None:
        """Raise StoreUnreachable when the folder is gone, or is not the one of the start: unmounted, most likely.

        No key is missing then, and none must be made in its place.
        """
        try:
            device = os.stat(self._folder).st_dev
        except OSError as error:
            raise StoreUnreachable(f"fs: {error}") from error
        if device != self._device:
            raise StoreUnreachable(
                f"fs: '{self._folder}' lies on another file system than at the start; reload if it should"
            )

    async def create(self, name: str, value: bytes) -> None:
        """See KeyStore."""
        await asyncio.to_thread(self._create, self._path(name), value)

    async def get(self, name: str) -> bytes:
        """See KeyStore."""
        return await asyncio.to_thread(self._get, self._path(name))

    async def delete(self, name: str) -> None:
        """See KeyStore."""
        await asyncio.to_thread(self._delete, self._path(name))

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """See KeyStore. Folders and files whose names no key can have are left out."""
        return page(await asyncio.to_thread(self._files), prefix, after, limit)

    async def close(self) -> None:
        """Nothing to end."""

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise StoreFailed("fs: key name contains invalid character")
        return self._folder / name

    def _create(self, path: Path, value: bytes) -> None:
        self._check_folder()
        temporary = self._folder / f".{path.name}.{secrets.token_hex(8)}"  # a dot: no key's name
        try:
            _write(temporary, value)
            _publish(temporary, path, value)
            self._sync_folder()
        except FileExistsError as error:
            raise KeyExists(path.name) from error
        except OSError as error:
            raise StoreFailed(f"fs: failed to create '{path}': {error}") from error
        finally:
            with contextlib.suppress(OSError):  # it may never have come to be; nothing depends on it
                os.unlink(temporary)

    def _get(self, path: Path) -> bytes:
        try:
            with open(path, "rb") as file:
                value = file.read(MAX_VALUE + 1)
        except FileNotFoundError:
            self._check_folder()
            raise KeyNotFound(path.name) from None
        except OSError as error:
            raise StoreFailed(f"fs: failed to read '{path}': {error}") from error
        if len(value) > MAX_VALUE:
            raise StoredKeyDamaged(f"fs: '{path}' is larger than {MAX_VALUE} bytes")
        try:
            self._sync_folder()  # its creator may not have come so far: no key is used that a power cut takes away
        except OSError as error:
            raise StoreFailed(f"fs: failed to sync '{self._folder}': {error}") from error
        return value

    def _delete(self, path: Path) -> None:
        try:
            os.unlink(path)
            self._sync_folder()
        except FileNotFoundError:
            self._check_folder()
            raise KeyNotFound(path.name) from None
        except OSError as error:
            raise StoreFailed(f"fs: failed to delete '{path}': {error}") from error

    def _files(self) -> list[str]:
        self._check_folder()
        try:
            with os.scandir(self._folder) as entries:
                return [entry.name for entry in entries if _NAME.fullmatch(entry.name) and entry.is_file()]
        except OSError as error:
            raise StoreFailed(f"fs: failed to list '{self._folder}': {error}") from error

    def _sync_folder(self) -> None:
        _sync(self._folder)


def _make(folder: Path) -> None:
    """Make a folder with its missing parents, durably."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make(folder.parent)
    folder.mkdir(mode=0o755)
    _sync(folder.parent)


def _publish(temporary: Path, path: Path, value: bytes) -> None:
    """Give a whole file its name; raise FileExistsError if that is taken.

    FAT, and some network file systems, have no second names: there the value is written under its name, as the original
    does, and a crash in the middle leaves a damaged key that was never answered for.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _write(path, value)


def _write(path: Path, value: bytes) -> None:
    """Write a new file and sync it; a failure leaves none. Raises FileExistsError."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(path)
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some file systems keep folders in their own way
            raise
    finally:
        os.close(descriptor)
