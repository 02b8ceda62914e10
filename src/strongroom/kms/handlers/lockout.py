"""User lockout: five failed logins of one alias lock it for fifteen minutes (vault.md 4.3); in memory only."""

from dataclasses import dataclass

THRESHOLD = 5
SECONDS = 15 * 60
KEPT = 100_000


@dataclass(slots=True)
class _Failures:
    count: int
    last: int


class Lockouts:
    """Failed logins by (mount accessor, alias)."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], _Failures] = {}

    def locked(self, mount: str, alias: str, now: int) -> bool:
        """Say whether an alias is locked at `now`, seconds."""
        found = self._failures.get((mount, alias))
        if found is None:
            return False
        if now - found.last >= SECONDS:
            del self._failures[mount, alias]
            return False
        return found.count >= THRESHOLD

    def failed(self, mount: str, alias: str, now: int) -> None:
        """Count a failed login."""
        if len(self._failures) >= KEPT:
            self._failures.clear()
        found = self._failures.setdefault((mount, alias), _Failures(0, now))
        found.count, found.last = found.count + 1, now

    def succeeded(self, mount: str, alias: str) -> None:
        """Forget an alias's failures."""
        self._failures.pop((mount, alias), None)

    def all(self) -> list[tuple[str, str]]:
        """Return the locked (mount accessor, alias) pairs."""
        return [key for key, found in self._failures.items() if found.count >= THRESHOLD]

    def clear(self) -> None:
        """Forget everything."""
        self._failures.clear()
