"""The operators' log: one line an event on standard error, as `time=... level=... msg="..." name=value`.

Nothing secret is ever given to it. Subscribers (the log stream of kes) get the same lines.
"""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

DEBUG, INFO, WARN, ERROR, OFF = -4, 0, 4, 8, 9
NAMES = {DEBUG: "DEBUG", INFO: "INFO", WARN: "WARN", ERROR: "ERROR"}
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without space, quote, equals sign and backslash


def level_name(level: int) -> str:
    """Return a level as operators read it: `INFO`, `ERROR+1`, `DEBUG-1`."""
    base = max((known for known in NAMES if known <= level), default=DEBUG)
    return NAMES[base] + (f"{level - base:+}" if level != base else "")


class Log:
    """Writes lines of at least its level. Change `level` at any time."""

    def __init__(self, level: int = INFO, stream: TextIO | None = None) -> None:
        self.level = level
        self._stream = stream
        self._subscribers: list[Callable[[str], None]] = []
        self.counts: dict[str, int] = {}

    def debug(self, message: str, **fields: object) -> None:
        """For those who look for the reason of one refusal."""
        self.write(DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        """Something happened that is normal."""
        self.write(INFO, message, fields)

    def warn(self, message: str, **fields: object) -> None:
        """Something is not as it should be, and work goes on."""
        self.write(WARN, message, fields)

    def error(self, message: str, **fields: object) -> None:
        """Something failed."""
        self.write(ERROR, message, fields)

    def write(self, level: int, message: str, fields: dict[str, object]) -> None:
        """Write one line; a closed standard error is no reason to fail."""
        if level < self.level:
            return
        name = level_name(level)
        self.counts[name] = self.counts.get(name, 0) + 1
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = self.line(moment, name, message, fields)
        try:
            print(line, file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError):
            self.counts["lost"] = self.counts.get("lost", 0) + 1
        for subscriber in self._subscribers:
            subscriber(line)

    def line(self, moment: str, level: str, message: str, fields: dict[str, object]) -> str:
        """Return a line; a log of another form overrides this."""
        pairs = "".join(f" {key.replace('__', '.')}={quoted(str(value))}" for key, value in fields.items())
        return f"time={moment} level={level} msg={quoted(message)}{pairs}"

    def subscribe(self, subscriber: Callable[[str], None]) -> Callable[[], None]:
        """Give every line to subscriber too; call what is returned to end that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)


def quoted(text: str) -> str:
    """Return text as it is, or quoted when it holds spaces, quotes or control characters."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    escaped = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in escaped)
    return f'"{escaped}"'
