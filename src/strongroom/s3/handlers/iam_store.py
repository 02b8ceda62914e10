"""IAM entries between memory and the system store: sealed on the way out, opened at start (docs/formats/iam.md)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import KINDS, Account, Entry, Group, User
from strongroom.s3.domain.ports import SystemStore

ROOT = "iam/"


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
    """Keeps a Directory and its stored entries the same: stored first, then seen by requests."""

    def __init__(self, directory: Directory, system: SystemStore, seal: EntrySeal, now: Callable[[], float]) -> None:
        self.directory = directory
        self._system = system
        self._seal = seal
        self._now = now

    async def load(self) -> None:
        """Read all entries; raise what the store and the key service raise."""
        for path in await self._system.names(ROOT):
            kind, _, name = path.removeprefix(ROOT).partition("/")
            if kind in KINDS:
                data = await self._seal.open(path, await self._system.load(path))
                self.directory.put(kind, name, KINDS[kind].from_bytes(data))

    async def save(self, kind: str, name: str, entry: Entry) -> None:
        """Store an entry with the time of now, then let requests see it."""
        path = f"{ROOT}{kind}/{name}"
        entry = msgspec.structs.replace(entry, updated=self.time())
        await self._system.save(path, await self._seal.seal(path, entry.to_bytes()))
        self.directory.put(kind, name, entry)

    async def remove(self, kind: str, name: str) -> None:
        """Take an entry away from requests, then from the store."""
        self.directory.drop(kind, name)
        await self._system.remove(f"{ROOT}{kind}/{name}")

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
