"""Bucket notifications: events are queued on disk before the request is answered, then sent until they are taken.

A crash between the commit of an object and the queue loses that object's event; a crash after it loses none, and may
send one twice (docs/security/limitations/s3.md).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from strongroom.errors import Error, NotFound
from strongroom.messages import Response, Stream
from strongroom.s3.domain import events
from strongroom.s3.domain.events import Event, Scene
from strongroom.s3.domain.ports import SystemStore
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call, log
from strongroom.s3.handlers.documents import document
from strongroom.s3.handlers.hub import Relay
from strongroom.s3.wire import notification_xml
from strongroom.s3.wire import object_headers as wire

QUEUE = "events/"  # system entries `events/<target>/<sequence>`
LIMIT = 100_000  # events that wait for one target
RETRY_SECONDS = (1.0, 60.0)  # between two attempts: first, longest
POLL_SECONDS = 2.0  # between two looks for events that other processes have queued
KEEP_ALIVE_SECONDS = 5.0  # between two blanks in a listener's stream
LISTENER_LIMIT = 1000  # messages that a slow listener may fall behind
_encode = msgspec.json.Encoder().encode

Send = Callable[[bytes], Awaitable[None]]  # raises Unavailable


@dataclass(slots=True)
class Target:
    """Where events go. name: as in its ARN, `arn:minio:sqs:REGION:NAME:webhook`."""

    name: str
    send: Send
    waiting: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def arn(self, region: str) -> str:
        """Return the target's ARN."""
        return f"arn:minio:sqs:{region}:{self.name}:webhook"


class Notifier:
    """Finds who wants an event, queues it, sends it."""

    def __init__(self, system: SystemStore | None, region: str, targets: Mapping[str, Send] | None = None) -> None:
        self._system = system
        self._region = region
        made = [Target(name, send) for name, send in (targets or {}).items()]
        self._targets = {target.arn(region): target for target in made} if system is not None else {}
        self._listeners: dict[asyncio.Queue[bytes], tuple[str, tuple[str, ...], str, str]] = {}
        self._last = 0
        self.relay: Relay | None = None  # to listeners of other processes

    @property
    def arns(self) -> list[str]:
        """The targets that bucket configurations may name."""
        return list(self._targets)

    @property
    def active(self) -> bool:
        """Whether anybody could want an event at all."""
        return bool(self._targets or self._listeners) or (self.relay is not None and self.relay.wanted)

    @property
    def heard(self) -> bool:
        """Whether anybody listens here."""
        return bool(self._listeners)

    async def publish(self, call: Call, record: BucketRecord) -> None:
        """Queue a call's events for all who want them; returns when they are on disk."""
        stored = record.config.get(notification_xml.NAME)
        subscriptions = notification_xml.stored(stored) if stored else ()
        now = call.box.now()
        text = wire.iso_time(int(now * 1000) * 1_000_000)
        headers = call.headers
        scene = Scene(
            call.bucket,
            self._region,
            call.principal.name,
            call.request.peer.address,
            headers.get("host", ""),
            headers.get("user-agent", ""),
            call.request_id,
            now,
            text,
        )
        for event in call.events:
            for one in subscriptions:
                target = self._targets.get(one.arn)
                if target is not None and one.wants(event):
                    await self._queue(target, event, scene, one.name)
            self._broadcast(event, scene)
            if self.relay is not None and self.relay.wanted:
                self.relay.send((event, scene))

    def take(self, item: object) -> None:
        """Give another process's event to the listeners of this one."""
        event, scene = msgspec.convert(item, tuple[Event, Scene])
        self._broadcast(event, scene)

    def _sequence(self) -> int:
        self._last = max(self._last + 1, time.time_ns())
        return self._last

    async def _queue(self, target: Target, event: Event, scene: Scene, configuration: str) -> None:
        assert self._system is not None
        if target.waiting >= LIMIT:  # as far as this process knows: another may have sent them
            target.waiting = len(await self._system.names(f"{QUEUE}{target.name}/"))
        if target.waiting >= LIMIT:
            log.error("event target %s: %d events wait, one more is dropped", target.name, target.waiting)
            return
        sequence = self._sequence()
        body = _encode(events.message(event, scene, configuration, sequence))
        target.waiting += 1
        await self._system.save(f"{QUEUE}{target.name}/{sequence:020d}", body)
        target.wake.set()

    def _broadcast(self, event: Event, scene: Scene) -> None:
        for queue, (bucket, patterns, prefix, suffix) in self._listeners.items():
            one = events.Subscription("", "", patterns, prefix, suffix)
            if bucket in ("", scene.bucket) and one.wants(event) and not queue.full():
                queue.put_nowait(_encode(events.message(event, scene, "", self._sequence())) + b"\n")

    def look(self) -> None:
        """Look for events that other processes have queued."""
        for target in self._targets.values():
            target.wake.set()

    async def run(self) -> None:
        """Send what is queued, for ever; each target at its own pace."""
        await asyncio.gather(*[self._deliver(target) for target in self._targets.values()])

    async def _deliver(self, target: Target) -> None:
        pause = RETRY_SECONDS[0]
        while True:
            target.wake.clear()
            try:
                await self._drain(target)
                pause = RETRY_SECONDS[0]
            except Exception as error:  # whatever it was: a target that is given up silently loses all that comes
                text = "event target %s: %s; trying again in %.0f s"
                log.warning(text, target.name, error, pause, exc_info=not isinstance(error, Error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY_SECONDS[1])
                continue
            with contextlib.suppress(TimeoutError):  # another process may have queued something
                await asyncio.wait_for(target.wake.wait(), POLL_SECONDS)

    async def _drain(self, target: Target) -> None:
        assert self._system is not None
        names = await self._system.names(f"{QUEUE}{target.name}/")
        target.waiting = len(names)
        for name in names:
            try:
                body = await self._system.load(name)
            except NotFound:
                continue
            await target.send(body)
            await self._system.remove(name)
            target.waiting = max(target.waiting - 1, 0)

    async def listen(self, bucket: str, patterns: tuple[str, ...], prefix: str, suffix: str) -> AsyncIterator[bytes]:
        """Yield messages as JSON lines as they happen, and blanks now and then; what comes too fast is left out."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(LISTENER_LIMIT)
        self._listeners[queue] = (bucket, patterns, prefix, suffix)
        if self.relay is not None:
            self.relay.announce()
        try:
            yield b" "
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield b" "
        finally:
            del self._listeners[queue]


async def put_notification(call: Call) -> Response:
    """PutBucketNotificationConfiguration."""
    await call.enter("s3:PutBucketNotification")
    body = await document(call)
    stored = notification_xml.check(body, call.box.notifier.arns)
    await call.box.store.configure(call.bucket, {notification_xml.NAME: stored})
    return Response(200)


async def listen(call: Call) -> Response:
    """ListenNotification, MinIO's: a stream of what happens in a bucket (or, at the root, in all of them)."""
    if call.bucket:
        await call.enter("s3:ListenBucketNotification")
    else:
        call.authorise("s3:ListenNotification")
    patterns = tuple([value for name, value in call.pairs if name == "events"])
    if not patterns or any(pattern not in events.PATTERNS for pattern in patterns):
        raise Refused("InvalidArgument", "A specified event is not supported for notifications.")
    source = call.box.notifier.listen(call.bucket, patterns, call.args.get("prefix", ""), call.args.get("suffix", ""))
    return Response(200, [("Content-Type", "text/event-stream")], Stream(source))
