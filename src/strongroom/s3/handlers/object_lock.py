"""Object lock: a bucket's configuration, retention and legal hold of versions (s3.md 8.2)."""

from dataclasses import replace

from strongroom.messages import Response
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import Lock, pack_lock, unpack_lock
from strongroom.s3.domain.records import OBJECT_LOCK, BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.circumstances import requested_retention
from strongroom.s3.handlers.delete import BYPASS
from strongroom.s3.handlers.documents import SMALL, document
from strongroom.s3.handlers.get import find_whole
from strongroom.s3.wire import lock_xml, xml
from strongroom.s3.wire import object_headers as wire

CONFIGURATION = "object-lock"  # the bucket's document
_XML = [("Content-Type", "application/xml")]


async def get_configuration(call: Call) -> Response:
    """GetObjectLockConfiguration."""
    record = await call.enter("s3:GetBucketObjectLockConfiguration")
    if not record.object_lock:
        raise Refused("ObjectLockConfigurationNotFoundError")
    stored = record.config.get(CONFIGURATION)
    body = stored or xml.document("ObjectLockConfiguration", [("ObjectLockEnabled", "Enabled")])
    return Response(200, _XML, body)


async def put_configuration(call: Call) -> Response:
    """PutObjectLockConfiguration; turns the lock on in a bucket whose versioning is Enabled."""
    record = await call.enter("s3:PutBucketObjectLockConfiguration")
    node = lock_xml.check_configuration(await document(call))
    if not record.object_lock and record.versioning != "Enabled":
        raise Refused("InvalidBucketState", "Object Lock configuration cannot be enabled on existing buckets")
    changes: dict[str, bytes | None] = {CONFIGURATION: lock_xml.render_configuration(node)}
    if not record.object_lock:
        changes[OBJECT_LOCK] = b"Enabled"
    await call.box.store.configure(call.bucket, changes)
    return Response(200)


async def _version(call: Call, action: str) -> tuple[BucketRecord, ObjectVersion]:
    check_key(call.key)
    record = await call.enter(action)
    if not record.object_lock:
        raise Refused("InvalidRequest", "Bucket is missing ObjectLockConfiguration")
    return record, await find_whole(call, record, call.args.get("versionId"))


async def get_retention(call: Call) -> Response:
    """GetObjectRetention."""
    _, version = await _version(call, "s3:GetObjectRetention")
    lock = unpack_lock(version.lock)
    if not lock.mode:
        raise Refused("NoSuchObjectLockConfiguration")
    items: list[xml.Item] = [("Mode", lock.mode), ("RetainUntilDate", wire.iso_time(lock.until))]
    return Response(200, _XML, xml.document("Retention", items))


async def put_retention(call: Call) -> Response:
    """PutObjectRetention: longer is always allowed, weaker needs the bypass and GOVERNANCE."""
    body = await document(call, limit=SMALL, digest_required=True)
    now = int(call.box.now() * 1_000_000_000)
    wanted = lock_xml.parse_retention(body, now)
    call.told = requested_retention(wanted.mode, wanted.until)
    record, version = await _version(call, "s3:PutObjectRetention")
    bypass = call.headers.get(BYPASS, "").lower() == "true" and call.allowed("s3:BypassGovernanceRetention", record)

    def change(current: ObjectVersion) -> ObjectVersion:
        old = unpack_lock(current.lock)
        _refuse_weaker(old, wanted, now, bypass)
        return replace(current, lock=pack_lock(Lock(wanted.mode, wanted.until, old.hold)))

    call.happened("Created:PutRetention", await call.box.sealing.amend(record, version, change))
    return Response(200)


def _refuse_weaker(old: Lock, new: Lock, now: int, bypass: bool) -> None:
    if not old.mode or old.until <= now:
        return
    longer = new.mode == old.mode and new.until >= old.until
    if longer or (old.mode == "GOVERNANCE" and bypass):
        return
    raise Refused("AccessDenied", "Object is WORM protected and cannot be overwritten")


async def get_legal_hold(call: Call) -> Response:
    """GetObjectLegalHold."""
    _, version = await _version(call, "s3:GetObjectLegalHold")
    hold = unpack_lock(version.lock).hold
    if hold is None:
        raise Refused("NoSuchObjectLockConfiguration")
    return Response(200, _XML, xml.document("LegalHold", [("Status", "ON" if hold else "OFF")]))


async def put_legal_hold(call: Call) -> Response:
    """PutObjectLegalHold."""
    body = await document(call, limit=SMALL, digest_required=True)
    node = xml.parse(body, ("LegalHold", "ObjectLockLegalHold"))
    if node.value("Status") not in ("ON", "OFF"):
        raise Refused("MalformedXML")
    call.told = {"s3:object-lock-legal-hold": (node.value("Status"),)}
    record, version = await _version(call, "s3:PutObjectLegalHold")
    hold = node.value("Status") == "ON"

    def change(current: ObjectVersion) -> ObjectVersion:
        old = unpack_lock(current.lock)
        return replace(current, lock=pack_lock(Lock(old.mode, old.until, hold)))

    call.happened("Created:PutLegalHold", await call.box.sealing.amend(record, version, change))
    return Response(200)
