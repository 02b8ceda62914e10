"""Bucket quotas: how many plaintext bytes all versions of a bucket may have together (mc.md 9, `quota`)."""

from strongroom.messages import Response
from strongroom.s3.domain.records import QUOTA
from strongroom.s3.handlers.admin.desk import DONE, Errand
from strongroom.s3.wire.admin import parse_object, refused, render_json, text_of

LARGEST = 2**62  # bytes


async def set_quota(errand: Errand) -> Response:
    """Set a bucket's quota; 0 takes it away. Only `hard` ones exist: a write that would pass it is refused."""
    bucket, record = errand.argument("bucket"), parse_object(errand.content)
    size = record.get("quota", record.get("size", 0))
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST:
        raise refused("XMinioAdminInvalidArgument")
    if size and text_of(record, "quotatype", "hard").lower() != "hard":
        raise refused("XMinioAdminInvalidArgument")
    value = str(size).encode() if size else None
    await errand.desk.box.store.configure(bucket, {QUOTA: value})
    return DONE


async def get_quota(errand: Errand) -> Response:
    """Return a bucket's quota; 0 for none."""
    record = await errand.desk.box.store.bucket(errand.argument("bucket"))
    size = int(record.config.get(QUOTA, b"0"))
    kind = {"quotatype": "hard"} if size else {}
    return render_json({"quota": size, "size": size, "rate": 0, "requests": 0, **kind})
