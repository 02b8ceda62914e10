"""Going through many entries without holding other requests up: a page at each tick, or with turns between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from strongroom.kms.domain.entries import View
from strongroom.kms.domain.errors import Sealed

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

T = TypeVar("T")

PAGE = 200  # entries looked at in one tick: some 5 ms
SECONDS = 60  # from the beginning of a round to that of the next, if it is done by then


async def in_turns(core: "Core", items: Sequence[T]) -> AsyncIterator[T]:
    """Yield items, a page between other requests; raise Sealed when the server seals meanwhile."""
    live = core.unsealed
    for start in range(0, len(items), PAGE):
        if start:
            await asyncio.sleep(0)
            if core.unsealed is not live:
                raise Sealed("Vault is sealed")
        for item in items[start : start + PAGE]:
            yield item


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
