"""Which operation a request is: one table (s3.md 1), tested by presence of query names and headers, in order."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from strongroom.messages import Response
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers import bucket_encryption, buckets, copy, delete, get, listing, multipart, put
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


ABSENT = ("analytics", "inventory", "metrics", "intelligent-tiering", "metadataTable", "metadataConfiguration", "abac")

ROUTES: tuple[Route, ...] = (
    Route("ListBuckets", "GET", "service", buckets.list_buckets),
    # buckets
    *(Route(name, "GET PUT DELETE POST", "bucket", not_implemented, (name,)) for name in ABSENT),
    Route("GetBucketLocation", "GET", "bucket", buckets.get_location, ("location",)),
    Route("GetBucketVersioning", "GET", "bucket", buckets.get_versioning, ("versioning",)),
    Route("PutBucketVersioning", "PUT", "bucket", buckets.put_versioning, ("versioning",)),
    Route("GetBucketEncryption", "GET", "bucket", bucket_encryption.get_encryption, ("encryption",)),
    Route("PutBucketEncryption", "PUT", "bucket", bucket_encryption.put_encryption, ("encryption",)),
    Route("DeleteBucketEncryption", "DELETE", "bucket", bucket_encryption.delete_encryption, ("encryption",)),
    Route("ListMultipartUploads", "GET", "bucket", listing.list_uploads, ("uploads",)),
    Route("ListObjectVersions", "GET", "bucket", listing.list_versions, ("versions",)),
    Route("ListObjectsV2", "GET", "bucket", listing.list_objects_v2, ("list-type",)),
    Route("ListObjects", "GET", "bucket", listing.list_objects),
    Route("DeleteObjects", "POST", "bucket", delete.delete_objects, ("delete",)),
    Route("CreateBucket", "PUT", "bucket", buckets.create_bucket),
    Route("HeadBucket", "HEAD", "bucket", buckets.head_bucket),
    Route("DeleteBucket", "DELETE", "bucket", buckets.delete_bucket),
    # objects
    Route("GetObjectTorrent", "GET", "object", not_implemented, ("torrent",)),
    Route("RestoreObject", "POST", "object", not_implemented, ("restore",)),
    Route("SelectObjectContent", "POST", "object", not_implemented, ("select",)),
    Route("UploadPartCopy", "PUT", "object", multipart.upload_part_copy, ("partNumber", "uploadId"), copy.SOURCE),
    Route("UploadPart", "PUT", "object", multipart.upload_part, ("partNumber", "uploadId")),
    Route("UploadPart", "PUT", "object", _needs_both, ("partNumber",)),
    Route("UploadPart", "PUT", "object", _method_not_allowed, ("uploadId",)),
    Route("ListParts", "GET", "object", listing.list_parts, ("uploadId",)),
    Route("CompleteMultipartUpload", "POST", "object", multipart.complete_upload, ("uploadId",)),
    Route("CreateMultipartUpload", "POST", "object", multipart.create_upload, ("uploads",)),
    Route("AbortMultipartUpload", "DELETE", "object", multipart.abort_upload, ("uploadId",)),
    Route("GetObject", "GET", "object", _not_on_objects, ("uploads",)),
    Route("GetObject", "GET", "object", _not_on_objects, ("versions",)),
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


def find(method: str, bucket: str, key: str, args: Mapping[str, str], headers: Mapping[str, str]) -> Route | None:
    """Return the operation of a request, None when there is none."""
    level = "object" if key else "bucket" if bucket else "service"
    for route in _INDEX.get((method, level), ()):
        if route.fits(args, headers):
            return route
    return None
