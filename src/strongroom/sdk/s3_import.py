"""Moving in: a server's buckets, versions and configurations copied to another server over S3.

What S3 cannot carry is new on the target: version ids, times of modification, the parts of multipart objects. Objects
under a customer's key cannot be read and are counted. Each copy is compared with its source before it counts as done.
"""

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from urllib.parse import urlencode

from strongroom.errors import AlreadyExists, Error, Tampered
from strongroom.sdk.crew import Crew
from strongroom.sdk.s3 import Client, Head
from strongroom.sdk.s3_admin import KMS, Admin
from strongroom.sdk.s3_body import CHECKSUMS, Progress
from strongroom.sdk.s3_errors import NoSuchConfiguration, S3Error
from strongroom.sdk.s3_transfer import ObjectSource, Place, Plan, upload
from strongroom.sdk.s3_verify import whole
from strongroom.sdk.s3_xml import Listed, parse

BEFORE = ("encryption", "policy", "lifecycle", "tagging", "cors")
AFTER = (
    "notification",
    "object-lock",
)  # of the objects: a copy is no news, and gets no retention that its source lacks
CONFIGURATIONS = (*BEFORE, *AFTER)
SSE = "x-amz-server-side-encryption"
UNTIL = "x-amz-object-lock-retain-until-date"
KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires",
        "x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-object-lock-mode",
        UNTIL, "x-amz-object-lock-legal-hold")  # fmt: skip
_MD5 = re.compile(r"[0-9a-f]{32}")
Pairs = list[tuple[str, str]]


class CustomerKey(Error):
    """The object is under a key that only its owner has."""


@dataclass(slots=True)
class Tally:
    """What an import did. failures and notes: lines for people."""

    buckets: int = 0
    versions: int = 0
    markers: int = 0
    skipped: int = 0
    bytes: int = 0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Done:
    """The versions that were copied: one line each, appended, so that an import can go on after any ending."""

    def __init__(self, file: Path | None) -> None:
        self._lock = threading.Lock()
        self._lines: set[str] = set()
        self._out = None
        if file is not None:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if file.exists():
                self._lines = set(file.read_text("utf-8", "surrogateescape").splitlines())
            self._out = file.open("a", encoding="utf-8", errors="surrogateescape")

    @staticmethod
    def _line(bucket: str, version: Listed) -> str:
        return json.dumps([bucket, version.key, version.version_id or "null", version.modified])

    def has(self, bucket: str, version: Listed) -> bool:
        """Tell whether a version is on the target already."""
        return self._line(bucket, version) in self._lines

    def add(self, bucket: str, version: Listed) -> None:
        """Note a version that is."""
        with self._lock:
            if self._out is not None:
                self._out.write(self._line(bucket, version) + "\n")
                self._out.flush()

    def close(self) -> None:
        """Close the file."""
        if self._out is not None:
            self._out.close()


@dataclass(slots=True)
class Importer:
    """An import from one server to another.

    keys    names of keys that are other ones on the target
    dry     only count
    report  told of every byte
    """

    source: Client
    target: Client
    done: Done
    tally: Tally = field(default_factory=Tally)
    keys: Mapping[str, str] = field(default_factory=dict)
    dry: bool = False
    report: Progress = lambda count: None
    workers: int = 8
    _made: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # ---- buckets ----

    def bucket(self, name: str) -> None:
        """Copy one bucket: itself, its configurations, then every version of every key, oldest first."""
        self.tally.buckets += 1
        versioning = self._document(name, "versioning")
        status = parse(versioning).get("Status") if versioning else ""
        lock = self._document(name, "object-lock")
        if not self.dry:
            with suppress(AlreadyExists):  # an import that goes on, or a bucket made before: its objects are added to
                self.target.make_bucket(name, lock=b">Enabled<" in lock)
            if status and b">Enabled<" not in lock:
                self._put(name, "versioning", versioning.replace(b"Suspended", b"Enabled"))
            self._configure(name, BEFORE)
        self._objects(name)
        if not self.dry:
            self._configure(name, AFTER)
        if status == "Suspended" and not self.dry:
            self._put(name, "versioning", versioning)

    def _document(self, bucket: str, name: str) -> bytes:
        try:
            return self.source.get_config(bucket, name)
        except NoSuchConfiguration:
            return b""
        except S3Error as error:
            self._note(f"{bucket}: {name} cannot be read: {error}")
            return b""

    def _configure(self, bucket: str, names: Iterable[str]) -> None:
        for name in names:
            document = self._document(bucket, name)
            if not document or _empty(name, document):
                continue
            if name == "encryption":
                for key in re.findall(rb"<KMSMasterKeyID>([^<]+)<", document):
                    document = document.replace(key, self._key(key.decode()).encode())
            self._put(bucket, name, document)

    def _put(self, bucket: str, name: str, document: bytes) -> None:
        try:
            self.target.put_config(bucket, name, document)
        except Error as error:
            self._fail(f"{bucket}: {name}: {error}")

    def _key(self, name: str) -> str:
        """Return the target's name of a key, made there if it can be."""
        name = self.keys.get(_bare(name), _bare(name))
        with self._lock:
            if name in self._made or self.dry:
                return name
            self._made.add(name)
        try:
            Admin(self.target).call("POST", "key/create", {"key-id": name}, b"", base=KMS, tries=1)
        except Error as error:
            if not isinstance(error, S3Error) or "exi" not in error.message:  # "already exits", as the original spells
                self._note(f"key {name} was not made on the target: {error}")
        return name

    # ---- objects ----

    def _objects(self, bucket: str) -> None:
        crew: Crew[list[Listed]] = Crew(self.workers, lambda group: self._history(bucket, group))
        try:
            for group in _histories(self.source.versions(bucket)):
                if not crew.feed(group):
                    break
        except BaseException:
            crew.stop()
            raise
        crew.finish()

    def _history(self, bucket: str, versions: list[Listed]) -> None:
        """Copy the versions of one key in their order; after a failure the newer ones wait for the next run."""
        for version in versions:
            if self.done.has(bucket, version):
                self._count(skipped=1)
                continue
            try:
                if not self.dry:
                    self._version(bucket, version)
                    self.done.add(bucket, version)
            except (Error, OSError) as error:
                self._fail(f"{bucket}/{version.key} ({version.version_id or 'null'}): {error}")
                return
            self._count(versions=1, markers=int(version.marker), size=version.size)

    def _version(self, bucket: str, version: Listed) -> None:
        if version.marker:
            self.target.delete(bucket, [(version.key, "")])
            return
        try:
            head = self.source.head(bucket, version.key, version.version_id)
        except S3Error as error:
            if error.status == 400:
                raise CustomerKey("it is under a customer's key (SSE-C): copy it with mc cp --enc-c") from error
            raise
        place = Place(self.target, bucket, version.key, tuple(self._headers(bucket, version, head)))
        same = (("If-Match", f'"{head.etag}"'),) if head.etag else ()  # each part is read by a request of its own
        reader = ObjectSource(self.source, bucket, version.key, head.size, version.version_id, same)
        _compare(head, upload(place, reader, head.size, Plan(checksum=_checksum(head)), self.report))

    def _headers(self, bucket: str, version: Listed, head: Head) -> Pairs:
        """Return what describes the copy: metadata, class, locks, tags and the same kind of encryption."""
        found = [
            (name, value) for name, value in head.headers.items() if name in KEPT or name.startswith("x-amz-meta-")
        ]
        if head.headers.get(UNTIL, "9") <= datetime.now(UTC).isoformat():  # over, and no server takes it any more
            found = [pair for pair in found if pair[0] not in {UNTIL, "x-amz-object-lock-mode"}]
        kind, key = head.headers.get(SSE, ""), head.headers.get(f"{SSE}-aws-kms-key-id", "")
        if kind:
            found.append((SSE, kind))
        if key:
            found.append((f"{SSE}-aws-kms-key-id", self._key(key)))
        if head.headers.get("x-amz-tagging-count", "0") != "0":
            root = parse(self.source.get_config(bucket, "tagging", version.key, version.version_id))
            tags = [(tag.get("Key"), tag.get("Value")) for tag in root.all("TagSet/Tag")]
            found.append(("x-amz-tagging", urlencode(tags)))
        return found

    # ---- the tally ----

    def _count(self, *, versions: int = 0, markers: int = 0, size: int = 0, skipped: int = 0) -> None:
        with self._lock:
            self.tally.versions += versions
            self.tally.markers += markers
            self.tally.bytes += size
            self.tally.skipped += skipped

    def _fail(self, text: str) -> None:
        with self._lock:
            self.tally.failures.append(text)

    def _note(self, text: str) -> None:
        with self._lock:
            self.tally.notes.append(text)

    def differences(self, bucket: str, limit: int = 20) -> Iterator[str]:
        """Yield what a listing of both sides still tells apart: newest versions that are missing or of another size."""
        there = {entry.key: entry.size for entry in self.target.objects(bucket)}
        for entry in self.source.objects(bucket):
            if there.get(entry.key) != entry.size:
                limit -= 1
                yield f"{bucket}/{entry.key}: {'missing' if entry.key not in there else 'of another size'}"
            if limit == 0:
                return


def _histories(found: Iterable[Listed]) -> Iterator[list[Listed]]:
    """Yield the versions of each key, oldest first (listings have the newest first)."""
    for _, group in groupby((entry for entry in found if not entry.prefix), key=lambda entry: entry.key):
        yield list(group)[::-1]


def _bare(name: str) -> str:
    return name.removeprefix("arn:aws:kms:")


def _empty(name: str, document: bytes) -> bool:
    """Tell whether a configuration says nothing."""
    if name == "object-lock":
        return b"<Rule>" not in document
    return name == "notification" and not parse(document).children


def _checksum(head: Head) -> str:
    """Return the algorithm of a checksum over the whole object, which the target then verifies as well."""
    found = whole(head.headers)
    return found[0] if found else ""


def _compare(source: Head, target: Head) -> None:
    """Raise Tampered when checksums, or ETags that are MD5s on both sides, differ."""
    for name in CHECKSUMS:
        header = f"x-amz-checksum-{name.lower()}"
        one, two = source.headers.get(header), target.headers.get(header)
        if one and two and "-" not in one + two and one != two:
            raise Tampered(f"the copy's {name} is another one")
    sealed = any(head.headers.get(SSE, "").startswith("aws:kms") for head in (source, target))
    plain = _MD5.fullmatch(source.etag) and _MD5.fullmatch(target.etag)
    if plain and not sealed and source.etag != target.etag:
        raise Tampered("the copy's ETag is another one")
