"""Worker processes that share one listening socket: spawned, never forked, restarted when they die.

A forked child would inherit open databases, whose locks SQLite then loses; a spawned one starts from its command.
The parent listens and never accepts, so a worker that dies takes no waiting connection with it.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from ..errors import BadSettings
from .run import Signals
from .shared import log

VARIABLE: Final = "STRONGROOM_LISTENER"  # in a worker's environment: the descriptor of the socket
FIRST_PAUSE: Final = 0.1  # seconds before a worker that died starts again; doubled each time
LONGEST_PAUSE: Final = 10.0
SETTLED: Final = 30.0  # seconds after which a worker counts as well again


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


class Workers:
    """Runs count copies of a command that serve sock.

    command(n) gives the words of the n-th worker, which calls `inherited_socket`.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], count: int, sock: socket.socket) -> None:
        self._command = command
        self._count = count
        self._sock = sock
        self._running: dict[int, asyncio.subprocess.Process] = {}

    async def run(self, signals: Signals, grace_seconds: float = 10.0) -> int:
        """Keep the workers running until `signals.stopped`; return 0, or 1 when one had to be killed."""
        keepers = [asyncio.create_task(self._keep(number)) for number in range(self._count)]
        signals.on_reload(lambda: self._signal(signal.SIGHUP))
        await signals.stopped.wait()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        return await self._stop(grace_seconds)

    async def _keep(self, number: int) -> None:
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            process = self._running[number] = await self._start(number)
            code = await process.wait()
            pause = FIRST_PAUSE if loop.time() - began > SETTLED else min(pause * 2, LONGEST_PAUSE)
            log.error("worker %d ended with code %d; it starts again in %.1f s", number, code, pause)
            await asyncio.sleep(pause)

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        descriptor = self._sock.fileno()
        environment = {**os.environ, VARIABLE: str(descriptor)}
        return await asyncio.create_subprocess_exec(
            *self._command(number), pass_fds=(descriptor,), env=environment, stdin=asyncio.subprocess.DEVNULL
        )

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(number)

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
