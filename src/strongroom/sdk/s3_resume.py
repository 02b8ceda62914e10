"""What an interrupted transfer leaves so that the next one can go on: small JSON files, replaced at every step."""

import json
import os
import threading
from pathlib import Path


def _read(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: Path, record: dict[str, object]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(record, out)
    temporary.replace(file)


class Journal:
    """The parts of one multipart upload that the server has confirmed.

    mark: what must be equal for an upload to go on (source path, size, time, target); it holds no secret.
    """

    def __init__(self, file: Path, mark: str) -> None:
        self._file, self._mark = file, mark
        self._record: dict[str, object] = {}
        self._parts: dict[str, list[str]] = {}

    def known(self, part_size: int) -> tuple[str, dict[int, tuple[str, str]]] | None:
        """Return the upload id and the confirmed parts (ETag, checksum) of an equal earlier try."""
        record = _read(self._file)
        parts = record.get("parts")
        if record.get("mark") != self._mark or record.get("part_size") != part_size or not isinstance(parts, dict):
            return None
        self._record, self._parts = record, parts
        return str(record.get("upload")), {int(number): (each[0], each[1]) for number, each in parts.items()}

    def begin(self, upload_id: str, part_size: int) -> None:
        """Start anew."""
        self._parts = {}
        self._record = {"mark": self._mark, "part_size": part_size, "upload": upload_id, "parts": self._parts}
        _write(self._file, self._record)

    def part(self, number: int, etag: str, checksum: str) -> None:
        """Add a confirmed part (calls must not overlap)."""
        self._parts[str(number)] = [etag, checksum]
        _write(self._file, self._record)

    def end(self) -> None:
        """The upload is complete."""
        self._file.unlink(missing_ok=True)


class DownloadJournal:
    """Which ranges of a partial file are complete."""

    def __init__(self, file: Path, size: int, step: int) -> None:
        self._file, self._size, self._step = file, size, step
        self._done: set[int] = set()
        self._lock = threading.Lock()

    def finished(self) -> set[int]:
        """Return the complete ranges of an equal earlier try."""
        record = _read(self._file)
        done = record.get("done")
        if record.get("size") == self._size and record.get("step") == self._step and isinstance(done, list):
            self._done = {int(number) for number in done}
        return set(self._done)

    def add(self, number: int) -> None:
        """Note a complete range."""
        with self._lock:
            self._done.add(number)
            _write(self._file, {"size": self._size, "step": self._step, "done": sorted(self._done)})

    def end(self) -> None:
        """The file is complete."""
        self._file.unlink(missing_ok=True)
