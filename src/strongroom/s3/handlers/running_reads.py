"""Reads that are under way, by the key above them, so that locking a key can end them (issue: `cut_running_reads`)."""

from strongroom.s3.domain.key_errors import KeyDisabled


class Reading:
    """One read. Whoever makes its pieces asks `check` before each of them, and calls `end` when it is over."""

    __slots__ = ("_reads", "cut", "key_name")

    def __init__(self, reads: "RunningReads", key_name: str) -> None:
        self._reads = reads
        self.key_name = key_name
        self.cut = False

    def check(self) -> None:
        """Raise KeyDisabled when the key was locked meanwhile."""
        if self.cut:
            raise KeyDisabled(f"{self.key_name}: locked while it was read")

    def end(self) -> None:
        """Forget the read; harmless twice."""
        self._reads.forget(self)


class RunningReads:
    """Counts large reads of objects under keys of the key service, in one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, set[Reading]] = {}

    def begin(self, key_name: str) -> Reading:
        """Note a read that begins."""
        reading = Reading(self, key_name)
        self._running.setdefault(key_name, set()).add(reading)
        return reading

    def forget(self, reading: Reading) -> None:
        """Note that a read is over."""
        running = self._running.get(reading.key_name)
        if running is not None:
            running.discard(reading)
            if not running:
                del self._running[reading.key_name]

    def cut(self, key_name: str) -> int:
        """End the reads under a key before their next window; return how many."""
        found = self._running.get(key_name, set())
        for reading in found:
            reading.cut = True
        return len(found)

    @property
    def keys(self) -> list[str]:
        """The keys that reads are running under."""
        return list(self._running)
