"""Watches the key store for changes of key states, and lets cached keys age (kes.md 7; architecture.md 7)."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from strongroom.errors import Unavailable
from strongroom.kes.domain.errors import KeyNotFound, StoreDenied, StoredKeyDamaged, StoreShut, StoreUnreachable
from strongroom.kes.domain.lifecycle import GENERATION, STATES, Event, Generation, MasterKey, decode_entry
from strongroom.kes.domain.settings import CacheSettings, LockSettings
from strongroom.kes.handlers.generation import replace_generation
from strongroom.kes.handlers.keyring import Keyring
from strongroom.observe.log import Log

PROBE_SECONDS = 10.0  # how often the store is asked whether it is there (kes.md 7)
ALARM_SECONDS = 0.5  # between a probe and the next one that an alarm asks for
KEPT_EVENTS = 1024  # for clients that come back
REREAD_AT_ONCE = 16
_QUEUE = 1000  # events that a slow subscriber may lag behind


@dataclass(slots=True)
class Watch:
    """One key store's watch. now() is in seconds since 1970; other times here are monotonic."""

    keyring: Keyring
    cache: CacheSettings
    lock: LockSettings
    log: Log
    now: Callable[[], float] = time.time
    generation: Generation = field(default_factory=Generation)
    offline: StoreUnreachable | Unavailable | None = None  # why the store counts as away
    offline_since: float = 0.0
    read_at: float = 0.0  # when `generation-` was last read
    latency: float = 0.0  # of the last probe, seconds
    failures: int = 0
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    _subscribers: set["asyncio.Queue[Event | None]"] = field(default_factory=set)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    _alarm: "asyncio.Event" = field(default_factory=asyncio.Event)
    _reading: "asyncio.Lock" = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Read the generation once, then go on in the background until `stop`."""
        self.keyring.with_states = True
        self.keyring.noticed = self.noticed
        fallback = self.keyring.fallback
        fallback.seconds, fallback.strict, fallback.alarm = self.cache.offline, self.lock.strict, self._alarmed
        fallback.keep_seconds = max(self.cache.any, self.cache.unused)
        try:
            await self.look()
        except Unavailable as error:
            self.log.warn(f"the key store's generation cannot be read yet: {error}")
        for seconds, work in (
            (self.lock.within / 2, self._poll),
            (self.cache.any, self._drop_all),
            (self.cache.unused / 2, self._drop_unused),
            (min(1.0, self.cache.offline / 4), self._drop_offline),
            (self.lock.within / 4, self._heartbeat),
        ):
            if seconds > 0:
                self.every(seconds, work)
        self._tasks.append(asyncio.create_task(self._probing()))

    def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do work again and again until `stop`; what it raises is logged, once for each reason in a row."""
        self._tasks.append(asyncio.create_task(self._every(seconds, work)))

    async def stop(self) -> None:
        """End the background work, all event streams, and the reads that go on."""
        await self.end()
        await self.keyring.stop()

    async def end(self) -> None:
        """End the background work and all event streams; requests that run may still read keys."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for queue in list(self._subscribers):
            _offer(queue, None)

    # ---- the generation
    async def look(self) -> None:
        """Read `generation-`; when it changed, make every cached key be read again before its next use."""
        async with self._reading:
            found = await self._read_in_time()
            self.read_at = time.monotonic()
            self.keyring.store_answers()
            if self.offline is not None:
                self._alarm.set()  # it may be back
            if found == self.generation:
                return
            self.generation = found
            self.keyring.generation = found.text()
            self.keyring.epoch += 1
        await self._reread_cached()
        self.tell("changed", "")

    async def changed(self, kind: str, name: str) -> None:
        """After a marker was written: replace `generation-`, read the key again, tell the subscribers."""
        async with self._reading:
            self.generation = await replace_generation(self.keyring.store, self.generation, self.now())
            self.read_at = time.monotonic()
            self.keyring.generation = self.generation.text()
            self.keyring.epoch += 1
            self.keyring.with_states = True
            self.keyring.forget(name)
        self.tell(kind, name)

    async def _read_in_time(self) -> Generation:
        """Read the generation within the bound: over a connection that is dead, a client would wait for minutes."""
        try:
            async with asyncio.timeout(max(1.0, self.lock.within)):
                return await self._read_generation()
        except TimeoutError:
            raise StoreUnreachable("the key store's generation was not read within lock.within") from None

    async def _read_generation(self) -> Generation:
        store = self.keyring.store
        try:
            found = decode_entry(await store.get(GENERATION), Generation)
            self.keyring.with_states = True
        except StoreShut:
            raise
        except StoreDenied:
            if self.generation.random:
                raise  # the store has held our states: keys are not used without looking at them
            self.keyring.with_states = False  # a store that denies the name cannot hold our states
            return Generation()
        except StoredKeyDamaged as error:  # the next change replaces it
            self.keyring.warn_once(f"'{GENERATION}' in the key store is damaged, so every key is read again: {error}")
            return self._look_at_every_key()
        except KeyNotFound:
            self.keyring.with_states = await self._has_states()
            return self._look_at_every_key() if self.keyring.with_states else self.generation
        return found

    def _look_at_every_key(self) -> Generation:
        """Without a generation that could be compared, as between somebody's delete and create of it."""
        self.keyring.with_states = True
        if self.keyring.entries:
            self.keyring.epoch += 1
        return self.generation

    async def _has_states(self) -> bool:
        try:
            await self.keyring.store.get(STATES)
        except StoreShut:
            raise
        except (KeyNotFound, StoreDenied):
            return False
        return True

    async def _reread_cached(self) -> None:
        """Read all cached keys again, some at a time, and tell the subscribers what changed."""
        names = list(self.keyring.entries)
        gate = asyncio.Semaphore(REREAD_AT_ONCE)

        async def one(name: str) -> None:
            async with gate:
                await self._reread(name)

        await asyncio.gather(*map(one, names))

    async def _reread(self, name: str) -> None:
        try:
            await self.keyring.get(name)
        except KeyNotFound:
            return  # told by the key ring, as every change is
        except Unavailable as error:
            self.log.warn(f"the state of key '{name}' cannot be read: {error}")

    def noticed(self, before: MasterKey, now: MasterKey | None) -> None:
        """Tell the subscribers what the key ring found when it read a key again."""
        if now is None:
            self.tell("deleted", before.name)
            return
        if now.state != before.state:
            self.tell(now.state, now.name)
        if len(now.versions) != len(before.versions):
            self.tell("rotated", now.name)

    # ---- events
    def tell(self, kind: str, name: str) -> None:
        """Give an event to every subscriber, and keep it for those who come back."""
        event = Event(kind, name, self.generation.text(), self.now())
        if kind != "heartbeat":
            self._events.append(event)
        for queue in list(self._subscribers):
            _offer(queue, event)

    async def events(self, after: str) -> AsyncGenerator[Event, None]:
        """Yield the events behind generation after, then new ones until `stop`.

        `reset` comes first when it cannot be told what happened since: the client must forget what it cached.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_QUEUE)
        self._subscribers.add(queue)
        try:
            for event in self._since(after):
                yield event
            while (next_event := await queue.get()) is not None:
                yield next_event
        finally:
            self._subscribers.discard(queue)

    def _since(self, after: str) -> list[Event]:
        """Return what followed a generation, and what was told under it: a client may have heard a part of that."""
        now = self.generation.text()
        kept = list(self._events)
        first = next((place for place, event in enumerate(kept) if event.generation == after), None)
        if after and first is None:
            return [Event("heartbeat" if after == now else "reset", "", now, self.now())]
        if not after or (first == 0 and len(kept) == KEPT_EVENTS):  # more of it may have been let go of
            return [Event("reset", "", now, self.now())]
        return kept[first:]

    # ---- timers
    async def _poll(self) -> None:
        await self.look()

    async def _heartbeat(self) -> None:
        """Only while the store was read within the bound: silence means that locks may not be seen here."""
        if time.monotonic() - self.read_at <= self.lock.within:
            self.tell("heartbeat", "")

    def _alarmed(self, text: str) -> None:
        """A read failed, or takes long: find out at once whether the store is away."""
        if not self._alarm.is_set():
            self.log.warn(f"cached keys are served although the key store does not answer: {text}")
            self._alarm.set()

    async def _probing(self) -> None:
        """Probe every PROBE_SECONDS, and soon after an alarm."""
        while True:
            await self._probe()
            await asyncio.sleep(min(ALARM_SECONDS, PROBE_SECONDS))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._alarm.wait()
            self._alarm.clear()

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(max(1.0, PROBE_SECONDS)):
                self.latency = await self.keyring.store.status()
        except Exception as error:
            why = error if isinstance(error, Unavailable) else StoreUnreachable(str(error) or type(error).__name__)
            if self.offline is None:
                self.offline_since = time.monotonic()
                self.log.warn(f"the key store is away: {why}")
            self.offline = why
            self.keyring.fallback.away = True
        else:
            if self.offline is not None:
                self.log.info("the key store is back")
            self.offline = None
            self.keyring.store_answers()

    async def _drop_all(self) -> None:
        if not self._keeps_offline():
            self.keyring.drop_all()

    async def _drop_unused(self) -> None:
        if not self._keeps_offline():
            self.keyring.drop_unused()

    async def _drop_offline(self) -> None:
        """Forget what offline mode may not serve any longer; the original does so at a tick that began at its start."""
        now = time.monotonic()
        if self.offline is not None and now - self.offline_since >= self.cache.offline:
            self.keyring.forget_all()
        else:
            self.keyring.drop_doubted(now - self.cache.offline)

    def _keeps_offline(self) -> bool:
        return self.offline is not None and self.cache.offline > 0

    def serves_offline_until(self) -> float | None:
        """Say until when cached keys are served although the store is away: seconds since 1970, None if it is not."""
        if self.offline is None or not self.cache.offline:
            return None
        return self.now() + self.cache.offline - (time.monotonic() - self.offline_since)

    def check_lock_bound(self) -> None:
        """With `lock.strict`: raise StoreUnreachable when key states are older than the bound."""
        if self.lock.strict and time.monotonic() - self.read_at > self.lock.within:
            raise StoreUnreachable("key states could not be read within lock.within")

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        told = ""
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception as error:  # whatever it is, locks and deletions must be looked for again
                self.failures += 1
                text = f"watching the key store: {str(error) or type(error).__name__}"
                if text != told and not (self.offline is not None and isinstance(error, StoreUnreachable)):
                    self.log.error(text)
                told = text
            else:
                told = ""


def _offer(queue: "asyncio.Queue[Event | None]", event: Event | None) -> None:
    """Give event to a subscriber; one that lags too far behind is ended, and finds out by its generation."""
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
    else:
        queue.put_nowait(event)
