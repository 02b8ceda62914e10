"""A master key's bytes in a key store: base64 of a protobuf message, or JSON in old ones (kes.md 5.4, 5.5).

docs/formats/kes-stored-key.md describes both. Writing makes exactly the bytes that an original KES makes.
"""

import base64
import binascii
import datetime
import json
import re
from collections.abc import Iterator

from strongroom.crypto.keyciphertext import KeyType
from strongroom.kes.domain.errors import StoredKeyDamaged
from strongroom.kes.domain.records import ABSENT, CIPHERS, Moment, StoredKey
from strongroom.protobuf import BYTES, FIXED32, FIXED64, VARINT, field, tag, varint

KEY_SIZE = 32  # bytes
_SHA256 = 1


def encode(stored: StoredKey) -> bytes:
    """Return the current form: padded base64, no newline."""
    if stored.hmac_key is None:
        raise ValueError("the stored form needs an HMAC key")
    message = field(1, field(1, stored.key) + _number(2, stored.type))
    message += field(2, field(1, stored.hmac_key) + _number(2, _SHA256))
    message += field(3, _number(1, stored.created_at.seconds) + _number(2, stored.created_at.nanos))
    if stored.created_by:
        message += field(4, stored.created_by.encode())
    return base64.b64encode(message)


def decode(value: bytes) -> StoredKey:
    """Read any form that a KES ever wrote; raise StoredKeyDamaged."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return _decode_protobuf(value)
    return _decode_json(document)


def _decode_protobuf(value: bytes) -> StoredKey:
    try:
        fields = dict(_fields(base64.b64decode(value.replace(b"\r", b"").replace(b"\n", b""), validate=True)))
        secret = dict(_fields(_data(fields.get(1))))
        hmac_fields = dict(_fields(_data(fields[2]))) if 2 in fields else None
        times = dict(_fields(_data(fields.get(3, b""))))
        created_by = _data(fields.get(4, b"")).decode()
    except (binascii.Error, ValueError, IndexError) as error:
        raise StoredKeyDamaged(f"stored key: {error}") from error
    kind = secret.get(2)
    if kind not in (KeyType.AES256, KeyType.CHACHA20):
        raise StoredKeyDamaged(f"stored key: type {kind!r}")
    seconds = _signed(_int(times.get(1, 0)))
    created_at = _in_range(Moment(seconds, _int(times.get(2, 0))))
    return StoredKey(_key(secret.get(1)), KeyType(_int(kind)), _hmac_key(hmac_fields), created_at, created_by)


def _in_range(moment: Moment) -> Moment:
    """Return a time of the years 1 to 9999; raise StoredKeyDamaged for others, which no answer can hold."""
    if not ABSENT.seconds <= moment.seconds < 253402300800 or not 0 <= moment.nanos < 10**9:
        raise StoredKeyDamaged("stored key: its time is out of range")
    return moment


def _hmac_key(fields: dict[int, int | bytes] | None) -> bytes | None:
    if fields is None:
        return None
    if fields.get(2) != _SHA256:
        raise StoredKeyDamaged(f"stored key: HMAC with hash {fields.get(2)!r}")
    return _key(fields.get(1))


def _decode_json(document: object) -> StoredKey:
    if not isinstance(document, dict):
        raise StoredKeyDamaged("stored key: not an object")
    members = {str(name).lower(): value for name, value in document.items()}
    algorithm, created_by = members.get("algorithm") or "AES256", members.get("created_by") or ""
    if not isinstance(algorithm, str) or algorithm not in CIPHERS or not isinstance(created_by, str):
        raise StoredKeyDamaged("stored key: unknown algorithm or wrong types")
    try:
        key = base64.b64decode(str(members.get("bytes") or "").replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise StoredKeyDamaged(f"stored key: {error}") from error
    return StoredKey(_key(key), CIPHERS[algorithm], None, _moment(members.get("created_at")), created_by)


_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|z|[+-]\d\d:\d\d)")


def _moment(text: object) -> Moment:
    if text is None or text == "":
        return ABSENT
    found = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise StoredKeyDamaged(f"stored key: time {text!r}")
    try:
        zone = "+00:00" if found[8] in "Zz" else found[8]
        whole = "-".join(found.group(1, 2, 3)) + "T" + ":".join(found.group(4, 5, 6)) + zone
        since = datetime.datetime.fromisoformat(whole) - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    except (ValueError, OverflowError) as error:
        raise StoredKeyDamaged(f"stored key: time {text!r}") from error
    return _in_range(Moment(since.days * 86400 + since.seconds, int((found[7] or "").ljust(9, "0")[:9])))


def _key(value: int | bytes | None) -> bytes:
    if not isinstance(value, bytes) or len(value) != KEY_SIZE:
        raise StoredKeyDamaged("stored key: not 32 bytes")
    return value


# ---- protobuf, as much of it as this message needs
def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield field number and value; raise IndexError or ValueError when the bytes are no message."""
    position = 0
    while position < len(message):
        head, position = _read_varint(message, position)
        number, kind = head >> 3, head & 7
        if number == 0:
            raise ValueError("field number 0")
        if kind == VARINT:
            value, position = _read_varint(message, position)
            yield number, value
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(kind)
        if kind == BYTES:
            size, position = _read_varint(message, position)
        if size is None or position + size > len(message):
            raise ValueError(f"wire type {kind}, or cut short")
        yield number, message[position : position + size]
        position += size


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError("a number of more than 64 bits")


def _number(number: int, value: int) -> bytes:
    return tag(number, VARINT) + varint(value) if value else b""


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise StoredKeyDamaged("stored key: bytes for a number")
    return value


def _data(value: int | bytes | None) -> bytes:
    if not isinstance(value, bytes):
        raise StoredKeyDamaged("stored key: a part is missing")
    return value
