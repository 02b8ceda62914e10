"""An audit log whose lines are chained by hash (docs/formats/audit-log.md).

A line is one JSON object and ends with `,"chain":"<64 hexadecimal digits>"}`: SHA-256 over the chain value of the line
before it and the line's own bytes in front of that member. Changing, removing or reordering lines breaks the chain. A
checkpoint line carries an HMAC of the chain under a key kept apart: without it nobody can make a new chain that fits.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from strongroom.errors import Tampered

START = bytes(32)  # the chain value in front of the first line
_TAIL = len(b',"chain":"') + 64 + len(b'"}')
_MEMBER = b',"chain":"'


class Chain:
    """Makes lines, one after the other."""

    __slots__ = ("_key", "head", "lines")

    def __init__(self, head: bytes = START, lines: int = 0, key: bytes = b"") -> None:
        """head and lines are those of the log so far; key (32 bytes, or none) makes checkpoints."""
        self.head = head
        self.lines = lines
        self._key = key

    def line(self, members: str) -> bytes:
        """Return a finished line with its newline; members is a JSON object's text without its closing brace."""
        self.lines += 1
        body = f'{members},"seq":{self.lines}'.encode()
        self.head = head = hashlib.sha256(self.head + body).digest()
        return b'%b,"chain":"%b"}\n' % (body, head.hex().encode())

    def checkpoint(self, time: str) -> str:
        """Return the members of a checkpoint line: how many lines there are, sealed with the key."""
        mac = checkpoint_mac(self._key, self.head, self.lines) if self._key else ""
        return f'{{"time":"{time}","checkpoint":{{"lines":{self.lines},"mac":"{mac}"}}'


def checkpoint_mac(key: bytes, head: bytes, lines: int) -> str:
    """Return the HMAC of a checkpoint that stands after so many lines."""
    return hmac.new(key, b"strongroom-audit-v1" + lines.to_bytes(8, "big") + head, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of a whole log found: its lines, its last chain value, and how many lines a checkpoint covers."""

    lines: int
    head: str
    sealed_lines: int
    checkpoints: int
    start: str  # the chain value in front of the first line: zeros for a complete log


def verify(lines: Iterable[bytes], key: bytes = b"", head: bytes | None = None) -> Verified:
    """Check a log; raise Tampered naming the first line that is wrong.

    key checks the checkpoints' HMACs. head is the chain value in front of the first line when older files are missing
    (it is taken from the first line's `prev` member otherwise).
    """
    state = _State(head if head is not None else START, key)
    for number, line in enumerate(lines, 1):
        state.take(number, line.rstrip(b"\n"))
    return Verified(state.count, state.head.hex(), state.sealed, state.checkpoints, state.start.hex())


class _State:
    def __init__(self, head: bytes, key: bytes) -> None:
        self.head, self.start, self.key = head, head, key
        self.count = self.sealed = self.checkpoints = 0
        self.sequence: int | None = None

    def take(self, number: int, line: bytes) -> None:
        body, chain = split(line, number)
        members = _object(body, number)
        if number == 1 and "prev" in members:
            self.head = self.start = bytes.fromhex(str(members["prev"]))
        expected = hashlib.sha256(self.head + body).digest()
        if not hmac.compare_digest(expected.hex().encode(), chain):
            raise Tampered(f"line {number}: changed, or lines in front of it were removed or reordered")
        sequence = members.get("seq")
        if self.sequence is not None and sequence != self.sequence + 1:
            raise Tampered(f"line {number}: number {sequence} after {self.sequence}")
        if "checkpoint" in members:
            self._checkpoint(number, members["checkpoint"])
        self.head, self.sequence, self.count = expected, sequence, self.count + 1

    def _checkpoint(self, number: int, checkpoint: dict[str, Any]) -> None:
        lines = checkpoint.get("lines")
        if self.key:
            mac = checkpoint_mac(self.key, self.head, lines if isinstance(lines, int) else 0)
            if not hmac.compare_digest(mac, str(checkpoint.get("mac"))):
                raise Tampered(f"line {number}: the checkpoint was not made with this key")
            self.sealed = number
        self.checkpoints += 1


def split(line: bytes, number: int) -> tuple[bytes, bytes]:
    """Return a line's bytes in front of the chain member, and the chain value; raise Tampered."""
    body, tail = line[:-_TAIL], line[-_TAIL:]
    if not tail.startswith(_MEMBER) or not tail.endswith(b'"}'):
        raise Tampered(f"line {number}: no chain value at its end")
    return body, tail[len(_MEMBER) : -2]


def _object(body: bytes, number: int) -> dict[str, Any]:
    try:
        members = json.loads(body + b"}")
    except ValueError as error:
        raise Tampered(f"line {number}: not JSON") from error
    if not isinstance(members, dict):
        raise Tampered(f"line {number}: not an object")
    return members
