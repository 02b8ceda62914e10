"""ACLs of buckets and objects. Without an ownership setting that allows them, the owner alone (s3.md 8.8)."""

import dataclasses
from collections.abc import Mapping

from msgspec.structs import replace

from strongroom.messages import Response
from strongroom.s3.domain import acl
from strongroom.s3.domain.acl import Grant
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import ObjectMeta, pack_meta, unpack_meta
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import OWNER_ID, OWNER_NAME, Call
from strongroom.s3.handlers.documents import document
from strongroom.s3.handlers.get import find, find_whole
from strongroom.s3.wire import acl_xml, public_access

_XML = [("Content-Type", "application/xml")]
_HARMLESS = ("private", "bucket-owner-full-control")  # canned lists that mean the owner alone


def described(headers: Mapping[str, str], record: BucketRecord, meta: ObjectMeta) -> ObjectMeta:
    """Return a new object's record with the list that its request asks for, where ACLs count; else as it is."""
    if not acl.enabled(record.config):
        return meta
    grants = acl_xml.from_headers(headers, OWNER_ID)
    if not grants:
        return meta
    _refuse_public(record, grants)
    return replace(meta, acl=acl.pack(grants))


def _refuse_public(record: BucketRecord, grants: list[Grant]) -> None:
    blocks = public_access.read(record.config.get(public_access.NAME))
    if blocks.block_public_acls and acl.public(grants):
        raise Refused("AccessDenied", "The public access block of this bucket forbids public ACLs.")


def _action(call: Call, verb: str) -> str:
    """Return the action of reading or writing the list of a bucket, an object, or a version of it."""
    return f"s3:{verb}{'Bucket' if not call.key else 'ObjectVersion' if call.args.get('versionId') else 'Object'}Acl"


async def get_acl(call: Call) -> Response:
    """GetBucketAcl and GetObjectAcl."""
    if call.key:
        check_key(call.key)
    record = await call.enter(_action(call, "Get"))
    if call.key:
        version = await find_whole(call, record, call.args.get("versionId"))
        stored = unpack_meta(version.meta).acl
    else:
        stored = record.config.get(acl.NAME, b"")
    grants = acl.unpack(stored) if acl.enabled(record.config) else []
    return Response(200, _XML, acl_xml.render(grants, OWNER_ID, OWNER_NAME))


async def put_acl(call: Call) -> Response:
    """PutBucketAcl and PutObjectAcl."""
    if call.key:
        check_key(call.key)
    record = await call.enter(_action(call, "Put"))
    grants = await _asked(call)
    if not acl.enabled(record.config):
        if grants or call.headers.get("x-amz-acl", "private") not in _HARMLESS:
            raise Refused("NotImplemented")  # as recorded; an ownership setting turns ACLs on
        if call.key:
            await find(call, record, call.key, call.args.get("versionId"))
        return Response(200)
    _refuse_public(record, grants)
    packed = acl.pack(grants)
    if not call.key:
        await call.box.store.configure(call.bucket, {acl.NAME: packed or None})
        return Response(200)
    version = await find(call, record, call.key, call.args.get("versionId"))

    def change(current: ObjectVersion) -> ObjectVersion:
        return dataclasses.replace(current, meta=pack_meta(replace(unpack_meta(current.meta), acl=packed)))

    await call.box.sealing.amend(record, version, change)
    return Response(200)


async def _asked(call: Call) -> list[Grant]:
    """Return the grants of a request: in its headers, else in its body."""
    grants = acl_xml.from_headers(call.headers, OWNER_ID)
    return acl_xml.parse(await document(call), OWNER_ID) if grants is None else grants
