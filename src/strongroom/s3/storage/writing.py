"""What a process needs to write into a bucket: a connection, its turns among processes, the committer, the log."""

import asyncio
from pathlib import Path

import apsw

from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.storage.checkpoints import Checkpoints
from strongroom.s3.storage.committer import Committer, Hooks
from strongroom.s3.storage.schema import connect
from strongroom.s3.storage.turns import Turns


class Writing:
    """The writing side of an open bucket. Made in the event loop; close() blocks."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, hooks: Hooks, name: str, vfs: str | None) -> None:
        """Open the database for writing; raise NoSuchBucket when the folder is gone."""
        try:
            self._connection = connect(path, vfs=vfs)
        except apsw.CantOpenError as error:
            raise NoSuchBucket(name) from error
        self._turns = Turns(path.parent)
        self.log = Checkpoints(path, self._connection, vfs, self.stop)
        self.committer = Committer(self._connection, self._turns, loop, hooks, name)

    def stop(self, why: str) -> None:
        """Take no more writes; why is what they are told."""
        self.committer.closed = why

    def close(self) -> None:
        """Finish what is queued and let go of everything."""
        self.committer.stop()
        self.log.close()
        self._connection.close()
        self._turns.close()
