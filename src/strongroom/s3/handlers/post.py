"""PostObject: an upload from a browser's form (s3.md 3.4)."""

import threading
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from strongroom.messages import Buffer, Response, Sink
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import ChecksumRecord, pack_tags
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers import acl, intake, locking
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.circumstances import TAGGING
from strongroom.s3.handlers.put import Draft, described, new_etag, write_up, written_headers
from strongroom.s3.wire import form as forms
from strongroom.s3.wire import sse_headers, tagging_xml, xml
from strongroom.s3.wire.authenticate import Signed
from strongroom.s3.wire.carried import header_name, header_value
from strongroom.s3.wire.object_headers import KEPT, WantedChecksum, wanted_checksum

SPOOL = 64 * 1024 * 1024  # bytes: the largest file of a form; it waits in memory until the form has ended
SPOOLED = 4 * SPOOL  # bytes that all forms on their way may keep waiting


class _Room:
    """How much memory the files of forms may still take. Forms arrive in several threads."""

    def __init__(self) -> None:
        self._taken = 0
        self._using = threading.Lock()

    def take(self, size: int) -> None:
        """Take memory; raise Refused when there is none."""
        with self._using:
            if self._taken + size > SPOOLED:
                raise Refused("SlowDown")
            self._taken += size

    def give(self, size: int) -> None:
        """Give it back."""
        with self._using:
            self._taken -= size


_room = _Room()


class _Spool:
    """Decides on a form as soon as its fields are there; keeps the file's bytes until the form has ended."""

    def __init__(self, call: Call, record: BucketRecord, mark: bytes) -> None:
        self.decoder = forms.FormDecoder(mark, self._begin)
        self.fields: Mapping[str, str] = {}
        self.policy: forms.FormPolicy | None = None
        self.file = bytearray()
        self._call = call
        self._record = record

    def _begin(self, fields: Mapping[str, str]) -> Sink:
        """Say who sends what, and whether it may, before a byte of the file is kept; return the file's sink."""
        call = self._call
        key = fields.get("key", "").replace("${filename}", self.decoder.filename)  # conditions are about the whole
        self.fields = {name: value for name, value in fields.items() if name != "file"} | ({"key": key} if key else {})
        self.policy = _authorise(call, self.fields)
        if not key:
            raise Refused("InvalidArgument", "Bucket POST must contain a field named 'key'.")
        call.key = key.removeprefix("/")
        check_key(call.key)
        _redirect(self.fields)  # it must be possible to say that it was stored
        call.authorise("s3:PutObject", self._record)
        return self._take

    def _take(self, data: Buffer) -> None:
        if len(self.file) + len(data) > SPOOL:
            raise Refused("EntityTooLarge")
        _room.take(len(data))
        self.file += data

    def close(self) -> None:
        """Let go of the file."""
        _room.give(len(self.file))
        self.file = bytearray()


SSE = "x-amz-server-side-encryption"


async def post_object(call: Call) -> Response:
    """Store the file of a form."""
    kind = call.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        text = f"An unsupported API call for method: POST at '{call.request.path}'"
        raise Refused("BadRequest", text, early=True)
    if any(name.startswith(SSE) for name in call.headers):
        raise Refused("NotImplemented")  # a form says so in its fields; not heard, it would be stored in clear
    mark = forms.boundary(kind)
    spool = _Spool(call, await call.box.store.bucket(call.bucket), mark)
    try:
        await call.body.feed(spool.decoder.feed)
        spool.decoder.finish()
        _check_size(spool.policy, len(spool.file))
        return await _store(call, spool.fields, spool.file)
    finally:
        spool.close()


def _authorise(call: Call, fields: Mapping[str, str]) -> forms.FormPolicy | None:
    """Say who signed the form, and check it against its policy; without one the bucket's own rules decide.

    From here on the form's fields are what other requests say in `x-amz-` headers; headers of that name, which
    nobody has signed, count for nothing: a bucket's policy may depend on them.
    """
    now = call.box.now()
    call.signed = Signed(forms.authenticate(call.box.verifier, fields, now))
    headers = {name: value for name, value in call.headers.items() if not name.startswith("x-amz-")}
    headers |= {name: value for name, value in _said(fields).items() if name.startswith("x-amz-")}
    if fields.get("acl"):
        headers["x-amz-acl"] = fields["acl"]
    if fields.get("tagging"):
        headers[TAGGING] = urlencode(tagging_xml.parse(fields["tagging"].encode(), tagging_xml.OBJECT_LIMIT))
    call.request = replace(call.request, headers=headers)
    if not fields.get("policy"):
        return None
    policy = forms.parse_policy(fields["policy"])
    policy.check({**fields, "bucket": call.bucket}, now)
    return policy


def _check_size(policy: forms.FormPolicy | None, size: int) -> None:
    if policy is None:
        return
    if size < policy.smallest:
        raise Refused("EntityTooSmall", extra={"ProposedSize": str(size), "MinSizeAllowed": str(policy.smallest)})
    if size > policy.largest:
        raise Refused("EntityTooLarge", extra={"ProposedSize": str(size), "MaxSizeAllowed": str(policy.largest)})


def _said(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that are headers in other requests, as header values."""
    said = {name: value for name, value in fields.items() if name.startswith("x-amz-") or name in KEPT}
    return {header_name(name): header_value(value) for name, value in said.items()}


async def _store(call: Call, fields: Mapping[str, str], data: bytearray) -> Response:
    said = _said(fields)
    sse_headers.refuse_insecure(said, call.secure())
    record = await call.enter("s3:PutObject")
    lock = locking.for_write(call, record)
    tags = (
        pack_tags(tagging_xml.parse(fields["tagging"].encode(), tagging_xml.OBJECT_LIMIT))
        if fields.get("tagging")
        else b""
    )
    seal = await call.box.sealing.begin(said, record, call.key)
    call.used = seal.info if seal is not None else None
    meta = acl.described(call.headers, record, described(said))
    draft = Draft(record, call.key, meta, tags, lock, seal)
    checksum: WantedChecksum | None = wanted_checksum({n: v for n, v in said.items() if n != "x-amz-trailer"})
    made = intake.Plan(len(data), checksum=checksum)
    staged = call.box.store.stage(call.bucket, made.stored(seal is not None))
    try:
        sealer = seal.sealer(None, made.size) if seal is not None else None
        target = intake.Intake(made, staged, sealer, want_md5=draft.wants_md5)
        target.take(memoryview(data))
        received = target.finish()
        etag = new_etag(seal, received.md5)
        kept = ChecksumRecord(received.checksum.kind, received.checksum.value) if received.checksum else None
        new = await write_up(call, draft, received.size, etag, kept)
        version = await call.box.store.put(call.bucket, new, staged)
    except BaseException:
        staged.discard()
        raise
    return _answer(call, fields, etag, written_headers(call, record, version, etag, seal, kept))


def _redirect(fields: Mapping[str, str]) -> str:
    return header_value(fields.get("success_action_redirect") or fields.get("redirect") or "")


def _answer(call: Call, fields: Mapping[str, str], etag: str, headers: list[tuple[str, str]]) -> Response:
    location = call.location()
    if redirect := _redirect(fields):
        mark = "&" if "?" in redirect else "?"
        query = f"bucket={quote(call.bucket)}&key={quote(call.key)}&etag=%22{etag}%22"
        return Response(303, [*headers, ("Location", f"{redirect}{mark}{query}")])
    status = {"200": 200, "201": 201}.get(fields.get("success_action_status", ""), 204)
    if status != 201:
        return Response(status, [*headers, ("Location", location)])
    items: list[xml.Item] = [("Bucket", call.bucket), ("Key", call.key), ("ETag", f'"{etag}"'), ("Location", location)]
    body = xml.document("PostResponse", items, namespace=False)
    return Response(201, [*headers, ("Location", location), ("Content-Type", "application/xml")], body)
