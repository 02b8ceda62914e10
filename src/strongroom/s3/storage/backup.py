"""Copying a server's folder while it runs: databases by SQLite's backup, body files by hard link or copy."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import apsw

from strongroom.errors import AlreadyExists, Unavailable
from strongroom.s3.storage import schema
from strongroom.s3.storage.folders import BodyFiles, make_folder, sync_folder
from strongroom.s3.storage.rows import Row

ATTEMPTS = 5  # snapshots of a bucket until all its files were there


@dataclass(slots=True)
class Copied:
    """What a backup has taken."""

    buckets: int = 0
    files: int = 0
    stored: int = 0  # bytes in files


def backup(folder: Path, target: Path, *, bodies: bool = True) -> Copied:
    """Copy folder to target, a new folder that a server can be started on. Blocks; writers are not held up.

    Each bucket is as at one moment, different buckets at different ones. Body files, which never change, are hard
    linked where target is on the same file system, else copied. bodies=False: the databases only. Raise AlreadyExists
    when target is there, BadSettings for a folder of another format, Unavailable when a bucket changes too fast.
    """
    try:
        target.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise AlreadyExists(str(target)) from error
    make_folder(target / "buckets")
    _copy_database(folder / "system.db", target / "system.db")
    system = schema.connect(target / "system.db")
    try:
        schema.check_format(system, folder / "system.db")
        uuids: list[Row] = system.execute("SELECT uuid FROM buckets ORDER BY name").fetchall()
    finally:
        system.close()
    copied = Copied()
    for (uuid,) in uuids:
        if (folder / "buckets" / uuid).is_dir():  # else deleted meanwhile: a start on the copy forgets it
            _copy_bucket(folder / "buckets" / uuid, target / "buckets" / uuid, copied, bodies)
    sync_folder(target)
    return copied


def _copy_bucket(source: Path, target: Path, copied: Copied, bodies: bool) -> None:
    """Take the files that are there, then the rows, then the files that came between."""
    for name in ("data", "tmp"):
        make_folder(target / name)
    here, there = BodyFiles(source, 0), BodyFiles(target, 0)
    for _ in range(ATTEMPTS):
        (target / "index.db").unlink(missing_ok=True)
        _copy_database(source / "index.db", target / "index.db")
        wanted = _files(target / "index.db") if bodies else {}
        if all(_take(here, there, name) for name in wanted):
            break
    else:
        raise Unavailable(f"{source}: bodies go faster than they can be copied")
    for path in target.glob("data/*/*"):
        if path.name not in wanted:
            path.unlink()
    copied.buckets += 1
    copied.files += len(wanted)
    copied.stored += sum(wanted.values())
    for folder in {path.parent for path in target.glob("data/*/*")} | {target}:
        sync_folder(folder)


def _take(here: BodyFiles, there: BodyFiles, name: str) -> bool:
    """Link or copy a file unless it is there; return False when it has been deleted at the source."""
    path = there.path(name)
    if os.path.exists(path):
        return True
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    try:
        os.link(here.path(name), path)
    except FileNotFoundError:
        return False
    except OSError:
        return _copy(here.path(name), path)
    return True


def _copy(source: str, target: str) -> bool:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        return False
    os.chmod(target, 0o600)
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _copy_database(source: Path, target: Path) -> None:
    reader = schema.connect(source)
    writer = apsw.Connection(str(target))
    try:
        with writer.backup("main", reader, "main") as work:
            work.step()
        writer.pragma("journal_mode", "WAL")
    finally:
        writer.close()
        reader.close()
    os.chmod(target, 0o600)


def _files(path: Path) -> dict[str, int]:
    connection = schema.connect(path)
    try:
        found: list[Row] = connection.execute("SELECT name, stored FROM files").fetchall()
    finally:
        connection.close()
    return dict(found)
