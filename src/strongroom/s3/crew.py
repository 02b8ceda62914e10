"""Several worker processes on one folder and one port: what keeps them in step (parent.py starts them).

Workers meet in the store: a counter of changes in shared memory tells each, at its next request, to look again
(handlers/following.py). The first worker does what only one may do: lifecycle rules, jobs, sending notifications.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from strongroom.errors import Error, NotFound
from strongroom.net.workers import Worker
from strongroom.s3.domain.ports import SystemStore

log = logging.getLogger("strongroom.s3")

WATCH_SECONDS = 0.25  # between two looks at what siblings have asked for
COUNTERS_SECONDS = 1.0  # between two notes of a worker's counters
MEETING = "STRONGROOM_WORKERS_FOLDER"  # in a worker's environment: where workers leave their counters
KEY_STATES = "key-states"  # the system entry that tells of a changed key: random bytes


def audit_path(where: str, worker: Worker | None) -> str:
    """Return the audit file of a worker: a chain is one process's, so all but the first have files of their own."""
    if worker is None or worker.first or where in ("", "-", "off"):
        return where
    path = Path(where)
    return str(path.with_name(f"{path.stem}-{worker.number}{path.suffix}"))


async def watch(changes: Callable[[], int], look: Callable[[], Awaitable[None]]) -> None:
    """Call look whenever something changed, for ever: work that siblings have left for the first worker."""
    seen = changes()
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        now = changes()
        if now != seen:
            seen = now
            try:
                await look()
            except Exception as error:  # whatever it was: nobody else would look
                log.warning("looking for work: %s", error, exc_info=not isinstance(error, Error))
                seen = -1


class KeyStates:
    """Tells other workers that a key was locked, rotated or deleted, and hears of it, before the next request."""

    def __init__(self, system: SystemStore, forget: Callable[[], None]) -> None:
        self._system = system
        self._forget = forget
        self._seen = b""

    async def changed(self) -> None:
        """Tell the others; comes before the answer."""
        await self._system.save(KEY_STATES, os.urandom(8))

    async def follow(self) -> None:
        """Drop the data keys in memory when a key has changed."""
        try:
            state = await self._system.load(KEY_STATES)
        except NotFound:
            return
        if state != self._seen:
            self._seen = state
            self._forget()


class Counters:
    """Where workers leave their counters, so that whichever is scraped answers for all.

    What a worker that died had counted is its successor's: a sum that fell would look like many new requests.
    """

    def __init__(self, worker: Worker, folder: Path) -> None:
        self._mine = folder / f"counters-{worker.number}"
        self._folder = folder
        self._before = [{**one, "inflight": 0} for one in _read(self._mine)]

    async def leave(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        """Note this worker's counters once a second, for ever."""
        draft = self._mine.with_name(f".{self._mine.name}")
        before = b""
        while True:
            now = msgspec.json.encode(_sum([snapshot(), *self._before]))
            if now != before:
                before = now
                draft.write_bytes(now)
                draft.replace(self._mine)
            await asyncio.sleep(COUNTERS_SECONDS)

    def others(self) -> list[dict[str, Any]]:
        """Return what the others have left."""
        others = [path for path in self._folder.glob("counters-*") if path != self._mine]
        return [*self._before, *(one for path in others for one in _read(path))]


def _read(path: Path) -> list[dict[str, Any]]:
    with contextlib.suppress(OSError):
        return [msgspec.json.decode(path.read_bytes(), type=dict[str, Any])]
    return []


def _sum(snapshots: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up numbers, and rows of numbers by operation (telemetry.py, snapshot)."""
    total: dict[str, Any] = {"operations": {}}
    for one in snapshots:
        for name, row in one["operations"].items():
            before = total["operations"].get(name, [0] * len(row))
            total["operations"][name] = [a + b for a, b in zip(before, row, strict=True)]
        for name in one.keys() - {"operations"}:
            total[name] = total.get(name, 0) + one[name]
    return total


def meeting() -> Path | None:
    """Return the folder where workers meet."""
    text = os.environ.get(MEETING, "")
    return Path(text) if text else None


def url_of(host: str, port: int, tls: bool) -> str:
    """Return where clients on this machine find a server that listens on host and port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if tls else 'http'}://{host}:{port}"


def execute_again() -> None:
    """Replace this process by a new one of the same command line and process id; everything must be closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # our own command line
