"""Buckets themselves: list, create, head, delete, location, versioning (s3.md 1.1, 8.1)."""

import re

from strongroom.errors import Denied
from strongroom.messages import Response
from strongroom.s3.domain import acl
from strongroom.s3.domain.names import check_bucket
from strongroom.s3.domain.ports import BucketNotEmpty
from strongroom.s3.domain.records import VERSIONING
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.bucket_documents import OWNERSHIP_CONTROLS, ownership_controls
from strongroom.s3.handlers.call import OWNER_ID, Call
from strongroom.s3.handlers.documents import SMALL, document
from strongroom.s3.handlers.listing import OWNER
from strongroom.s3.handlers.tagging import BUCKET_TAGS
from strongroom.s3.wire import acl_xml, xml
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire.object_headers import check_tags
from strongroom.s3.wire.tagging_xml import BUCKET_LIMIT, render

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_XML = [("Content-Type", "application/xml")]


async def list_buckets(call: Call) -> Response:
    """ListBuckets: all that the principal may list; paged when asked."""
    if call.principal.credential is None:
        raise Denied("anonymous")
    everything = call.allowed("s3:ListAllMyBuckets")
    buckets = [
        record
        for record in await call.box.store.buckets()
        if everything or call.box.access.allows(call.principal, call.ask("s3:ListBucket", record))
    ]
    if not everything and not buckets:
        raise Denied(f"{call.principal.name} may not list buckets")
    prefix, after = call.args.get("prefix", ""), call.args.get("continuation-token", "")
    buckets = [record for record in buckets if record.name.startswith(prefix) and record.name > after]
    limit = _max_buckets(call)
    page, rest = buckets[:limit], buckets[limit:]
    rows: list[xml.Item] = [
        ("Bucket", [("Name", record.name), ("CreationDate", wire.iso_time(record.created))]) for record in page
    ]
    items: list[xml.Item] = [("Owner", OWNER), ("Buckets", rows)]
    if rest:
        items.append(("ContinuationToken", page[-1].name))
    if prefix:
        items.append(("Prefix", prefix))
    return Response(200, _XML, xml.document("ListAllMyBucketsResult", items))


def _max_buckets(call: Call) -> int | None:
    text = call.args.get("max-buckets")
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= 10_000:
        raise Refused("InvalidArgument", "Argument maxBuckets must be an integer between 1 and 10000")
    return int(text)


async def create_bucket(call: Call) -> Response:
    """CreateBucket."""
    check_bucket(call.bucket)
    body, node = await document(call, limit=SMALL), xml.Node("CreateBucketConfiguration")
    if body.strip():
        node = xml.parse(body, ("CreateBucketConfiguration", "CreateBucketRequest"), detail=False)
    location = node.value("LocationConstraint")
    call.told = {"s3:locationconstraint": (location,)} if location else {}
    call.authorise("s3:CreateBucket")
    _check_location(call, location)
    config = _tags(call, node) | _ownership(call)
    lock = call.headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true"
    await call.box.store.create_bucket(call.bucket, object_lock=lock, config=config)
    return Response(200, [("Location", f"/{call.bucket}")])


def _tags(call: Call, node: xml.Node) -> dict[str, bytes]:
    """Return the documents that the tags of a new bucket make."""
    found = node.first("Tags")
    if found is None:
        return {}
    call.authorise("s3:PutBucketTagging")
    tags = check_tags([(tag.value("Key"), tag.value("Value")) for tag in found.all("Tag")], BUCKET_LIMIT)
    return {BUCKET_TAGS: render(tags)} if tags else {}


def _ownership(call: Call) -> dict[str, bytes]:
    """Return the documents that the ownership setting and the ACL of a new bucket make; raise Refused.

    An ACL where none counts means nothing to the original; where the setting says so, AWS refuses it.
    """
    setting = call.headers.get("x-amz-object-ownership")
    grants = acl_xml.from_headers(call.headers, OWNER_ID)
    if setting is None:
        return {}
    config = {OWNERSHIP_CONTROLS.name: ownership_controls(setting)}
    call.authorise(OWNERSHIP_CONTROLS.put_action)
    if not grants:
        return config
    if not acl.enabled(config):
        raise Refused("InvalidBucketAclWithObjectOwnership")
    call.authorise("s3:PutBucketAcl")
    return {**config, acl.NAME: acl.pack(grants)}


def _check_location(call: Call, location: str) -> None:
    region = call.box.settings.region
    if location and region and location != region:
        raise Refused("InvalidLocationConstraint")


async def head_bucket(call: Call) -> Response:
    """HeadBucket."""
    await call.enter("s3:ListBucket")
    region = call.box.settings.region
    headers = [("x-amz-bucket-region", region)] if region else []
    return Response(200, [*headers, ("x-strongroom-features", "prefix-encryption")])


async def delete_bucket(call: Call) -> Response:
    """DeleteBucket; x-minio-force-delete removes what is in it."""
    force = call.headers.get("x-minio-force-delete", "").lower() == "true"
    record = await call.enter("s3:ForceDeleteBucket" if force else "s3:DeleteBucket")
    try:
        await call.box.store.delete_bucket(call.bucket, force=force)
    except BucketNotEmpty as error:
        if record.versioning:
            text = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            raise Refused("BucketNotEmpty", text) from error
        raise
    return Response(204)


async def get_location(call: Call) -> Response:
    """GetBucketLocation: empty is us-east-1."""
    await call.enter("s3:GetBucketLocation")
    region = call.box.settings.region
    return Response(200, _XML, xml.wrap("LocationConstraint", "" if region == "us-east-1" else region))


async def get_versioning(call: Call) -> Response:
    """GetBucketVersioning."""
    record = await call.enter("s3:GetBucketVersioning")
    items: list[xml.Item] = [("Status", record.versioning)] if record.versioning else []
    return Response(200, _XML, xml.document("VersioningConfiguration", items))


async def put_versioning(call: Call) -> Response:
    """PutBucketVersioning."""
    record = await call.enter("s3:PutBucketVersioning")
    node = xml.parse(await document(call), "VersioningConfiguration")
    status = node.value("Status").strip()
    if status not in ("Enabled", "Suspended"):
        text = f"Versioning configuration specified in the request is invalid. (unsupported Versioning status {status})"
        raise Refused("IllegalVersioningConfigurationException", text)
    if node.value("MfaDelete").strip() == "Enabled":
        raise Refused("NotImplemented")  # to accept it would promise a second factor that nobody asks for
    if node.first("ExcludedPrefixes") is not None or node.value("ExcludeFolders").strip().lower() == "true":
        raise Refused("NotImplemented")  # a bucket is versioned as a whole
    if status == "Suspended" and record.object_lock:
        text = "An Object Lock configuration is present on this bucket, versioning cannot be suspended."
        raise Refused("InvalidBucketState", text)
    await call.box.store.configure(call.bucket, {VERSIONING: status.encode()})
    return Response(200)
