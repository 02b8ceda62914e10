"""What the store itself reads in a bucket's configuration documents."""

from collections.abc import Mapping
from dataclasses import replace

from strongroom.errors import Conflict, Malformed
from strongroom.s3.domain.ports import QuotaExceeded
from strongroom.s3.domain.records import OBJECT_LOCK, QUOTA, VERSIONING, BucketRecord


def changed(record: BucketRecord, changes: Mapping[str, bytes | None]) -> BucketRecord:
    """Return the record with its documents set, or with None removed.

    Raises Malformed for a value that we must read, Conflict for object lock without versioning.
    """
    config = {name: value for name, value in {**record.config, **changes}.items() if value is not None}
    versioning = config.pop(VERSIONING, record.versioning.encode())
    if versioning not in (b"", b"Enabled", b"Suspended") or (VERSIONING in changes and not versioning):
        raise Malformed(f"versioning {versioning!r}")
    lock = config.pop(OBJECT_LOCK, b"Enabled" if record.object_lock else b"")
    if lock not in (b"", b"Enabled"):
        raise Malformed(f"object lock {lock!r}")
    if lock and versioning != b"Enabled":  # else a write could replace a version that is to be kept
        raise Conflict("object lock needs versioning")
    if not config.get(QUOTA, b"0").isdigit():
        raise Malformed(f"quota {config[QUOTA]!r}")
    return replace(record, versioning=versioning.decode(), object_lock=lock == b"Enabled", config=config)


def check_quota(config: Mapping[str, bytes], size: int, added: int) -> None:
    """Raise QuotaExceeded when added plaintext bytes do not fit beside size; growing by nothing always fits."""
    quota = int(config.get(QUOTA, b"0"))
    if quota and added > 0 and size + added > quota:
        raise QuotaExceeded(f"{size} + {added} bytes are more than the quota of {quota}")
