"""Offline mode: what may still be served when the key store does not answer (kes.md 7; docs/reference/kes.md).

A key that a timer has dropped stays here as a fallback, so that an outage that nobody has noticed yet takes no key
away. It is served only after the store was asked in vain, and asked for again as soon as the store answers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from strongroom.kes.domain.lifecycle import MasterKey

PATIENCE_SECONDS = 1.0  # how long a store may take before the last known key is served


@dataclass(slots=True)
class Entry:
    """A cached key. used is cleared by the `unused` timer; last_used is in seconds since 1970.

    headers are those of an answer that the newest version sealed. epoch decides whether it may be used without asking
    the store; read_under is the epoch it was read under. doubted: since when the store could not be asked about it
    (monotonic seconds), 0 when nothing is in doubt.
    """

    key: MasterKey
    epoch: int
    headers: tuple[tuple[str, str], ...]
    used: bool = True
    last_used: float = 0.0
    read_under: int = 0
    doubted: float = 0.0


@dataclass(slots=True)
class Fallback:
    """The keys of one key ring that were dropped, and when a last known key may be served.

    seconds is `cache.expiry.offline`, 0 for no offline mode; strict is `lock.strict`; keep_seconds says how long a
    dropped key stays. away is set while the store is known to be away; alarm is told when a read fails.
    """

    seconds: float = 0.0
    strict: bool = False
    keep_seconds: float = 0.0
    away: bool = False
    alarm: Callable[[str], None] = field(default=lambda text: None)
    _kept: dict[str, tuple[float, Entry]] = field(default_factory=dict)
    _barred: dict[str, int] = field(default_factory=dict)  # by name: entries read under an older epoch are not served

    def keep(self, dropped: dict[str, Entry]) -> None:
        """Take what a timer drops, and let go of what was dropped long ago and not asked for since."""
        if not self.seconds:
            return
        now = time.monotonic()
        kept = self._kept.items()
        self._kept = {
            name: (since, entry)
            for name, (since, entry) in kept
            if (now - since < self.keep_seconds or entry.doubted) and not self._overdue(entry)
        }
        self._kept |= {name: (now, entry) for name, entry in dropped.items()}

    def last_known(self, name: str, entry: Entry | None, epoch: int) -> Entry | None:
        """Return what may be served if the store does not answer: the cached entry, or the one that was dropped.

        None without offline mode, after a change of the key that went through this server, when offline mode has lasted
        too long, and with `lock.strict` also for a key that was read before the last change in the store.
        """
        if not self.seconds:
            return None
        if entry is None:
            entry = self._kept.get(name, (0.0, None))[1]
        if entry is None or self.is_barred(name, entry) or self._overdue(entry):
            return None
        return None if self.strict and entry.read_under != epoch else entry

    def confirmed(self, name: str, epoch: int) -> None:
        """A key was read: nothing older is needed."""
        self._kept.pop(name, None)
        if self._barred.get(name, epoch + 1) <= epoch:
            del self._barred[name]

    def forget(self, name: str, epoch: int) -> None:
        """Never serve what was known of a key before epoch."""
        self._kept.pop(name, None)
        if self.seconds:
            self._barred[name] = epoch

    def is_barred(self, name: str, entry: Entry) -> bool:
        """Say whether the key was changed through this server after entry was read."""
        return entry.read_under < self._barred.get(name, 0)

    def adopt(self, entries: dict[str, Entry], epoch: int) -> None:
        """Take the keys of the key ring that a reload replaces, when the store could not be read since."""
        for entry in entries.values():
            entry.read_under = epoch
        self.keep(entries)

    def clear(self) -> None:
        """Forget all: offline mode has lasted as long as it may."""
        self._kept.clear()

    def _overdue(self, entry: Entry) -> bool:
        return bool(entry.doubted) and time.monotonic() - entry.doubted >= self.seconds
