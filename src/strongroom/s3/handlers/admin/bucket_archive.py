"""The configurations of buckets as one archive: `mc admin cluster bucket export|import`.

Each document is read and written by the S3 operation that it belongs to, with its checks and the caller's rights.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Awaitable
from typing import Any

import msgspec

from strongroom.errors import Error, Malformed
from strongroom.messages import Request, Response
from strongroom.s3.domain.names import RESERVED
from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.domain.records import QUOTA
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers import routes
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.handlers.admin.iam_archive import ZIP
from strongroom.s3.handlers.admin.quota import LARGEST
from strongroom.s3.handlers.call import Call
from strongroom.s3.wire import archives, sigv4
from strongroom.s3.wire.admin import parse_object, refused, render_json
from strongroom.s3.wire.authenticate import Signed
from strongroom.s3.wire.errors import refusal, status_and_text

# Member → the sub-resource it is, in the order in which a bucket takes them: a lock needs versioning.
MEMBERS = {
    "versioning.xml": "versioning",
    "object-lock.xml": "object-lock",
    "bucket-encryption.xml": "encryption",
    "policy.json": "policy",
    "lifecycle.xml": "lifecycle",
    "tagging.xml": "tagging",
    "cors.xml": "cors",
    "notification.xml": "notification",
    "public-access-block.xml": "publicAccessBlock",
    "ownership-controls.xml": "ownershipControls",
}
QUOTA_MEMBER = "quota.json"
LOCKED = b"<ObjectLockEnabled>Enabled<"
# What a bucket answers that has no such configuration.
NOTHING = re.compile(rb"<(NotificationConfiguration|VersioningConfiguration)[^>]*(/>|></)")
UNVERSIONED = b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>'


class Whole:
    """A body that is in memory."""

    def __init__(self, data: bytes) -> None:
        self.buffered = data
        self.length = len(data)

    async def read(self, limit: int) -> bytes:
        """Return it; archives are limited as a whole."""
        return self.buffered

    async def feed(self, sink: Any) -> None:
        """Give it to sink."""
        sink(memoryview(self.buffered))


async def _ask(
    errand: Errand, method: str, bucket: str, query: str = "", body: bytes = b"", lock: bool = False
) -> bytes:
    """Run an S3 operation on a bucket as the caller; return the answer's document, raise what it raises."""
    pairs = [(query, "")] if query else []
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    headers = {"content-length": str(len(body)), "content-md5": digest}
    if lock:
        headers["x-amz-bucket-object-lock-enabled"] = "true"
    request = Request(method, f"/{bucket}?{query}", f"/{bucket}", query, headers, [], errand.request.peer)
    route = routes.find(method, bucket, "", dict(pairs), headers)
    if route is None:
        raise Refused("BadRequest")
    if bucket in RESERVED:
        raise Refused("AllAccessDisabled")
    signed = Signed(errand.principal, sigv4.UNSIGNED_PAYLOAD)
    call = Call(errand.desk.box, request, Whole(body), errand.request_id, bucket, "", pairs, dict(pairs), signed,
                operation=route.operation)  # fmt: skip
    response = await route.handle(call)
    return response.body if isinstance(response.body, bytes) else b""


async def _document(errand: Errand, bucket: str, query: str) -> bytes:
    """Return a configuration, b"" for none."""
    try:
        found = await _ask(errand, "GET", bucket, query)
    except Refused as error:
        if status_and_text(error)[0] == 404:
            return b""
        raise
    return b"" if NOTHING.search(found) else found


async def export(errand: Errand) -> Response:
    """Return the archive of one bucket's configurations, or of all buckets'."""
    wanted = errand.query.get("bucket", "")
    names = [wanted] if wanted else [record.name for record in await errand.desk.box.store.buckets()]
    members: dict[str, bytes] = {}
    for bucket in names:
        record = await errand.desk.box.store.bucket(bucket)
        for member, query in MEMBERS.items():
            if document := await _document(errand, bucket, query):
                members[f"{bucket}/{member}"] = document
        if QUOTA in record.config:
            size = int(record.config[QUOTA])
            members[f"{bucket}/{QUOTA_MEMBER}"] = json.dumps({"quota": size, "quotatype": "hard"}).encode()
        members.setdefault(f"{bucket}/versioning.xml", UNVERSIONED)  # a bucket without any configuration is named, too
    return Response(200, [ZIP], await asyncio.to_thread(archives.pack, members))


class Result(msgspec.Struct):
    """What an import did to a bucket."""

    created: bool = False
    applied: list[str] = []
    failed: dict[str, str] = {}


async def load(errand: Errand) -> Response:
    """Make missing buckets and apply their configurations; what cannot be is reported, the rest goes on."""
    try:
        members = await asyncio.to_thread(archives.unpack, errand.content)
    except Malformed as error:
        raise refused("XMinioAdminInvalidArgument", str(error)) from error
    wanted = errand.query.get("bucket", "")
    buckets: dict[str, dict[str, bytes]] = {}
    for path, data in members.items():
        folder, _, member = path.rpartition("/")
        bucket = folder.rpartition("/")[2]
        if bucket and (not wanted or bucket == wanted):
            buckets.setdefault(bucket, {})[member] = data
    if wanted and wanted not in buckets:
        raise refused("XMinioAdminInvalidArgument", f"the archive has no bucket {wanted}")
    return render_json({"buckets": {name: msgspec.to_builtins(await _apply(errand, name, found))
                                    for name, found in buckets.items()}})  # fmt: skip


async def _apply(errand: Errand, bucket: str, members: dict[str, bytes]) -> Result:
    result = Result()
    try:
        result.created = await _make(errand, bucket, lock=LOCKED in members.get("object-lock.xml", b""))
    except Error as error:
        result.failed["bucket"] = _reason(error)
        return result
    for member, query in MEMBERS.items():
        data = members.pop(member, b"")
        if data and not NOTHING.search(data):
            await _try(result, member, _ask(errand, "PUT", bucket, query, data))
    if quota := members.pop(QUOTA_MEMBER, b""):
        await _try(result, QUOTA_MEMBER, _quota(errand, bucket, quota))
    result.failed |= dict.fromkeys(members, "it is not known here")
    return result


async def _make(errand: Errand, bucket: str, *, lock: bool) -> bool:
    try:
        await errand.desk.box.store.bucket(bucket)
    except NoSuchBucket:
        await _ask(errand, "PUT", bucket, lock=lock)
        return True
    return False


async def _try(result: Result, member: str, work: Awaitable[object]) -> None:
    try:
        await work
    except Error as error:
        result.failed[member] = _reason(error)
    else:
        result.applied.append(member)


async def _quota(errand: Errand, bucket: str, data: bytes) -> None:
    errand.authorise("admin:SetBucketQuota", bucket)
    record = parse_object(data)
    size = record.get("quota") or record.get("size") or 0
    if not isinstance(size, int) or not 0 <= size <= LARGEST:
        raise refused("XMinioAdminInvalidArgument")
    await errand.desk.box.store.configure(bucket, {QUOTA: str(size).encode() if size else None})


def _reason(error: Error) -> str:
    return status_and_text(refusal(error))[1]
