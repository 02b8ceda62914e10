"""The entries that a seal keeps beside an object, in and out. Format: docs/formats/sealed-keys.md (sse.md 3)."""

import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from strongroom.crypto import context as contexts
from strongroom.crypto import hierarchy
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.key_errors import DamagedMetadata, KeyNotFound, ObjectTampered
from strongroom.s3.domain.ports import DataKey

_SSE = "X-Minio-Internal-Server-Side-Encryption-"
IV = _SSE + "Iv"
ALGORITHM = _SSE + "Seal-Algorithm"
SEALED_KEY = {Kind.KMS: _SSE + "Kms-Sealed-Key", Kind.S3: _SSE + "S3-Sealed-Key", Kind.C: _SSE + "Sealed-Key"}
KEY_ID = _SSE + "S3-Kms-Key-Id"  # for SSE-KMS too
DATA_KEY = _SSE + "S3-Kms-Sealed-Key"
CONTEXT = _SSE + "Context"
MULTIPART = "X-Minio-Internal-Encrypted-Multipart"

_OURS = "X-Strongroom-Internal-"
BUCKET_KEY = _OURS + "Bucket-Key"  # the data key's context is {bucket: bucket}
KEY_VERSION = _OURS + "Key-Version"  # decimal
FINGERPRINT = _OURS + "Key-Fingerprint"  # hex
OUTER = _OURS + "Outer-Key"  # base64 of the sealed key of the second layer (DSSE-KMS)
RECORD = _OURS + "Record"  # base64 of a tag over address, size, parts and metadata

_SIGNS = (MULTIPART, IV, ALGORITHM, KEY_ID, DATA_KEY, CONTEXT)

NO_IV = "The object metadata is missing the internal encryption IV"
NO_ALGORITHM = "The object metadata is missing the internal seal algorithm"
NO_KEY_ID = "The object metadata is missing the internal KMS key-ID for SSE-S3"
NO_DATA_KEY = "The object metadata is missing the internal sealed KMS data key for SSE-S3"
BAD_IV = "The internal encryption IV is malformed"
BAD_ALGORITHM = "The internal seal algorithm is invalid and not supported"
BAD_DATA_KEY = "The internal sealed KMS data key for SSE-S3 is invalid"
BAD_CONTEXT = "The internal KMS context is not base64-encoded"
BAD_SEALED_KEY = {
    Kind.S3: "The internal sealed key for SSE-S3 is invalid",
    Kind.KMS: "The internal sealed key for SSE-KMS is invalid",
    Kind.C: "The internal sealed key for SSE-C is invalid",
}


@dataclass(frozen=True, slots=True)
class SealInfo:
    """What the stored entries say without any key: for HEAD, listings, `stat`.

    kind         None: plain (encrypted is False), or encrypted in no known way (encrypted is True)
    context      the client's own; empty under a bucket key
    key_version  of the master key; 0 when unknown; fingerprint "" likewise
    dual         there is a second layer
    """

    kind: Kind | None = None
    encrypted: bool = False
    key_name: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    bucket_key: bool = False
    multipart: bool = False
    key_version: int = 0
    fingerprint: str = ""
    dual: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """The entries, decoded and complete. data_key is empty for SSE-C, outer where there is one layer."""

    info: SealInfo
    kind: Kind
    iv: bytes
    algorithm: str
    sealed_key: bytes
    data_key: bytes = b""
    outer: bytes = b""


def entries(kind: Kind, iv: bytes, sealed_key: bytes, multipart: bool) -> dict[str, str]:
    """Return the entries about the object key."""
    found = {ALGORITHM: hierarchy.ALGORITHM, IV: encoded(iv), SEALED_KEY[kind]: encoded(sealed_key)}
    return found | {MULTIPART: ""} if multipart else found


def external_entries(made: DataKey, context: Mapping[str, str], bucket_key: bool) -> dict[str, str]:
    """Return the entries about a data key of the key service; context is what is kept, not what is used."""
    found = {KEY_ID: made.key_name, DATA_KEY: encoded(made.ciphertext)}
    if context:
        found[CONTEXT] = encoded(contexts.canonical(context))
    if bucket_key:
        found[BUCKET_KEY] = "true"
    if made.version:
        found[KEY_VERSION] = str(made.version)
    if made.fingerprint:
        found[FINGERPRINT] = made.fingerprint.hex()
    return found


def label(info: SealInfo) -> str:
    """Return `name@version` of the key that protects an object, what the store counts by; "" under none of ours.

    Version 0: unknown, as of an original key server.
    """
    return f"{info.key_name}@{info.key_version}" if info.key_name and info.kind is not Kind.C else ""


def parse_label(text: str) -> tuple[str, int]:
    """Return name and version of a label."""
    name, _, version = text.rpartition("@")
    return name, int(version) if version.isdecimal() else 0


def kind_of(metadata: Mapping[str, str]) -> Kind | None:
    """Return the kind of a seal by the sealed key that is there, in the order of sse.md 3."""
    for kind, name in SEALED_KEY.items():
        if name in metadata:
            return kind
    return None


def describe(metadata: Mapping[str, str]) -> SealInfo:
    """Say what can be said without a key. Never raises: damaged entries are as if absent."""
    if not metadata:
        return SealInfo()
    kind = kind_of(metadata)
    if kind is None:
        return SealInfo(encrypted=any(name in metadata for name in _SIGNS))
    return foresee(kind, metadata, MULTIPART in metadata, OUTER in metadata)


def foresee(kind: Kind, external: Mapping[str, str], multipart: bool, dual: bool) -> SealInfo:
    """Say what `describe` will say of a new seal; external: its entries about the data key."""
    get = external.get
    bucket_key = BUCKET_KEY in external
    context = "" if bucket_key else get(CONTEXT, "")
    print8, version = get(FINGERPRINT, ""), get(KEY_VERSION, "")
    return _info(kind, get(KEY_ID, ""), context, bucket_key, multipart, version, print8, dual)


@lru_cache(maxsize=4096)
def _info(
    kind: Kind, key_name: str, context: str, bucket_key: bool, multipart: bool, version: str, print8: str, dual: bool
) -> SealInfo:
    """Return what the entries say; the same for most objects of a bucket, and asked for twice in every request."""
    number = int(version) if version.isdecimal() else 0
    return SealInfo(kind, True, key_name, _harmless(context), bucket_key, multipart, number, print8, dual)


def _harmless(context: str) -> Mapping[str, str]:
    try:
        return _context({CONTEXT: context}) if context else {}
    except DamagedMetadata:
        return {}


def read(metadata: Mapping[str, str]) -> Stored:
    """Return the entries, decoded; raise ObjectTampered without a known kind, DamagedMetadata, KeyNotFound."""
    info = describe(metadata)
    if info.kind is None:
        raise ObjectTampered("no sealed key")
    if IV not in metadata:
        raise DamagedMetadata(NO_IV)
    if ALGORITHM not in metadata:
        raise DamagedMetadata(NO_ALGORITHM)
    iv = _bytes(metadata[IV], BAD_IV, hierarchy.IV_SIZE)
    algorithm = metadata[ALGORITHM]
    legacy = algorithm == hierarchy.LEGACY_ALGORITHM and info.kind is Kind.C
    if algorithm != hierarchy.ALGORITHM and not legacy:
        raise DamagedMetadata(BAD_ALGORITHM)
    bad_key = BAD_SEALED_KEY[info.kind]
    sealed_key = _bytes(metadata[SEALED_KEY[info.kind]], bad_key, hierarchy.SEALED_KEY_SIZE)
    data_key = b"" if info.kind is Kind.C else _data_key(metadata)
    if not info.bucket_key:
        _context(metadata)
    outer = _bytes(metadata[OUTER], bad_key, hierarchy.SEALED_KEY_SIZE) if info.dual else b""
    return Stored(info, info.kind, iv, algorithm, sealed_key, data_key, outer)


def _data_key(metadata: Mapping[str, str]) -> bytes:
    if KEY_ID not in metadata and DATA_KEY not in metadata:
        raise KeyNotFound("sealed before key services had names")  # sse.md 1.3
    if KEY_ID not in metadata:
        raise DamagedMetadata(NO_KEY_ID)
    if DATA_KEY not in metadata:
        raise DamagedMetadata(NO_DATA_KEY)
    return _bytes(metadata[DATA_KEY], BAD_DATA_KEY)


def _context(metadata: Mapping[str, str]) -> dict[str, str]:
    if CONTEXT not in metadata:
        return {}
    try:
        context = json.loads(_bytes(metadata[CONTEXT], BAD_CONTEXT))
    except ValueError as error:
        raise DamagedMetadata(BAD_CONTEXT) from error
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise DamagedMetadata(BAD_CONTEXT)
    return context


def encoded(data: bytes) -> str:
    """Return bytes as an entry's value: base64."""
    return binascii.b2a_base64(data, newline=False).decode()


def _bytes(text: str, message: str, size: int | None = None) -> bytes:
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, binascii.Error) as error:
        raise DamagedMetadata(message) from error
    if size is not None and len(data) != size:
        raise DamagedMetadata(message)
    return data
