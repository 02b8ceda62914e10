"""The chain beside an audit file: `<file>.chain` tells later whether a line was changed, removed or put in.

Vault's line format has no room for a chain, so it lies beside (docs/formats/kms-audit-chain.md). About once a second,
and when the device closes, one JSON record is appended: how many bytes of the log are covered, SHA-256 over the digest
of the record before and the bytes since, and an HMAC under a key that lies behind the barrier.
"""

import contextlib
import errno
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strongroom.errors import Tampered

SUFFIX = ".chain"
BLOCK = 1024 * 1024  # bytes read at a time
START = "0" * 64


@dataclass(frozen=True, slots=True)
class Record:
    """One record: how many bytes of the log it covers, the digest, the HMAC."""

    size: int
    digest: str
    mac: str

    def line(self) -> bytes:
        """Return the record as it is appended."""
        return json.dumps({"bytes": self.size, "sha256": self.digest, "mac": self.mac}).encode() + b"\n"


def seal(key: bytes, size: int, digest: str) -> str:
    """Return a record's HMAC."""
    return hmac.digest(key, f"strongroom-kms-audit-v1 {size} {digest}".encode(), "sha256").hex()


def records(path: Path, key: bytes) -> list[Record]:
    """Return a chain's records; raise Tampered for one that the key did not seal."""
    found = []
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
            record = Record(int(data["bytes"]), str(data["sha256"]), str(data["mac"]))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # a crash cut the last one
                break
            raise Tampered(f"{path}: record {number} cannot be read") from error
        if not hmac.compare_digest(seal(key, record.size, record.digest), record.mac):
            raise Tampered(f"{path}: record {number} is not sealed by this server")
        found.append(record)
    return found


def verify(log: Path, key: bytes) -> tuple[int, int]:
    """Return (bytes that are proven, bytes after them); raise Tampered at the first record that does not fit."""
    found = records(log.with_name(log.name + SUFFIX), key)
    digest, place = START, 0
    with log.open("rb") as file:
        for number, record in enumerate(found, 1):
            hasher = hashlib.sha256(digest.encode())
            for block in _blocks(file, record.size - place):
                hasher.update(block)
                place += len(block)
            digest = hasher.hexdigest()
            if place != record.size or digest != record.digest:
                raise Tampered(f"{log}: the lines before byte {record.size} (record {number}) are not those written")
        return place, os.fstat(file.fileno()).st_size - place


def _blocks(file: object, count: int) -> Iterator[bytes]:
    while count > 0:
        data: bytes = file.read(min(count, BLOCK))  # type: ignore[attr-defined]
        if not data:
            return
        count -= len(data)
        yield data


def _append(descriptor: int, line: bytes) -> None:
    """Append a record as a whole, or raise OSError and leave nothing of it: a half one would end the chain."""
    before = os.fstat(descriptor).st_size
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, before)
        raise


class Chain:
    """Follows the lines of one log file."""

    def __init__(self, log: Path, key: bytes) -> None:
        self._log, self._key = log, key
        self._path = log.with_name(log.name + SUFFIX)
        self._digest, self._bytes, self._sealed = START, 0, 0
        self._hasher = hashlib.sha256()
        self._resume()

    def _resume(self) -> None:
        """Go on after the last record; what a crash left uncovered is read from the log once."""
        known = [] if self._log.stat().st_size == 0 else records(self._path, self._key)
        if self._log.stat().st_size == 0:
            self._path.unlink(missing_ok=True)
        elif self._path.exists():
            os.truncate(self._path, sum(len(record.line()) for record in known))  # a record that a crash cut
        if known:
            self._digest, self._bytes = known[-1].digest, known[-1].size
        self._sealed = self._bytes
        self._hasher = hashlib.sha256(self._digest.encode())
        with self._log.open("rb") as file:
            file.seek(self._bytes)
            for block in _blocks(file, self._log.stat().st_size - self._bytes):
                self.add(block)

    def add(self, data: bytes) -> None:
        """Take bytes that were appended to the log."""
        self._hasher.update(data)
        self._bytes += len(data)

    def seal(self) -> None:
        """Append a record, if anything came since the last one; raise OSError."""
        if self._bytes == self._sealed:
            return
        self._digest = self._hasher.hexdigest()
        record = Record(self._bytes, self._digest, seal(self._key, self._bytes, self._digest))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _append(descriptor, record.line())
        finally:
            os.close(descriptor)
        self._sealed = self._bytes
        self._hasher = hashlib.sha256(self._digest.encode())

    def close(self) -> None:
        """Seal what came; a full disk must not keep a device from closing."""
        with contextlib.suppress(OSError):
            self.seal()
