"""GetObject and HeadObject (s3.md 4.1, 4.3; sse.md 6.4)."""

import re

import msgspec

from strongroom.errors import Denied
from strongroom.messages import Response, Windows
from strongroom.s3.domain import ranges
from strongroom.s3.domain.checksums import COMPOSITE
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.names import check_key, check_version
from strongroom.s3.domain.object_record import (
    ChecksumRecord,
    ObjectMeta,
    unpack_checksum,
    unpack_lock,
    unpack_tags,
)
from strongroom.s3.domain.object_seal import ObjectSeal, Record
from strongroom.s3.domain.ports import NoSuchKey, NoSuchVersion
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import SealInfo
from strongroom.s3.handlers import outflow
from strongroom.s3.handlers.bucket_documents import LIFECYCLE
from strongroom.s3.handlers.call import Call, Source
from strongroom.s3.handlers.lifecycle import expiration_header
from strongroom.s3.handlers.list_keys import checked, vouches
from strongroom.s3.wire import object_headers as wire

MAX_PART = 10_000
_NUMBER = re.compile(r"[+-]?\d{1,9}")


class Found(msgspec.Struct, frozen=True):
    """A version that a request addresses, with its record, the ETag that clients see, and what its seal says.

    shown: the headers of these (Revealed.headers).
    """

    record: BucketRecord
    version: ObjectVersion
    meta: ObjectMeta
    etag: str
    info: SealInfo
    shown: tuple[tuple[str, str], ...]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What 304 and 412 carry as well."""
        headers = [
            ("ETag", f'"{self.etag}"'),
            ("Last-Modified", wire.http_date(self.version.modified // 1_000_000_000)),
        ]
        if self.record.versioning:
            headers.append(("x-amz-version-id", self.version.version_id))
        return headers

    @property
    def tag_count(self) -> list[tuple[str, str]]:
        """The number of tags, when there are any."""
        return [("x-amz-tagging-count", str(len(unpack_tags(self.version.tags))))] if self.version.tags else []


async def find(
    call: Call, record: BucketRecord, key: str, version_id: str | None, *, marker_allowed: bool = False
) -> ObjectVersion:
    """Return the version; raise NoSuchKey (Denied for who may not list), NoSuchVersion, or 405 for a marker."""
    if version_id:
        version_id = check_version(version_id)
    try:
        version = await call.box.store.get(record.name, key, version_id or None)
    except NoSuchKey as error:
        if not call.allowed("s3:ListBucket", record, ""):  # a right on the bucket, not on the key
            raise Denied("missing, and the caller may not list") from error
        raise
    if version.delete_marker and not marker_allowed:
        headers = [
            ("x-amz-delete-marker", "true"),
            ("x-amz-version-id", version.version_id),
            ("Allow", "DELETE"),
            ("Last-Modified", wire.http_date(version.modified // 1_000_000_000)),
        ]
        raise Refused("MethodNotAllowed", headers=headers)
    return version


async def find_whole(call: Call, record: BucketRecord, version_id: str | None) -> ObjectVersion:
    """Return the version of the call's key with tags and locks as they were written; raise also ObjectTampered."""
    version = await find(call, record, call.key, version_id)
    return checked(await call.box.sealing.list_keys(record), version)


async def reveal(call: Call, record: BucketRecord, version: ObjectVersion) -> Found:
    """Read a version's record and ETag; raise ObjectTampered for changed tags or locks of an encrypted object."""
    sealing = call.box.sealing
    row = sealing.rows.get(await sealing.list_keys(record), version)
    return Found(record, version, row.meta, row.etag, row.info, row.headers)


async def open_found(call: Call, found: Found, *, source: bool = False) -> ObjectSeal | None:
    """Open the object's seal and verify what is authenticated beside its content; None for a plain object."""
    version, meta = found.version, found.meta
    bucket = found.record.name
    if source:
        call.source = Source(bucket, version.key, found.info)
    else:
        call.used = found.info
    sealing = call.box.sealing
    seal = sealing.opened.get(bucket, version)
    if seal is not None:
        return seal
    seal = await sealing.open(meta.seal, call.headers, bucket, version.key, source=source)
    if seal is not None:
        parts = tuple([(part.number, part.size) for part in version.parts])
        vouched = vouches(version.etag)
        seal.verify(Record(bucket, version.key, version.size, meta.headers, meta.user, parts, vouched))
        sealing.opened.put(bucket, version, seal)
    return seal


def checksum_of(meta: ObjectMeta, seal: ObjectSeal | None) -> ChecksumRecord | None:
    """Return the object's checksum; its seal must be open."""
    if not meta.checksum:
        return None
    return unpack_checksum(meta.checksum if seal is None else seal.open_checksum(meta.checksum))


def _of_part(checksum: ChecksumRecord | None, number: int | None) -> ChecksumRecord | None:
    """Return what an answer with a part tells: its own checksum, which composites know. number None: all of them."""
    if checksum is None or number is None:
        return checksum
    if checksum.type != COMPOSITE or number > len(checksum.part_values):
        return None
    return ChecksumRecord(checksum.kind, checksum.part_values[number - 1], COMPOSITE)


async def get_object(call: Call) -> Response:
    """Send an object, a range or a part of it; HEAD sends the headers alone."""
    head = call.request.method == "HEAD"
    check_key(call.key)
    version_id = call.args.get("versionId")
    record = await call.enter("s3:GetObjectVersion" if version_id else "s3:GetObject")
    overrides = _overrides(call)
    part_number = _part_number(call)
    found = await reveal(call, record, await find(call, record, call.key, version_id))
    call.box.sealing.fits(found.info, call.headers)
    if _CONDITIONAL & call.headers.keys() and await _unchanged(call, found):
        kept = [(wire.SHOWN[n], v) for n, v in found.meta.headers.items() if n in ("cache-control", "expires")]
        return Response(304, found.headers + kept)
    part = _extent(call, found, part_number)
    complete = part.whole or part_number is not None  # a client may check what it gets against it
    wants_checksum = complete and call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    seal = None
    if found.meta.seal and (not head or _needs_key(call, found, wants_checksum)):
        seal = await open_found(call, found)
    headers = _answer_headers(call, found, overrides) + part.headers
    if wants_checksum:
        checksum = checksum_of(found.meta, seal)
        headers += wire.checksum_headers(_of_part(checksum, part_number) if found.version.parts else checksum)
    call.happened("Accessed:Head" if head else "Accessed:Get", found.version, found.etag)
    status = 200 if part.whole else 206
    if head:
        return Response(status, headers, Windows(part.stop - part.start, iter(())))
    return Response(status, headers, await _content(call, found, seal, part.start, part.stop))


_CONDITIONAL = ranges.CONDITIONAL


async def _content(call: Call, found: Found, seal: ObjectSeal | None, start: int, stop: int) -> bytes | Windows:
    try:
        body = call.box.store.open(call.bucket, found.version)
    except NoSuchVersion:  # replaced between reading the row and opening the file
        version = await call.box.store.get(call.bucket, call.key, call.args.get("versionId") or None)
        if (version.size, version.meta) != (found.version.size, found.version.meta):
            raise Refused("SlowDown", "The object was replaced while it was read, please try again.") from None
        body = call.box.store.open(call.bucket, version)
    try:
        return outflow.content(body, found.version, seal, start, stop, call.box.reads)
    except BaseException:
        body.close()
        raise


def _needs_key(call: Call, found: Found, wants_checksum: bool) -> bool:
    """A HEAD opens the seal only for a checksum, or to prove a customer's key."""
    return found.info.kind is Kind.C or (wants_checksum and bool(found.meta.checksum))


def _overrides(call: Call) -> dict[str, str]:
    found = {wire.OVERRIDES[name]: value for name, value in call.pairs if name in wire.OVERRIDES} if call.pairs else {}
    if found and call.principal.credential is None:
        raise Refused("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
    if any(c in value for value in found.values() for c in "\r\n\0"):
        raise Refused("InvalidArgument", "A response header must be one line.")
    return found


def _part_number(call: Call) -> int | None:
    text = call.args.get("partNumber")
    if text is None:
        return None
    if "range" in call.headers:
        raise Refused("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    if not _NUMBER.fullmatch(text):
        raise Refused("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    if int(text) < 1:
        raise Refused("XMinioAdminInvalidArgument")
    if int(text) > MAX_PART:
        raise Refused("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    return int(text)


async def _unchanged(call: Call, found: Found) -> bool:
    try:
        return ranges.not_modified(call.headers, found.etag, found.version.modified)
    except Refused as refused:
        if refused.extra.get("Condition") == "If-Match":
            (await call.box.sealing.list_keys(found.record)).compare(found.version.etag)
        raise Refused(refused.code, extra=refused.extra, headers=found.headers) from None


class Extent(msgspec.Struct, frozen=True):
    """The plaintext bytes [start, stop) of an answer; whole: all of the object, status 200."""

    start: int
    stop: int
    whole: bool
    headers: list[tuple[str, str]]


def _extent(call: Call, found: Found, part_number: int | None) -> Extent:
    size = found.version.size
    if part_number is not None:
        return _part_extent(found, part_number)
    header = call.headers.get("range")
    if header and not ranges.still(call.headers.get("if-range"), found.etag, found.version.modified):
        header = None
    try:
        wanted = ranges.parse(header, size) if header else None
    except Refused as refused:
        headers = [*refused.headers, *found.headers, *found.tag_count]
        raise Refused(refused.code, refused.text, extra=refused.extra, headers=headers) from None
    if wanted is None:
        return Extent(0, size, True, [])
    start, stop = wanted
    return Extent(start, stop, False, [("Content-Range", f"bytes {start}-{stop - 1}/{size}")])


def _part_extent(found: Found, number: int) -> Extent:
    parts, size = found.version.parts, found.version.size
    if not parts:
        if number != 1:
            raise Refused("InvalidPartNumber")
        return Extent(0, size, False, [("Content-Range", f"bytes 0-{size - 1}/{size}")] if size else [])
    start = 0
    for place, part in enumerate(parts, 1):
        if place == number:
            stop = start + part.size
            range_header = [("Content-Range", f"bytes {start}-{stop - 1}/{size}")] if part.size else []
            return Extent(start, stop, False, [*range_header, ("x-amz-mp-parts-count", str(len(parts)))])
        start += part.size
    raise Refused("InvalidPartNumber")


def _answer_headers(call: Call, found: Found, overrides: dict[str, str]) -> list[tuple[str, str]]:
    version, sealing = found.version, call.box.sealing
    if overrides:
        shown = wire.Shown(found.meta.headers, found.meta.user, overrides)
        headers = wire.object_headers(shown, etag=found.etag, modified=version.modified)
        headers += sealing.shown(found.info, call.headers)
    else:
        headers = [*found.shown]
        if found.info.kind is Kind.C:
            headers += sealing.shown(found.info, call.headers)
    if found.record.versioning:
        headers.append(("x-amz-version-id", version.version_id))
    headers += found.tag_count
    if version.lock:
        headers += wire.lock_headers(unpack_lock(version.lock))
    if LIFECYCLE.name in found.record.config and version.latest:
        headers += expiration_header(found.record, version, call.box.settings.day)
    return headers
