"""What workers tell one another at once, and nobody has to keep: traces, log lines, events for listeners.

A datagram socket for each worker in the folder where they meet. Only what some other worker wants is sent; what a
full socket does not take is lost, as it is for a listener that is too slow.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from strongroom.net.workers import Worker

ANNOUNCE_SECONDS = 1.0  # between two announcements of what is wanted here
WANTED_SECONDS = 3.0  # how long one counts
LARGEST = 256 * 1024  # bytes of a message
ROOM = 4 * 1024 * 1024  # bytes that wait for a busy worker
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, str, Any]).decode


class Topic:
    """One kind of item on the bus.

    interested says whether anybody listens here; take gets the items of other workers; always: all want them.
    """

    def __init__(
        self, bus: "Bus", name: str, interested: Callable[[], bool], take: Callable[[Any], None], always: bool = False
    ) -> None:
        self._bus = bus
        self.name = name
        self.interested = interested
        self.take = take
        self.until: dict[int, float] = {}  # worker → how long it wants items
        self._always = always

    @property
    def wanted(self) -> bool:
        """Whether another worker wants items now."""
        return self._always or bool(self.until)

    def send(self, item: Any) -> None:
        """Give an item, of what MessagePack knows, to the workers that want it."""
        self._bus.send(_encode((self._bus.number, self.name, item)), None if self._always else self.until)

    def announce(self) -> None:
        """Tell the others that items are wanted here."""
        self._bus.send(_encode((self._bus.number, "", self.name)))


class Bus:
    """A worker's end. Belongs to one event loop."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        self.number = worker.number
        self._folder = folder
        self._topics: dict[str, Topic] = {}
        self._loop = asyncio.get_running_loop()
        path = folder / f"bus-{worker.number}"
        path.unlink(missing_ok=True)  # of the worker that was here before
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        self._sock.bind(str(path))
        self._loop.add_reader(self._sock.fileno(), self._receive)

    def topic(
        self, name: str, interested: Callable[[], bool], take: Callable[[Any], None], *, always: bool = False
    ) -> Topic:
        """Begin to exchange a kind of item."""
        made = self._topics[name] = Topic(self, name, interested, take, always)
        return made

    def send(self, message: bytes, to: "dict[int, float] | None" = None) -> None:
        """Send a message to these workers, or to all others."""
        if len(message) > LARGEST:
            return
        for path in self._folder.glob("bus-*"):
            number = int(path.name.removeprefix("bus-"))
            if number != self.number and (to is None or number in to):
                with contextlib.suppress(OSError):  # it has ended, or is far behind
                    self._sock.sendto(message, str(path))

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):  # then others have their turn
                number, name, item = _decode(self._sock.recv(LARGEST))
                if name:
                    self._topics[name].take(item)
                else:
                    self._topics[item].until[number] = self._loop.time() + WANTED_SECONDS

    async def run(self) -> None:
        """Say now and then what is wanted here, and forget who has not said so for a while; for ever."""
        while True:
            await asyncio.sleep(ANNOUNCE_SECONDS)
            now = self._loop.time()
            for topic in self._topics.values():
                topic.until = {number: end for number, end in topic.until.items() if end > now}
                if topic.interested():
                    topic.announce()

    def close(self) -> None:
        """Leave."""
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
