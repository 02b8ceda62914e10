"""Listens to what a KES tells of its keys, so that a lock holds here at once (docs/reference/kes.md).

An original KES tells nothing: then, as while a stream is down or silent, data keys live `lock_within` seconds.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from strongroom.errors import Denied, Error, NotFound
from strongroom.s3.domain.key_service import LOCK_WITHIN
from strongroom.s3.outside.kes_keys import KesKeys, generation_number

log = logging.getLogger("strongroom.s3")

KEEP_SECONDS = 300.0  # how long a data key is kept while the stream is live
_RETRY_SECONDS = 1.0  # after a stream broke
_UNKNOWN_SECONDS = 60.0  # after a server said that it has no such stream, or not for us
_LOCKS = frozenset({"disabled", "pending deletion", "deleted"})


class KeyEvents:
    """One stream to each endpoint of a KES. now() is monotonic seconds.

    forget: drops the cached data keys of a key, or with None all; set by whoever caches.
    locked: is told the name of a key that was locked, or "" when any may have been while the stream was away.
    """

    def __init__(
        self,
        keys: KesKeys,
        now: Callable[[], float],
        lock_within: float = LOCK_WITHIN,
    ) -> None:
        self._keys = keys
        self.forget: Callable[[str | None], None] = lambda name: None
        self.locked: Callable[[str], None] = lambda name: None
        self._now = now
        self.lock_within = lock_within
        self._heard: dict[str, float] = {}  # endpoint → when its stream last said anything
        self._after: dict[str, str] = {}  # endpoint → the last generation it told of
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen, until `stop`; once is enough."""
        self._tasks = self._tasks or [
            asyncio.create_task(self._listen(endpoint)) for endpoint in self._keys.client.endpoints
        ]

    async def stop(self) -> None:
        """End the streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def live(self) -> bool:
        """Whether any stream has spoken within the bound on locks; a silent one counts as down."""
        oldest = self._now() - self.lock_within
        for heard in self._heard.values():  # noqa: SIM110 (asked for by every request, and a generator takes its time)
            if heard >= oldest:
                return True
        return False

    def keep_seconds(self) -> float:
        """Say how old a cached data key may be now."""
        return KEEP_SECONDS if self.live else self.lock_within

    async def _listen(self, endpoint: str) -> None:
        while True:
            pause = _RETRY_SECONDS
            try:
                after = self._after.get(endpoint, "")
                async with contextlib.aclosing(self._keys.client.events(after, endpoint)) as events:
                    async for event in events:
                        self.take(endpoint, event)
            except (NotFound, Denied) as error:  # an original KES, or a policy that lets us use no key
                log.debug("no key events from %s: %s", endpoint, error)
                pause = _UNKNOWN_SECONDS
            except Error as error:
                log.debug("key events from %s: %s", endpoint, error)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("key events from %s cannot be read: %s", endpoint, error)
                pause = _UNKNOWN_SECONDS
            self._heard.pop(endpoint, None)
            await asyncio.sleep(pause)

    def take(self, endpoint: str, event: dict[str, Any]) -> None:
        """Act on one event."""
        kind, name, generation = str(event["event"]), str(event.get("key", "")), str(event.get("generation", ""))
        self._heard[endpoint] = self._now()
        self._after[endpoint] = generation
        if kind == "heartbeat":
            return
        if kind in _LOCKS:
            self._keys.denied[name] = max(generation_number(generation), self._keys.denied.get(name, -1))
        elif kind == "enabled" and self._keys.denied.get(name, -1) < generation_number(generation):
            self._keys.denied.pop(name, None)
        if kind in _LOCKS or not name:
            self.locked(name)
        self.forget(name or None)  # "reset" and "changed" name no key: nobody knows what happened meanwhile
        log.info("key %s: %s", name or "states", kind)
