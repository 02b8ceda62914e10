"""Object lock in requests: what a write's headers and the bucket's default retention say (s3.md 8.2)."""

from strongroom.s3.domain.object_record import Lock, pack_lock
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.wire import lock_xml

MODE = "x-amz-object-lock-mode"
UNTIL = "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"


def for_write(call: Call, record: BucketRecord) -> bytes:
    """Return the lock of a new version, as stored; raise Refused for headers that make none."""
    headers = call.headers
    mode, until, hold = headers.get(MODE), headers.get(UNTIL), headers.get(HOLD)
    if mode is None and until is None and hold is None:
        return _default(call, record) if record.object_lock else b""
    if not record.object_lock:
        raise Refused("InvalidRequest", "Bucket is missing ObjectLockConfiguration")
    if hold is not None and hold.upper() not in ("ON", "OFF"):
        raise Refused("InvalidRequest", "unknown wormMode directive")
    held = None if hold is None else hold.upper() == "ON"
    if held is not None:
        call.authorise("s3:PutObjectLegalHold", record)
    if mode is None and until is None:
        default = lock_xml.default_retention(record.config.get("object-lock", b""), _now(call))
        return pack_lock(Lock(default.mode, default.until, held))
    if mode is None or until is None:
        raise Refused("InvalidRequest", f"{UNTIL} and {MODE} must both be supplied")
    call.authorise("s3:PutObjectRetention", record)
    mode = mode.upper()
    if mode not in lock_xml.MODES:
        raise Refused("InvalidRequest", "unknown wormMode directive")
    when = lock_xml.parse_time(until)
    if when is None:
        raise Refused("InvalidRequest", f"{UNTIL} is not a date")
    if when <= _now(call):
        raise Refused("InvalidRequest", "the retain until date must be in the future")
    lock_xml.check_until(when)
    return pack_lock(Lock(mode, when, held))


def _default(call: Call, record: BucketRecord) -> bytes:
    text = record.config.get("object-lock")
    return pack_lock(lock_xml.default_retention(text, _now(call))) if text else b""


def _now(call: Call) -> int:
    return int(call.box.now() * 1_000_000_000)
