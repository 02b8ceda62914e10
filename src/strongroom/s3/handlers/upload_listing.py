"""ListParts and ListMultipartUploads (s3.md 6)."""

import re

from strongroom.messages import Response
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.object_record import unpack_checksum
from strongroom.s3.domain.records import PartRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import describe
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.listing import OWNER, PAGE, check_components, encoder_of, limit_of, plain_text
from strongroom.s3.handlers.multipart import Upload, find_upload
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire import xml

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_UPLOAD = re.compile("[0-9a-f]{32}")  # an upload's id
_XML = [("Content-Type", "application/xml")]


def _part_limit(call: Call) -> int:
    text = call.args.get("max-parts", "")
    if text == "":
        return PAGE
    if not _INTEGER.fullmatch(text) or int(text) < 0:
        raise Refused("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    return min(int(text), 10_000)


async def list_parts(call: Call) -> Response:
    """ListParts."""
    limit = _part_limit(call)
    marker = call.args.get("part-number-marker", "") or "0"
    if not _INTEGER.fullmatch(marker) or int(marker) < 0:
        raise Refused("InvalidArgument", "Argument partNumberMarker must be an integer.")
    encode = encoder_of(call)
    found = await find_upload(call, "s3:ListMultipartUploadParts")
    parts = await call.box.store.parts(call.bucket, found.upload, int(marker), limit + 1) if limit else []
    page = parts[:limit]
    algorithm, kind_type = found.wanted
    items: list[xml.Item] = [
        ("Bucket", call.bucket),
        ("Key", encode(call.key)),
        ("UploadId", found.upload.upload_id),
        ("Initiator", OWNER),
        ("Owner", OWNER),
        ("StorageClass", found.meta.headers.get("x-amz-storage-class", "STANDARD")),
        ("PartNumberMarker", int(marker)),
        ("NextPartNumberMarker", page[-1].number if page else 0),
        ("MaxParts", limit),
        ("IsTruncated", len(parts) > limit),
        ("ChecksumAlgorithm", algorithm or None),
        ("ChecksumType", kind_type or None),
    ]
    return Response(200, _XML, xml.document("ListPartsResult", items + await _part_items(call, found, page)))


async def _part_items(call: Call, found: Upload, page: list[PartRecord]) -> list[xml.Item]:
    """Return the parts; checksums of a customer's upload stay closed, as its key is not here."""
    keys = await call.box.sealing.list_keys(found.record)
    sealed, seal = bool(found.meta.seal), None
    if sealed and any(part.meta for part in page) and describe(found.meta.seal).kind is not Kind.C:
        seal = await call.box.sealing.open(found.meta.seal, {}, call.bucket, call.key)
    items: list[xml.Item] = []
    for part in page:
        one: list[xml.Item] = [
            ("PartNumber", part.number),
            ("LastModified", wire.iso_time(part.modified)),
            ("ETag", f'"{keys.reveal(part.etag, call.key)}"'),
            ("Size", part.size),
        ]
        packed = part.meta if not sealed else seal.open_checksum(part.meta) if seal and part.meta else b""
        if (checksum := unpack_checksum(packed)) is not None:
            one.append((f"Checksum{checksum.kind}", wire.checksum_text(checksum)))
        items.append(("Part", one))
    return items


async def list_uploads(call: Call) -> Response:
    """ListMultipartUploads, by key, then by start."""
    limit, encode = limit_of(call, "max-uploads"), encoder_of(call)
    check_components(call)
    args = call.args
    prefix, delimiter, key_marker = (args.get(name, "") for name in ("prefix", "delimiter", "key-marker"))
    upload_marker = args.get("upload-id-marker", "")
    await call.enter("s3:ListBucketMultipartUploads")
    upload_marker = upload_marker if key_marker else ""  # AWS passes one over that stands alone
    if upload_marker and not _UPLOAD.fullmatch(upload_marker):
        raise Refused("InvalidArgument", "Invalid uploadId marker")
    after = plain_text(key_marker)
    page = await call.box.store.uploads(
        call.bucket, plain_text(prefix), after, upload_marker, plain_text(delimiter), min(limit, PAGE)
    )
    items: list[xml.Item] = [
        ("Bucket", call.bucket),
        ("KeyMarker", encode(key_marker)),
        ("UploadIdMarker", upload_marker),
        ("NextKeyMarker", encode(page.next_key) if page.truncated else ""),
        ("NextUploadIdMarker", page.next_upload if page.truncated else ""),
        ("Delimiter", encode(delimiter) if delimiter else None),
        ("Prefix", encode(prefix)),
        ("EncodingType", "url" if args.get("encoding-type") else None),
        ("MaxUploads", limit),
        ("IsTruncated", page.truncated),
    ]
    for upload in page.uploads:
        one: list[xml.Item] = [
            ("Key", encode(upload.key)),
            ("UploadId", upload.upload_id),
            ("Initiator", OWNER),
            ("Owner", OWNER),
            ("StorageClass", "STANDARD"),
            ("Initiated", wire.iso_time(upload.started)),
        ]
        items.append(("Upload", one))
    items += [("CommonPrefixes", [("Prefix", encode(one))]) for one in page.prefixes]
    return Response(200, _XML, xml.document("ListMultipartUploadsResult", items))
