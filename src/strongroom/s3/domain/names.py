"""Which names a bucket, a key and a version may have (s3.md 2.3, 2.4)."""

import re

from strongroom.s3.domain.records import NULL_VERSION
from strongroom.s3.domain.refusals import Refused

MAX_KEY = 1024  # bytes of UTF-8
RESERVED = frozenset({"minio", ".minio.sys"})

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_VERSION = re.compile("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")  # a UUID
_SPLIT = re.compile(r"[/\\]")
_SAFE_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_/-]*")  # quick way for usual keys


def check_bucket(name: str) -> None:
    """Raise Refused for a name that no bucket may have."""
    if name in RESERVED:
        raise Refused("AllAccessDisabled")
    if not 3 <= len(name) <= 63 or not _BUCKET.fullmatch(name) or _ADDRESS.fullmatch(name):
        raise Refused("InvalidBucketName")


def bad_components(text: str) -> bool:
    """Say whether a segment, trimmed of blanks, is `.` or `..` (`\\` separates as well)."""
    return "." in text and any(piece.strip() in (".", "..") for piece in _SPLIT.split(text))


def check_key(key: str) -> None:
    """Raise Refused for a key that no object may have."""
    if len(key) <= MAX_KEY and _SAFE_KEY.fullmatch(key) and "//" not in key:
        return
    if bad_components(key):
        raise Refused("XMinioInvalidResourceName")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise Refused("InvalidURI", "The key is not UTF-8.") from error
    if size > MAX_KEY:
        raise Refused("KeyTooLongError", extra={"Size": str(size), "MaxSizeAllowed": str(MAX_KEY)})
    if "//" in key or "\0" in key or key.startswith("/"):
        raise Refused("XMinioInvalidObjectName")


def check_version(version_id: str) -> str:
    """Return a version id in its usual form; raise Refused when it cannot be one."""
    if version_id == NULL_VERSION:
        return version_id
    if not _VERSION.fullmatch(version_id):
        raise Refused("InvalidArgument", "Invalid version id specified")
    return version_id.lower()
