"""What the box keeps about an object beside its bytes. Format: docs/formats/object-record.md."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from strongroom.errors import Malformed
from strongroom.s3.domain.checksums import FULL_OBJECT, Checksum

VERSION = b"\x01"
T = TypeVar("T")


class ObjectMeta(msgspec.Struct, frozen=True, array_like=True):
    """The record of a version or an upload; fields as in the format page."""

    headers: dict[str, str] = {}
    user: dict[str, str] = {}
    seal: dict[str, str] = {}
    etag: str = ""
    checksum: bytes = b""
    wanted: str = ""
    tags: bytes = b""
    lock: bytes = b""
    upload: str = ""
    acl: bytes = b""
    asked: dict[str, str] = {}


class ChecksumRecord(msgspec.Struct, frozen=True, array_like=True):
    """A checksum as stored; part_values only for composites read by part number."""

    kind: str
    value: bytes
    type: str = FULL_OBJECT
    parts: int = 0
    part_values: list[bytes] = []

    @property
    def checksum(self) -> Checksum:
        """The value without its parts."""
        return Checksum(self.kind, self.value, self.type, self.parts)


class Lock(msgspec.Struct, frozen=True, array_like=True):
    """Retention and legal hold of a version. until: nanoseconds since the epoch, 0 = none; hold None: never set."""

    mode: str = ""
    until: int = 0
    hold: bool | None = None


_encode = msgspec.msgpack.Encoder().encode
_META = msgspec.msgpack.Decoder(ObjectMeta)
_CHECKSUM = msgspec.msgpack.Decoder(ChecksumRecord)
_TAGS = msgspec.msgpack.Decoder(dict[str, str])
_LOCK = msgspec.msgpack.Decoder(Lock)


def _pack(value: Any) -> bytes:
    return VERSION + _encode(value)


def _unpack(decoder: "msgspec.msgpack.Decoder[T]", data: bytes) -> T:
    if data[:1] != VERSION:
        raise Malformed("an object record of another version")
    try:
        return decoder.decode(memoryview(data)[1:])
    except msgspec.DecodeError as error:
        raise Malformed(f"object record: {error}") from error


def pack_meta(meta: ObjectMeta) -> bytes:
    """Return a meta record's bytes."""
    return _pack(meta)


def unpack_meta(data: bytes) -> ObjectMeta:
    """Read a meta record; raise Malformed."""
    return _unpack(_META, data)


def pack_checksum(checksum: ChecksumRecord | None) -> bytes:
    """Return a checksum record's bytes, none for None."""
    return b"" if checksum is None else _pack(checksum)


def unpack_checksum(data: bytes) -> ChecksumRecord | None:
    """Read a checksum record; raise Malformed."""
    return _unpack(_CHECKSUM, data) if data else None


def pack_tags(tags: Mapping[str, str]) -> bytes:
    """Return a tag set's bytes, sorted by key; none for an empty set."""
    return _pack(dict(sorted(tags.items()))) if tags else b""


def unpack_tags(data: bytes) -> dict[str, str]:
    """Read a tag set; raise Malformed."""
    return _unpack(_TAGS, data) if data else {}


def pack_lock(lock: Lock) -> bytes:
    """Return a lock's bytes; none when nothing was ever set."""
    return _pack(lock) if lock.mode or lock.hold is not None else b""


def unpack_lock(data: bytes) -> Lock:
    """Read a lock; raise Malformed."""
    return _unpack(_LOCK, data) if data else Lock()
