"""sys/storage/raft/snapshot: backup and restore of everything, under the name that clients know (vault.md 2.15)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING

from strongroom.errors import Tampered
from strongroom.kms.domain import acl
from strongroom.kms.domain.barrier import Keyring, open_with, seal_with
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.ports import Transform, Write
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.core import KEYRING
from strongroom.messages import WINDOW, Windows

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

PLAIN = ("core/seal-config", "core/recovery-config", "core/root-key", KEYRING)  # entries outside the barrier


class Storage:
    """The snapshot routes."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            route("storage/raft/snapshot", {acl.READ: self.save, acl.UPDATE: self.restore}, free=True),
            route("storage/raft/snapshot-force", {acl.UPDATE: self.force}, free=True),
        ]

    async def save(self, call: Call) -> Reply:
        """Return a consistent backup; writes go on meanwhile."""
        core = self.core
        write, root = core.write_snapshot, core.live.keys.root
        assert write is not None
        pending = [ticket for _, ticket in core.live.entries.pending()]
        for ticket in pending:
            await ticket.wait()
        made = await asyncio.to_thread(
            lambda: write(core.store.dump(), lambda path, data: seal_with(root, path, data), call.now)
        )
        made.seek(0, 2)
        length = made.tell()
        made.seek(0)
        return Reply(windows=Windows(length, _Pieces(made)))

    async def restore(self, call: Call) -> None:
        """Replace everything by a backup that this root key sealed; every entry is opened before."""
        root = self.core.live.keys.root
        entries = await self._read(call, lambda path, data: open_with(root, path, data))
        try:
            await asyncio.to_thread(_open_all, entries, root)
        except Tampered as error:
            raise Refused(f"the backup cannot be used: {error}") from error
        async with self._alone():
            await self._replace(entries)
            self.core.reopen(self.core.live.keys)
            if self.core.sealing is not None:
                self.core.sealing.reload()

    async def force(self, call: Call) -> None:
        """Replace everything by any whole backup; the server seals, and its unseal keys are those of the backup."""
        entries = await self._read(call, None)
        if any(name not in entries for name in (PLAIN[0], PLAIN[2], PLAIN[3])):
            raise Refused("the backup holds no keys")
        async with self._alone():
            await self._replace(entries)
            if self.core.sealing is not None:
                self.core.sealing.reload()
                self.core.sealing.seal()

    async def _read(self, call: Call, opened: Transform | None) -> dict[str, bytes]:
        upload, read = call.upload, self.core.read_snapshot
        if upload is None or read is None:
            raise Refused("the request has no backup in its body")
        return await asyncio.to_thread(read, upload, opened)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Let no other request in, after the writes that are on their way; raise Refused beside another restore."""
        core = self.core
        if core.restoring:
            raise Refused("another backup is being restored")
        core.restoring = True
        try:
            for _, ticket in core.live.entries.pending():
                await ticket.wait()
            yield
        finally:
            core.restoring = False

    async def _replace(self, entries: dict[str, bytes]) -> None:
        """Store exactly these entries, in one batch."""
        old, after = [], ""
        while page := self.core.store.keys("", after, 1000):
            old += page
            after = page[-1]
        writes = [Write(key, None, erase=True) for key in old if key not in entries]
        writes += [Write(key, value) for key, value in entries.items()]
        await self.core.commit_raw(writes).wait()


def _open_all(entries: dict[str, bytes], root: bytes) -> None:
    """Open every entry with the backup's own keyring; raise Tampered for the first that does not."""
    keyring = Keyring.from_bytes(open_with(root, KEYRING, entries.get(KEYRING, b"")))
    for key, value in entries.items():
        if key not in PLAIN:
            keyring.open(key, value)


class _Pieces:
    """A file in windows; closed at the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = self._file.read(WINDOW)
        if not data:
            raise StopIteration
        return data

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Storage(core).routes()
