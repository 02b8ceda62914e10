"""The parent of several worker processes: it holds the folder's lock and the listening socket, and serves nothing.

What workers need is loaded by them alone: this process takes a third of a worker's memory.
"""

import asyncio
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.errors import BadSettings, Error
from strongroom.net.workers import Workers, listening_socket
from strongroom.s3.crew import MEETING, execute_again, url_of
from strongroom.s3.storage import sweep
from strongroom.s3.storage.opening import open_folder

if TYPE_CHECKING:
    from strongroom.net.run import Signals

GRACE_SECONDS = 8.0  # for workers to finish what they do


def supervise(folder: Path, host: str, port: int, count: int, *, tls: bool) -> int:
    """Keep count workers of this process's own command line until SIGTERM; return the exit code.

    tls: they will speak it. SIGUSR1 (from a worker whose admin API was asked) ends in a new process of the same id.
    """
    from strongroom.net.run import run

    end = _End()

    async def main(signals: "Signals") -> int:
        end.listen(signals)
        try:
            sock = listening_socket(host, port)
        except OSError as error:
            raise BadSettings(f"cannot listen on {host or '*'}:{port}: {error.strerror or error}") from error
        return await _hold(folder, sock, count, tls, signals)

    try:
        code = run(main)
    except Error as error:
        print(f"FATAL {error}", file=sys.stderr)
        return 1
    if end.again:
        execute_again()
    return code


class _End:
    """How it ends: stopped, or to begin again."""

    def __init__(self) -> None:
        self.again = False

    def listen(self, signals: "Signals") -> None:
        """Take the signals that end or restart this process."""
        self._signals = signals
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._restart)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def _restart(self) -> None:
        if not self._signals.stopped.is_set():
            self.again = True
            self._signals.stopped.set()

    def _stop(self) -> None:
        if self._signals.stopped.is_set() and not self.again:
            raise SystemExit(130)  # asked a second time, as net.run has it
        self.again = False  # when it was about to restart
        self._signals.stopped.set()


async def _hold(folder: Path, sock: socket.socket, count: int, tls: bool, signals: "Signals") -> int:
    """Hold the folder while workers serve it, and clean it meanwhile; return the exit code."""
    loop = asyncio.get_running_loop()
    opened = await loop.run_in_executor(None, open_folder, folder)
    cleaning = loop.run_in_executor(None, sweep.clean, folder, opened.system, opened.leftovers)
    with tempfile.TemporaryDirectory(prefix="strongroom-s3-") as home, sock:
        command = [sys.executable, *sys.orig_argv[1:]]
        workers = Workers(lambda number: command, count, sock, {MEETING: home})
        running = asyncio.create_task(workers.run(signals, GRACE_SECONDS))
        if await workers.ready():
            name = sock.getsockname()
            print(f"API: {url_of(name[0], name[1], tls)}", flush=True)
        code = await running
    await asyncio.wait([cleaning])
    await loop.run_in_executor(None, opened.close)
    return code
