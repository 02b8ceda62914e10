"""IAM entries between memory and the system store: sealed on the way out, opened at start (docs/formats/iam.md)."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from strongroom.errors import Error, NotFound
from strongroom.s3.domain.backend_entry import key_name_of
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import KINDS, Account, Entry, Group, User
from strongroom.s3.domain.ports import SystemStore
from strongroom.s3.domain.refusals import Refused

ROOT = "iam/"
REVISION = "iam-revision"  # the system entry that tells other processes of the last changes (docs/formats/iam.md)
REMEMBERED = 100  # changes that it names; who has missed more reads all entries again


class EntrySeal(Protocol):
    """Seals the server's own entries under the default key; each is bound to its name."""

    async def seal(self, name: str, plaintext: bytes) -> bytes:
        """Return the sealed form."""

    async def open(self, name: str, sealed: bytes) -> bytes:
        """Return the plaintext; raise Tampered for another name or changed bytes."""


class ClearEntries:
    """For a server without a key service: entries lie in clear, and limitations say so."""

    async def seal(self, name: str, plaintext: bytes) -> bytes:
        """Return the plaintext."""
        return plaintext

    async def open(self, name: str, sealed: bytes) -> bytes:
        """Return the plaintext."""
        return sealed


class IamStore:
    """Keeps a Directory and its stored entries the same: stored first, then seen by requests.

    Other processes of this server change entries too; `reload` takes over what they did.
    """

    def __init__(self, directory: Directory, system: SystemStore, seal: EntrySeal, now: Callable[[], float]) -> None:
        self.directory = directory
        self._system = system
        self._seal = seal
        self._now = now
        self._revision = b""  # as of the last look
        self._stored: dict[str, bytes] = {}  # path → what the entry in memory was read from
        self._changing = asyncio.Lock()
        self._one = asyncio.Lock()  # a look must not put back what is being removed

    async def load(self) -> None:
        """Read the entries that are new or changed, drop those that are gone; raise what the others raise."""
        async with self._one:
            revision = await self._stored_revision()
            names = await self._system.names(ROOT)
            for path in names:
                await self._read(path)
            for path in self._stored.keys() - set(names):
                self._drop(path)
            self._revision = revision

    async def _catch_up(self) -> None:
        """Read the entries that were changed since the last look, or all when that is too long ago to tell."""
        async with self._one:
            revision = await self._stored_revision()
            missed = _missed(self._revision, revision)
            for path in missed or ():
                await self._read(path)
            if missed is not None:
                self._revision = revision
        if missed is None:
            await self.load()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be the only one, of all processes, who reads entries and stores what follows from them."""
        async with self._changing, self._system.alone("iam"):
            await self.reload()
            yield

    async def reload(self) -> None:
        """Take over what other processes changed; nothing before the first `load`."""
        if self.directory.ready and await self._stored_revision() != self._revision:
            await self._catch_up()

    async def _stored_revision(self) -> bytes:
        try:
            return await self._system.load(REVISION)
        except NotFound:
            return b""

    async def _read(self, path: str) -> None:
        kind, _, name = path.removeprefix(ROOT).partition("/")
        if kind not in KINDS:
            return
        try:
            stored = await self._system.load(path)
        except NotFound:
            if path in self._stored:
                self._drop(path)
            return
        if stored != self._stored.get(path):
            try:
                self.directory.put(kind, name, KINDS[kind].from_bytes(await self._seal.open(path, stored)))
            except Error as error:
                error.add_note(f"entry {path}")
                raise
            self._stored[path] = stored

    def _drop(self, path: str) -> None:
        kind, _, name = path.removeprefix(ROOT).partition("/")
        self.directory.drop(kind, name)
        self._stored.pop(path, None)

    async def _changed(self, path: str) -> None:
        """Tell the other processes, before the answer. Not noted here: it may stand over a change of theirs."""
        async with self._system.alone(REVISION):
            before = _changes(await self._stored_revision())
            after = [*before, (os.urandom(8), path)][-REMEMBERED:]
            await self._system.save(REVISION, msgspec.msgpack.encode(after))

    def under(self, key_name: str) -> int:
        """Return how many entries are sealed under a key."""
        return sum(key_name_of(sealed) == key_name for sealed in self._stored.values())

    async def save(self, kind: str, name: str, entry: Entry) -> None:
        """Store an entry with the time of now, then let requests see it.

        Raise Refused while the entries could not be read: it might be sealed under another key than they are.
        """
        if not self.directory.ready:
            raise Refused("XMinioServerNotInitialized")
        path = f"{ROOT}{kind}/{name}"
        entry = msgspec.structs.replace(entry, updated=self.time())
        sealed = await self._seal.seal(path, entry.to_bytes())
        async with self._one:
            await self._system.save(path, sealed)
            self.directory.put(kind, name, entry)
            self._stored[path] = sealed
            await self._changed(path)

    async def remove(self, kind: str, name: str) -> None:
        """Take an entry away from requests, then from the store."""
        path = f"{ROOT}{kind}/{name}"
        async with self._one:
            self._drop(path)
            await self._system.remove(path)
            await self._changed(path)

    async def remove_user(self, name: str) -> None:
        """Remove a user, its memberships and its accounts."""
        for account in [key for key, record in self.directory.accounts.items() if record.parent == name]:
            await self.remove("accounts", account)
        for group, record in list(self.directory.groups.items()):
            if name in record.members:
                await self.save("groups", group, without_members(record, [name]))
        await self.remove("users", name)

    async def forget_expired(self) -> None:
        """Remove sessions and accounts that have expired."""
        now = self._now()
        for name, account in list(self.directory.accounts.items()):
            if account.expires and account.expires < now:
                await self.remove("accounts", name)

    def time(self) -> str:
        """Return now as entries keep it."""
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _changes(revision: bytes) -> list[tuple[bytes, str]]:
    """Return the last changes, oldest first: a random mark and the entry's name; none of a revision without names."""
    try:
        return msgspec.msgpack.decode(revision, type=list[tuple[bytes, str]])
    except msgspec.DecodeError:
        return []


def _missed(seen: bytes, now: bytes) -> list[str] | None:
    """Return the names of the entries that were changed between two revisions, None when that cannot be told."""
    last, changes = _changes(seen)[-1:], _changes(now)
    marks = [mark for mark, _ in changes]
    if not last or last[0][0] not in marks:
        return None
    return list(dict.fromkeys([path for _, path in changes[marks.index(last[0][0]) + 1 :]]))


def without_members(group: Group, names: list[str]) -> Group:
    """Return the group without these members."""
    return msgspec.structs.replace(group, members=tuple(name for name in group.members if name not in names))


def with_policies(entry: User | Group, names: list[str], attach: bool) -> tuple[User | Group, list[str]]:
    """Return the entry with policies attached or detached, and the names that made a difference."""
    had = set(entry.policies)
    changed = [name for name in dict.fromkeys(names) if (name in had) != attach]
    left = had | set(changed) if attach else had - set(changed)
    return msgspec.structs.replace(entry, policies=tuple(sorted(left))), changed


def with_status(entry: User | Group | Account, enabled: bool) -> User | Group | Account:
    """Return the entry enabled or disabled."""
    return msgspec.structs.replace(entry, enabled=enabled)
