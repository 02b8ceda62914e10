"""Runs a box's coroutine on uvloop until it ends or a signal ends it."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop


class Signals:
    """What the operator asks of a running box. `stopped` is set by SIGTERM and SIGINT; a second one ends at once."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self._reload: Callable[[], None] | None = None
        self._hung_up = False  # before there was a hook

    def on_reload(self, hook: Callable[[], None]) -> None:
        """Call hook, in the event loop, at every SIGHUP; at once for one that came before there was a hook."""
        self._reload = hook
        if self._hung_up:
            hook()

    def _stop(self) -> None:
        if self.stopped.is_set():
            raise SystemExit(130)
        self.stopped.set()

    def _hang_up(self) -> None:
        if self._reload is not None:
            self._reload()
        self._hung_up = self._reload is None


def run(main: Callable[[Signals], Coroutine[Any, Any, int]]) -> int:
    """Run `main(signals)` on uvloop and return its exit code; main waits for `signals.stopped` and then cleans up."""

    async def body() -> int:
        loop = asyncio.get_running_loop()
        signals = Signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signals._stop)
        loop.add_signal_handler(signal.SIGHUP, signals._hang_up)
        return await main(signals)

    return uvloop.run(body())
