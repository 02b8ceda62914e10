"""Multipart uploads (s3.md 6; sse.md 6.6)."""

import os
import re
from dataclasses import dataclass

from msgspec.structs import replace

from strongroom.messages import Response
from strongroom.s3.domain import etags, ranges
from strongroom.s3.domain.checksums import COMPOSITE, FULL_OBJECT, KINDS
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import (
    ChecksumRecord,
    ObjectMeta,
    pack_checksum,
    pack_meta,
    unpack_meta,
)
from strongroom.s3.domain.object_seal import ObjectSeal
from strongroom.s3.domain.ports import NoSuchUpload, Staged
from strongroom.s3.domain.records import BucketRecord, PartRecord, UploadRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import describe
from strongroom.s3.handlers import acl, intake, locking
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.circumstances import asked, of_headers
from strongroom.s3.handlers.copy import SOURCE, checksum_items, find_source, parse_source, transfer
from strongroom.s3.handlers.get import open_found
from strongroom.s3.handlers.put import described, tags_of
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
    if not wanted and (default := call.box.settings.checksum):
        wanted = f"{default} {FULL_OBJECT}"
    record = await call.enter("s3:PutObject")
    lock, meta = locking.for_write(call, record), acl.described(headers, record, meta)
    seal = await call.box.sealing.begin(headers, record, call.key, Operation.CREATE)
    call.used = seal.info if seal is not None else None
    sealed = dict(seal.metadata) if seal is not None else {}
    meta = replace(meta, wanted=wanted, tags=tags_of(headers), lock=lock, seal=sealed, asked=asked(headers))
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
    """Return the upload that a request names; raise NoSuchUpload, to who may do this.

    For policies its parts and its end say what its creation said: no client repeats that.
    """
    upload = await _named(call)
    meta = unpack_meta(upload.meta) if upload is not None else ObjectMeta()
    call.told = of_headers(meta.asked)
    record = await call.enter(action)
    if upload is None:
        raise NoSuchUpload(call.args.get("uploadId", ""))
    return Upload(record, upload, meta)


async def _named(call: Call) -> UploadRecord | None:
    try:
        upload_id = call.args.get("uploadId", "")
        return await call.box.store.upload(call.bucket, call.key, upload_id) if upload_id.isascii() else None
    except NoSuchUpload:
        return None


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


async def abort_upload(call: Call) -> Response:
    """Throw an upload and its parts away."""
    found = await find_upload(call, "s3:AbortMultipartUpload")
    await call.box.store.abort_upload(call.bucket, found.upload)
    return Response(204)
