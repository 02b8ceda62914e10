"""What the kms needs from outside: entries on durable storage, a seal that holds the root key, the time."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Write:
    """One change: value None deletes; erase asks that no byte of the old value is left in the files."""

    key: str
    value: bytes | None
    erase: bool = False


Done: TypeAlias = Callable[[BaseException | None], None]


class EntryStore(Protocol):
    """Where sealed entries live: keys are paths with `/`, values opaque bytes.

    Reads are synchronous and see every batch whose `done` was called. Any method may raise Unavailable.
    """

    kind: str

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below prefix, in byte order; a name that has entries below ends in `/`.

        A name that is both an entry and a folder comes twice: `a`, `a/`.
        """

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return up to limit whole keys that start with prefix and are greater than after, in byte order."""

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Yield every entry of one moment, in any order; may run in another thread while batches are written."""

    def submit(self, writes: Sequence[Write], done: Done) -> None:
        """Queue one atomic batch; batches apply in order. done(None) once durable, done(error) if nothing changed.

        done is called in the event loop of the caller, possibly before submit returns.
        """

    def close(self) -> None:
        """Finish what is queued, then let go of files and connections."""


class AutoSeal(Protocol):
    """A key outside that wraps the root key, so that the server unseals itself (vault.md 8.4)."""

    kind: str

    async def wrap(self, plaintext: bytes) -> bytes:
        """Return plaintext sealed by the outside key; raise Unavailable."""

    async def unwrap(self, sealed: bytes) -> bytes:
        """Return what was wrapped; raise Tampered or Unavailable."""


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A question to a Kubernetes cluster: its address and CA (PEM), who asks, about which token, for whom."""

    host: str
    ca: str
    reviewer: str
    jwt: str
    audience: str

    def __repr__(self) -> str:
        return f"ReviewRequest({self.host!r})"


@dataclass(frozen=True, slots=True)
class Review:
    """Whose a service account's token is."""

    namespace: str
    name: str
    uid: str


ReviewToken: TypeAlias = Callable[[ReviewRequest], Awaitable[Review]]
"""Asks the cluster; raises Forbidden for a refused token, Failed when it cannot be asked."""
Transform: TypeAlias = Callable[[str, bytes], bytes]
"""Seals, or opens, the value of an entry of this name; opening raises Tampered."""
WriteSnapshot: TypeAlias = Callable[[Iterable[tuple[str, bytes]], Transform, int], IO[bytes]]
"""Returns an open file with a backup of entries (name, stored value), at its beginning."""
ReadSnapshot: TypeAlias = Callable[[IO[bytes], Transform | None], dict[str, bytes]]
"""Returns the entries of a backup; raises Refused unless it is whole and, with a Transform, opens."""
Clock: TypeAlias = Callable[[], int]
"""Returns nanoseconds since 1970."""
