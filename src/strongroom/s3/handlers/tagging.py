"""Tags of objects and buckets (s3.md 8.3)."""

from dataclasses import replace

from strongroom.messages import Response
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import pack_tags, unpack_tags
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.circumstances import requested_tags
from strongroom.s3.handlers.documents import SMALL, document
from strongroom.s3.handlers.get import find, find_whole
from strongroom.s3.wire import tagging_xml

BUCKET_TAGS = "tagging"  # the bucket's document
_XML = ("Content-Type", "application/xml")


def version_headers(record: BucketRecord, version: ObjectVersion) -> list[tuple[str, str]]:
    """Return the version id where the bucket has versions."""
    return [("x-amz-version-id", version.version_id)] if record.versioning else []


async def get_object_tags(call: Call) -> Response:
    """GetObjectTagging."""
    check_key(call.key)
    version_id = call.args.get("versionId")
    record = await call.enter("s3:GetObjectVersionTagging" if version_id else "s3:GetObjectTagging")
    version = await find_whole(call, record, version_id)
    body = tagging_xml.render(unpack_tags(version.tags))
    return Response(200, [_XML, *version_headers(record, version)], body)


async def put_object_tags(call: Call) -> Response:
    """PutObjectTagging."""
    tags = tagging_xml.parse(await document(call, limit=SMALL), tagging_xml.OBJECT_LIMIT)
    call.told = requested_tags(tags)
    return await _change(call, "Put", pack_tags(tags), 200)


async def delete_object_tags(call: Call) -> Response:
    """DeleteObjectTagging."""
    return await _change(call, "Delete", b"", 204)


async def _change(call: Call, verb: str, tags: bytes, status: int) -> Response:
    check_key(call.key)
    version_id = call.args.get("versionId")
    record = await call.enter(f"s3:{verb}ObjectVersionTagging" if version_id else f"s3:{verb}ObjectTagging")
    version = await find(call, record, call.key, version_id)

    def change(current: ObjectVersion) -> ObjectVersion:
        return replace(current, tags=tags)

    version = await call.box.sealing.amend(record, version, change)
    call.happened(f"Created:{verb}Tagging", version)
    return Response(status, version_headers(record, version))


async def get_bucket_tags(call: Call) -> Response:
    """GetBucketTagging."""
    record = await call.enter("s3:GetBucketTagging")
    stored = record.config.get(BUCKET_TAGS)
    if not stored:
        raise Refused("NoSuchTagSet")
    return Response(200, [_XML], stored)


async def put_bucket_tags(call: Call) -> Response:
    """PutBucketTagging."""
    await call.enter("s3:PutBucketTagging")
    tags = tagging_xml.parse(await document(call), tagging_xml.BUCKET_LIMIT)
    await call.box.store.configure(call.bucket, {BUCKET_TAGS: tagging_xml.render(tags)})
    return Response(200)


async def delete_bucket_tags(call: Call) -> Response:
    """DeleteBucketTagging."""
    await call.enter("s3:PutBucketTagging")
    await call.box.store.configure(call.bucket, {BUCKET_TAGS: None})
    return Response(204)
