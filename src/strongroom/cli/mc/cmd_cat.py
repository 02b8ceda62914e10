"""mc cat, head and pipe (mc.md 9.6)."""

import bz2
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from strongroom.cli.mc.encryption import Encryption, encryption
from strongroom.cli.mc.failures import INVALID, Failed, Fatal, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.jobs import plan_of, stored_headers
from strongroom.cli.mc.listing import Look, remote_entries, rewind_time
from strongroom.cli.mc.metadata import attributes, content_type
from strongroom.cli.mc.moving import merged
from strongroom.cli.mc.output import writing
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote, Shell
from strongroom.errors import Error, NotFound
from strongroom.messages import WINDOW, Buffer
from strongroom.sdk.s3_errors import NoSuchBucket
from strongroom.sdk.s3_transfer import Place, upload_stream

READ = "Unable to read from `{}`."
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _Member(Protocol):
    """What unpacks one member of a file; zlib's and bz2's objects have it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_UNPACK: dict[str, Callable[[], _Member]] = {"gzip": lambda: zlib.decompressobj(47), "bzip2": bz2.BZ2Decompressor}


class _Unpacker:
    """Unpacks members that follow one another, as `cat a.gz b.gz` makes them."""

    def __init__(self, make: Callable[[], _Member]) -> None:
        self._make, self._member, self._begun = make, make(), False

    def decompress(self, data: bytes) -> bytes:
        """Return what data unpacks to; raise OSError or zlib.error for what is not packed."""
        out = b""
        while data:
            if self._member.eof:
                self._member = self._make()
            self._begun = True
            out += self._member.decompress(data)
            data = self._member.unused_data if self._member.eof else b""
        return out

    def finish(self) -> None:
        """Raise EOFError when the last member has no end."""
        if self._begun and not self._member.eof:
            raise EOFError("unexpected EOF")


def _number(line: Line, name: str, least: int = 0) -> int:
    text = line.text(name)
    if text and (not text.lstrip("-").isdecimal() or int(text) < least):
        raise Fatal(f"Invalid --{name} value `{text}`.", INVALID)
    return int(text) if text else 0


def _as_of(place: Remote, line: Line) -> str:
    """Return the version that --version-id or --rewind names."""
    when = rewind_time(line.text("rewind"))
    if when is None:
        return line.text("version-id")
    for entry in remote_entries(place, place.key, Look(rewind=when)):
        if entry.key == place.key:
            return entry.version_id
    raise Failed(f"Object did not exist at `{when}` ")


def _pieces(place: Remote, line: Line, rules: Encryption) -> tuple[str, Iterator[Buffer]]:
    """Return an object's content type and its bytes, as the flags cut them."""
    client, keys = place.client, rules.read(place)
    version = _as_of(place, line)
    try:
        head = client.head(place.bucket, place.key, version, keys)
    except NotFound as error:
        if isinstance(error, NoSuchBucket) or version:
            raise
        raise missing_object() from error
    headers, query = list(keys), []
    offset, tail, part = _number(line, "offset"), _number(line, "tail"), _number(line, "part-number", 1)
    if sum(map(bool, (offset, tail, part))) > 1:
        raise Failed(INVALID)
    if part:
        query = [("partNumber", str(part))]
    start = offset or (max(head.size - tail, 0) if tail else 0)
    if start:
        if start >= head.size:
            return "", iter(())
        headers.append(("Range", f"bytes={start}-"))
    answer = client.get(place.bucket, place.key, version, headers, query)
    return head.headers.get("content-type", ""), answer.pieces()


def _object(place: Remote, word: str) -> Remote:
    """Return place; raise Failed when it names no object: what the server says there is no content."""
    if not place.bucket:
        raise Failed("Bucket name cannot be empty.")
    if not place.key:
        raise Failed(f"Source `{word}` is a folder.")
    return place


def _local_pieces(target: Local, line: Line) -> Iterator[Buffer]:
    if not target.path.exists():
        raise missing_path(target.path)
    with target.path.open("rb") as file:
        offset, tail = _number(line, "offset"), _number(line, "tail")
        file.seek(offset or (max(target.path.stat().st_size - tail, 0) if tail else 0))
        while data := file.read(WINDOW):
            yield data


def _each(shell: Shell, line: Line) -> Iterator[tuple[str, str, Iterator[Buffer]]]:
    """Yield word, content type and bytes for every argument; what fails ends the run."""
    rules = encryption(line, line.args, shell.store)
    for word in line.args:
        try:
            target = shell.target(word)
            if isinstance(target, Local):
                yield word, content_type(target.path.name), _local_pieces(target, line)
            else:
                place = _object(target, word)
                yield word, *place.tried(lambda place=place: _pieces(place, line, rules))  # type: ignore[misc]
        except (Error, OSError) as error:
            if isinstance(error, Fatal):
                raise
            raise Fatal(READ.format(word), error) from error


def _write(shell: Shell, data: Buffer) -> None:
    shown = _CONTROL.sub(b"^?", bytes(data)) if shell.console.terminal else data
    with writing():
        sys.stdout.flush()
        sys.stdout.buffer.write(shown)


def cat(shell: Shell, line: Line) -> None:
    """mc cat TARGET..."""
    for word, _, pieces in _each(shell, line):
        try:
            for piece in pieces:
                _write(shell, piece)
        except (Error, OSError) as error:
            raise Fatal(READ.format(word), error) from error


def head(shell: Shell, line: Line) -> None:
    """mc head [-n LINES] TARGET..."""
    count = _number(line, "lines") or 10
    for word, kind, pieces in _each(shell, line):
        left = count
        name = "gzip" if "gzip" in kind else "bzip2" if "bzip2" in kind else ""
        unpack = _Unpacker(_UNPACK[name]) if name else None
        try:
            for piece in pieces:
                data = bytes(piece) if unpack is None else unpack.decompress(bytes(piece))
                rows = data.split(b"\n", left)
                if len(rows) > left:
                    _write(shell, b"\n".join(rows[:left]) + b"\n")
                    break
                left -= len(rows) - 1
                _write(shell, data)
            else:
                if unpack is not None:
                    unpack.finish()
        except (Error, zlib.error, OSError, EOFError) as error:
            raise Fatal(READ.format(word), error) from error


def pipe(shell: Shell, line: Line) -> None:
    """mc pipe TARGET: standard input becomes an object."""
    failed = "Unable to write to one or more targets."
    target = shell.located(line.args[0])
    if isinstance(target, Remote) and not (target.bucket and target.key):
        raise Fatal(
            failed, f"Target `{line.args[0]}` is a folder." if target.bucket else "Bucket name cannot be empty."
        )
    if isinstance(target, Local):
        with target.path.open("wb") as out:
            total = 0
            while data := sys.stdin.buffer.read(WINDOW):
                total += out.write(data)
    else:
        rules = encryption(line, line.args, shell.store)
        described = merged({"Content-Type": content_type(target.key)}, attributes(line.text("attr")))
        headers = (*described.items(), *stored_headers(line), *rules.write(target))
        place = Place(target.client, target.bucket, target.key, headers)
        plan = plan_of(line)
        progress = Progress(shell.console)
        progress.name("standard input")
        try:
            total = target.tried(lambda: upload_stream(place, sys.stdin.buffer, plan, progress.add))
        except Error as error:
            raise Fatal(failed, error) from error
        finally:
            progress.close()
    shell.console.say({"status": "success", "target": line.args[0], "size": total},
                      f"{total} bytes -> `{line.args[0]}`")  # fmt: skip
