"""mc find (mc.md 9.9)."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from itertools import chain
from urllib.parse import parse_qsl, urlencode

from strongroom.cli.mc.cmd_stat import canonical
from strongroom.cli.mc.failures import INVALID, Fatal, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import local, parse_size, size
from strongroom.cli.mc.listing import (
    EPOCH_TEXT,
    Entry,
    Look,
    age_test,
    local_entries,
    local_entry,
    look_up,
    remote_entries,
)
from strongroom.cli.mc.moving import KEPT
from strongroom.cli.mc.output import writing
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error
from strongroom.sdk.s3_presign import presigned
from strongroom.sdk.s3_xml import parse

Test = Callable[[str, Entry], bool]
WEEK_SECONDS = 7 * 24 * 3600


def find(shell: Shell, line: Line) -> None:
    """mc find TARGET."""
    word = line.args[0] if line.args else "."
    test, show = _tests(line), _Shower(shell, line)
    target = shell.located(word, "Unable to stat `{}`.")
    try:
        for name, entry, place in _walk(target, line, deep=True):
            if test(name, entry):
                show(name, entry, place)
    except (Error, OSError) as error:
        if isinstance(error, Fatal):
            raise
        raise Fatal(f"Unable to stat `{word}`.", error) from error
    if line.on("watch"):
        _watch(shell, target, test, show)


def _walk(target: Target, line: Line, *, deep: bool) -> Iterator[tuple[str, Entry, Target]]:
    """Yield full name, entry and address of everything below."""
    if isinstance(target, Local):
        yield from _walk_local(target)
        return
    look = Look(recursive=deep, versions=line.on("versions"),
                metadata=bool(line.many("metadata") or line.many("tags")))  # fmt: skip
    if not target.bucket:
        for bucket in target.client.buckets():
            yield from _walk(Remote(target.alias, target.client, bucket.key), line, deep=deep)
        return
    found = look_up(target)
    if found.kind == "missing":
        raise missing_object()
    for entry in remote_entries(target, target.key if found.kind == "object" else found.prefix, look):
        if found.kind != "object" or entry.key == target.key:
            place = target.at(entry.key)
            if look.metadata:
                _complete(place, entry, tags=bool(line.many("tags")))
            yield place.name, entry, place


def _complete(place: Remote, entry: Entry, *, tags: bool) -> None:
    """Ask for metadata and tags where the server's listing does not have them (mc.md 5.3: a MinIO extension)."""
    if entry.folder or entry.marker or entry.metadata:
        return
    head = place.client.head(place.bucket, place.key, entry.version_id)
    for name, value in head.headers.items():
        if name.startswith("x-amz-meta-"):
            entry.metadata[canonical(name)] = value
        elif name in KEPT:
            entry.metadata[name] = value
    if tags and head.headers.get("x-amz-tagging-count", "0") != "0":
        root = parse(place.client.get_config(place.bucket, "tagging", place.key, entry.version_id))
        entry.tags = urlencode({tag.get("Key"): tag.get("Value") for tag in root.all("TagSet/Tag")})


def _walk_local(target: Local) -> Iterator[tuple[str, Entry, Target]]:
    path = target.path
    if not path.exists():
        raise missing_path(path)
    root = local_entry(path, "")
    root.size = 0 if path.is_dir() else root.size
    yield str(path), root, target
    if not path.is_dir():
        return
    for entry in local_entries(path, Look()):
        if entry.folder:
            below = Local(str(entry.path))
            for name, each, place in _walk_local(below):
                if each.key == "":
                    each.size = entry.size
                yield name, each, place
        else:
            yield str(entry.path), entry, Local(str(entry.path))


# ---- tests ----


def _sizes(line: Line, name: str) -> int | None:
    if not line.text(name):
        return None
    try:
        return parse_size(line.text(name))
    except ValueError as error:
        raise Fatal(f"Unable to parse --{name}=`{line.text(name)}`.", str(error)) from error


def _pairs(line: Line, name: str) -> list[tuple[str, "re.Pattern[str]"]]:
    found = []
    for text in line.many(name):
        key, equals, pattern = text.partition("=")
        if not equals:
            raise Fatal(f"Unable to parse --{name}=`{text}`.", INVALID)
        found.append((key.lower(), _expression(name, pattern)))
    return found


def _expression(name: str, text: str) -> "re.Pattern[str]":
    try:
        return re.compile(text)
    except re.error as error:
        raise Fatal(f"Unable to parse --{name} value.", str(error)) from error


def _depth(line: Line) -> int:
    text = line.text("maxdepth")
    if not (text.isascii() and text.isdecimal()):
        raise Fatal(f"Invalid --maxdepth value `{text}`.", INVALID)
    return int(text)


def _metadata_test(pairs: list[tuple[str, "re.Pattern[str]"]], values: Callable[[Entry], dict[str, str]]) -> Test:
    def test(_: str, entry: Entry) -> bool:
        low = {key.lower().removeprefix("x-amz-meta-"): value for key, value in values(entry).items()}
        return all(key in low and pattern.search(low[key]) for key, pattern in pairs)

    return test


def _tests(line: Line) -> Test:
    """Return the conjunction of what the flags demand; raise Fatal for what cannot be read."""
    tests: list[Test] = []
    add = tests.append
    name, path, ignore = line.text("name"), line.text("path"), line.text("ignore")
    if name:
        add(lambda full, _: fnmatchcase(full.rstrip("/").rpartition("/")[2], name))
    if path:
        add(lambda full, _: fnmatchcase(full, path))
    if ignore:
        add(lambda full, _: not fnmatchcase(full, ignore))
    if line.text("regex"):
        pattern = _expression("regex", line.text("regex").replace("\\\\", "\\"))
        add(lambda full, _: pattern.search(full) is not None)
    larger, smaller = _sizes(line, "larger"), _sizes(line, "smaller")
    if larger is not None:
        add(lambda _, entry: entry.size > larger)
    if smaller is not None:
        add(lambda _, entry: entry.size < smaller)
    age = age_test(line.text("older-than"), line.text("newer-than"))
    add(lambda _, entry: age(entry))
    if line.text("maxdepth"):
        depth = _depth(line)
        add(lambda _, entry: entry.key.count("/") + 2 <= depth)  # the folder itself counts as one, as recorded
    if line.many("metadata"):
        add(_metadata_test(_pairs(line, "metadata"), lambda entry: entry.metadata))
    if line.many("tags"):
        add(_metadata_test(_pairs(line, "tags"), tags_of))
    return lambda full, entry: all(test(full, entry) for test in tests)


def tags_of(entry: Entry) -> dict[str, str]:
    """Return an entry's tags."""
    return dict(parse_qsl(entry.tags, keep_blank_values=True))


# ---- output ----


class _Shower:
    """Prints, or runs a program for, what was found."""

    def __init__(self, shell: Shell, line: Line) -> None:
        self.shell, self.format, self.command = shell, line.text("print"), line.text("exec")
        try:
            self.words = shlex.split(self.command)
        except ValueError as error:
            raise Fatal(f"Unable to parse --exec=`{self.command}`.", str(error).lower()) from error

    def __call__(self, name: str, entry: Entry, place: Target) -> None:
        if self.command:
            self._run(name, entry, place)
            return
        shown = self._filled(self.format, name, entry, place) if self.format else name
        fields: dict[str, object] = {"status": "success", "type": "", "lastModified": entry.modified or EPOCH_TEXT,
                                     "size": entry.size, "key": shown, "etag": ""}  # fmt: skip
        if entry.version_id:
            fields["versionId"] = entry.version_id
        if entry.metadata:
            fields["metadata"] = entry.metadata
        if entry.tags:
            fields["tags"] = tags_of(entry)
        self.shell.console.say(fields, shown, "good")

    def _filled(self, text: str, name: str, entry: Entry, place: Target) -> str:
        words: dict[str, Callable[[], str]] = {
            "": lambda: name, "base": lambda: name.rpartition("/")[2], "dir": lambda: name.rpartition("/")[0],
            "size": lambda: size(entry.size), "time": lambda: local(entry.when), "version": lambda: entry.version_id,
            "url": lambda: _url(place, entry.version_id),
        }  # fmt: skip

        def fill(match: "re.Match[str]") -> str:
            quoted, plain = match[1], match[2]
            word = words.get(quoted if quoted is not None else plain)
            if word is None:
                return match[0]
            return f'"{word()}"' if quoted is not None else word()

        return re.sub(r'\{"([a-z]*)"\}|\{([a-z]*)\}', fill, text)

    def _run(self, name: str, entry: Entry, place: Target) -> None:
        """Run the command without a shell: each word of it is one argument, whatever a key holds."""
        words = [self._filled(word, name, entry, place) for word in self.words]
        try:
            done = subprocess.run(words, stdout=subprocess.PIPE, check=False)  # noqa: S603  # what the user asked for
        except (OSError, ValueError) as error:  # no such program; a NUL in a name
            self.shell.console.error(f"Unable to run `{self.command}`.", error)
            return
        with writing():
            sys.stdout.flush()
            sys.stdout.buffer.write(done.stdout)
            sys.stdout.flush()
        if done.returncode:
            self.shell.console.error(f"Unable to run `{self.command}`.", f"exit code {done.returncode}")


def _url(place: Target, version_id: str) -> str:
    if isinstance(place, Local):
        return str(place.path)
    region, query = place.client.region(place.bucket), [("versionId", version_id)] if version_id else []
    return presigned(place.client.caller, "GET", place.bucket, place.key, query, region, WEEK_SECONDS)


def _watch(shell: Shell, target: Target, test: Test, show: _Shower) -> None:
    from strongroom.cli.mc.cmd_watch import batches

    if isinstance(target, Local):
        raise Fatal("Unable to watch.", "`Watch` is not supported for `filesystem`.")
    for event in chain.from_iterable(batches(target, ["put"], target.key, "")):
        place = target.at(event.key)
        entry = Entry(event.key, event.size, event.time, etag=event.etag)
        if test(place.name, entry):
            show(place.name, entry, place)
            shell.console.flush()
