"""Worker processes that share one listening socket: spawned, never forked, restarted when they die.

A forked child would inherit open databases, whose locks SQLite then loses; a spawned one starts from its command.
The parent listens and never accepts, so a worker that dies takes no waiting connection with it. When the parent dies,
in whatever way, the kernel ends its workers: nobody could stop or replace them any more.
"""

import asyncio
import ctypes
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ..errors import BadSettings
from .run import Signals
from .shared import log

VARIABLE: Final = "STRONGROOM_LISTENER"  # in a worker's environment: the descriptor of the socket
PLACE: Final = "STRONGROOM_WORKER"  # its number, the pipe that says it is ready, and its parent: `1:5:4711`
FIRST_PAUSE: Final = 0.1  # seconds before a worker that died starts again; doubled each time
LONGEST_PAUSE: Final = 10.0
SETTLED: Final = 30.0  # seconds after which a worker counts as well again
PR_SET_PDEATHSIG: Final = 1


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on host ("" for all addresses) and port. Raises OSError."""
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    dual = family == socket.AF_INET6 and not host
    return socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=dual)


def inherited_socket() -> socket.socket | None:
    """Return the socket that a parent handed to this worker, for `listen(sock=…)`; None when there is none."""
    number = os.environ.pop(VARIABLE, "")
    if not number:
        return None
    try:
        sock = socket.socket(fileno=int(number))
    except (ValueError, OSError) as error:
        raise BadSettings(f"{VARIABLE}: not a listening socket: {error}") from error
    sock.set_inheritable(False)
    return sock


@dataclass(slots=True)
class Worker:
    """What a worker knows of its place. number: from 0; the first does what only one may do."""

    number: int
    parent: int
    sock: socket.socket
    _pipe: int

    @property
    def first(self) -> bool:
        """Whether this is the one that runs what must run once."""
        return self.number == 0

    def ready(self) -> None:
        """Tell the parent that requests are answered."""
        if self._pipe >= 0:
            with suppress(BrokenPipeError):
                os.write(self._pipe, b"1")
            os.close(self._pipe)
            self._pipe = -1

    def signal_parent(self, number: signal.Signals) -> None:
        """Ask the parent for something that concerns all workers."""
        os.kill(self.parent, number)


def is_worker() -> bool:
    """Say whether this process is a worker that has not yet called `this_worker`."""
    return PLACE in os.environ


def this_worker() -> Worker | None:
    """Return the place of this process among its siblings, None when it is no worker; it then dies with its parent."""
    place = os.environ.pop(PLACE, "")
    sock = inherited_socket()
    if not place or sock is None:
        return None
    number, pipe, parent = (int(word) for word in place.split(":"))
    os.set_inheritable(pipe, False)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(143)  # it died before the kernel was asked
    return Worker(number, parent, sock, pipe)


class Workers:
    """Runs count copies of a command that serve sock.

    command(n) gives the words of the n-th worker, which calls `this_worker`, listens, and then `ready()`.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        count: int,
        sock: socket.socket,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """environment: what workers have besides the parent's."""
        self._environment = environment or {}
        self._command = command
        self._count = count
        self._sock = sock
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._ready = [asyncio.Event() for _ in range(count)]
        self._serving: set[int] = set()
        self._late: set[int] = set()  # to be told of a reload once they serve: SIGHUP ends a process that only starts
        self._failed = asyncio.Event()
        self._ended = asyncio.Event()

    async def ready(self) -> bool:
        """Wait until every worker has been ready once; False when one ended before it ever was, or all were told to."""
        waits = [asyncio.create_task(self._all_ready()), asyncio.create_task(self._ended.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not self._ended.is_set()

    async def _all_ready(self) -> bool:
        for one in self._ready:
            await one.wait()
        return True

    async def run(self, signals: Signals, grace_seconds: float = 10.0) -> int:
        """Keep the workers running until `signals.stopped`.

        Returns 0, or 1 when a worker had to be killed, or ended before it was ever ready (it said why).
        """
        keepers = [asyncio.create_task(self._keep(number)) for number in range(self._count)]
        signals.on_reload(self._reload)
        ends = [asyncio.create_task(event.wait()) for event in (signals.stopped, self._failed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._ended.set()
        for task in (*ends, *keepers):
            task.cancel()
        await asyncio.gather(*ends, *keepers, return_exceptions=True)
        code = await self._stop(grace_seconds)
        return 1 if self._failed.is_set() else code

    async def _keep(self, number: int) -> None:
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                process = await self._start(number)
            except OSError as error:
                log.error("worker %d cannot be started: %s", number, error.strerror)
                await asyncio.sleep(LONGEST_PAUSE)
                continue
            code = await process.wait()
            if not self._ready[number].is_set():
                if number:  # the first says itself why it cannot start
                    log.error("worker %d ended with code %d before it was ready", number, code)
                self._failed.set()
                return
            pause = FIRST_PAUSE if loop.time() - began > SETTLED else min(pause * 2, LONGEST_PAUSE)
            log.error("worker %d ended with code %d; it starts again in %.1f s", number, code, pause)
            await asyncio.sleep(pause)

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        self._serving.discard(number)
        listener = self._sock.fileno()
        reading, writing = os.pipe()
        place = f"{number}:{writing}:{os.getpid()}"
        try:
            process = self._running[number] = await asyncio.create_subprocess_exec(
                *self._command(number),
                pass_fds=(listener, writing),
                env={**os.environ, **self._environment, VARIABLE: str(listener), PLACE: place},
                stdin=asyncio.subprocess.DEVNULL,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        asyncio.get_running_loop().add_reader(reading, self._heard, number, reading)
        return process

    def _heard(self, number: int, pipe: int) -> None:
        """Take a worker's word that it is ready, or the end of its pipe."""
        said = os.read(pipe, 1)
        asyncio.get_running_loop().remove_reader(pipe)
        os.close(pipe)
        if said:
            self._ready[number].set()
            self._serving.add(number)
            if number in self._late:
                self._late.discard(number)
                self._tell(number, signal.SIGHUP)

    def _reload(self) -> None:
        for number in range(self._count):
            if number in self._serving:
                self._tell(number, signal.SIGHUP)
            else:
                self._late.add(number)

    def _tell(self, worker: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._running[worker].send_signal(number)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._running:
            self._tell(worker, number)

    async def _stop(self, grace_seconds: float) -> int:
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                await asyncio.gather(*(process.wait() for process in self._running.values()))
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await asyncio.gather(*(process.wait() for process in self._running.values()))
            return 1
        return 0
