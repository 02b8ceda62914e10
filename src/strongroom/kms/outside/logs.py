"""The operators' log as files and forms that the configuration names (vault.md 9.1): JSON lines, files put aside."""

import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

from strongroom.errors import BadSettings
from strongroom.kms.settings import Settings
from strongroom.observe.log import DEBUG, ERROR, INFO, WARN, Log

LEVELS = {"trace": DEBUG, "debug": DEBUG, "info": INFO, "warn": WARN, "error": ERROR, "err": ERROR}
FORMATS = ("standard", "json")


class JsonLog(Log):
    """One JSON object a line, with the names that log readers of the original know."""

    def line(self, moment: str, level: str, message: str, fields: dict[str, object]) -> str:
        """Return a line."""
        head = {"@level": level.lower(), "@message": message, "@module": "kms", "@timestamp": moment}
        return json.dumps(head | {name: str(value) for name, value in fields.items()})


class LogFile:
    """A file that is put aside under a name with the time when it has grown too long or too old.

    limit: bytes; age: seconds; 0 for never. keep: how many put aside stay; 0 for all, below zero for none.
    """

    def __init__(
        self, path: Path, limit: int = 0, age: float = 0, keep: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self.path, self.limit, self.age, self.keep = path, limit, age, keep
        self._clock = clock
        self._file: io.TextIOWrapper | None = None
        self.reopen()

    def reopen(self) -> None:
        """Open the file under its name, as after it was renamed; raise OSError and keep the old one."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        old, self._file = self._file, os.fdopen(descriptor, "a", encoding="utf-8")
        if old is not None:
            old.close()
        self._size, self._began = os.fstat(descriptor).st_size, self._clock()

    def write(self, text: str) -> int:
        """Append text; only after a whole line is the file put aside."""
        assert self._file is not None
        self._size += len(text.encode())
        self._file.write(text)
        if text.endswith("\n") and self._due():
            self._put_aside()
        return len(text)

    def flush(self) -> None:
        """Hand what was written to the system."""
        assert self._file is not None
        self._file.flush()

    def _due(self) -> bool:
        return bool((self.limit and self._size >= self.limit) or (self.age and self._clock() - self._began >= self.age))

    def _put_aside(self) -> None:
        aside = self.path.with_name(f"{self.path.stem}-{int(self._clock() * 1e9)}{self.path.suffix}")
        os.replace(self.path, aside)
        self.reopen()
        if self.keep:
            for old in self.put_aside()[: None if self.keep < 0 else -self.keep]:
                old.unlink(missing_ok=True)

    def put_aside(self) -> list[Path]:
        """Return the files that were put aside, the oldest first."""
        head, tail = f"{self.path.stem}-", self.path.suffix
        found = (path for path in self.path.parent.iterdir() if path.name.startswith(head) and path.suffix == tail)
        return sorted(path for path in found if path.name[len(head) : len(path.name) - len(tail)].isdigit())


def level_of(settings: Settings) -> int:
    """Return the least level that is written; raise BadSettings."""
    level = LEVELS.get(settings.log_level.lower())
    if level is None:
        raise BadSettings(f"log_level {settings.log_level!r}: write one of {', '.join(LEVELS)}")
    return level


def open_log(settings: Settings) -> tuple[Log, LogFile | None]:
    """Return the log and its file, None for standard error; raise BadSettings."""
    level = level_of(settings)
    if settings.log_format.lower() not in FORMATS:
        raise BadSettings(f"log_format {settings.log_format!r}: write one of {', '.join(FORMATS)}")
    file = None
    if settings.log_file:
        rotation = settings.log_rotate_bytes, settings.log_rotate_duration, settings.log_rotate_max_files
        try:
            file = LogFile(Path(settings.log_file), *rotation)
        except OSError as error:
            raise BadSettings(f"log_file {settings.log_file}: {error.strerror}") from error
    kind = JsonLog if settings.log_format.lower() == "json" else Log
    return kind(level, cast("TextIO | None", file)), file
