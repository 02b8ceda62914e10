"""CompleteMultipartUpload: the listed parts become one object (s3.md 6; sse.md 6.6)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from msgspec.structs import replace

from strongroom.messages import Response
from strongroom.s3.domain import checksums, etags
from strongroom.s3.domain.checksums import BY_HEADER, COMPOSITE, KINDS, Checksum
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import (
    ChecksumRecord,
    unpack_checksum,
)
from strongroom.s3.domain.object_seal import ObjectSeal
from strongroom.s3.domain.ports import NoSuchUpload
from strongroom.s3.domain.records import PartRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import describe
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.copy import checksum_items
from strongroom.s3.handlers.documents import document
from strongroom.s3.handlers.get import Found, checksum_of, open_found, reveal
from strongroom.s3.handlers.multipart import MAX_PARTS, Upload, find_upload
from strongroom.s3.handlers.put import Draft, conditions, newest, write_up, written_headers
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire import sse_headers, xml

_XML = ("Content-Type", "application/xml")
_ETAG = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A part as CompleteMultipartUpload lists it."""

    number: int
    etag: str
    checksums: dict[str, str]


def parse_complete(body: bytes) -> list[Listed]:
    """Return the listed parts; raise Refused."""
    if not body.strip():
        raise Refused("MalformedXML")
    node = xml.parse(body, "CompleteMultipartUpload")
    parts = []
    for one in node.all("Part"):
        number = one.value("PartNumber").strip()
        if not number.isascii() or not number.isdigit() or len(number) > 9:
            raise Refused("InvalidPart")
        values = {child.name[8:]: child.text for child in one.children if child.name.startswith("Checksum")}
        parts.append(Listed(int(number), one.value("ETag").strip().strip('"'), values))
    if not parts or len(parts) > MAX_PARTS:
        raise Refused("MalformedXML")
    if any(first.number > second.number for first, second in pairwise(parts)):
        raise Refused("InvalidPartOrder")
    return parts


async def complete_upload(call: Call) -> Response:
    """Publish the listed parts as one object."""
    check_key(call.key)
    body = await document(call, limit=4 * 1024 * 1024, of_object=True)
    try:
        found = await find_upload(call, "s3:PutObject")
    except NoSuchUpload:
        return await _again(call, body)
    listed = parse_complete(body)
    stored = await _stored_parts(call, found)
    keys = await call.box.sealing.list_keys(found.record)
    for part in stored.values():
        keys.compare(part.etag)
    parts, shown = _match(call, listed, stored, lambda part: keys.reveal(part.etag, call.key))
    check = await conditions(call, found.record)
    seal, checksum = await _sealed_checksum(call, found, parts, listed)
    size = sum(part.size for part in parts)
    _check_size(call, size)
    etag = etags.multipart_etag(shown)
    meta = replace(found.meta, wanted="", tags=b"", lock=b"", upload=found.upload.upload_id, asked={})
    draft = Draft(found.record, call.key, meta, found.meta.tags, found.meta.lock, seal)
    new = await write_up(call, draft, size, etag, checksum, tuple([(part.number, part.size) for part in parts]))
    version = await call.box.store.complete_upload(call.bucket, found.upload, parts, new, check)
    answer = written_headers(call, found.record, version, etag, None, checksum)
    if found.meta.seal:
        answer += call.box.sealing.shown(describe(found.meta.seal), call.headers)
    return _completed(call, etag, answer, checksum)


def _completed(call: Call, etag: str, answer: list[tuple[str, str]], checksum: ChecksumRecord | None) -> Response:
    address: list[xml.Item] = [("Location", call.location()), ("Bucket", call.bucket), ("Key", call.key)]
    items = [*address, ("ETag", f'"{etag}"')]
    body = xml.document("CompleteMultipartUploadResult", items + checksum_items(checksum))
    return Response(200, [_XML, *answer], body)


async def _again(call: Call, body: bytes) -> Response:
    """Answer a repeated Complete as the first one, while the object that it made of these parts is still the newest."""
    unknown = NoSuchUpload(call.args.get("uploadId", ""))
    current = await newest(call)
    if current is None:
        raise unknown
    record = await call.box.store.bucket(call.bucket)
    found = await reveal(call, record, current)
    if found.meta.upload != call.args.get("uploadId") or not _made_of(found, parse_complete(body)):
        raise unknown
    checksum = await _known_checksum(call, found)
    answer = [("ETag", f'"{found.etag}"'), *wire.checksum_headers(checksum)]
    if record.versioning == "Enabled":
        answer.append(("x-amz-version-id", current.version_id))
    return _completed(call, found.etag, answer + call.box.sealing.shown(found.info, call.headers), checksum)


def _made_of(found: Found, listed: Sequence[Listed]) -> bool:
    """Say whether an object consists of these parts: a multipart ETag is a digest of theirs."""
    if [part.number for part in found.version.parts] != [one.number for one in listed]:
        return False
    return all(_ETAG.fullmatch(one.etag) for one in listed) and found.etag == etags.multipart_etag(
        [one.etag for one in listed]
    )


async def _known_checksum(call: Call, found: Found) -> ChecksumRecord | None:
    """Return an object's checksum; None where a customer's key, which nobody brought, would be needed."""
    if not found.meta.seal:
        return checksum_of(found.meta, None)
    if not found.meta.checksum or (found.info.kind is Kind.C and not sse_headers.asks_customer(call.headers)):
        return None
    return checksum_of(found.meta, await open_found(call, found))


async def _stored_parts(call: Call, found: Upload) -> dict[int, PartRecord]:
    parts: dict[int, PartRecord] = {}
    after = 0
    while page := await call.box.store.parts(call.bucket, found.upload, after, 1000):
        parts |= {part.number: part for part in page}
        after = page[-1].number
    return parts


def _match(
    call: Call, listed: Sequence[Listed], stored: dict[int, PartRecord], shown: Callable[[PartRecord], str]
) -> tuple[list[PartRecord], list[str]]:
    parts, shown_etags = [], []
    for one in listed:
        part = stored.get(one.number)
        etag = shown(part) if part is not None else ""
        if part is None or etag != one.etag:
            extra = {"UploadId": call.args.get("uploadId", ""), "PartNumber": str(one.number), "ETag": one.etag}
            raise Refused("InvalidPart", extra=extra)
        parts.append(part)
        shown_etags.append(etag)
    smallest = call.box.settings.min_part
    for part, etag in zip(parts[:-1], shown_etags, strict=False):
        if part.size < smallest:
            extra = {
                "PartNumber": str(part.number),
                "ETag": etag,
                "ProposedSize": str(part.size),
                "MinSizeAllowed": str(smallest),
            }
            raise Refused("EntityTooSmall", extra=extra)
    if len({part.number for part in parts}) < len(parts):
        raise Refused("InvalidPartOrder")
    return parts, shown_etags


async def _sealed_checksum(
    call: Call, found: Upload, parts: Sequence[PartRecord], listed: Sequence[Listed]
) -> tuple[ObjectSeal | None, ChecksumRecord | None]:
    """Open the upload's seal (a customer's only when it is needed) and make the object's checksum of its parts'."""
    customer = describe(found.meta.seal).kind is Kind.C
    given = [name for name in call.headers if name in BY_HEADER]
    needed = bool(found.meta.wanted or given) or any(one.checksums for one in listed)
    if customer and not sse_headers.asks_customer(call.headers):
        if needed:
            text = (
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate "
                "secret key."
            )
            raise Refused("InvalidArgument", text)
        return None, None
    call.used = describe(found.meta.seal)
    seal = await call.box.sealing.open(found.meta.seal, call.headers, call.bucket, call.key)
    if not needed:
        return seal, None
    values = [unpack_checksum(seal.open_checksum(part.meta) if seal and part.meta else part.meta) for part in parts]
    _check_listed(values, listed)
    checksum = _object_checksum(found, parts, values)
    _check_given(call, given, checksum)
    return seal, checksum


def _check_listed(values: Sequence[ChecksumRecord | None], listed: Sequence[Listed]) -> None:
    for value, one in zip(values, listed, strict=True):
        for name, text in one.checksums.items():
            if value is None or value.kind != name or wire.checksum_text(value) != text:
                raise Refused("InvalidPart")


def _object_checksum(
    found: Upload, parts: Sequence[PartRecord], values: Sequence[ChecksumRecord | None]
) -> ChecksumRecord | None:
    algorithm, kind_type = found.wanted
    known = [value.value for value in values if value is not None and value.kind == algorithm]
    if not algorithm or len(known) < len(values):
        return None
    kind = KINDS[algorithm]
    if kind_type == COMPOSITE:
        made: Checksum = checksums.composite(kind, known)
    else:
        made = checksums.combined(kind, [(value, part.size) for value, part in zip(known, parts, strict=True)])
    return ChecksumRecord(made.kind, made.value, made.type, made.parts, known)


def _check_given(call: Call, given: Sequence[str], checksum: ChecksumRecord | None) -> None:
    """Compare what the request says about the whole object with what was made. given: the headers with a checksum."""
    kind_type = call.headers.get("x-amz-checksum-type")
    if kind_type and checksum is not None and kind_type.upper() != checksum.type:
        raise Refused("InvalidRequest", "The checksum type does not match the one of the upload.")
    for name in given:
        if checksum is None or KINDS[checksum.kind].header != name:
            raise Refused("InvalidRequest", f"The upload was not created with the algorithm of {name}.")
        if call.headers[name].partition("-")[0] != wire.checksum_text(checksum).partition("-")[0]:
            raise Refused("BadDigest", f"The {checksum.kind} you specified did not match the calculated checksum.")


def _check_size(call: Call, size: int) -> None:
    text = call.headers.get("x-amz-mp-object-size")
    if text is not None and text != str(size):
        raise Refused("InvalidRequest", "The x-amz-mp-object-size header does not match the size of the parts.")
    if size > call.box.settings.max_object:
        raise Refused("EntityTooLarge")
