"""What the arguments of cp and mv mean: sources and targets become jobs (mc.md 9.4)."""

import os
from collections.abc import Iterator
from dataclasses import replace

from strongroom.cli.mc.encryption import Encryption
from strongroom.cli.mc.failures import INVALID, Failed, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import moment, rfc3339
from strongroom.cli.mc.listing import (
    Entry,
    Found,
    Look,
    Test,
    age_test,
    local_entries,
    local_entry,
    look_up,
    remote_entries,
    rewind_time,
)
from strongroom.cli.mc.moving import Job, Mover
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error
from strongroom.sdk.s3_errors import S3Error


class Planner:
    """Finds out what the arguments of cp and mv mean (mc.md 9.4)."""

    def __init__(self, shell: Shell, line: Line, rules: Encryption, mover: Mover, *, remove: bool) -> None:
        self.shell, self.rules, self.mover, self.remove = shell, rules, mover, remove
        self.recursive = line.on("recursive")
        self.version_id, self.rewind = line.text("version-id"), rewind_time(line.text("rewind"))
        self.test: Test = age_test(line.text("older-than"), line.text("newer-than"))

    def jobs(self, words: list[str], target: Target) -> Iterator[Job]:
        """Yield the jobs; raise typed failures before the first one where that is possible."""
        sources = [self.shell.target(word) for word in words]
        if self.recursive:
            return self._recursive(sources, target)
        found = [self._single(source) for source in sources]
        folder = self._is_folder(target)
        if len(sources) > 1 and not folder:
            raise Failed(INVALID)
        self.mover.restate = len(sources) == 1
        return iter([self._job(source, target, entry, head, folder) for source, (entry, head) in
                     zip(sources, found, strict=True) if self.test(entry)])  # fmt: skip

    def _job(self, source: Target, target: Target, entry: Entry, head: Found | None, folder: bool) -> Job:
        name = source.path.name if isinstance(source, Local) else source.key.rpartition("/")[2]
        where = inside(target, name) if folder else target
        same = isinstance(source, Local) and isinstance(where, Local) and source.path == where.path
        onto = isinstance(source, Remote) and isinstance(where, Remote) and source.name == where.name
        if same or (onto and self.remove):
            raise Failed(f"Copying or moving '{source.name}' into itself is not allowed.")
        return Job(source, where, entry, head.head if head else None)

    def _single(self, source: Target) -> tuple[Entry, Found | None]:
        """Describe a source that must be one file or object."""
        if isinstance(source, Local):
            if not source.path.exists():
                raise Failed(missing_path(source.path).cause.text)
            if source.path.is_dir():
                raise Failed(f"To copy or move '{source.text}' the --recursive flag is required.")
            if not source.path.is_file():  # a pipe has no length that could be promised to a server: mc pipe
                raise Failed(f"`{source.path}` is not a regular file.")
            return local_entry(source.path, source.path.name), None
        version = self.version_id or self._as_of(source)
        try:
            found = look_up(source, self.rules.read(source), version)
        except Failed as error:
            raise Failed(error.cause.text) from error
        if found.kind in {"alias", "bucket", "folder"}:
            raise Failed(f"To copy or move '{source.text}' the --recursive flag is required.")
        if found.head is None:
            raise missing_object()
        head = found.head
        key = source.key.rpartition("/")[2]
        return Entry(key, head.size, rfc3339(moment(head.modified)), etag=head.etag, version_id=version), found

    def _as_of(self, source: Remote) -> str:
        if self.rewind is None:
            return ""
        look = Look(rewind=self.rewind)
        entries = remote_entries(source, source.key, look)
        return next((entry.version_id for entry in entries if entry.key == source.key), "")

    def _is_folder(self, target: Target) -> bool:
        if isinstance(target, Local):
            return target.text.endswith(("/", "\\")) or target.path.is_dir()
        if not target.bucket:
            raise Failed("Bucket name cannot be empty.")
        if not target.key:
            self._seen(target)
            return True
        if target.key.endswith("/"):
            return True
        try:
            return look_up(target, self.rules.read(target)).kind == "folder"
        except (S3Error, Failed):
            return False  # who may not look may still write

    def _seen(self, target: Remote) -> None:
        """Look at the bucket: a missing one is reported per object, so that every file is named."""
        try:
            target.client.head_bucket(target.bucket)
        except Error:
            return

    # ---- with -r ----

    def _recursive(self, sources: list[Target], target: Target) -> Iterator[Job]:
        for source in sources:
            _not_into_itself(source, target)
            for entry, name in self._walk(source):
                if not self.test(entry) or (not name and isinstance(target, Remote) and not target.key):
                    continue  # a bucket has no marker of its own
                found: Target = Local(str(entry.path)) if isinstance(source, Local) else source.at(entry.key)
                try:
                    yield self._job(found, inside(target, name), entry, None, folder=False)
                except Failed as error:
                    self.shell.console.error(f"Failed to copy `{found.name}`.", error)

    def _walk(self, source: Target) -> Iterator[tuple[Entry, str]]:
        """Yield every object below a source with its name below the target."""
        if isinstance(source, Local):
            if not source.path.exists():
                raise Failed(missing_path(source.path).cause.text)
            if not source.path.is_dir():
                yield local_entry(source.path, source.path.name), source.path.name
                return
            keep = own_name(source)
            for entry in local_entries(source.path, Look(recursive=True)):
                yield entry, keep + entry.key
            return
        yield from self._walk_remote(source)

    def _walk_remote(self, source: Remote) -> Iterator[tuple[Entry, str]]:
        if not source.bucket:
            for bucket in source.client.buckets():
                for entry, name in self._walk_remote(replace(source, bucket=bucket.key, key="")):
                    yield entry, f"{bucket.key}/{name}" if name else name
            return
        found = look_up(source, self.rules.read(source))
        if found.kind == "object" and found.head is not None:
            head = found.head
            name = source.key.rpartition("/")[2]
            yield Entry(source.key, head.size, rfc3339(moment(head.modified)), etag=head.etag), name
            found = replace(found, prefix=source.key + "/")  # a folder of that name may lie beside it
        elif found.kind == "missing" and not source.key.endswith("/"):
            raise missing_object()
        prefix = found.prefix
        keep = own_name(source)
        for entry in remote_entries(source, prefix, Look(recursive=True, rewind=self.rewind)):
            yield entry, keep + entry.key[len(prefix) :]


def below(target: Target, name: str) -> Target:
    """Return the address of name in a folder."""
    if isinstance(target, Local):
        text = target.text if target.text.endswith(("/", "\\")) else target.text + "/"
        return Local(text + name)
    key = target.key if not target.key or target.key.endswith("/") else target.key + "/"
    return target.at(key + name)


def inside(target: Target, name: str) -> Target:
    """As below, for names that a server gave; raise Failed for one that is no path below a local folder.

    `..` would leave the folder; `.` and empty parts would make two names one. "" is the folder itself.
    """
    if isinstance(target, Local):
        if not name:
            return target
        parts = name.removesuffix("/").replace(os.sep, "/").split("/")
        if "\0" in name or any(part in {"..", ".", ""} for part in parts):
            raise Failed(f"`{name}` cannot be a path below `{target.text}`.")
    return below(target, name)


def own_name(source: Target) -> str:
    """Return `NAME/` for a folder that keeps its name in a target, "" for one whose contents are meant."""
    if isinstance(source, Local):
        bare = source.text.endswith(("/", os.sep)) or source.text.rpartition("/")[2] in {".", ".."}
        return "" if bare else source.path.name + "/"
    bare = source.text.endswith("/") or not source.text
    return "" if bare else (source.key.rpartition("/")[2] or source.bucket) + "/"


def place_within(source: Target, target: Target) -> str:
    """Return where target lies below source, "" when it does not: a walk of source would find what is made there."""
    if isinstance(source, Local) and isinstance(target, Local):
        inner = source.path in target.path.parents
        return target.path.relative_to(source.path).as_posix() if inner else ""
    if isinstance(source, Remote) and isinstance(target, Remote) and source.alias == target.alias:
        above = f"{source.bucket}/{source.key}".rstrip("/") + "/"
        place = f"{target.bucket}/{target.key}".rstrip("/")
        return place.removeprefix(above.lstrip("/")) if place.startswith(above.lstrip("/")) else ""
    return ""


def _not_into_itself(source: Target, target: Target) -> None:
    """Raise Failed when a folder's copy would lie below it."""
    if place_within(source, below(target, own_name(source).rstrip("/")) if own_name(source) else target):
        raise Failed(f"Copying or moving '{source.name}' into itself is not allowed.")
