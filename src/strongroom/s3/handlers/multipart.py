"""Multipart uploads (s3.md 6; sse.md 6.6)."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from msgspec.structs import replace

from strongroom.messages import Response
from strongroom.s3.domain import checksums, etags, ranges
from strongroom.s3.domain.checksums import COMPOSITE, KINDS, Checksum
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import (
    ChecksumRecord,
    ObjectMeta,
    pack_checksum,
    pack_meta,
    unpack_checksum,
    unpack_meta,
)
from strongroom.s3.domain.ports import NoSuchUpload, Staged
from strongroom.s3.domain.records import BucketRecord, PartRecord, UploadRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import describe
from strongroom.s3.domain.sealing import ObjectSeal
from strongroom.s3.handlers import intake, locking
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.copy import SOURCE, checksum_items, find_source, parse_source, transfer
from strongroom.s3.handlers.documents import document
from strongroom.s3.handlers.get import open_found, reveal
from strongroom.s3.handlers.put import Draft, conditions, described, newest, tags_of, write_up, written_headers
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire import sse_headers, xml
from strongroom.s3.wire.sse_headers import Operation

MAX_PARTS = 10_000
MAX_PART = 5 * 1024**3  # bytes
_NUMBER = re.compile(r"[+-]?\d{1,9}")
_XML = ("Content-Type", "application/xml")


async def create_upload(call: Call) -> Response:
    """Begin an upload: what PutObject's headers say is fixed here."""
    check_key(call.key)
    headers = call.headers
    meta = described(headers)
    wanted = wire.wanted_type(headers)
    record = await call.enter("s3:PutObject")
    lock = locking.for_write(call, record)
    seal = await call.box.sealing.begin(headers, record, call.key, Operation.CREATE)
    call.used = seal.info if seal is not None else None
    sealed = dict(seal.metadata) if seal is not None else {}
    meta = replace(meta, wanted=wanted, tags=tags_of(headers), lock=lock, seal=sealed)
    upload = await call.box.store.create_upload(call.bucket, call.key, pack_meta(meta))
    answer = [_XML, *(call.box.sealing.shown(seal.info, headers) if seal is not None else [])]
    if wanted:
        algorithm, kind_type = wanted.split()
        answer += [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind_type)]
    items: list[xml.Item] = [("Bucket", call.bucket), ("Key", call.key), ("UploadId", upload.upload_id)]
    return Response(200, answer, xml.document("InitiateMultipartUploadResult", items))


def part_number(call: Call) -> int:
    """Return the number of the part that a request writes; raise Refused."""
    text = call.args.get("partNumber", "")
    if not _NUMBER.fullmatch(text) or int(text) < 1:
        raise Refused("InvalidPart")
    if int(text) > MAX_PARTS:
        raise Refused("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    return int(text)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload with its record; keys reveal its parts' ETags."""

    record: BucketRecord
    upload: UploadRecord
    meta: ObjectMeta

    @property
    def wanted(self) -> tuple[str, str]:
        """Checksum algorithm and type, both "" for none."""
        algorithm, _, kind_type = self.meta.wanted.partition(" ")
        return algorithm, kind_type


async def find_upload(call: Call, action: str) -> Upload:
    """Return the upload that a request names; raise NoSuchUpload."""
    record = await call.enter(action)
    if not call.args.get("uploadId", "").isascii():
        raise NoSuchUpload("not an id of ours")
    upload = await call.box.store.upload(call.bucket, call.key, call.args.get("uploadId", ""))
    return Upload(record, upload, unpack_meta(upload.meta))


async def upload_part(call: Call) -> Response:
    """Store a part."""
    number = part_number(call)
    check_key(call.key)
    made = intake.plan(call, limit=MAX_PART)
    found = await find_upload(call, "s3:PutObject")
    made = _with_checksum(made, found)
    seal = await _open_for_part(call, found)
    part, checksum = await _receive_part(call, found, seal, number, made)
    keys = await call.box.sealing.list_keys(found.record)
    headers = [("ETag", f'"{keys.reveal(part.etag, call.key)}"'), *wire.checksum_headers(checksum)]
    if checksum is not None:
        headers = [header for header in headers if header[0] != "x-amz-checksum-type"]
    if seal is not None:
        headers += call.box.sealing.shown(describe(found.meta.seal), call.headers)
    return Response(200, headers)


def _with_checksum(made: intake.Plan, found: Upload) -> intake.Plan:
    algorithm, kind_type = found.wanted
    if made.checksum is not None:
        if algorithm and made.checksum.kind.name != algorithm:
            text = (
                f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, "
                f"actual checksum Type: {made.checksum.kind.name.lower()}"
            )
            raise Refused("InvalidRequest", text)
        return made
    if not algorithm:
        return made
    if kind_type == COMPOSITE:
        raise Refused("InvalidArgument", "Invalid checksum provided.")
    return intake.Plan(
        made.size, made.md5, made.sha256, wire.WantedChecksum(KINDS[algorithm]), made.framing, made.chunk_key
    )


def _fits_upload(call: Call, found: Upload) -> None:
    """Refuse a part whose encryption parameters do not fit its upload."""
    info = describe(found.meta.seal)
    sse_headers.check_part(info, sse_headers.parse_customer_key(call.headers))
    if info.encrypted:  # a method that is none is refused, another one than the upload's means nothing
        others = {name: value for name, value in call.headers.items() if name not in sse_headers.CUSTOMER_HEADERS}
        sse_headers.parse_write(others, Operation.PUT, call.bucket, call.key)


async def _open_for_part(call: Call, found: Upload) -> ObjectSeal | None:
    _fits_upload(call, found)
    call.used = describe(found.meta.seal)
    return await call.box.sealing.open(found.meta.seal, call.headers, call.bucket, call.key)


async def _receive_part(
    call: Call, found: Upload, seal: ObjectSeal | None, number: int, made: intake.Plan
) -> tuple[PartRecord, ChecksumRecord | None]:
    staged = call.box.store.stage(call.bucket, made.stored(seal is not None))
    try:
        target = _part_intake(made, seal, number, staged)
        received = await intake.receive(call.body, target)
        return await publish_part(call, found, seal, number, staged, received)
    except BaseException:
        staged.discard()
        raise


def _part_intake(made: intake.Plan, seal: ObjectSeal | None, number: int, staged: Staged) -> intake.Intake:
    sealer = seal.sealer(number, made.size) if seal is not None else None
    want_md5 = etags.needs_md5(seal.kind if seal is not None else None)
    return intake.Intake(made, staged, sealer, want_md5=want_md5)


async def publish_part(
    call: Call,
    found: Upload,
    seal: ObjectSeal | None,
    number: int,
    staged: Staged,
    received: intake.Received,
) -> tuple[PartRecord, ChecksumRecord | None]:
    """Store a part that was received; its checksum is sealed with it."""
    checksum = ChecksumRecord(received.checksum.kind, received.checksum.value) if received.checksum else None
    packed = pack_checksum(checksum)
    if seal is None:
        etag = (received.md5 or b"").hex().encode()
    elif etags.needs_md5(seal.kind):
        keys = await call.box.sealing.list_keys(found.record, make=True)
        etag = keys.hide((received.md5 or b"").hex(), call.key)
    else:
        etag = os.urandom(16).hex().encode()
    kept = seal.seal_checksum(packed) if seal is not None and packed else packed
    record = PartRecord(number, received.size, staged.stored, etag, meta=kept)
    return await call.box.store.put_part(call.bucket, found.upload, record, staged), checksum


async def upload_part_copy(call: Call) -> Response:
    """Store a part that is a range of another object."""
    number = part_number(call)
    check_key(call.key)
    source = parse_source(call.headers[SOURCE])
    found = await find_upload(call, "s3:PutObject")
    _fits_upload(call, found)
    from_object = await find_source(call, source)
    header = call.headers.get("x-amz-copy-source-range")
    size = from_object.version.size
    start, stop = ranges.parse_copy(header, size) if header else (0, size)
    if stop - start > MAX_PART:
        raise Refused("InvalidRequest", "The specified copy source is larger than the maximum allowable size: 5 GiB")
    opened = await open_found(call, from_object, source=True)
    seal = await _open_for_part(call, found)
    algorithm, _ = found.wanted
    made = intake.Plan(stop - start, checksum=wire.WantedChecksum(KINDS[algorithm]) if algorithm else None)
    staged = call.box.store.stage(call.bucket, made.stored(seal is not None))
    try:
        received = await transfer(call, from_object, opened, start, stop, _part_intake(made, seal, number, staged))
        part, checksum = await publish_part(call, found, seal, number, staged, received)
    except BaseException:
        staged.discard()
        raise
    keys = await call.box.sealing.list_keys(found.record)
    etag = keys.reveal(part.etag, call.key)
    answer = [_XML, *(call.box.sealing.shown(describe(found.meta.seal), call.headers) if found.meta.seal else [])]
    if from_object.record.versioning:
        answer.append(("x-amz-copy-source-version-id", from_object.version.version_id))
    items: list[xml.Item] = [("LastModified", wire.iso_time(part.modified)), ("ETag", f'"{etag}"')]
    items += [item for item in checksum_items(checksum) if item[0] != "ChecksumType"]
    return Response(200, answer, xml.document("CopyPartResult", items))


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
        return await _again(call)
    listed = parse_complete(body)
    stored = await _stored_parts(call, found)
    keys = await call.box.sealing.list_keys(found.record)
    parts, shown = _match(call, listed, stored, lambda part: keys.reveal(part.etag, call.key))
    check = await conditions(call, found.record)
    seal, checksum = await _sealed_checksum(call, found, parts, listed)
    size = sum(part.size for part in parts)
    _check_size(call, size)
    etag = etags.multipart_etag(shown)
    meta = replace(found.meta, wanted="", tags=b"", lock=b"", upload=found.upload.upload_id)
    draft = Draft(found.record, call.key, meta, found.meta.tags, found.meta.lock, seal)
    written = await write_up(call, draft, size, etag, checksum, tuple([(part.number, part.size) for part in parts]))
    version = await call.box.store.complete_upload(call.bucket, found.upload, parts, written.new, check)
    answer = written_headers(call, found.record, version, etag, None, checksum)
    if found.meta.seal:
        answer += call.box.sealing.shown(describe(found.meta.seal), call.headers)
    return _completed(call, etag, answer, checksum)


def _completed(call: Call, etag: str, answer: list[tuple[str, str]], checksum: ChecksumRecord | None) -> Response:
    scheme = "https" if call.secure() else "http"
    location = f"{scheme}://{call.headers.get('host', '')}/{call.bucket}/{call.key}"
    items: list[xml.Item] = [("Location", location), ("Bucket", call.bucket), ("Key", call.key), ("ETag", f'"{etag}"')]
    body = xml.document("CompleteMultipartUploadResult", items + checksum_items(checksum))
    return Response(200, [_XML, *answer], body)


async def _again(call: Call) -> Response:
    """Answer a repeated Complete as the first one, while the object it made is still the newest."""
    current = await newest(call)
    if current is not None:
        record = await call.box.store.bucket(call.bucket)
        found = await reveal(call, record, current)
        if found.meta.upload == call.args.get("uploadId"):
            headers = [("x-amz-version-id", current.version_id)] if record.versioning == "Enabled" else []
            return _completed(call, found.etag, headers, None)
    raise NoSuchUpload(call.args.get("uploadId", ""))


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
    needed = bool(found.meta.wanted) or any(one.checksums for one in listed)
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
    _check_given(call, checksum)
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


def _check_given(call: Call, checksum: ChecksumRecord | None) -> None:
    """Compare what the request says about the whole object with what was made."""
    kind_type = call.headers.get("x-amz-checksum-type")
    if kind_type and checksum is not None and kind_type.upper() != checksum.type:
        raise Refused("InvalidRequest", "The checksum type does not match the one of the upload.")
    given = call.headers.get(KINDS[checksum.kind].header) if checksum is not None else None
    if (
        checksum is not None
        and given is not None
        and (given.partition("-")[0] != wire.checksum_text(checksum).partition("-")[0])
    ):
        raise Refused("BadDigest", f"The {checksum.kind} you specified did not match the calculated checksum.")


def _check_size(call: Call, size: int) -> None:
    text = call.headers.get("x-amz-mp-object-size")
    if text is not None and text != str(size):
        raise Refused("InvalidRequest", "The x-amz-mp-object-size header does not match the size of the parts.")
    if size > call.box.settings.max_object:
        raise Refused("EntityTooLarge")


async def abort_upload(call: Call) -> Response:
    """Throw an upload and its parts away."""
    found = await find_upload(call, "s3:AbortMultipartUpload")
    await call.box.store.abort_upload(call.bucket, found.upload)
    return Response(204)
