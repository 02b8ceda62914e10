"""A key store that forgets at exit: for tests and `kes server --dev`."""

from strongroom.kes.domain.errors import KeyExists, KeyNotFound
from strongroom.kes.domain.pages import page


class MemoryStore:
    """Keys in a dictionary."""

    description = "In Memory"
    clock_ahead = 0.0

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    async def status(self) -> float:
        """Always there."""
        return 0.001

    async def create(self, name: str, value: bytes) -> None:
        """See KeyStore."""
        if name in self._values:
            raise KeyExists(name)
        self._values[name] = value

    async def get(self, name: str) -> bytes:
        """See KeyStore."""
        try:
            return self._values[name]
        except KeyError:
            raise KeyNotFound(name) from None

    async def delete(self, name: str) -> None:
        """See KeyStore."""
        if self._values.pop(name, None) is None:
            raise KeyNotFound(name)

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """See KeyStore."""
        return page(self._values, prefix, after, limit)

    async def close(self) -> None:
        """Nothing to end."""
