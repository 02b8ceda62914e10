"""aws-chunked bodies: signed and unsigned chunks, with and without a trailer (s3.md 3.3)."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from strongroom.messages import Sink
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import sigv4

MAX_LINE = 4096  # bytes of a chunk's head or of a trailer line
MAX_TRAILER = 16 * 1024  # bytes of all trailer lines
MAX_BLANKS = 3  # empty lines in a trailer: minio-go has one before the signature, and two at the end
MAX_CHUNK = 1 << 34  # bytes; SDKs send up to the whole body in one unsigned chunk

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

_HEAD = re.compile(rb"([0-9a-fA-F]{1,9})(?:;chunk-signature=([0-9a-f]{64}))?")
_SEAL = b"x-amz-trailer-signature:"
_TRAILER_NAME = re.compile(rb"[a-z0-9-]{1,100}")


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """What chunk signatures continue from: the request's own signature is the seed."""

    key: bytes = field(repr=False)
    amz_date: str
    scope: str
    seed: str


def malformed() -> Refused:
    """Return the refusal for any fault of the framing."""
    return Refused("BadRequest", "malformed chunked encoding")


class ChunkDecoder:
    """Takes what the network brings, gives the payload to out and the trailer to finish().

    A chunk's signature is checked when the chunk is complete; its bytes have gone to out by then, so whoever stores
    them publishes nothing before finish() has returned.
    """

    def __init__(self, out: Sink, *, chunk_key: ChunkKey | None = None, trailer: bool = False) -> None:
        self._out = out
        self._key = chunk_key
        self._previous = chunk_key.seed if chunk_key else ""
        self._signature = ""
        self._hash = hashlib.sha256()
        self._trailer_allowed = trailer
        self._line = bytearray()
        self._left = 0  # bytes of the current chunk still to come
        self._lines: list[bytes] = []
        self._blanks = 0  # empty lines of the trailer
        self._state: Callable[[memoryview], int] | None = self._take_head

    def feed(self, window: memoryview) -> None:
        """Take the next bytes; raise Refused for broken framing or a wrong chunk signature."""
        while window:
            if self._state is None:
                raise malformed()
            window = window[self._state(window) :]

    def finish(self) -> dict[str, str]:
        """Return the trailer's fields, names in lower case; raise Refused when the body stopped early."""
        if self._state == self._take_trailer and not self._line and (self._blanks or not self._lines):
            self._end_trailer()  # some senders leave out the last empty line
        if self._state is not None:
            raise Refused("IncompleteBody")
        fields: dict[str, str] = {}
        for line in self._lines:
            name, colon, value = line.partition(b":")
            name = name.strip().lower()
            if not colon or not _TRAILER_NAME.fullmatch(name):
                raise malformed()
            fields[name.decode()] = value.strip().decode("latin-1")
        fields.pop("x-amz-trailer-signature", None)
        return fields

    def _take_line(self, window: memoryview, limit: int) -> tuple[bytes | None, int]:
        """Collect up to the next LF; return the line without its end (None: not yet) and the bytes used."""
        piece = bytes(window[: limit + 2 - len(self._line)])
        end = piece.find(b"\n")
        if end < 0:
            self._line += piece
            if len(self._line) > limit:
                raise malformed()
            return None, len(piece)
        line = bytes(self._line) + piece[:end]
        self._line.clear()
        return line.removesuffix(b"\r"), end + 1

    def _take_head(self, window: memoryview) -> int:
        line, used = self._take_line(window, MAX_LINE)
        if line is None:
            return used
        found = _HEAD.fullmatch(line)
        if not found or (self._key is not None) != (found[2] is not None):
            raise malformed()
        self._left = int(found[1], 16)
        if self._left > MAX_CHUNK:
            raise malformed()
        self._signature = (found[2] or b"").decode()
        if self._left:
            self._state = self._take_data
        else:
            self._end_chunk()
            self._state = self._take_trailer
        return used

    def _take_data(self, window: memoryview) -> int:
        piece = window[: self._left]
        if self._key is not None:
            self._hash.update(piece)
        self._out(piece)
        self._left -= len(piece)
        if not self._left:
            self._end_chunk()
            self._state = self._take_data_end
        return len(piece)

    def _take_data_end(self, window: memoryview) -> int:
        line, used = self._take_line(window, 2)
        if line is not None:
            if line:
                raise malformed()
            self._state = self._take_head
        return used

    def _end_chunk(self) -> None:
        key = self._key
        if key is None:
            return
        text = sigv4.chunk_string(key.amz_date, key.scope, self._previous, self._hash.hexdigest())
        self._hash = hashlib.sha256()
        self._check(sigv4.signature(key.key, text), self._signature)

    def _check(self, wanted: str, given: str) -> None:
        if not hmac.compare_digest(wanted.encode(), given.encode()):
            raise Refused("SignatureDoesNotMatch")
        self._previous = wanted

    def _take_trailer(self, window: memoryview) -> int:
        line, used = self._take_line(window, MAX_LINE)
        if line is None:
            return used
        if not line:
            self._blanks += 1
        else:
            self._lines.append(line)
        late = self._blanks and line and not line.startswith(_SEAL)
        if late or self._blanks > MAX_BLANKS or (line and not self._trailer_allowed):
            raise malformed()
        if sum(map(len, self._lines)) > MAX_TRAILER:
            raise malformed()
        return used

    def _end_trailer(self) -> None:
        self._state = None
        key = self._key
        if key is None or not self._trailer_allowed:
            return
        given = [line[len(_SEAL) :].strip().decode("latin-1") for line in self._lines if line.startswith(_SEAL)]
        body = b"".join([line + b"\n" for line in self._lines if not line.startswith(_SEAL)])
        if len(given) != 1:
            if body or given:
                raise malformed()
            return
        self._check(
            sigv4.signature(key.key, sigv4.trailer_string(key.amz_date, key.scope, self._previous, body)), given[0]
        )
