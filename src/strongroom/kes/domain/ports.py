"""What the key server needs from outside."""

from typing import Protocol


class KeyStore(Protocol):
    """Where master keys live, as named values of bytes. Methods may run concurrently.

    Any may raise StoreUnreachable (the store cannot be reached, or is sealed) or StoreFailed (it answered, but not
    with what was asked for). Names are 1 to about 100 bytes of `0-9 A-Z a-z _ -`; the server's own marks end in `-`.
    """

    @property
    def description(self) -> str:
        """How the store is called in front of operators, such as `Filesystem: /keys`."""

    @property
    def clock_ahead(self) -> float:
        """How many seconds our clock is ahead of the store's, negative behind it; 0 when that is not known."""

    async def status(self) -> float:
        """Return how long the store took to answer, in seconds."""

    async def create(self, name: str, value: bytes) -> None:
        """Store value durably under a free name; raise KeyExists, changing nothing, if it is taken."""

    async def get(self, name: str) -> bytes:
        """Return the value; raise KeyNotFound if there is none."""

    async def delete(self, name: str) -> None:
        """Forget name; raise KeyNotFound if there is none and the store can tell."""

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return up to limit names greater than after that start with prefix, in byte order."""

    async def close(self) -> None:
        """End background work and connections."""
