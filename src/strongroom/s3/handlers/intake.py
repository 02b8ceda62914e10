"""Bytes on their way in: decoded, counted, hashed, sealed, staged; verified before anything is published."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from strongroom.crypto.dare import PACKAGE_SIZE, sealed_size
from strongroom.messages import Body, Buffer
from strongroom.s3.domain.checksums import Checksum, Running
from strongroom.s3.domain.object_record import ChecksumRecord
from strongroom.s3.domain.ports import Staged
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.wire import aws_chunked, sigv4
from strongroom.s3.wire.authenticate import STREAMING, Signed
from strongroom.s3.wire.aws_chunked import ChunkDecoder, ChunkKey
from strongroom.s3.wire.object_headers import (
    WantedChecksum,
    checksum_text,
    checksum_value,
    content_md5,
    wanted_checksum,
)

_HEX = re.compile(r"[0-9a-f]{64}")
_DIGITS = re.compile(r"\d{1,15}")
_FRAMINGS = frozenset({aws_chunked.SIGNED, aws_chunked.SIGNED_TRAILER, aws_chunked.UNSIGNED_TRAILER})
THREAD_SIZE = 256 * 1024  # bytes from which a server-side copy is pumped in a thread


class Plan(msgspec.Struct, frozen=True):
    """What a request says about its body: plaintext size (None: unknown), digests to verify, framing."""

    size: int | None
    md5: bytes | None = None
    sha256: str | None = None
    checksum: WantedChecksum | None = None
    framing: str = ""
    chunk_key: ChunkKey | None = None

    def stored(self, sealed: bool) -> int | None:
        """Return how many bytes the store will get, when that is known."""
        return self.size if self.size is None or not sealed else sealed_size(self.size)


def plan(call: Call, *, limit: int | None = None) -> Plan:
    """Read the headers that describe a body; raise Refused before a byte of it is asked for."""
    headers = call.headers
    payload = call.signed.payload
    md5 = content_md5(headers)
    checksum = wanted_checksum(headers)
    if payload.startswith(STREAMING):
        if payload not in _FRAMINGS:
            raise Refused("XAmzContentSHA256Mismatch")
        text = headers.get("x-amz-decoded-content-length", "")
        if not _DIGITS.fullmatch(text):
            raise Refused("MissingContentLength")
        made = Plan(int(text), md5, None, checksum, payload, _chunk_key(call.signed, payload))
    else:
        if call.body.length == 0 and "content-length" not in headers and "transfer-encoding" not in headers:
            raise Refused("MissingContentLength")
        if payload != sigv4.UNSIGNED_PAYLOAD and not _HEX.fullmatch(payload):
            raise Refused("XAmzContentSHA256Mismatch")
        made = Plan(call.body.length, md5, None if payload == sigv4.UNSIGNED_PAYLOAD else payload, checksum)
    if made.size is not None and made.size > (limit or call.box.settings.max_object):
        raise Refused("EntityTooLarge")
    return made


def _chunk_key(signed: Signed, payload: str) -> ChunkKey | None:
    if payload == aws_chunked.UNSIGNED_TRAILER:
        return None
    if not signed.key or signed.presigned:
        raise Refused("InvalidRequest", "Signed chunks need a signature in the Authorization header.")
    return ChunkKey(signed.key, signed.amz_date, signed.scope, signed.seed)


class Received(msgspec.Struct, frozen=True):
    """What came: plaintext size, MD5 when it was computed, checksum when one was sent or asked for."""

    size: int
    md5: bytes | None = None
    checksum: Checksum | None = None


class Sealer(Protocol):
    """Plaintext in, sealed bytes out; what is returned may be reused by the next call."""

    def feed(self, data: memoryview, /) -> Buffer:
        """Take plaintext; return what is sealed."""

    def finish(self) -> Buffer:
        """Return the rest."""


class Whole:
    """In a sealer's place: keeps a body that comes in one piece, to be sealed when it is published."""

    __slots__ = ("content",)

    def __init__(self) -> None:
        self.content = memoryview(b"")

    def feed(self, data: memoryview, /) -> Buffer:
        """Keep the body."""
        self.content = data
        return b""

    def finish(self) -> Buffer:
        """Return nothing."""
        return b""


def is_small(body: Body, made: Plan) -> bool:
    """Say whether a body is here already, as it is to be stored, and fits one package."""
    return not made.framing and body.buffered is not None and len(body.buffered) <= PACKAGE_SIZE


class Intake:
    """The sink of one body. take() gets what the network brings, finish() verifies and says what came.

    sealer None stores as it comes; want_md5 when the ETag needs it.
    """

    def __init__(self, made: Plan, staged: Staged, sealer: Sealer | None, *, want_md5: bool) -> None:
        self._plan = made
        self._staged = staged
        self._sealer = sealer
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if want_md5 or made.md5 is not None else None
        self._sha256 = hashlib.sha256() if made.sha256 is not None else None
        self._checksum: Running | None = made.checksum.kind.start() if made.checksum else None
        self._updates: list[Callable[[Buffer], None]] = [
            running.update for running in (self._md5, self._sha256, self._checksum) if running is not None
        ]
        self._decoder: ChunkDecoder | None = None
        self.take: Callable[[memoryview], None] = self._payload
        if made.framing:
            trailer = made.framing != aws_chunked.SIGNED
            self._decoder = ChunkDecoder(self._payload, chunk_key=made.chunk_key, trailer=trailer)
            self.take = self._decoder.feed

    def _payload(self, data: memoryview) -> None:
        self._size += len(data)
        if self._plan.size is not None and self._size > self._plan.size:
            raise Refused("IncompleteBody")
        for update in self._updates:
            update(data)
        if self._sealer is None:
            self._staged.write(data)
        elif sealed := self._sealer.feed(data):
            self._staged.write(sealed)

    def finish(self) -> Received:
        """Verify size and digests, stage what the sealer still holds; raise Refused."""
        made = self._plan
        trailer = self._decoder.finish() if self._decoder is not None else {}
        if made.size is not None and self._size != made.size:
            raise Refused("IncompleteBody")
        if self._sealer is not None and (rest := self._sealer.finish()):
            self._staged.write(rest)
        md5 = self._md5.digest() if self._md5 is not None else None
        if made.md5 is not None and md5 != made.md5:
            raise Refused("BadDigest")
        if self._sha256 is not None and not hmac.compare_digest(self._sha256.hexdigest(), made.sha256 or ""):
            raise Refused("XAmzContentSHA256Mismatch", extra={"S3ComputedContentSHA256": self._sha256.hexdigest()})
        return Received(self._size, md5, self._checked(trailer))

    def _checked(self, trailer: dict[str, str]) -> Checksum | None:
        wanted = self._plan.checksum
        if wanted is None or self._checksum is None:
            if trailer:
                raise aws_chunked.malformed()
            return None
        expected = wanted.value
        if wanted.trailer:
            if set(trailer) != {wanted.kind.header}:
                raise aws_chunked.malformed()
            expected = checksum_value(wanted.kind, trailer[wanted.kind.header])
        elif trailer:
            raise aws_chunked.malformed()
        value = self._checksum.digest()
        if expected is not None and not hmac.compare_digest(value, expected):
            text = f"The {wanted.kind.name} you specified did not match the calculated checksum."
            calculated = checksum_text(ChecksumRecord(wanted.kind.name, value))
            raise Refused("BadDigest", text, extra={"CalculatedDigest": calculated})
        return Checksum(wanted.kind.name, value)


async def receive(body: Body, intake: Intake) -> Received:
    """Take a request's body whole: in this call when it is here already, else as it comes."""
    buffered = body.buffered
    if buffered is not None:
        if buffered:
            intake.take(memoryview(buffered))
    else:
        await body.feed(intake.take)
    return intake.finish()


async def pump(source: Iterable[Buffer], size: int, intake: Intake) -> Received:
    """Take the bytes of an object of ours (a copy), in a thread when they are many."""

    def run() -> None:
        for piece in source:
            intake.take(memoryview(piece))

    if size <= THREAD_SIZE:
        run()
    else:
        await asyncio.to_thread(run)
    return intake.finish()
