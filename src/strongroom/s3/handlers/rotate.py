"""A copy of an object onto itself that only exchanges its customer key: no byte of content moves (sse.md 6.5)."""

import dataclasses
import re

from msgspec.structs import replace

from strongroom.errors import Conflict
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.object_record import pack_meta
from strongroom.s3.domain.object_seal import ObjectSeal
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.sealing import reseal
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.get import Found
from strongroom.s3.wire.sse_headers import Operation

# What a copy may change besides its metadata and tags.
_OTHER = re.compile("x-amz-(storage-class|website-redirect-location|checksum-algorithm|acl|grant-.*|object-lock-.*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Turned:
    """The version with its new seal."""

    version: ObjectVersion
    seal: ObjectSeal


def applies(call: Call, found: Found, record: BucketRecord) -> bool:
    """Say whether a copy onto itself exchanges customer keys and nothing else.

    A versioned bucket gets a version of its own instead.
    """
    if record.versioning or any(_OTHER.fullmatch(name) for name in call.headers):
        return False
    wanted = call.box.sealing.wanted(call.headers, record, call.key, Operation.COPY)
    kind = call.box.sealing.describe(found.meta.seal).kind
    return kind is Kind.C and wanted is not None and wanted.kind is Kind.C


async def customer_key(call: Call, found: Found, opened: ObjectSeal | None, record: BucketRecord) -> Turned:
    """Seal the object's own key under the new customer key; content, user metadata and ETag stay."""
    wanted = call.box.sealing.wanted(call.headers, record, call.key, Operation.COPY)
    assert opened is not None
    assert wanted is not None
    seal = await reseal(opened, wanted, call.bucket, call.key, None)
    meta = pack_meta(replace(found.meta, seal=dict(seal.metadata)))

    def change(version: ObjectVersion) -> ObjectVersion:
        if version.meta != found.version.meta:
            raise Conflict("the object was replaced meanwhile")
        return dataclasses.replace(version, meta=meta)

    version = await call.box.store.amend(call.bucket, call.key, found.version.version_id, change)
    return Turned(version, seal)
