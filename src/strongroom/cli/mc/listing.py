"""What lies at an address: entries of buckets and folders, remote and local alike."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Literal

from strongroom.cli.mc.failures import Fatal, missing_object
from strongroom.cli.mc.formats import moment, parse_duration, rfc3339
from strongroom.cli.mc.shell import Remote
from strongroom.sdk.s3 import Head
from strongroom.sdk.s3_errors import AccessDenied, NoSuchBucket, NoSuchKey
from strongroom.sdk.s3_xml import Listed


@dataclass(slots=True)
class Entry:
    """An object, a version, a folder, an unfinished upload or a local file.

    key       the whole key; of a local entry the path below the folder that was listed, with `/`
    modified  RFC 3339, "" when unknown
    ordinal   of a version: 1 is the oldest
    path      where a local entry lies
    """

    key: str
    size: int = 0
    modified: str = ""
    folder: bool = False
    etag: str = ""
    storage_class: str = ""
    version_id: str = ""
    marker: bool = False
    latest: bool = True
    ordinal: int = 1
    upload_id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: str = ""
    path: Path | None = None

    @property
    def when(self) -> datetime:
        """The time of modification; 1970 when unknown."""
        return moment(self.modified)


def _entry(found: Listed) -> Entry:
    if found.prefix:  # a prefix has no time of its own; the original shows the time of the listing
        return Entry(found.key, modified=rfc3339(datetime.now(UTC)), folder=True)
    if found.upload_id:
        return Entry(found.key, modified=found.modified, upload_id=found.upload_id)
    return Entry(found.key, found.size, found.modified, found.prefix, found.etag, found.storage_class,
                 found.version_id, found.marker, found.latest, 1, found.upload_id, found.metadata,
                 found.tags)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """Which entries are wanted. rewind: as of that time; versions: all of them, markers too."""

    recursive: bool = False
    versions: bool = False
    incomplete: bool = False
    metadata: bool = False
    rewind: datetime | None = None


def remote_entries(place: Remote, prefix: str, look: Look) -> Iterator[Entry]:
    """Yield what a bucket holds below prefix, in the server's order."""
    client, bucket = place.client, place.bucket
    if look.incomplete:
        yield from map(_entry, client.uploads(bucket, prefix, recursive=look.recursive))
    elif look.versions or look.rewind is not None:
        found = client.versions(bucket, prefix, recursive=look.recursive, metadata=look.metadata)
        yield from _versions(map(_entry, found), look)
    else:
        yield from map(_entry, client.objects(bucket, prefix, recursive=look.recursive, metadata=look.metadata))


def _versions(found: Iterable[Entry], look: Look) -> Iterator[Entry]:
    """Number the versions of each key; with rewind and without `versions` only the one of that time is left."""
    for _, group in groupby(found, key=lambda entry: (entry.key, entry.folder)):
        kept = [entry for entry in group if look.rewind is None or entry.folder or entry.when <= look.rewind]
        for at, entry in enumerate(kept):
            entry.ordinal = len(kept) - at
        if look.versions:
            yield from kept
        elif kept and not kept[0].marker:
            yield kept[0]


def local_entries(root: Path, look: Look, below: str = "") -> Iterator[Entry]:
    """Yield what a folder holds, sorted by name; folders only where they are not walked into.

    Links are followed to files, never to folders, so that a walk ends.
    """
    folder = root / below if below else root
    try:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: os.fsencode(_walked_name(item)))  # as servers sort keys
    except FileNotFoundError:
        if below:
            return  # removed since its own folder was read
        raise
    for item in items:
        name = below + _walked_name(item)
        if name.endswith("/") and look.recursive:
            yield from local_entries(root, look, name)
        elif name.endswith("/") or item.is_file():
            try:
                entry = local_entry(Path(item.path), name)
            except FileNotFoundError:  # likewise
                continue
            yield entry


def _walked_name(item: "os.DirEntry[str]") -> str:
    return item.name + ("/" if item.is_dir(follow_symlinks=False) else "")


def local_entry(path: Path, key: str) -> Entry:
    """Describe one local file or folder; raise FileNotFoundError."""
    state = path.stat()
    when = datetime.fromtimestamp(state.st_mtime, UTC)
    return Entry(key, state.st_size, rfc3339(when), path.is_dir(), path=path)


EPOCH_TEXT = "0001-01-01T00:00:00Z"  # how Go writes a time that is not known

Kind = Literal["alias", "bucket", "object", "folder", "missing"]


@dataclass(frozen=True, slots=True)
class Found:
    """What an address names. prefix: what to list, for buckets and folders. head: of an object."""

    kind: Kind
    prefix: str = ""
    head: Head | None = None


def look_up(place: Remote, headers: Iterable[tuple[str, str]] = (), version_id: str = "") -> Found:
    """Find out what a remote address names; refusals come as typed failures."""
    if not place.bucket:
        return Found("alias")
    if not place.key:
        place.tried(lambda: place.client.head_bucket(place.bucket))
        return Found("bucket")
    if place.key.endswith("/"):
        there = place.tried(lambda: place.client.is_folder(place.bucket, place.key))
        return Found("folder" if there else "missing", place.key)
    try:
        return Found("object", head=place.client.head(place.bucket, place.key, version_id, headers))
    except NoSuchKey as error:
        if error.code != "NoSuchKey" or version_id:
            raise
    except (AccessDenied, NoSuchBucket) as error:
        raise place.failure(error) from error
    prefix = place.key + "/"
    there = place.tried(lambda: place.client.is_folder(place.bucket, prefix))
    return Found("folder" if there else "missing", prefix)


def named(key: str, word: str, *, recursive: bool) -> bool:
    """Tell whether an address means key: that very key, or what lies below it; a folder's name is no prefix."""
    return key == word or (recursive and key.startswith(word if not word or word.endswith("/") else word + "/"))


def base_of(prefix: str) -> str:
    """Return the part of a prefix up to its last slash: what listings leave out of the names."""
    return prefix[: prefix.rfind("/") + 1]


def _head_of(found: Found) -> Head:
    if found.head is None:
        raise missing_object()
    return found.head


Test = Callable[[Entry], bool]


def age_test(older: str, newer: str, now: datetime | None = None) -> Test:
    """Return the test for --older-than and --newer-than (`1d2h3m`); raise Fatal for what is no duration."""
    moment_now = now or datetime.now(UTC)

    def limit(text: str, name: str) -> datetime | None:
        if not text:
            return None
        try:
            return moment_now - timedelta(seconds=parse_duration(text))
        except ValueError as error:
            raise Fatal(f"Unable to parse {name}=`{text}`.", str(error)) from error

    before, after = limit(older, "older-than"), limit(newer, "newer-than")

    def test(entry: Entry) -> bool:
        when = entry.when
        return (before is None or when < before) and (after is None or when > after)

    return test


def rewind_time(text: str) -> datetime | None:
    """Read --rewind: a duration back from now, or a date; raise Fatal."""
    if not text:
        return None
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise Fatal(f"Unable to parse --rewind value `{text}`.", "Expected 7d10h or 2025-01-31T12:00:00.") from error
    return when if when.tzinfo else when.astimezone()
