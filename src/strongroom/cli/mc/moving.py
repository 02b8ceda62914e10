"""One object from one place to another, whatever the places are: the work that cp, mv, put, get and mirror share."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.cli.mc.encryption import Encryption
from strongroom.cli.mc.listing import Entry
from strongroom.cli.mc.metadata import content_type, file_attributes, restore_attributes
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error
from strongroom.sdk.s3 import Head
from strongroom.sdk.s3_download import Origin, download
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
        target.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.path, target.path)
        if self.preserve:
            shutil.copystat(source.path, target.path)
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
        mark = f"{source.path}|{state.st_size}|{state.st_mtime_ns}|{target.url}"
        name = hashlib.sha256(mark.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        journal = Journal(self.shell.store.folder / "resume" / f"{name}.json", mark)
        place = self._place(target, described)
        upload(place, FileSource(source.path), state.st_size, self._plan(target), report, journal)

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
        download(self._origin(job, source), target.path, self.plan, report)
        if self.preserve:
            head = job.head or source.client.head(source.bucket, source.key, job.entry.version_id,
                                                  self.encryption.read(source))  # fmt: skip
            restore_attributes(target.path, head.headers.get("x-amz-meta-mc-attrs", ""))

    def _copy(self, job: Job, source: Remote, target: Remote, report: Report) -> None:
        headers: list[tuple[str, str]] = []
        if self.restate or self.attrs:
            head = job.head or source.client.head(source.bucket, source.key, job.entry.version_id,
                                                  self.encryption.read(source))  # fmt: skip
            headers = [("X-Amz-Metadata-Directive", "REPLACE"), *merged(described(head), self.attrs).items()]
        headers += [*self.headers, *self.encryption.write(target)]
        if any(name.lower() == "x-amz-tagging" for name, _ in self.headers):
            headers.append(("X-Amz-Tagging-Directive", "REPLACE"))
        keys = self.encryption.source(source)
        where = (source.bucket, source.key)
        if job.entry.size > SINGLE_LIMIT:
            place = Place(target.client, target.bucket, target.key, tuple(headers))
            copy_large(place, where, job.entry.size, self.plan, job.entry.version_id, report, keys)
            return
        target.client.copy(target.bucket, target.key, where, [*headers, *keys], job.entry.version_id)
        report(job.entry.size)

    def _through(self, job: Job, source: Remote, target: Remote, report: Report) -> None:
        head = job.head or source.client.head(source.bucket, source.key, job.entry.version_id,
                                              self.encryption.read(source))  # fmt: skip
        reader = ObjectSource(source.client, source.bucket, source.key, job.entry.size, job.entry.version_id,
                              tuple(self.encryption.read(source)))  # fmt: skip
        place = self._place(target, described(head))
        upload(place, reader, job.entry.size, self._plan(target), report)


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
