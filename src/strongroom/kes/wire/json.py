"""Request bodies as Go's JSON decoder reads them (kes.md 1.4).

Member names match in any case, unknown members are ignored, the last of several wins, and what follows the first
value is not looked at. A strict decoder goes first: it is right for every body that clients really send.
"""

import base64
import binascii
import json
import re
from typing import Any

import msgspec

from strongroom.errors import Malformed


class CryptoBody(msgspec.Struct):
    """The body of generate, encrypt, decrypt and hmac; absent members are empty."""

    context: bytes = b""
    plaintext: bytes = b""
    ciphertext: bytes = b""
    message: bytes = b""


class ImportBody(msgspec.Struct):
    """The body of import; None is an absent member. `bytes` and `algorithm` are old names for the two."""

    key: bytes | None = None
    cipher: str | None = None


_strict = msgspec.json.Decoder(CryptoBody).decode
VERSION = "version"
GENERATE = frozenset({"context", VERSION})  # what each route knows
ENCRYPT = frozenset({"plaintext", "context"})
DECRYPT = frozenset({"ciphertext", "context", VERSION})
HMAC = frozenset({"message"})


def crypto_body(data: bytes, members: frozenset[str]) -> CryptoBody:
    """Read the members that a route knows, others are not looked at; raise Malformed. `version` must be a string."""
    if data[:2] != b'{"' or b"\\" in data or data.count(b'"') > 12:
        return _lenient_crypto(data, members)
    try:
        body = _strict(data)
    except msgspec.MsgspecError:
        return _lenient_crypto(data, members)
    # A body of the strict form may still hide a member in another case, or one with a wrong type.
    if data.count(b":") != _members(body):
        return _lenient_crypto(data, members)
    return body


def _members(body: CryptoBody) -> int:
    return (body.context != b"") + (body.plaintext != b"") + (body.ciphertext != b"") + (body.message != b"")


def _lenient_crypto(data: bytes, members: frozenset[str]) -> CryptoBody:
    found = go_object(data)
    if VERSION in members and not isinstance(found.get(VERSION), str | None):
        raise Malformed("version is not a string")
    return CryptoBody(**{name: go_bytes(found.get(name)) for name in members if name != VERSION})


def import_body(data: bytes) -> ImportBody:
    """Read an import's body; raise Malformed."""
    members = go_object(data)
    key = members.get("key", members.get("bytes"))
    cipher = members.get("cipher", members.get("algorithm"))
    if not isinstance(cipher, str | None):
        raise Malformed("the cipher is not a string")
    absent = "cipher" not in members and "algorithm" not in members
    return ImportBody(go_bytes(key), None if absent and "bytes" in members else cipher or "")


def bulk_body(data: bytes) -> list[CryptoBody]:
    """Read a bulk decrypt's body, an array of objects; raise Malformed."""
    items = go_value(data)
    if not isinstance(items, list):
        raise Malformed("not an array")
    bodies = []
    for item in items:
        members = _object(item)
        bodies.append(CryptoBody(**{name: go_bytes(members.get(name)) for name in ("ciphertext", "context")}))
    return bodies


def go_object(data: bytes) -> dict[str, Any]:
    """Return the first JSON value, an object or null, with its member names in lower case; raise Malformed."""
    return _object(go_value(data))


def go_value(data: bytes) -> Any:
    """Return the first JSON value in data, whatever follows it; objects have lower-case names; raise Malformed."""
    text = data.decode(errors="replace").lstrip(" \t\r\n")
    try:
        value, _ = _decoder.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    return value


def go_bytes(value: object) -> bytes:
    """Return the bytes of a base64 member: padding demanded, CR and LF tolerated, null is empty; raise Malformed."""
    if value is None:
        return b""
    if not isinstance(value, str):
        raise Malformed("not a string of base64")
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"not base64: {error}") from error


def _object(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed("not an object")
    return value


def _folded(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object whose member names are lower case; of several spellings the last in the text wins."""
    return {name.lower(): value for name, value in pairs}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decoder = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_folded)
