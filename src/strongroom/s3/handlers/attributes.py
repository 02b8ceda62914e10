"""GetObjectAttributes (s3.md 11, 29)."""

import re

from strongroom.messages import Response
from strongroom.s3.domain.checksums import KINDS
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import ChecksumRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.get import Found, checksum_of, find, open_found, reveal
from strongroom.s3.handlers.tagging import version_headers
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire import sse_headers, xml

NAMES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
_NUMBER = re.compile(r"\d{1,9}")


def _wanted(call: Call) -> set[str]:
    names = {name.strip() for name in call.headers.get("x-amz-object-attributes", "").split(",")} - {""}
    if not names or names - NAMES:
        raise Refused("InvalidArgument", "Invalid attribute name specified.")
    return names


async def get_attributes(call: Call) -> Response:
    """Tell about an object without its bytes."""
    check_key(call.key)
    if sse_headers.asks_s3(call.headers) or sse_headers.asks_kms(call.headers):
        raise Refused("InvalidRequest", sse_headers.NOT_APPLICABLE)
    wanted = _wanted(call)
    version_id = call.args.get("versionId")
    record = await call.enter("s3:GetObjectVersionAttributes" if version_id else "s3:GetObjectAttributes")
    call.authorise("s3:GetObjectVersion" if version_id else "s3:GetObject", record)
    found = await reveal(call, record, await find(call, record, call.key, version_id))
    call.box.sealing.fits(found.info, call.headers)
    version = found.version
    checksum = None
    if found.meta.checksum and wanted & {"Checksum", "ObjectParts"}:
        checksum = checksum_of(found.meta, await open_found(call, found))
    items: list[xml.Item] = [("ETag", found.etag if "ETag" in wanted else None)]
    if "Checksum" in wanted and checksum is not None:
        value = wire.checksum_text(ChecksumRecord(checksum.kind, checksum.value))
        items.append(("Checksum", [(f"Checksum{checksum.kind}", value), ("ChecksumType", checksum.type)]))
    if "ObjectParts" in wanted and version.parts:
        items.append(("ObjectParts", _parts(call, found, checksum)))
    items += [
        (
            "StorageClass",
            found.meta.headers.get("x-amz-storage-class", "STANDARD") if "StorageClass" in wanted else None,
        ),
        ("ObjectSize", version.size if "ObjectSize" in wanted else None),
    ]
    headers = [
        ("Content-Type", "application/xml"),
        ("Last-Modified", wire.http_date(version.modified // 1_000_000_000)),
        *version_headers(record, version),
    ]
    return Response(200, headers, xml.document("GetObjectAttributesResponse", items))


def _number(call: Call, header: str, default: int) -> int:
    text = call.headers.get(header, "")
    if text and not _NUMBER.fullmatch(text):
        raise Refused("InvalidArgument", f"{header} must be an integer")
    return int(text) if text else default


def _parts(call: Call, found: Found, checksum: ChecksumRecord | None) -> list[xml.Item]:
    limit, after = min(_number(call, "x-amz-max-parts", 1000), 1000), _number(call, "x-amz-part-number-marker", 0)
    parts = [(place, part) for place, part in enumerate(found.version.parts) if part.number > after]
    page = parts[:limit]
    items: list[xml.Item] = [
        ("PartsCount", len(found.version.parts)),
        ("PartNumberMarker", after),
        ("NextPartNumberMarker", page[-1][1].number if page else 0),
        ("MaxParts", limit),
        ("IsTruncated", len(parts) > limit > 0),
    ]
    values = checksum.part_values if checksum is not None and checksum.kind in KINDS else []
    for place, part in page if values else ():
        value = wire.checksum_text(ChecksumRecord(checksum.kind, values[place])) if checksum is not None else ""
        name = f"Checksum{checksum.kind}" if checksum is not None else "Checksum"
        items.append(("Part", [("PartNumber", part.number), ("Size", part.size), (name, value)]))
    return items
