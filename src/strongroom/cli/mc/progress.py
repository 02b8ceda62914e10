"""The transfer bar: one line on a terminal, redrawn eight times a second (mc.md 8.1)."""

import sys
import threading
import time
from collections.abc import Callable

from strongroom.cli.mc.console import Console, shown
from strongroom.cli.mc.formats import amount, width

SECONDS = 0.125


def caption(name: str, columns: int) -> str:
    """Return the source's name in its share of the width: cut on the left, `...` in front, or padded."""
    share = max(columns * 18 // 100, 8)
    if width(name) + 1 > share:
        kept = name[-(share - 4) :]
        return f"...{kept}:"
    return f"{name}:".ljust(share)


def bar(columns: int, name: str, current: int, total: int, seconds: float, *, done: bool) -> str:
    """Return the whole line: `CAPTION CUR / TOTAL ┃▓▓░┃ 100.00% SPEED TIME`."""
    share = min(current / total, 1.0) if total else float(done)
    speed = current / seconds if seconds > 0 else 0.0
    left = seconds if done else (total - current) / speed if speed else 0.0
    before = f"{caption(name, columns)} {amount(current)} / {amount(total)} "
    after = f" {share * 100:6.2f}% {amount(speed)}/s {int(left)}s"
    cells = max(columns - width(before) - width(after) - 2, 1)
    full = int(cells * share)
    body = "▓" * full + ("" if done or full >= cells else "█") + "░" * max(cells - full - 1, 0)
    return f"{before}┃{body[:cells]}┃{after}"


class Progress:
    """Counts what moves, from any thread, and draws it when there is a terminal to draw on."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic, *, draw: bool = True) -> None:
        self._console, self._clock = console, clock
        self.total = self.current = self.objects = 0
        self.started = clock()
        self._name, self._lock = "", threading.Lock()
        self.drawn = draw and not console.quiet and not console.json and console.terminal
        self._shown = False
        self._over = threading.Event()
        if self.drawn:
            console.before = self._clear
            threading.Thread(target=self._redraw, daemon=True).start()

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return self._clock() - self.started

    def expect(self, count: int) -> None:
        """Announce so many bytes more."""
        with self._lock:
            self.total += count
            self.objects += 1

    def name(self, text: str) -> None:
        """Say what is moving now."""
        self._name = shown(text)

    def tally(self) -> "Tally":
        """Return a counter for one object, which can take back what it has added."""
        return Tally(self)

    def add(self, count: int) -> None:
        """Count bytes; a negative number takes a failed try back."""
        with self._lock:
            self.current += count

    def _redraw(self) -> None:
        while not self._over.wait(SECONDS):
            self._draw(done=False)

    def _draw(self, *, done: bool) -> None:
        text = bar(self._console.columns(), self._name, self.current, self.total, self.seconds, done=done)
        sys.stdout.write("\r" + self._console.paint(text, "good"))
        sys.stdout.flush()
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()
            self._shown = False

    def close(self) -> None:
        """Draw the last state, with what was reached, and end the line."""
        self._over.set()
        if self.drawn:
            self._console.before = _nothing
            self._clear()
            if self.objects and (self.current > 0 or not self.total):
                self._draw(done=self.current >= self.total)
                sys.stdout.write("\n")
                sys.stdout.flush()


class Tally:
    """What one object has added to the progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self.count = progress, 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count bytes."""
        with self._lock:
            self.count += count
        self._progress.add(count)

    def drop(self) -> None:
        """Take everything back: the object failed."""
        self._progress.add(-self.count)


def _nothing() -> None:
    return
