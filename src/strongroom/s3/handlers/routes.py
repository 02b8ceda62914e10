"""Which operation a request is: one table (s3.md 1), tested by presence of query names and headers, in order."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from strongroom.messages import Response
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers import (
    acl,
    attributes,
    bucket_encryption,
    bucket_policy,
    buckets,
    complete,
    copy,
    delete,
    get,
    listing,
    multipart,
    notify,
    object_lock,
    post,
    put,
    tagging,
    update_encryption,
    upload_listing,
)
from strongroom.s3.handlers import bucket_documents as config
from strongroom.s3.handlers.call import Call

Handle: TypeAlias = Callable[[Call], Awaitable[Response]]
Level: TypeAlias = Literal["service", "bucket", "object"]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. query: names that must be there; header: one that must be there."""

    operation: str
    methods: str
    level: Level
    handle: Handle
    query: tuple[str, ...] = ()
    header: str = ""

    def fits(self, args: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        """Say whether a request of this method and level is this operation."""
        return all(name in args for name in self.query) and (not self.header or self.header in headers)


async def not_implemented(call: Call) -> Response:
    """A documented operation of S3 that we do not have."""
    raise Refused("NotImplemented")


async def _needs_both(call: Call) -> Response:
    raise Refused("InvalidArgument", "partNumber and uploadId must both be specified.")


async def _method_not_allowed(call: Call) -> Response:
    raise Refused("MethodNotAllowed")


async def _not_on_objects(call: Call) -> Response:
    raise Refused("InvalidRequest", "This query parameter is of buckets, not of objects.")


ABSENT = (
    "abac",
    "analytics",
    "intelligent-tiering",
    "inventory",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "session",
)
ABSENT_OBJECT = ("annotation", "renameObject")


def _stored(name: str, query: str, stored: config.Document) -> tuple[Route, ...]:
    """Return the three routes of a configuration document."""
    return (
        Route(f"Get{name}", "GET", "bucket", stored.get, (query,)),
        Route(f"Put{name}", "PUT", "bucket", stored.put, (query,)),
        Route(f"Delete{name}", "DELETE", "bucket", stored.delete, (query,)),
    )


# What the original lets fall through to the plain operation, so that `DELETE /bucket?publicAccessBlock` removes the
# bucket and `PUT /bucket/key?acl` may overwrite the object (s3.md 1.2): here it is refused.
GUARDED_BUCKET = (
    "accelerate",
    "acl",
    "cors",
    "delete",
    "encryption",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "tagging",
    "uploads",
    "versioning",
    "versions",
    "website",
)
GUARDED_OBJECT = (
    "acl",
    "attributes",
    "encryption",
    "legal-hold",
    "restore",
    "retention",
    "select",
    "tagging",
    "torrent",
    "uploads",
    "versions",
)

ROUTES: tuple[Route, ...] = (
    Route("ListenNotification", "GET", "service", notify.listen, ("events",)),
    Route("ListBuckets", "GET", "service", buckets.list_buckets),
    # buckets
    *(Route(name, "GET PUT DELETE POST", "bucket", not_implemented, (name,)) for name in ABSENT),
    Route("GetBucketLocation", "GET", "bucket", buckets.get_location, ("location",)),
    Route("GetBucketVersioning", "GET", "bucket", buckets.get_versioning, ("versioning",)),
    Route("PutBucketVersioning", "PUT", "bucket", buckets.put_versioning, ("versioning",)),
    Route("GetBucketEncryption", "GET", "bucket", bucket_encryption.get_encryption, ("encryption",)),
    Route("PutBucketEncryption", "PUT", "bucket", bucket_encryption.put_encryption, ("encryption",)),
    Route("DeleteBucketEncryption", "DELETE", "bucket", bucket_encryption.delete_encryption, ("encryption",)),
    Route("GetBucketPolicy", "GET", "bucket", bucket_policy.get_policy, ("policy",)),
    Route("PutBucketPolicy", "PUT", "bucket", bucket_policy.put_policy, ("policy",)),
    Route("DeleteBucketPolicy", "DELETE", "bucket", bucket_policy.delete_policy, ("policy",)),
    Route("GetBucketPolicyStatus", "GET", "bucket", bucket_policy.get_policy_status, ("policyStatus",)),
    Route("GetBucketTagging", "GET", "bucket", tagging.get_bucket_tags, ("tagging",)),
    Route("PutBucketTagging", "PUT", "bucket", tagging.put_bucket_tags, ("tagging",)),
    Route("DeleteBucketTagging", "DELETE", "bucket", tagging.delete_bucket_tags, ("tagging",)),
    Route("GetObjectLockConfiguration", "GET", "bucket", object_lock.get_configuration, ("object-lock",)),
    Route("PutObjectLockConfiguration", "PUT", "bucket", object_lock.put_configuration, ("object-lock",)),
    *_stored("BucketLifecycle", "lifecycle", config.LIFECYCLE),
    *_stored("BucketCors", "cors", config.CORS),
    *_stored("PublicAccessBlock", "publicAccessBlock", config.PUBLIC_ACCESS),
    *_stored("BucketOwnershipControls", "ownershipControls", config.OWNERSHIP_CONTROLS),
    Route("GetBucketNotification", "GET", "bucket", config.NOTIFICATION.get, ("notification",)),
    Route("PutBucketNotification", "PUT", "bucket", notify.put_notification, ("notification",)),
    Route("ListenNotification", "GET", "bucket", notify.listen, ("events",)),
    *_stored("BucketLogging", "logging", config.LOGGING)[:2],
    *_stored("BucketRequestPayment", "requestPayment", config.PAYMENT)[:2],
    Route("GetBucketAcl", "GET", "bucket", acl.get_acl, ("acl",)),
    Route("PutBucketAcl", "PUT", "bucket", acl.put_acl, ("acl",)),
    Route("GetBucketAccelerate", "GET", "bucket", config.get_accelerate, ("accelerate",)),
    Route("GetBucketWebsite", "GET", "bucket", config.get_website, ("website",)),
    Route("DeleteBucketWebsite", "DELETE", "bucket", config.delete_website, ("website",)),
    Route("GetBucketReplication", "GET", "bucket", config.get_replication, ("replication",)),
    Route("PutBucketReplication", "PUT", "bucket", config.put_replication, ("replication",)),
    Route("DeleteBucketReplication", "DELETE", "bucket", config.delete_replication, ("replication",)),
    Route("ListMultipartUploads", "GET", "bucket", upload_listing.list_uploads, ("uploads",)),
    Route("ListObjectVersions", "GET", "bucket", listing.list_versions, ("versions",)),
    Route("ListObjectsV2", "GET", "bucket", listing.list_objects_v2, ("list-type",)),
    Route("ListObjects", "GET", "bucket", listing.list_objects),
    *(Route("Guarded", "PUT DELETE", "bucket", not_implemented, (name,)) for name in GUARDED_BUCKET),
    Route("DeleteObjects", "POST", "bucket", delete.delete_objects, ("delete",)),
    Route("PostObject", "POST", "bucket", post.post_object, (), "content-type"),
    Route("CreateBucket", "PUT", "bucket", buckets.create_bucket),
    Route("HeadBucket", "HEAD", "bucket", buckets.head_bucket),
    Route("DeleteBucket", "DELETE", "bucket", buckets.delete_bucket),
    # objects
    *(Route(name, "GET PUT DELETE POST", "object", not_implemented, (name,)) for name in ABSENT_OBJECT),
    Route("GetObjectLambda", "GET", "object", not_implemented, ("lambdaArn",)),
    Route("AppendObject", "PUT", "object", not_implemented, (), "x-amz-write-offset-bytes"),
    Route("GetObjectTagging", "GET", "object", tagging.get_object_tags, ("tagging",)),
    Route("PutObjectTagging", "PUT", "object", tagging.put_object_tags, ("tagging",)),
    Route("DeleteObjectTagging", "DELETE", "object", tagging.delete_object_tags, ("tagging",)),
    Route("GetObjectRetention", "GET", "object", object_lock.get_retention, ("retention",)),
    Route("PutObjectRetention", "PUT", "object", object_lock.put_retention, ("retention",)),
    Route("GetObjectLegalHold", "GET", "object", object_lock.get_legal_hold, ("legal-hold",)),
    Route("PutObjectLegalHold", "PUT", "object", object_lock.put_legal_hold, ("legal-hold",)),
    Route("GetObjectAttributes", "GET", "object", attributes.get_attributes, ("attributes",)),
    Route("UpdateObjectEncryption", "PUT", "object", update_encryption.update_encryption, ("encryption",)),
    Route("GetObjectAcl", "GET", "object", acl.get_acl, ("acl",)),
    Route("PutObjectAcl", "PUT", "object", acl.put_acl, ("acl",)),
    Route("GetObjectTorrent", "GET", "object", not_implemented, ("torrent",)),
    Route("RestoreObject", "POST", "object", not_implemented, ("restore",)),
    Route("SelectObjectContent", "POST", "object", not_implemented, ("select",)),
    Route("UploadPartCopy", "PUT", "object", multipart.upload_part_copy, ("partNumber", "uploadId"), copy.SOURCE),
    Route("UploadPart", "PUT", "object", multipart.upload_part, ("partNumber", "uploadId")),
    Route("UploadPart", "PUT", "object", _needs_both, ("partNumber",)),
    Route("UploadPart", "PUT", "object", _method_not_allowed, ("uploadId",)),
    Route("ListParts", "GET", "object", upload_listing.list_parts, ("uploadId",)),
    Route("CompleteMultipartUpload", "POST", "object", complete.complete_upload, ("uploadId",)),
    Route("CreateMultipartUpload", "POST", "object", multipart.create_upload, ("uploads",)),
    Route("AbortMultipartUpload", "DELETE", "object", multipart.abort_upload, ("uploadId",)),
    Route("GetObject", "GET", "object", _not_on_objects, ("uploads",)),
    Route("GetObject", "GET", "object", _not_on_objects, ("versions",)),
    *(Route("Guarded", "PUT DELETE", "object", not_implemented, (name,)) for name in GUARDED_OBJECT),
    Route("CopyObject", "PUT", "object", copy.copy_object, (), copy.SOURCE),
    Route("PutObject", "PUT", "object", put.put_object),
    Route("GetObject", "GET", "object", get.get_object),
    Route("HeadObject", "HEAD", "object", get.get_object),
    Route("DeleteObject", "DELETE", "object", delete.delete_object),
)


def _index(routes: tuple[Route, ...]) -> dict[tuple[str, str], tuple[Route, ...]]:
    index: dict[tuple[str, str], list[Route]] = {}
    for route in routes:
        for method in route.methods.split():
            index.setdefault((method, route.level), []).append(route)
    return {key: tuple(found) for key, found in index.items()}


_INDEX = _index(ROUTES)
_QUERIES = {key: frozenset([name for route in found for name in route.query]) for key, found in _INDEX.items()}
_HEADERS = {key: frozenset([route.header for route in found if route.header]) for key, found in _INDEX.items()}
_PLAIN = {key: route for key, found in _INDEX.items() for route in found if not route.query and not route.header}


def find(method: str, bucket: str, key: str, args: Mapping[str, str], headers: Mapping[str, str]) -> Route | None:
    """Return the operation of a request, None when there is none."""
    place = (method, "object" if key else "bucket" if bucket else "service")
    if place not in _INDEX:
        return None
    if _QUERIES[place].isdisjoint(args) and _HEADERS[place].isdisjoint(headers):
        return _PLAIN.get(place)
    for route in _INDEX[place]:
        if route.fits(args, headers):
            return route
    return None
