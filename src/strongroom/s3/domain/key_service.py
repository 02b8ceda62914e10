"""The port behind the key commands of the admin API: a key service as an operator sees it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

LOCK_WITHIN = 5.0  # seconds: how long data keys live while no key server tells of locks


class KeyService(Protocol):
    """Lists, makes and changes keys. Raises the errors of key_errors, AlreadyExists, NotSupported or Unavailable."""

    @property
    def kind(self) -> str:
        """`MinIO KES` or `MinIO builtin`: what clients print."""

    @property
    def default_key(self) -> str:
        """The name of the default key."""

    async def endpoints(self) -> Mapping[str, str]:
        """Return each endpoint's state, `online` or `offline`; never raises."""

    async def version(self) -> str:
        """Return the service's version."""

    async def apis(self) -> Sequence[Mapping[str, Any]]:
        """Return the service's routes: Method, Path, MaxBody (bytes), Timeout (seconds)."""

    async def names(self, prefix: str) -> Sequence[str]:
        """Return the names of all keys that start with prefix."""

    async def create(self, name: str) -> None:
        """Make a key; raise AlreadyExists."""

    async def change(self, verb: str, name: str) -> Mapping[str, Any]:
        """Do `rotate`, `disable`, `enable` or `restore`; return the key's state afterwards."""

    async def delete(self, name: str, after_seconds: float) -> Mapping[str, Any]:
        """Schedule a key's deletion; return its state."""

    async def describe(self, name: str) -> Mapping[str, Any]:
        """Return a key's state: versions, disabled, deletion due, …"""


class KeyCounters(Protocol):
    """What uses of data keys cost: counted by the server, shown to operators."""

    @property
    def success(self) -> int:
        """Uses that succeeded."""

    @property
    def error(self) -> int:
        """Uses that failed for the caller's or the key's reason (4xx)."""

    @property
    def failure(self) -> int:
        """Uses that failed for the service's reason (5xx)."""

    def histogram(self) -> Mapping[str, int]:
        """Return nanoseconds, as text, → uses that took at most so long; cumulative."""
