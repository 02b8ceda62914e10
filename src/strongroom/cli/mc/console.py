"""Where results and failures go: lines for people, or one JSON object a line (mc.md 2.4)."""

import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TextIO

from strongroom.cli.mc.failures import Cause, Fatal, cause_of
from strongroom.cli.mc.output import writing

STYLES = {
    "ok": "32", "good": "32;1", "folder": "36;1", "time": "32", "size": "33", "class": "34", "name": "1",
    "id": "33;1", "warn": "33;1", "bad": "31", "cyan": "36", "blue": "34", "yellow": "33", "white": "37",
    "title": "1;36", "fatal": "31;3;1", "error": "33;3",
}  # fmt: skip


_NO_UTF8 = re.compile("[\ud800-\udfff]")  # bytes of a file's name that are no UTF-8, as Python keeps them


# What a terminal would obey: everything but line ends, tabs and the colours that paint() adds.
_OBEYED = re.compile("\x1b(?!\\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


def shown(text: str) -> str:
    """Return text so that a name in it cannot command the terminal, as cat shows control characters (mc.md 9.6)."""
    return _OBEYED.sub("^?", text)


def dumps(record: object, indent: int | None = None) -> str:
    """Write JSON as Go does: compact or indented, `<`, `>` and `&` escaped."""
    text = json.dumps(record, ensure_ascii=False, indent=indent, separators=(",", ": " if indent else ":"))
    text = _NO_UTF8.sub("\ufffd", text)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _nothing() -> None:
    return


class Console:
    """Standard output and error of one run. Its methods may be called from many threads."""

    def __init__(self, *, program: str = "mc", as_json: bool = False, quiet: bool = False, color: bool = True,
                 out: TextIO | None = None, err: TextIO | None = None) -> None:  # fmt: skip
        self.program, self.json = program, as_json
        self.out, self.err = out or sys.stdout, err or sys.stderr
        self.terminal = self.out.isatty()
        self.quiet = quiet or not self.terminal  # no bar, no chatter
        self.color = color and self.terminal and not quiet and not as_json and not os.environ.get("NO_COLOR")
        self.failed = False
        self.unfinished: Callable[[], str] | None = None  # what an interruption leaves undone
        self._lock = threading.Lock()
        self.before: Callable[[], None] = _nothing  # called before each line while a progress bar is on the screen

    def paint(self, text: str, style: str) -> str:
        """Return text in a style, if colours are on."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.color else text

    def say(self, record: Mapping[str, object], text: str = "", style: str = "") -> None:
        """Print one result."""
        if self.json:
            self.line(dumps(record, 1 if self.terminal else None))
        else:
            self.line(self.paint(text, style) if style else text)

    def line(self, text: str) -> None:
        """Print one line to standard output."""
        with self._lock:
            self.before()
            with writing():
                self.out.write((shown(text) if self.terminal else text) + "\n")

    def note(self, text: str) -> None:
        """Print a line to standard error, for people."""
        with self._lock:
            self.before()
            self.err.write((shown(text) if self.err.isatty() else text) + "\n")

    def error(self, message: str, reason: "Cause | Exception | str" = "") -> None:
        """Report a failure that does not end the run; the exit code will be 1."""
        self.failed = True
        cause = cause_of(reason)
        if self.json:
            self._json_error(message, cause, "error")
        else:
            self._human(f"{message} {cause.text}", "error")

    def fatal(self, failure: Fatal) -> None:
        """Report the failure that ended the run."""
        self.failed = True
        if self.json:
            self._json_error(failure.message, failure.cause, "fatal")
        else:
            self._human(sentence(failure.message, failure.cause.text), "fatal")

    def _json_error(self, message: str, cause: Cause, kind: str) -> None:
        inner = {"message": message, "cause": {"message": cause.text, "error": cause.record}, "type": kind}
        self.line(dumps({"status": "error", "error": inner}, 1 if self.terminal else None))

    def _human(self, text: str, style: str) -> None:
        whole = f"{self.program}: <ERROR> {text}"
        colored = self.color and self.err.isatty()
        self.flush()
        self.note(f"\x1b[{STYLES[style]}m{whole}\x1b[0m" if colored else whole)

    def flush(self) -> None:
        """Hand what was printed to the system."""
        with self._lock, writing():
            self.out.flush()

    def columns(self) -> int:
        """Return the terminal's width, 80 when unknown."""
        return shutil.get_terminal_size().columns


def sentence(message: str, cause: str) -> str:
    """Join what failed and why, as fatal errors are printed."""
    if not cause:
        return f"{message} "
    joint = " " if message.endswith(".") else ". " if cause[0].isupper() else ": "
    text = f"{message}{joint}{cause}"
    return text if text.endswith(".") else f"{text}."
