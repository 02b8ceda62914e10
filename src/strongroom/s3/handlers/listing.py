"""ListObjects V1 and V2, ListObjectVersions (s3.md 5)."""

import re
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping

from strongroom.messages import Response
from strongroom.s3.domain.names import bad_components
from strongroom.s3.domain.records import Listed, ListQuery, Page
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import OWNER_ID, OWNER_NAME, Call
from strongroom.s3.handlers.list_keys import CODES, ListKeys
from strongroom.s3.handlers.list_metadata import metadata
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire import sigv4, xml
from strongroom.s3.wire.errors import xml_text

PAGE = 1000  # entries at most
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_XML = [("Content-Type", "application/xml")]
_CACHE_SUFFIX = re.compile(r"\[minio_cache:[^\[\]]*\]$")  # clients of the original may come with its markers
OWNER: list[xml.Item] = [("ID", OWNER_ID), ("DisplayName", OWNER_NAME)]
_OWNER = xml.element("Owner", OWNER)
_STANDARD = "<StorageClass>STANDARD</StorageClass>"
_CHECKSUMS = {
    kind: xml.element("ChecksumAlgorithm", kind[0]) + xml.element("ChecksumType", kind[1]) for kind in CODES.values()
}


def limit_of(call: Call, name: str) -> int:
    """Return max-keys (max-uploads, …) as asked, 1000 without; raise Refused."""
    text = call.args.get(name, "")
    if text == "":
        return PAGE
    argument = "maxKeys" if name == "max-keys" else name  # as the original words it
    if not _INTEGER.fullmatch(text) or not 0 <= int(text) <= 2147483647:
        raise Refused("InvalidArgument", f"Argument {argument} must be an integer between 0 and 2147483647")
    return int(text)


def encoder_of(call: Call) -> Callable[[str], str]:
    """Return how keys are written: as they are, or for encoding-type=url; raise Refused for another type."""
    kind = call.args.get("encoding-type", "")
    if kind == "":
        return str
    if kind.lower() != "url":
        raise Refused("InvalidArgument", "Invalid Encoding Method specified in Request")
    return sigv4.form_encode


def check_components(call: Call) -> None:
    """Raise Refused for `.` and `..` segments in query values, as the original does for all but the delimiter."""
    for name, value in call.pairs:
        if name != "delimiter" and bad_components(value):
            raise Refused("XMinioInvalidResourceName")


def plain_text(value: str) -> str:
    """Return a prefix or marker as the store compares it; bytes that are not UTF-8 sort behind all keys."""
    return value if value.isascii() else sigv4.NOT_UTF8.sub("\U0010ffff", value)


def _marker(text: str) -> str:
    return _CACHE_SUFFIX.sub("", plain_text(text))


def _checksum(kind: tuple[str, str] | None) -> str:
    return "" if kind is None else _CHECKSUMS[kind]


def _entries(
    page: Page, keys: ListKeys, encode: Callable[[str], str], *, owner: bool, told: Mapping[str, str] | None = None
) -> str:
    """told: more elements of a key, by key."""
    owned = _OWNER if owner else ""
    more, pieces = "", []
    for entry in page.entries:
        etag, checksum = keys.listed(entry.etag, entry.key)
        if told is not None:
            more = told.get(entry.key, "")
        pieces.append(
            f"<Contents><Key>{xml_text(encode(entry.key))}</Key><LastModified>{wire.iso_time(entry.modified)}"
            f"</LastModified><ETag>&#34;{etag}&#34;</ETag>{_checksum(checksum)}<Size>{entry.size}</Size>"
            f"{owned}{_STANDARD}{more}</Contents>"
        )
    return "".join(pieces)


def _prefixes(page: Page, encode: Callable[[str], str]) -> str:
    return "".join(
        [f"<CommonPrefixes><Prefix>{xml_text(encode(one))}</Prefix></CommonPrefixes>" for one in page.prefixes]
    )


def _encoding(call: Call) -> str:
    return "<EncodingType>url</EncodingType>" if call.args.get("encoding-type") else ""


async def _page(call: Call, query: ListQuery) -> Page:
    return await call.box.store.list(call.bucket, query) if query.limit else Page(())


async def list_objects(call: Call) -> Response:
    """ListObjects, the first version."""
    limit, encode = limit_of(call, "max-keys"), encoder_of(call)
    check_components(call)
    record = await call.enter("s3:ListBucket")
    prefix, delimiter, marker = (call.args.get(name, "") for name in ("prefix", "delimiter", "marker"))
    page = await _page(call, ListQuery(plain_text(prefix), _marker(marker), plain_text(delimiter), min(limit, PAGE)))
    keys = await call.box.sealing.list_keys(record)
    more = page.truncated and bool(delimiter)
    head: list[xml.Item] = [
        ("Name", call.bucket),
        ("Prefix", encode(prefix)),
        ("Marker", encode(marker)),
        ("NextMarker", encode(page.next_after) if more else None),
        ("MaxKeys", limit),
        ("Delimiter", encode(delimiter) if delimiter else None),
        ("IsTruncated", page.truncated),
    ]
    inner = _head(head) + _entries(page, keys, encode, owner=True) + _prefixes(page, encode) + _encoding(call)
    return Response(200, _XML, xml.wrap("ListBucketResult", inner))


def _head(items: list[xml.Item]) -> str:
    return "".join([xml.element(*item) for item in items])


def _token(after: str) -> str:
    return urlsafe_b64encode(after.encode("utf-8", "surrogateescape")).decode()


def _after(token: str) -> str:
    try:
        text = b64decode(token.translate({ord("-"): "+", ord("_"): "/"}), validate=True).decode("utf-8")
    except (NotBase64, ValueError) as error:
        raise Refused("InvalidArgument", "The continuation token provided is incorrect") from error
    return _marker(text)


async def list_objects_v2(call: Call) -> Response:
    """ListObjects, the second version."""
    limit, encode = limit_of(call, "max-keys"), encoder_of(call)
    check_components(call)
    args = call.args
    token = args.get("continuation-token")
    if token == "":
        raise Refused("InvalidArgument", "The continuation token provided is incorrect")
    record = await call.enter("s3:ListBucket")
    prefix, delimiter, start = (args.get(name, "") for name in ("prefix", "delimiter", "start-after"))
    after = _after(token) if token is not None else plain_text(start)
    page = await _page(call, ListQuery(plain_text(prefix), after, plain_text(delimiter), min(limit, PAGE)))
    keys = await call.box.sealing.list_keys(record)
    head: list[xml.Item] = [
        ("Name", call.bucket),
        ("Prefix", encode(prefix)),
        ("StartAfter", encode(start) if start else None),
        ("ContinuationToken", token),
        ("NextContinuationToken", _token(page.next_after) if page.truncated else None),
        ("KeyCount", len(page.entries) + len(page.prefixes)),
        ("MaxKeys", limit),
        ("Delimiter", encode(delimiter) if delimiter else None),
        ("IsTruncated", page.truncated),
    ]
    owner = args.get("fetch-owner", "").lower() == "true"
    told = await metadata(call, record, page) if args.get("metadata", "").lower() == "true" else None
    inner = (
        _head(head) + _entries(page, keys, encode, owner=owner, told=told) + _prefixes(page, encode) + _encoding(call)
    )
    return Response(200, _XML, xml.wrap("ListBucketResult", inner))


async def list_versions(call: Call) -> Response:
    """ListObjectVersions: versions and markers interleaved, newest first within a key."""
    limit, encode = limit_of(call, "max-keys"), encoder_of(call)
    check_components(call)
    args = call.args
    key_marker, version_marker = args.get("key-marker", ""), args.get("version-id-marker", "")
    if version_marker and not key_marker:
        raise Refused("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
    record = await call.enter("s3:ListBucketVersions")
    prefix, delimiter = args.get("prefix", ""), args.get("delimiter", "")
    query = ListQuery(
        plain_text(prefix),
        _marker(key_marker),
        plain_text(delimiter),
        min(limit, PAGE),
        versions=True,
        after_version=version_marker or None,
    )
    page = await _page(call, query)
    keys = await call.box.sealing.list_keys(record)
    head: list[xml.Item] = [
        ("Name", call.bucket),
        ("Prefix", encode(prefix)),
        ("KeyMarker", encode(key_marker)),
        ("NextKeyMarker", encode(page.next_after) if page.truncated else None),
        ("NextVersionIdMarker", (page.next_version or "") if page.truncated else ""),
        ("VersionIdMarker", version_marker),
        ("MaxKeys", limit),
        ("Delimiter", encode(delimiter) if delimiter else None),
        ("IsTruncated", page.truncated),
    ]
    rows = "".join([_version(entry, keys, encode) for entry in page.entries])
    return Response(
        200, _XML, xml.wrap("ListVersionsResult", _head(head) + _prefixes(page, encode) + rows + _encoding(call))
    )


def _version(entry: Listed, keys: ListKeys, encode: Callable[[str], str]) -> str:
    name = "DeleteMarker" if entry.delete_marker else "Version"
    etag, checksum = ("", None) if entry.delete_marker else keys.listed(entry.etag, entry.key)
    return xml.element(
        name,
        [
            ("Key", encode(entry.key)),
            ("LastModified", wire.iso_time(entry.modified)),
            ("ETag", f'"{etag}"' if etag else ""),
            ("ChecksumAlgorithm", checksum[0] if checksum else None),
            ("ChecksumType", checksum[1] if checksum else None),
            ("Size", entry.size),
            ("Owner", OWNER),
            ("StorageClass", "STANDARD"),
            ("IsLatest", entry.latest),
            ("VersionId", entry.version_id),
        ],
    )
