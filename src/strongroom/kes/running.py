"""The life of a served key server: signals, reloads, the end."""

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from strongroom.errors import Error
from strongroom.kes import app as kes_app
from strongroom.kes.check import warnings
from strongroom.kes.domain.settings import Settings
from strongroom.net.run import Signals, run

FILES_SECONDS = 2.0  # how often the settings' files are looked at

Load = Callable[[], Settings]
Ready = Callable[[Settings, int], None]


def run_server(settings: Settings, load: Load | None, ready: Ready | None) -> int:
    """Return the exit code: 0 after a graceful stop, 1 when it could not start."""

    async def main(signals: Signals) -> int:
        try:
            app = await kes_app.start(settings)
        except (Error, OSError) as error:
            print(f"Error: {_reason(error, settings)}", file=sys.stderr)
            return 1
        up = "" if ready is None else "=> Server is up and running...\n"
        _announce(settings, app.port, ready, f"{up}listening on https://{settings.host or '0.0.0.0'}:{app.port}")
        hang_up = asyncio.Event()
        signals.on_reload(hang_up.set)
        tasks = []
        if load is not None:
            tasks.append(asyncio.create_task(_reload_on_signal(app, load, ready, hang_up)))
            tasks.append(asyncio.create_task(_watch_files(app, hang_up)))
        await signals.stopped.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _say("\n=> Stopping server... ", end="")
        await app.stop()
        _say("Goodbye.")
        return 0

    return run(main)


def _reason(error: Exception, settings: Settings) -> str:
    """Say why it does not start; of an address that cannot be used in fewer words than uvloop."""
    if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL}:
        return f"listen tcp {settings.host}:{settings.port}: bind: {os.strerror(error.errno).lower()}"
    return str(error)


def _say(text: str, *, end: str = "\n", error: bool = False) -> None:
    """Print a line. That nobody reads any more is no reason to end, or to hear of no further signal."""
    with contextlib.suppress(OSError):
        print(text, end=end, file=sys.stderr if error else sys.stdout, flush=True)


def _announce(settings: Settings, port: int, ready: Ready | None, last: str) -> None:
    for warning in warnings(settings):
        _say(f"Warning: {warning}", error=True)
    if ready is not None:
        with contextlib.suppress(OSError):
            ready(settings, port)
    _say(last)


async def _reload_on_signal(app: "kes_app.App", load: Load, ready: Ready | None, hang_up: asyncio.Event) -> None:
    while True:
        await hang_up.wait()
        hang_up.clear()
        _say("SIGHUP signal received. Reloading configuration...", error=True)
        try:
            settings = load()
        except Exception as error:  # whatever it is, what runs goes on, and so does the next signal
            _say(f"Failed to reload server config: {_words(error)}", error=True)
            continue
        try:
            await app.reload(settings)
        except Exception as error:
            _say(f"Failed to update server configuration: {_words(error)}", error=True)
            continue
        _announce(settings, app.port, ready, "=> Reloading configuration after SIGHUP signal completed.\n")


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, Error | OSError) else f"{type(error).__name__}: {error}"


async def _watch_files(app: "kes_app.App", hang_up: asyncio.Event) -> None:
    """Ask for a reload when a file of the settings has changed and then stayed the same for one look."""
    seen = stable = _stamps(app.state.settings.files)
    while True:
        await asyncio.sleep(FILES_SECONDS)
        now = _stamps(app.state.settings.files)
        if now == seen and now != stable:
            hang_up.set()
            stable = now
        seen = now


def _stamps(files: tuple[str, ...]) -> list[tuple[int, int, int]]:
    stamps = []
    for file in files:
        try:
            status = Path(file).stat()
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError:
            stamps.append((0, 0, 0))
    return stamps
