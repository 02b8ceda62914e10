"""Removing what crashed processes left behind: files that no row needs, half-made and half-deleted buckets."""

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from strongroom.s3.storage import generations
from strongroom.s3.storage.folders import BodyFiles
from strongroom.s3.storage.schema import connect
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
        removed += sum(len(files) for _, _, files in os.walk(orphan))
        shutil.rmtree(orphan, ignore_errors=True)
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


def _clean_bucket(folder: Path, name: str, system: SystemDb, leftovers: Leftovers) -> int:
    if not (folder / "index.db").exists():
        system.remove_bucket(name, folder.name)  # the deletion came as far as the folder
        return 0
    connection = connect(folder / "index.db")
    try:
        if connection.execute("SELECT deleted FROM bucket").get:
            system.remove_bucket(name, folder.name)
            shutil.rmtree(folder, ignore_errors=True)
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
