"""One object from one place to another, whatever the places are: the work that cp, mv, put, get and mirror share."""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from strongroom.cli.mc.encryption import Encryption
from strongroom.cli.mc.failures import Failed
from strongroom.cli.mc.listing import Entry
from strongroom.cli.mc.metadata import content_type, file_attributes, restore_attributes
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error
from strongroom.sdk.s3 import Head
from strongroom.sdk.s3_download import Origin, download, partial_name, settle, special
from strongroom.sdk.s3_resume import Journal
from strongroom.sdk.s3_transfer import (
    SINGLE_LIMIT,
    FileSource,
    ObjectSource,
    Place,
    Plan,
    copy_large,
    upload,
)
from strongroom.sdk.s3_xml import parse

Headers = Sequence[tuple[str, str]]
Report = Callable[[int], None]
KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")


@dataclass(frozen=True, slots=True)
class Job:
    """What moves where. head: the source's, when it was asked for; entry: the source's line of a listing."""

    source: Target
    target: Target
    entry: Entry
    head: Head | None = None

    @property
    def source_name(self) -> str:
        """The source as it is shown."""
        return str(self.source.path) if isinstance(self.source, Local) else self.source.name


@dataclass(slots=True)
class Mover:
    """How things are moved: the flags of a command.

    headers   of every object that is stored: class, tags, retention
    attrs     headers and metadata of --attr
    md5       buckets whose uploads must carry an MD5 (object lock), filled as they are met
    remove    sources are removed afterwards: what is made must outlast a power failure, and be what is removed
    """

    shell: Shell
    progress: Progress
    encryption: Encryption
    plan: Plan = field(default_factory=Plan)
    headers: Headers = ()
    attrs: dict[str, str] = field(default_factory=dict)
    preserve: bool = False
    restate: bool = False  # copies on the server repeat the metadata, as cp does for a single object
    md5: dict[tuple[str, str], bool] = field(default_factory=dict)
    remove: bool = False

    def move(self, job: Job) -> None:
        """Do it; raise typed failures."""
        self.progress.name(job.source_name)
        source, target = job.source, job.target
        tally = self.progress.tally()
        try:
            self._move(job, tally.add)
        except (OSError, EOFError):
            tally.drop()
            raise
        except Error as error:
            tally.drop()
            remote = target if isinstance(target, Remote) else source
            failure = remote.failure(error) if isinstance(remote, Remote) else error
            if failure is error:
                raise
            raise failure from error

    # ---- the five ways ----

    def _move(self, job: Job, report: Report) -> None:
        source, target = job.source, job.target
        if isinstance(source, Local):
            if isinstance(target, Local):
                self._local(job, source, target, report)
            else:
                self._up(source, target, report)
        elif isinstance(target, Local):
            self._down(job, source, target, report)
        elif source.alias == target.alias:
            self._copy(job, source, target, report)
        else:
            self._through(job, source, target, report)

    def _local(self, job: Job, source: Local, target: Local, report: Report) -> None:
        path = target.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.samefile(source.path):
            raise Failed(f"Copying or moving '{source.name}' into itself is not allowed.")
        if special(path):
            shutil.copyfile(source.path, path)
            report(job.entry.size)
            return
        partial = partial_name(path, str(os.getpid()))
        try:
            shutil.copyfile(source.path, partial)
            if self.preserve:
                shutil.copystat(source.path, partial)
            if self.remove:
                settle(partial)
            partial.replace(path)
            if self.remove:
                settle(path.parent)
        finally:
            partial.unlink(missing_ok=True)
        report(job.entry.size)

    def _plan(self, target: Remote) -> Plan:
        if self.plan.checksum or not self.locked(target):
            return self.plan
        return Plan(self.plan.part_size, self.plan.parallel, self.plan.multipart, "MD5")

    def locked(self, target: Remote) -> bool:
        """Tell whether the target's bucket has object lock: then uploads carry an MD5. Asked once per bucket."""
        where = (target.alias.name, target.bucket)
        if where not in self.md5:
            try:
                data = target.client.get_config(target.bucket, "object-lock")
                self.md5[where] = b"<ObjectLockEnabled>Enabled<" in data
            except Error:  # missing, refused or away: the upload itself will tell
                self.md5[where] = False
        return self.md5[where]

    def _up(self, source: Local, target: Remote, report: Report) -> None:
        described = {"Content-Type": content_type(source.path.name)}
        if self.preserve:
            described["X-Amz-Meta-Mc-Attrs"] = file_attributes(source.path)
        state = source.path.stat()
        place, plan = self._place(target, described), self._plan(target)
        mark = f"{source.path}|{state.st_size}|{state.st_mtime_ns}|{target.url}|{_asked(place, plan)}"
        name = hashlib.sha256(mark.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        journal = Journal(self.shell.store.folder / "resume" / f"{name}.json", mark)
        upload(place, FileSource(source.path), state.st_size, plan, report, journal)
        if self.remove:
            now = source.path.stat()
            if (now.st_size, now.st_mtime_ns) != (state.st_size, state.st_mtime_ns):
                raise Failed(f"`{source.path}` changed while it was read, it is kept.")

    def _place(self, target: Remote, described: dict[str, str]) -> Place:
        described = merged(described, self.attrs)
        return Place(target.client, target.bucket, target.key,
                     (*described.items(), *self.headers, *self.encryption.write(target)))  # fmt: skip

    def _origin(self, job: Job, source: Remote) -> Origin:
        return Origin(source.client, source.bucket, source.key, job.entry.size, job.entry.etag, job.entry.version_id,
                      tuple(self.encryption.read(source)))  # fmt: skip

    def _down(self, job: Job, source: Remote, target: Local, report: Report) -> None:
        if job.entry.key.endswith("/") and job.entry.size == 0:
            target.path.mkdir(parents=True, exist_ok=True)
            return
        download(self._origin(job, source), target.path, self.plan, report, durable=self.remove)
        if self.preserve:
            head = job.head or self._head(job, source)
            restore_attributes(target.path, head.headers.get("x-amz-meta-mc-attrs", ""))

    def _copy(self, job: Job, source: Remote, target: Remote, report: Report) -> None:
        keys, where = self.encryption.source(source), (source.bucket, source.key)
        if job.entry.size > SINGLE_LIMIT:  # in parts: the server takes nothing but bytes over
            head = job.head or self._head(job, source)
            place = self._place(target, {**described(head), **self._tags(job, source, head)})
            copy_large(place, where, job.entry.size, self.plan, job.entry.version_id, report,
                       [*keys, ("X-Amz-Copy-Source-If-Match", f'"{head.etag}"')])  # fmt: skip
            return
        headers: list[tuple[str, str]] = []
        onto = (target.bucket, target.key) == where  # refused unless something is said anew
        if self.restate or self.attrs or onto:
            head = job.head or self._head(job, source)
            headers = [("X-Amz-Metadata-Directive", "REPLACE"), *merged(described(head), self.attrs).items()]
        headers += [*self.headers, *self.encryption.write(target)]
        if any(name.lower() == "x-amz-tagging" for name, _ in self.headers):
            headers.append(("X-Amz-Tagging-Directive", "REPLACE"))
        target.client.copy(target.bucket, target.key, where, [*headers, *keys], job.entry.version_id)
        report(job.entry.size)

    def _head(self, job: Job, source: Remote) -> Head:
        return source.client.head(source.bucket, source.key, job.entry.version_id, self.encryption.read(source))

    def _tags(self, job: Job, source: Remote, head: Head) -> dict[str, str]:
        """Return the header that repeats an object's tags, unless the flags give others."""
        told = any(name.lower() == "x-amz-tagging" for name, _ in self.headers)
        if told or head.headers.get("x-amz-tagging-count", "0") == "0":
            return {}
        root = parse(source.client.get_config(source.bucket, "tagging", source.key, job.entry.version_id))
        return {"X-Amz-Tagging": urlencode({tag.get("Key"): tag.get("Value") for tag in root.all("TagSet/Tag")})}

    def _through(self, job: Job, source: Remote, target: Remote, report: Report) -> None:
        head = job.head or self._head(job, source)
        same = [("If-Match", f'"{head.etag}"')] if head.etag else []  # each part is read by a request of its own
        reader = ObjectSource(source.client, source.bucket, source.key, head.size, job.entry.version_id,
                              (*self.encryption.read(source), *same))  # fmt: skip
        place = self._place(target, {**described(head), **self._tags(job, source, head)})
        upload(place, reader, head.size, self._plan(target), report)


def _asked(place: Place, plan: Plan) -> str:
    """Return what tells apart uploads that ask for something else: encryption, tags, checksums. It shows no key."""
    text = "\0".join((plan.checksum, *(f"{name.lower()}:{value}" for name, value in sorted(place.headers))))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def described(head: Head) -> dict[str, str]:
    """Return the headers of an object that its copy repeats, in canonical form."""
    found: dict[str, str] = {}
    for name, value in head.headers.items():
        if name in KEPT or name.startswith("x-amz-meta-"):
            found["-".join(word.capitalize() for word in name.split("-"))] = value
    return found


def merged(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """Return first with second's values; names are equal in any case."""
    known = {name.lower(): name for name in first}
    found = dict(first)
    for name, value in second.items():
        found[known.get(name.lower(), name)] = value
    return found


def remove_file(path: Path) -> None:
    """Remove a moved file."""
    path.unlink()
