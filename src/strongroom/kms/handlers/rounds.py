"""Rounds through many entries: a page at each tick, so that no tick holds other requests up."""

from strongroom.kms.domain.entries import View

PAGE = 200  # entries looked at in one tick: some 5 ms
SECONDS = 60  # from the beginning of a round to that of the next, if it is done by then


class Round:
    """Where a round through the entries below a prefix has come to."""

    def __init__(self) -> None:
        self._after, self._next = "", 0

    def page(self, view: View, prefix: str, now: int) -> list[str]:
        """Return the next page of a mount's keys, often none; now in seconds."""
        if not self._after:
            if now < self._next:
                return []
            self._next = now + SECONDS
        cut = len(view.prefix)
        found = view.work.entries.store.keys(view.prefix + prefix, self._after, PAGE)
        self._after = found[-1] if len(found) == PAGE else ""
        return [key[cut:] for key in found]
