"""Key versions and states, as entries beside the key in its store (docs/formats/kes-key-states.md).

A state is an entry that is there or not, so that create, read and delete are all the rights it takes. The names end
in `-`, which no key's name may.

    <name>                 version 1, as an original KES stores it
    <name>-v<n>-           version n, stored alike
    <name>-disabled-       the key is disabled: who, when
    <name>-deletion-       the key will be deleted: when due, who
    <name>-deletion<n>-    the n-th date that its deletion was put off to: the last one counts
    <name>-deleted-        the key was deleted: fingerprints of all its versions
    generation-            a number and a random part, replaced after every change
    states-                written before the first change: without it no key of the store has a state
"""

import secrets
import time
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from strongroom.crypto.keyciphertext import KeyType, Version, version_of
from strongroom.crypto.keyciphertext import open as open_ciphertext
from strongroom.crypto.keyciphertext import seal as seal_plaintext
from strongroom.errors import Tampered
from strongroom.kes.domain.errors import (
    KeyDisabled,
    KeyPendingDeletion,
    NotAuthentic,
    OtherKey,
    StoredKeyDamaged,
)
from strongroom.kes.domain.records import Moment

T = TypeVar("T")
GENERATION = "generation-"
STATES = "states-"


def version_entry(name: str, number: int) -> str:
    """Name the entry of a key's version; version 1 is the key itself."""
    return name if number == 1 else f"{name}-v{number}-"


def disabled_entry(name: str) -> str:
    """Name the entry whose being there disables a key."""
    return f"{name}-disabled-"


def deletion_entry(name: str, place: int = 1) -> str:
    """Name the entry that says when a key will be deleted; another date has a place of its own, from 2 on."""
    return f"{name}-deletion{place if place > 1 else ''}-"


def deleted_entry(name: str) -> str:
    """Name the entry that remembers a deleted key."""
    return f"{name}-deleted-"


class Disabled(msgspec.Struct, frozen=True):
    """The value of `<name>-disabled-`."""

    by: str = ""
    at: str = ""  # RFC 3339


class Deletion(msgspec.Struct, frozen=True):
    """The value of `<name>-deletion-` and `<name>-deletion<n>-`."""

    due: float  # seconds since 1970
    by: str = ""
    at: str = ""

    def is_due(self, now: float, clock_ahead: float) -> bool:
        """Say whether the time has come, at now (seconds since 1970) by our clock and by the store's.

        clock_ahead: KeyStore.clock_ahead. A clock that is ahead must not shorten the time to restore the key.
        """
        return self.due <= now - max(0.0, clock_ahead)


class Deleted(msgspec.Struct, frozen=True):
    """The value of `<name>-deleted-`: fingerprints (32 hexadecimal digits) of everything the name ever was.

    first is that of version 1 of the key that was deleted last: what a ciphertext without a header was sealed under.
    """

    fingerprints: tuple[str, ...] = ()
    first: str = ""
    by: str = ""
    at: str = ""


class Generation(msgspec.Struct, frozen=True):
    """The value of `generation-`."""

    number: int = 0
    random: str = ""

    def text(self) -> str:
        """Return it as headers and events carry it; `0` in a store whose keys have never had a state."""
        return f"{self.number}-{self.random}" if self.random else "0"

    def next(self, at_least: int = 0) -> "Generation":
        """Make the one that follows; at_least: the smallest number that it may have."""
        return Generation(max(self.number + 1, at_least), secrets.token_hex(8))


def encode_entry(record: object) -> bytes:
    """Return a state entry's value."""
    return msgspec.json.encode(record)


def decode_entry(value: bytes, kind: type[T]) -> T:
    """Read a state entry; raise StoredKeyDamaged."""
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.MsgspecError as error:
        raise StoredKeyDamaged(f"state entry: {error}") from error


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a master key, ready for use."""

    number: int
    key: bytes = field(repr=False)
    type: KeyType
    hmac_key: bytes | None = field(repr=False)
    fingerprint: str  # 32 hexadecimal digits
    created_at: Moment
    created_by: str


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key with all its versions and its state. former holds fingerprints of deleted keys of this name."""

    name: str
    versions: tuple[KeyVersion, ...]  # version 1 first
    disabled: Disabled | None = None
    deletion: Deletion | None = None
    former: tuple[str, ...] = ()
    former_first: str = ""

    @property
    def current(self) -> KeyVersion:
        """The version that seals."""
        return self.versions[-1]

    @property
    def state(self) -> str:
        """`enabled`, `disabled` or `pending deletion`."""
        if self.deletion is not None:
            return "pending deletion"
        return "disabled" if self.disabled is not None else "enabled"

    def check_usable(self) -> None:
        """Raise KeyDisabled or KeyPendingDeletion."""
        if self.deletion is not None:
            raise KeyPendingDeletion(self.name)
        if self.disabled is not None:
            raise KeyDisabled(self.name)

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Seal under the newest version; the caller has checked the state."""
        current = self.versions[-1]
        return seal_plaintext(current.key, plaintext, context, kind=current.type, version=current.number)

    def open(self, ciphertext: bytes, context: bytes) -> tuple[bytes, KeyVersion]:
        """Return the plaintext and the version that had sealed it; raise NotAuthentic, OtherKey or UnknownVersion."""
        named = version_of(ciphertext) if ciphertext[:1] == b"\xd5" else _FIRST
        if named.number > len(self.versions):
            raise UnknownVersion(f"version {named.number} of {self.name}")
        version = self.versions[named.number - 1]
        try:
            return open_ciphertext(version.key, ciphertext, context, kind=version.type), version
        except Tampered as error:
            former = self._former_key(named)
            if former:
                raise OtherKey(former, version.fingerprint) from error
            raise NotAuthentic(str(error)) from error

    def _former_key(self, named: Version) -> str:
        """Guess which deleted key of this name sealed what does not open: by its fingerprint, or the last one."""
        if named.fingerprint:
            wanted = named.fingerprint.hex()
            return next((one for one in self.former if one.startswith(wanted)), "")
        return self.former_first


class UnknownVersion(NotAuthentic):
    """A ciphertext names a version that is not (yet) known."""


_FIRST = Version(1, b"")


@dataclass(frozen=True, slots=True)
class Event:
    """A change that clients of the event stream are told. name is empty when the change has no single key."""

    kind: str
    name: str
    generation: str
    time: float  # seconds since 1970

    def line(self) -> bytes:
        """Return the event as the stream has it."""
        document = {"event": self.kind, "key": self.name, "generation": self.generation, "time": iso(self.time)}
        return msgspec.json.encode({key: value for key, value in document.items() if value}) + b"\n"


def iso(seconds: float) -> str:
    """Return RFC 3339 in UTC with milliseconds."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milliseconds:03}Z"
