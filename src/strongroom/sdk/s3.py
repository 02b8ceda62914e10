"""The S3 client: one method per operation, blocking, usable from many threads (mc.md 5, s3.md 1).

Bytes come from and go to `Content` and `Answer`; refusals are `s3_errors.S3Error`, a server that is away is
`s3_call.Lost`. Large objects: `s3_transfer`. Times are the server's text, sizes bytes, ETags without quotes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from strongroom.net.blocking import Answer
from strongroom.s3.wire.sigv4 import encode_path
from strongroom.sdk import s3_listing
from strongroom.sdk.s3_body import Bytes, Content, base64
from strongroom.sdk.s3_call import UNSIGNED, Caller, Credentials, Query, Settings, Upload, checked, expect
from strongroom.sdk.s3_errors import AccessDenied, S3Error
from strongroom.sdk.s3_xml import Listed, Page, element, fits, page, parse, writer

__all__ = ["Client", "Credentials", "Deleted", "Head", "Settings"]

Pairs = Iterable[tuple[str, str]]
BATCH = 1000  # keys in one DeleteObjects
BYPASS = ("x-amz-bypass-governance-retention", "true")
IMPLIED_REGION = "us-east-1"
# Configurations that are fetched with x-amz-content-sha256: UNSIGNED-PAYLOAD, as recorded (mc.md 5.1).
_UNSIGNED = frozenset({"encryption", "versioning", "replication", "tagging", "lifecycle"})


@dataclass(frozen=True, slots=True)
class Head:
    """What a HEAD tells. headers: as sent, names in lower case."""

    size: int
    etag: str
    modified: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def version_id(self) -> str:
        """The version, "" in an unversioned bucket."""
        return self.headers.get("x-amz-version-id", "")


@dataclass(frozen=True, slots=True)
class Deleted:
    """One key's outcome in DeleteObjects: code is "" when it went well."""

    key: str
    version_id: str = ""
    marker: bool = False
    marker_version: str = ""
    code: str = ""
    message: str = ""


def _version(version_id: str) -> Query:
    return [("versionId", version_id)] if version_id else []


class Client:
    """An S3 server."""

    def __init__(self, settings: Settings) -> None:
        self.caller = Caller(settings)
        self._regions: dict[str, str] = {}

    def close(self) -> None:
        """Close idle connections."""
        self.caller.close()

    # ---- where a bucket is ----

    def region(self, bucket: str) -> str:
        """Return the region that a bucket's requests are signed for; asked once (mc.md 5.1)."""
        if self.caller.settings.region or not self.caller.settings.credentials.access_key or not bucket:
            return self.caller.settings.region or IMPLIED_REGION
        found = self._regions.get(bucket)
        if found is None:
            found = self._regions[bucket] = self._locate(bucket)
        return found

    def _locate(self, bucket: str) -> str:
        payload = UNSIGNED if self.caller.origin.tls else ""
        try:
            data = expect(self.caller.send("GET", bucket, "", [("location", "")], payload=payload))
        except S3Error as error:
            known = error.code in {"AuthorizationHeaderMalformed", "InvalidRegion"} or isinstance(error, AccessDenied)
            if known and error.region:
                return error.region
            if isinstance(error, AccessDenied):
                return IMPLIED_REGION
            raise
        name = parse(data).text if data else ""
        return {"": IMPLIED_REGION, "EU": "eu-west-1"}.get(name, name)

    def call(self, method: str, bucket: str = "", key: str = "", query: Query = (), *, headers: Pairs = (),
             upload: Upload | None = None, payload: str = "", good: frozenset[int] = frozenset({200, 204, 206}),
             ) -> Answer:  # fmt: skip
        """Send one request in the bucket's region."""
        return self.caller.send(method, bucket, key, query, headers=headers, upload=upload, payload=payload, good=good,
                                region=self.region(bucket))  # fmt: skip

    # ---- buckets ----

    def buckets(self) -> list[Listed]:
        """List the buckets, in the server's order; `modified` is the time of creation."""
        root = parse(expect(self.call("GET")))
        return [
            Listed(key=node.get("Name"), modified=node.get("CreationDate"), prefix=True)
            for node in root.all("Buckets/Bucket")
        ]

    def head_bucket(self, bucket: str) -> Mapping[str, str]:
        """Return the headers of a bucket that exists; raise NoSuchBucket, AccessDenied."""
        answer = self.call("HEAD", bucket)
        answer.close()
        return answer.headers

    def make_bucket(self, bucket: str, region: str = "", *, lock: bool = False) -> None:
        """Create a bucket; raise Taken."""
        headers = [("x-amz-bucket-object-lock-enabled", "true")] if lock else []
        where = region or self.caller.settings.region or IMPLIED_REGION
        upload, payload = None, UNSIGNED
        if where != IMPLIED_REGION:
            body = writer("CreateBucketConfiguration", namespace=True)(element("LocationConstraint", where))
            upload, payload = Upload(Bytes(body)), ""
            headers.append(("Content-MD5", md5(body)))
        answer = self.caller.send("PUT", bucket, "", headers=headers, upload=upload, payload=payload, region=where)
        expect(answer)
        self._regions[bucket] = where

    def remove_bucket(self, bucket: str, *, force: bool = False) -> None:
        """Remove an empty bucket; force: with all that is in it, on servers that know the header (mc.md 5.3)."""
        headers = [("x-minio-force-delete", "true")] if force else []
        expect(self.call("DELETE", bucket, headers=headers))
        self._regions.pop(bucket, None)

    # ---- listings ----

    def _fetch(self, bucket: str) -> Callable[[Query], Page]:
        return lambda query: page(expect(self.call("GET", bucket, "", query)))

    def objects(self, bucket: str, prefix: str = "", *, recursive: bool = True, metadata: bool = False,
                start_after: str = "", max_keys: int = 0) -> Iterator[Listed]:  # fmt: skip
        """Yield objects, and without `recursive` also common prefixes, page by page, in the server's order."""
        fixed = [("list-type", "2"), ("prefix", prefix), ("delimiter", "" if recursive else "/"),
                 ("encoding-type", "url"), ("fetch-owner", "true")]  # fmt: skip
        fixed += [("metadata", "true")] if metadata else []
        fixed += [("max-keys", str(max_keys))] if max_keys else []
        fixed += [("start-after", start_after)] if start_after else []
        return s3_listing.objects(self._fetch(bucket), fixed)

    def versions(self, bucket: str, prefix: str = "", *, recursive: bool = True,
                 metadata: bool = False) -> Iterator[Listed]:  # fmt: skip
        """Yield versions and delete markers, newest first within a key."""
        fixed = [("versions", ""), ("prefix", prefix), ("delimiter", "" if recursive else "/"),
                 ("encoding-type", "url")]  # fmt: skip
        fixed += [("metadata", "true")] if metadata else []
        return s3_listing.marked(self._fetch(bucket), fixed, "version-id-marker")

    def uploads(self, bucket: str, prefix: str = "", *, recursive: bool = True) -> Iterator[Listed]:
        """Yield unfinished multipart uploads."""
        fixed = [("uploads", ""), ("prefix", prefix), ("delimiter", "" if recursive else "/"),
                 ("encoding-type", "url")]  # fmt: skip
        return s3_listing.marked(self._fetch(bucket), fixed, "upload-id-marker")

    def is_folder(self, bucket: str, prefix: str) -> bool:
        """Tell whether any key starts with prefix (which ends in `/`)."""
        return next(self.objects(bucket, prefix, recursive=False, max_keys=1), None) is not None

    # ---- objects ----

    def head(self, bucket: str, key: str, version_id: str = "", headers: Pairs = ()) -> Head:
        """Describe an object; raise NoSuchKey, NoSuchBucket."""
        sent = [("x-amz-checksum-mode", "ENABLED"), *headers]
        answer = self.call("HEAD", bucket, key, _version(version_id), headers=sent)
        answer.close()
        return head_of(answer.headers)

    def get(self, bucket: str, key: str, version_id: str = "", headers: Pairs = (), query: Query = ()) -> Answer:
        """Start reading an object; the caller reads the answer's body or closes it."""
        sent = [("Accept-Encoding", "identity"), *headers]
        return self.call("GET", bucket, key, [*_version(version_id), *query], headers=sent)

    def put(self, bucket: str, key: str, content: Content, headers: Pairs = (), *, checksum: str = "") -> Head:
        """Store an object in one request; checksum: one of s3_body.CHECKSUMS, verified by the server."""
        upload = Upload(content, "stream", checksum)
        answer = self.call("PUT", bucket, key, headers=headers, upload=upload)
        expect(answer)
        return head_of(answer.headers, content.length)

    def copy(self, bucket: str, key: str, source: tuple[str, str], headers: Pairs = (), version_id: str = "") -> None:
        """Copy on the server; source is bucket and key, headers say what changes."""
        sent = [("x-amz-copy-source", copy_source(*source, version_id)), *headers]
        checked(self.call("PUT", bucket, key, headers=sent, payload=UNSIGNED), bucket, key)

    def delete(self, bucket: str, keys: Sequence[tuple[str, str]], *, bypass: bool = False) -> list[Deleted]:
        """Delete up to 1,000 (key, version or "") pairs; outcomes in the server's order.

        Keys that XML cannot hold go by a request of their own (mc.md 5.3).
        """
        alone = [self._delete_alone(bucket, key, version, bypass=bypass) for key, version in keys if not fits(key)]
        keys = [pair for pair in keys if fits(pair[0])]
        return alone + (self._delete_together(bucket, keys, bypass=bypass) if keys else [])

    def _delete_alone(self, bucket: str, key: str, version: str, *, bypass: bool) -> Deleted:
        headers = [BYPASS] if bypass else []
        try:
            answer = self.call("DELETE", bucket, key, _version(version), headers=headers)
        except S3Error as error:
            return Deleted(key, version, code=error.code, message=error.message)
        expect(answer)
        marker = answer.headers.get("x-amz-delete-marker") == "true"
        found = answer.headers.get("x-amz-version-id", "")
        return Deleted(key, version, marker, found if marker and not version else "")

    def _delete_together(self, bucket: str, keys: Sequence[tuple[str, str]], *, bypass: bool) -> list[Deleted]:
        objects = [
            element("Object", [element("Key", key), *([element("VersionId", version)] if version else [])])
            for key, version in keys
        ]
        body = writer("Delete")(element("Quiet", "false"), *objects)
        headers = [("Content-MD5", md5(body)), *([BYPASS] if bypass else [])]
        root = parse(expect(self.call("POST", bucket, "", [("delete", "")], headers=headers,
                                      upload=Upload(Bytes(body)))))  # fmt: skip
        return [
            Deleted(node.get("Key"), node.get("VersionId"), node.get("DeleteMarker") == "true",
                    node.get("DeleteMarkerVersionId"), node.get("Code"), node.get("Message"))
            for node in root.children if node.name in {"Deleted", "Error"}
        ]  # fmt: skip

    def delete_one(self, bucket: str, key: str, *, force: bool = False) -> None:
        """Delete by a plain DELETE; force: everything below key, on servers that know the header."""
        headers = [("x-minio-force-delete", "true")] if force else []
        expect(self.call("DELETE", bucket, key, headers=headers))

    # ---- multipart ----

    def start_upload(self, bucket: str, key: str, headers: Pairs = ()) -> str:
        """Start a multipart upload; return its id."""
        data = expect(self.call("POST", bucket, key, [("uploads", "")], headers=headers, payload=UNSIGNED))
        return parse(data).get("UploadId")

    def put_part(self, bucket: str, key: str, upload_id: str, number: int, content: Content, headers: Pairs = (), *,
                 checksum: str = "") -> tuple[str, str]:  # fmt: skip
        """Send one part; return its ETag and, if one was asked for, the checksum that the server reports."""
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        answer = self.call("PUT", bucket, key, query, headers=headers, upload=Upload(content, "stream", checksum))
        expect(answer)
        name = f"x-amz-checksum-{checksum.lower()}"
        return answer.headers.get("etag", "").strip('"'), answer.headers.get(name, "")

    def copy_part(self, bucket: str, key: str, upload_id: str, number: int, source: tuple[str, str],
                  span: tuple[int, int], headers: Pairs = (), version_id: str = "") -> str:  # fmt: skip
        """Copy the bytes [start, stop) of an object as one part; return its ETag."""
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        sent = [("x-amz-copy-source", copy_source(*source, version_id)),
                ("x-amz-copy-source-range", f"bytes={span[0]}-{span[1] - 1}"), *headers]  # fmt: skip
        data = checked(self.call("PUT", bucket, key, query, headers=sent, payload=UNSIGNED), bucket, key)
        return parse(data).get("ETag").strip('"')

    def finish_upload(self, bucket: str, key: str, upload_id: str, parts: Sequence[tuple[int, str, str]],
                      headers: Pairs = (), checksum: str = "") -> Head:  # fmt: skip
        """Put parts (number, ETag, checksum or "") together."""
        rows = [
            element("Part", [element("PartNumber", str(number)), element("ETag", etag),
                             *([element(f"Checksum{checksum}", value)] if value else [])])
            for number, etag, value in parts
        ]  # fmt: skip
        body = writer("CompleteMultipartUpload", namespace=True)(*rows)
        sent = [("Content-Type", "application/octet-stream"), *headers]
        answer = self.call("POST", bucket, key, [("uploadId", upload_id)], headers=sent, upload=Upload(Bytes(body)))
        root = parse(checked(answer, bucket, key))
        return Head(0, root.get("ETag").strip('"'), "", answer.headers)

    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Forget an upload and its parts."""
        expect(self.call("DELETE", bucket, key, [("uploadId", upload_id)]))

    def parts(self, bucket: str, key: str, upload_id: str) -> dict[int, tuple[int, str]]:
        """Return the parts that the server holds: number to (size, ETag)."""
        found: dict[int, tuple[int, str]] = {}
        marker = ""
        while True:
            query = [("uploadId", upload_id), *([("part-number-marker", marker)] if marker else [])]
            root = parse(expect(self.call("GET", bucket, key, query)))
            for node in root.all("Part"):
                found[int(node.get("PartNumber"))] = (int(node.get("Size", "0")), node.get("ETag").strip('"'))
            marker = root.get("NextPartNumberMarker")
            if root.get("IsTruncated") != "true" or not marker:
                return found

    # ---- configurations, of buckets and objects ----

    def get_config(self, bucket: str, name: str, key: str = "", version_id: str = "", query: Query = ()) -> bytes:
        """Return a sub-resource (`encryption`, `tagging`, …); raise NoSuchConfiguration."""
        payload = UNSIGNED if name in _UNSIGNED else ""
        return expect(self.call("GET", bucket, key, [(name, ""), *query, *_version(version_id)], payload=payload))

    def put_config(self, bucket: str, name: str, body: bytes, key: str = "", version_id: str = "",
                   headers: Pairs = ()) -> None:  # fmt: skip
        """Replace a sub-resource."""
        sent = [("Content-MD5", md5(body)), *headers]
        query = [(name, ""), *_version(version_id)]
        expect(self.call("PUT", bucket, key, query, headers=sent, upload=Upload(Bytes(body))))

    def drop_config(self, bucket: str, name: str, key: str = "", version_id: str = "") -> None:
        """Remove a sub-resource; one that is not there is no error."""
        expect(self.call("DELETE", bucket, key, [(name, ""), *_version(version_id)]))

    def listen(self, bucket: str, prefix: str, suffix: str, events: Sequence[str]) -> Answer:
        """Open the endless stream of a bucket's events: lines of JSON (mc.md 6)."""
        query = [*(("events", event) for event in events), ("prefix", prefix), ("suffix", suffix)]
        return self.call("GET", bucket, "", query)


def md5(data: bytes) -> str:
    """Return a Content-MD5."""
    return base64(hashlib.md5(data, usedforsecurity=False).digest())


def head_of(headers: Mapping[str, str], size: int | None = None) -> Head:
    """Read an answer's headers; metadata that came as RFC 2047 words (AWS and ours, beyond ASCII) becomes text."""
    if any(value.startswith("=?") and name.startswith("x-amz-meta-") for name, value in headers.items()):
        headers = {name: _words(value) if name.startswith("x-amz-meta-") else value for name, value in headers.items()}
    length = int(headers.get("content-length", "0")) if size is None else size
    return Head(length, headers.get("etag", "").strip('"'), headers.get("last-modified", ""), headers)


def _words(value: str) -> str:
    from email.errors import HeaderParseError
    from email.header import decode_header, make_header  # 10 ms: only who meets such a value pays

    try:
        return str(make_header(decode_header(value))) if "=?" in value else value
    except (HeaderParseError, LookupError, ValueError):  # not such words after all
        return value


def copy_source(bucket: str, key: str, version_id: str = "") -> str:
    """Return the header that names a copy's source: `B/K`, encoded, without a leading slash (mc.md 9.4)."""
    text = f"{bucket}/{encode_path(key.encode('utf-8', 'surrogateescape'))}"
    return f"{text}?versionId={version_id}" if version_id else text
