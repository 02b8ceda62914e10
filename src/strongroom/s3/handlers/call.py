"""What every handler works with: the box (what lasts) and the call (one request)."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import quote

import msgspec

from strongroom.errors import Denied, NotFound
from strongroom.messages import Body, Request
from strongroom.s3.domain import acl
from strongroom.s3.domain.events import Event
from strongroom.s3.domain.lifecycle import DAY
from strongroom.s3.domain.object_record import ObjectMeta, unpack_meta, unpack_tags
from strongroom.s3.domain.ports import ObjectStore, SystemStore
from strongroom.s3.domain.principals import ANONYMOUS, Principal
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import SealInfo
from strongroom.s3.handlers.circumstances import TAGGING, of_call, secure
from strongroom.s3.handlers.list_keys import checked
from strongroom.s3.handlers.running_reads import RunningReads
from strongroom.s3.handlers.sealing import Sealing
from strongroom.s3.wire import acl_xml, sigv4
from strongroom.s3.wire.authenticate import Signed, Verifier

log = logging.getLogger("strongroom.s3")

OWNER_ID = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4"  # the original's, clients compare it
OWNER_NAME = "minio"


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the access rules: may this principal do this?

    action     `s3:GetObject`, …
    bucket, key  the address; key "" for bucket actions
    record     the bucket, None for service actions and CreateBucket
    acl        the object's access control list, where one counts
    conditions what policy conditions may compare, lower-case names (`s3:prefix`, `aws:sourceip`, …)
    """

    action: str
    bucket: str = ""
    key: str = ""
    record: BucketRecord | None = None
    conditions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    acl: bytes = b""


class Access(Protocol):
    """The access rules: IAM policies of the principal and the bucket's policy together."""

    def allows(self, principal: Principal, ask: Ask) -> bool:
        """Decide, from memory; deny wins."""

    def asks_for_tags(self, record: BucketRecord) -> bool:
        """Say whether some policy looks at the tags of objects that are there."""


@dataclass(frozen=True, slots=True)
class BoxSettings:
    """How this server answers.

    region          "" accepts any region in signatures
    domains         suffixes for virtual-host style, without a leading dot
    trusted_proxies addresses whose X-Forwarded-Proto counts as TLS
    min_part        bytes that every part but the last must have
    day             nanoseconds in a day of lifecycle rules; less in tests
    checksum        the algorithm of objects whose writer names none, "" for none (AWS: CRC64NVME, the original: none)
    """

    region: str = ""
    domains: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    min_part: int = 5 * 1024 * 1024
    max_object: int = 5 * 1024**4
    day: int = DAY
    checksum: str = ""


class Notices(Protocol):
    """Bucket notifications (handlers/notify.py)."""

    @property
    def active(self) -> bool:
        """Whether anybody could want an event at all."""

    @property
    def arns(self) -> list[str]:
        """The targets that bucket configurations may name."""

    async def publish(self, call: "Call", record: BucketRecord) -> None:
        """Queue a call's events for all who want them; returns when they are on disk."""

    def look(self) -> None:
        """Look for events that other processes have queued."""

    async def run(self) -> None:
        """Send what is queued, for ever."""

    def listen(self, bucket: str, patterns: tuple[str, ...], prefix: str, suffix: str) -> AsyncIterator[bytes]:
        """Yield messages as JSON lines as they happen."""


class Silent:
    """No notifications."""

    active = False
    arns: list[str] = []  # noqa: RUF012  # never changed

    async def publish(self, call: "Call", record: BucketRecord) -> None:
        """Tell nobody."""

    def look(self) -> None:
        """Look for nothing."""

    async def run(self) -> None:
        """Send nothing."""

    async def listen(self, bucket: str, patterns: tuple[str, ...], prefix: str, suffix: str) -> AsyncIterator[bytes]:
        """Hear nothing."""
        return
        yield b""


@dataclass(slots=True)
class Box:
    """The parts of a running S3 server that handlers use. now: seconds since the epoch.

    reads: the large reads under way, when locking a key is to cut them.
    """

    store: ObjectStore
    system: SystemStore | None
    verifier: Verifier
    access: Access
    sealing: Sealing
    settings: BoxSettings
    now: Callable[[], float]
    notifier: Notices = field(default_factory=Silent)
    reads: RunningReads | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """An object that was opened for another one."""

    bucket: str
    key: str
    info: SealInfo


_UNSIGNED = Signed(ANONYMOUS)


class Call(msgspec.Struct):
    """One request on its way: address, query, who signed it.

    pairs  the query as it came, decoded; args the same by name (the first of a repeated name)
    used   the seal that was made or opened, or should have been, for the object itself: for the audit
    source the other object that was opened for it, by a copy; the former seal, when an object is sealed anew
    record, events  the bucket that it entered, and what happened there, for notifications
    existing, version  the tags of the object that is asked for, where a policy looks at them, and its version id
    told   what the body says of itself, where policy conditions may compare it
    """

    box: Box
    request: Request
    body: Body
    request_id: str
    bucket: str
    key: str
    pairs: sigv4.Pairs
    args: Mapping[str, str]
    signed: Signed = _UNSIGNED
    operation: str = ""
    used: SealInfo | None = None
    source: Source | None = None
    record: BucketRecord | None = None
    events: list[Event] = []
    existing: Mapping[str, str] = {}
    version: str | None = None
    told: Mapping[str, Sequence[str]] = {}

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, names in lower case."""
        return self.request.headers

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.signed.principal

    def secure(self) -> bool:
        """Say whether the client's connection is TLS, ours or a trusted proxy's."""
        return secure(self.request, self.box.settings.trusted_proxies)

    def location(self) -> str:
        """Return the URL of the object that is asked for, in the style that the client uses."""
        host = self.headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        virtual = name.lower() in [f"{self.bucket}.{domain}" for domain in self.box.settings.domains]
        path = quote(self.key) if virtual else f"{self.bucket}/{quote(self.key)}"
        return f"{'https' if self.secure() else 'http'}://{host}/{path}"

    def allowed(self, action: str, record: BucketRecord | None = None, key: str | None = None) -> bool:
        """Say whether the principal may do this at this address."""
        if self.principal.root:
            return True
        return self.box.access.allows(self.principal, self.ask(action, record, self.key if key is None else key))

    def authorise(self, action: str, record: BucketRecord | None = None, key: str | None = None) -> None:
        """Raise Denied unless the principal may do this at this address."""
        if not self.principal.root and not self.allowed(action, record, key):
            raise Denied(f"{self.principal.name or 'anonymous'} may not {action} {self.bucket}/{self.key}")

    def ask(self, action: str, record: BucketRecord | None = None, key: str = "") -> Ask:
        """Return the question to the access rules.

        Whether a missing key may be told of is a right to list its bucket, at least with the key as prefix.
        """
        conditions = of_call(self)
        if self.key and action == "s3:ListBucket":
            conditions["s3:prefix"] = (self.key,)
        return Ask(action, record.name if record is not None else self.bucket, key, record, conditions)

    async def learn(self, record: BucketRecord, key: str, version_id: str | None) -> None:
        """Read the tags of an object before a decision, where a policy looks at them; raise ObjectTampered."""
        self.existing, self.version = {}, version_id
        if self.principal.root or not key or not self.box.access.asks_for_tags(record):
            return
        with contextlib.suppress(NotFound):
            version = await self.box.store.get(record.name, key, version_id)
            self.existing = unpack_tags(checked(await self.box.sealing.list_keys(record), version).tags)

    async def owned(self, bucket: str, header: str = "x-amz-expected-bucket-owner") -> BucketRecord:
        """Return a bucket's record; raise NoSuchBucket, or Refused when the client expects another owner of it."""
        record = await self.box.store.bucket(bucket)
        owner = self.headers.get(header)
        if owner is not None and owner != OWNER_ID:
            raise Refused("AccessDenied")
        return record

    async def enter(self, action: str) -> BucketRecord:
        """Return the bucket's record if the principal may do this in it; raise NoSuchBucket, Denied or Refused."""
        record = await self.owned(self.bucket)
        if not self.principal.root:
            await self.admit(action, record, self.args.get("versionId") or None)
            if action == "s3:PutObject":
                self._authorise_beside(record)
        self.record = record
        return record

    async def admit(self, action: str, record: BucketRecord, version_id: str | None) -> None:
        """Raise Denied unless policies or lists let the principal do this with the call's key, or a version of it."""
        await self.learn(record, self.key, version_id)
        if not self.allowed(action, record):
            await self._by_acl(action, record)

    def _authorise_beside(self, record: BucketRecord) -> None:
        """Raise Denied unless the principal may set what a write says beside the content: tags, and who has access."""
        if TAGGING in self.headers:
            self.authorise("s3:PutObjectTagging", record)
        if acl.enabled(record.config) and acl_xml.from_headers(self.headers, OWNER_ID):
            self.authorise("s3:PutObjectAcl", record)

    async def _by_acl(self, action: str, record: BucketRecord) -> None:
        """Raise Denied unless the object's own list, where lists count, gives the principal what it asks for."""
        if acl.enabled(record.config) and action in acl.OBJECT_ACTIONS and self.key:
            try:
                version = await self.box.store.get(record.name, self.key, self.version)
            except NotFound as error:
                raise Denied("missing, and the caller may not know") from error
            stored = unpack_meta(version.meta).acl if version.meta else b""
            ask = replace(self.ask(action, record, self.key), acl=stored)
            if stored and self.box.access.allows(self.principal, ask):
                return
        raise Denied(f"{self.principal.name or 'anonymous'} may not {action} {self.bucket}/{self.key}")

    def happened(self, verb: str, version: ObjectVersion, etag: str = "") -> None:
        """Note an event for those who want to hear of it; verb is what follows `s3:Object`."""
        if not self.box.notifier.active:
            return
        meta = unpack_meta(version.meta) if version.meta else ObjectMeta()
        kind, versions = meta.headers.get("content-type", ""), self.record is not None and self.record.versioning
        version_id = version.version_id if versions else ""
        self.events.append(Event(f"s3:Object{verb}", version.key, version.size, etag, version_id, kind, meta.user))
