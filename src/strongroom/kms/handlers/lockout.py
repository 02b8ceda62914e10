"""User lockout: five failed logins of one alias lock it for fifteen minutes, unless a rule says otherwise.

In memory only. Source: vault.md 4.3.
"""

import hashlib
from dataclasses import dataclass

from strongroom.kms.domain.lockouts import DEFAULT, LockoutRule

LONGEST = 128  # characters of an alias that is kept as it is; anybody can try to log in under any name
KEPT = 100_000


@dataclass(slots=True)
class _Failures:
    count: int
    last: int
    locked: bool = False


def _key(mount: str, alias: str) -> tuple[str, str]:
    if len(alias) > LONGEST:
        alias = hashlib.sha256(alias.encode("utf-8", "replace")).hexdigest()
    return mount, alias


class Lockouts:
    """Failed logins by (mount accessor, alias)."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], _Failures] = {}

    def locked(self, mount: str, alias: str, now: int, rule: LockoutRule = DEFAULT) -> bool:
        """Say whether an alias is locked at `now`, seconds."""
        if rule.disabled:
            return False
        key = _key(mount, alias)
        found = self._failures.get(key)
        if found is None:
            return False
        if now - found.last >= (rule.duration if found.locked else rule.reset):
            del self._failures[key]
            return False
        return found.locked

    def failed(self, mount: str, alias: str, now: int, rule: LockoutRule = DEFAULT) -> None:
        """Count a failed login."""
        if rule.disabled:
            return
        if len(self._failures) >= KEPT:
            self._failures.clear()
        found = self._failures.setdefault(_key(mount, alias), _Failures(0, now))
        found.count, found.last = found.count + 1, now
        found.locked = found.count >= rule.threshold

    def succeeded(self, mount: str, alias: str) -> None:
        """Forget an alias's failures."""
        self._failures.pop(_key(mount, alias), None)

    def all(self) -> list[tuple[str, str]]:
        """Return the locked (mount accessor, alias) pairs."""
        return [key for key, found in self._failures.items() if found.locked]

    def clear(self) -> None:
        """Forget everything."""
        self._failures.clear()
