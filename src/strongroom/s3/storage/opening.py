"""Opening a server's folder and making buckets in it."""

import fcntl
import os
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

from strongroom.errors import BadSettings
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.storage import generations, schema, sweep
from strongroom.s3.storage.folders import make_folder, sync_folder
from strongroom.s3.storage.generations import Generation
from strongroom.s3.storage.system import SystemDb

FOREIGN = ".minio.sys"  # shows another program's data


@dataclass(frozen=True, slots=True)
class Opened:
    """A server's folder in use by this process. lock is the descriptor of server.lock, -1 in a worker."""

    folder: Path
    lock: int
    system: SystemDb
    generation: Generation
    leftovers: sweep.Leftovers

    def close(self) -> None:
        """Note an orderly end and let go of the folder."""
        self.generation.end(self.system)
        self.system.close()
        if self.lock >= 0:
            os.close(self.lock)


def open_folder(folder: Path, *, worker: bool = False) -> Opened:
    """Lock (unless worker) and open the folder, making it when it is missing. Blocks.

    Raise BadSettings when another server uses it, it cannot be written or holds another program's data.
    """
    _raise_descriptor_limit()
    schema.limit_memory()
    lock = -1
    try:
        if (folder / FOREIGN).exists():
            raise BadSettings(f"{folder} holds the data of another server: import it with `strongroom s3 import`")
        if worker and not (folder / "system.db").exists():
            raise BadSettings(f"{folder}: a worker process starts after its server")
        make_folder(folder / "buckets")
        _refuse_lost_names(folder)
        lock = -1 if worker else lock_folder(folder)
        system = SystemDb(folder)
    except OSError as error:
        if lock >= 0:
            os.close(lock)
        raise BadSettings(f"{folder}: {error.strerror or error}") from error
    except BadSettings:
        if lock >= 0:
            os.close(lock)
        raise
    orphans = () if worker else sweep.orphans(folder, system)
    generation = generations.begin(folder, system)
    system.touch_all()
    return Opened(folder, lock, system, generation, sweep.Leftovers(generation.dead, orphans, generation.alive))


def _refuse_lost_names(folder: Path) -> None:
    """Raise BadSettings when there are buckets but no system.db: a new one would know none of them, and no user."""
    if not (folder / "system.db").exists() and any((folder / "buckets").glob("*/index.db")):
        raise BadSettings(
            f"{folder} has buckets but no system.db: put it back from a copy (docs/reference/s3-upkeep.md)"
        )


def _raise_descriptor_limit() -> None:
    """Allow as many open files as the hard limit says: a bucket takes 11, a body that is read up to 64."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def lock_folder(folder: Path) -> int:
    """Take a server's lock and return its descriptor; raise BadSettings when another process has it."""
    descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BadSettings(f"{folder} is in use by another server") from None
    return descriptor


def make_bucket(folder: Path, system: SystemDb, record: BucketRecord) -> None:
    """Lay out a bucket's folder, then give it its name; raise BucketExists. Blocks."""
    home = folder / "buckets" / record.uuid
    try:
        for name in ("data", "tmp"):
            make_folder(home / name)
        connection = schema.connect(home / "index.db", create=True)
        try:
            schema.create_tables(connection, schema.BUCKET)
            connection.execute(
                "INSERT INTO bucket(id, name, uuid, created, versioning, object_lock) VALUES (1, ?, ?, ?, ?, ?)",
                (record.name, record.uuid, record.created, record.versioning, record.object_lock),
            )
            connection.executemany("INSERT INTO config VALUES (?, ?)", list(record.config.items()))
        finally:
            connection.close()
        sync_folder(home)
        system.add_bucket(record.name, record.uuid, record.created)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
