"""DeleteObject and DeleteObjects (s3.md 8.1, 8.2, 9)."""

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.errors import Denied, Error
from strongroom.messages import Response
from strongroom.s3.domain import acl, ranges
from strongroom.s3.domain.names import check_key, check_version
from strongroom.s3.domain.object_record import unpack_lock
from strongroom.s3.domain.ports import Check, NoSuchKey, NoSuchVersion
from strongroom.s3.domain.records import BucketRecord, Deleted, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.documents import document
from strongroom.s3.handlers.list_keys import EMPTY, checked
from strongroom.s3.wire import errors, xml

MAX_OBJECTS = 1000
MAX_BODY = 8 * 1024 * 1024  # bytes: 1,000 keys of 1,024 bytes, each escaped in six, and their markup
IF_MODIFIED, IF_SIZE = "x-amz-if-match-last-modified-time", "x-amz-if-match-size"
_CONDITIONS = frozenset({"if-match", IF_MODIFIED, IF_SIZE})
BYPASS = "x-amz-bypass-governance-retention"


async def delete_object(call: Call) -> Response:
    """Remove an object or a version, or put a delete marker on top."""
    check_key(call.key)
    version_id = call.args.get("versionId")
    if version_id == "":  # a variable that was not set: it must not remove the object in place of a version
        raise Refused("InvalidArgument", "Version id cannot be the empty string")
    record = await call.enter("s3:DeleteObjectVersion" if version_id else "s3:DeleteObject")
    checks = [await _condition(call, record)] if _CONDITIONS & call.headers.keys() else []
    done = await remove(call, record, call.key, version_id, checks)
    headers = []
    if done.delete_marker:
        headers.append(("x-amz-delete-marker", "true"))
    if version_id or done.version_id:
        headers.append(("x-amz-version-id", version_id or done.version_id))
    return Response(204, headers)


async def _condition(call: Call, record: BucketRecord) -> Check:
    headers, keys = call.headers, await call.box.sealing.list_keys(record)

    def check(current: ObjectVersion | None) -> None:
        if current is None:
            return
        etag = keys.reveal(current.etag, current.key)
        if "if-match" in headers and not ranges.etag_matches(headers["if-match"], etag):
            keys.compare(current.etag)
            raise Refused("PreconditionFailed", extra={"Condition": "If-Match"})
        if not _same(current, headers.get(IF_MODIFIED), headers.get(IF_SIZE)):
            raise Refused("PreconditionFailed")

    return check


def _same(current: ObjectVersion, modified: str | None, size: str | None) -> bool:
    """Say whether a version has this time, to the second, and this size; None asks for nothing."""
    if size and size.strip() != str(current.size):
        return False
    return not modified or ranges.parse_any_time(modified) == current.modified // 1_000_000_000


async def remove(
    call: Call, record: BucketRecord, key: str, version_id: str | None, checks: Sequence[Check] = ()
) -> Deleted:
    """Remove one key or version; a locked version stays (Refused), what is not there counts as removed."""
    now = int(call.box.now() * 1_000_000_000)
    bypass = call.headers.get(BYPASS, "").lower() == "true"
    if bypass and not call.principal.root:
        bypass = call.allowed("s3:BypassGovernanceRetention", record, key)

    if version_id:
        version_id = check_version(version_id)
    lockable = bool(version_id) and record.object_lock
    keys = await call.box.sealing.list_keys(record) if lockable else EMPTY

    def check(current: ObjectVersion | None) -> None:
        for one in checks:
            one(current)
        if version_id and current is not None:
            if lockable:
                checked(keys, current)
            if current.lock:
                refuse_locked(current, now, bypass=bypass)

    try:
        done = await call.box.store.delete(record.name, key, version_id or None, check)
    except (NoSuchKey, NoSuchVersion):
        return Deleted(version_id or "", False, False)
    if done.found or done.delete_marker:
        call.record = record
        marker = done.delete_marker and not version_id
        gone = ObjectVersion(key, version_id or done.version_id, now, 0, 0, b"", True, marker)
        call.happened("Removed:DeleteMarkerCreated" if marker else "Removed:Delete", gone)
    return done


def refuse_locked(version: ObjectVersion, now: int, *, bypass: bool) -> None:
    """Raise Refused while retention or a legal hold protects a version. now: nanoseconds."""
    lock = unpack_lock(version.lock)
    retained = bool(lock.mode) and lock.until > now and not (lock.mode == "GOVERNANCE" and bypass)
    if lock.hold or retained:
        raise Refused("AccessDenied", "Object is WORM protected and cannot be overwritten")


_ENTRY = ("VersionId", "ETag", "LastModifiedTime", "Size")


@dataclass(frozen=True, slots=True)
class Target:
    """One entry of a DeleteObjects request."""

    key: str
    version_id: str
    etag: str
    modified: str = ""
    size: str = ""


def parse_delete(body: bytes) -> tuple[list[Target], bool]:
    """Return the entries and whether to be quiet; raise Refused."""
    node = xml.parse(body, "Delete")
    for one in node.all("Object"):
        xml.only(one, ("Key", *_ENTRY))
    targets = [
        Target(one.value("Key").removeprefix("/"), *(one.value(name) for name in _ENTRY)) for one in node.all("Object")
    ]
    if not 1 <= len(targets) <= MAX_OBJECTS:
        raise Refused("MalformedXML")
    return targets, node.value("Quiet").strip().lower() == "true"


async def delete_objects(call: Call) -> Response:
    """Remove up to 1,000 keys or versions; each has its own result, in the order asked."""
    if call.body.length is None and "transfer-encoding" not in call.headers:
        raise Refused("MissingContentLength")
    record = await call.owned(call.bucket)
    if call.principal.credential is None and not _open(record):
        raise Denied("anonymous, and nothing lets anybody in: the document need not be read")
    targets, quiet = parse_delete(await document(call, limit=MAX_BODY, digest_required=True))
    results = [await _one(call, record, target, quiet) for target in targets]
    return Response(200, [("Content-Type", "application/xml")], xml.wrap("DeleteResult", "".join(results)))


def _open(record: BucketRecord) -> bool:
    """Say whether a bucket could let in somebody without a signature."""
    return "policy" in record.config or acl.enabled(record.config)


async def _one(call: Call, record: BucketRecord, target: Target, quiet: bool) -> str:
    action = "s3:DeleteObjectVersion" if target.version_id else "s3:DeleteObject"
    try:
        await call.learn(record, target.key, target.version_id or None)
        call.authorise(action, record, target.key)
        if not target.key:  # nothing has this name; a marker of it could never be deleted by itself
            return "" if quiet else xml.element("Deleted", [("Key", "")])
        check_key(target.key)
        checks = await _entry_checks(call, record, target)
        done = await remove(call, record, target.key, _version(target), checks)
    except Error as error:
        return _failed(target, error)
    if quiet:
        return ""
    items: list[xml.Item] = [("Key", target.key)]
    if target.version_id:
        items.append(("VersionId", target.version_id))
    if done.delete_marker:
        items += [("DeleteMarker", True), ("DeleteMarkerVersionId", done.version_id or target.version_id)]
    return xml.element("Deleted", items)


def _version(target: Target) -> str | None:
    """Return the entry's version id; one that cannot be any is unknown here, not malformed (s3.md 8.1)."""
    if not target.version_id:
        return None
    try:
        return check_version(target.version_id)
    except Refused as error:
        raise Refused("NoSuchVersion") from error


async def _entry_checks(call: Call, record: BucketRecord, target: Target) -> list[Check]:
    if not target.etag and not target.modified and not target.size:
        return []
    keys = await call.box.sealing.list_keys(record)

    def check(current: ObjectVersion | None) -> None:
        if current is None:
            return
        if target.etag and not ranges.etag_matches(target.etag, keys.reveal(current.etag, current.key)):
            keys.compare(current.etag)
            raise Refused("PreconditionFailed")
        if not _same(current, target.modified, target.size):
            raise Refused("PreconditionFailed")

    return [check]


def _failed(target: Target, error: Error) -> str:
    refused = errors.refusal(error)
    if isinstance(error, Denied) and not isinstance(error, Refused):
        refused = Refused("AccessDenied")
    _, text = errors.status_and_text(refused)
    items: list[xml.Item] = [("Code", refused.code), ("Message", text), ("Key", target.key)]
    if target.version_id:
        items.append(("VersionId", target.version_id))
    return xml.element("Error", items)
