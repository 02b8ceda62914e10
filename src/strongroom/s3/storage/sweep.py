"""Removing what crashed processes left behind: files that no row needs, half-made and half-deleted buckets."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from strongroom.errors import BadSettings
from strongroom.s3.storage import generations
from strongroom.s3.storage.folders import BodyFiles, remove_bucket_folder
from strongroom.s3.storage.schema import check_format, connect
from strongroom.s3.storage.system import SystemDb

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What to look for: generations that did not end in order, and bucket folders that no name means.

    When there is any, every unneeded file of a process that has ended may be garbage: a process that crashed between
    a commit and its unlink leaves files that others made. alive: the generations that still run.
    """

    generations: tuple[int, ...] = ()
    folders: tuple[Path, ...] = ()
    alive: frozenset[int] = frozenset()

    def may_be(self, name: str) -> bool:
        """Say whether a file of this name can be garbage."""
        generation = name.partition("-")[0]
        if not generation.isdigit():
            return False
        return int(generation) <= self.generations[-1] and int(generation) not in self.alive


def orphans(folder: Path, system: SystemDb) -> tuple[Path, ...]:
    """Return the bucket folders that no name means. Call while no other process of the server runs."""
    named = {named.uuid for named in system.buckets().values()}
    return tuple(path for path in (folder / "buckets").iterdir() if path.name not in named)


def clean(folder: Path, system: SystemDb, leftovers: Leftovers) -> int:
    """Remove it; return how many files went. Blocks as long as it takes; running processes are not disturbed."""
    removed = 0
    for orphan in leftovers.folders:
        if (why := worth_keeping(orphan)) is not None:
            log.error("%s belongs to no bucket name and is kept: %s; see `strongroom s3 check`", orphan, why)
            continue
        removed += sum(len(files) for _, _, files in os.walk(orphan))
        remove_bucket_folder(orphan)
    if not leftovers.generations:
        return removed
    complete = True
    for name, named in system.buckets().items():
        try:
            removed += _clean_bucket(folder / "buckets" / named.uuid, name, system, leftovers)
        except (OSError, apsw.Error) as error:
            complete = False  # the next start tries again
            log.warning("clean-up of bucket %s: %s", name, error)
    if complete:
        system.end_generations(list(leftovers.generations))
        generations.forget(folder, leftovers.generations)
    return removed


def worth_keeping(folder: Path) -> str | None:
    """Say what a bucket's folder that no name means still holds; None for one that was half made or is half deleted.

    A name may be missing because system.db was lost, or put back from an older copy: then this is somebody's data.
    """
    bodies = "bodies without rows" if any(folder.glob("data/*/*")) else None
    if not (folder / "index.db").exists():
        return bodies
    try:
        connection = connect(folder / "index.db")
        try:
            if connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None:
                return bodies  # made, and no more
            check_format(connection, folder / "index.db")
            found = connection.execute(_HELD).fetchone()
        finally:
            connection.close()
    except (apsw.Error, BadSettings) as error:
        return f"index.db cannot be read: {error}"
    if found is None:
        return bodies
    name, deleted, *counts = found
    return f"bucket {name!r} with {counts[0]} versions" if any(counts) and not deleted else None


_HELD = "SELECT name, deleted, versions, markers, uploads FROM bucket"


def _clean_bucket(folder: Path, name: str, system: SystemDb, leftovers: Leftovers) -> int:
    if not (folder / "index.db").exists():
        if (why := worth_keeping(folder)) is not None:
            raise OSError(f"{folder}: {why}")
        system.remove_bucket(name, folder.name)  # the deletion came as far as the folder
        return 0
    connection = connect(folder / "index.db")
    try:
        if connection.execute("SELECT deleted FROM bucket").get:
            system.remove_bucket(name, folder.name)
            remove_bucket_folder(folder)
            return 0
        return _remove_unneeded(folder, connection, leftovers)
    finally:
        connection.close()


def _remove_unneeded(folder: Path, connection: apsw.Connection, leftovers: Leftovers) -> int:
    removed = 0
    files = BodyFiles(folder, 0)
    for name in _names(folder / "tmp"):
        if leftovers.may_be(name):
            files.remove_temporary(name)
            removed += 1
    for subfolder in _names(folder / "data"):
        for name in _names(folder / "data" / subfolder):
            if leftovers.may_be(name) and not needed(connection, name):
                files.remove(name)
                removed += 1
    return removed


def needed(connection: apsw.Connection, name: str) -> bool:
    """Say whether a row needs the file."""
    return connection.execute("SELECT 1 FROM files WHERE name = ?", (name,)).fetchone() is not None


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name
    except FileNotFoundError:
        return
