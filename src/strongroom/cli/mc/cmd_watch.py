"""mc watch: the events of a bucket as they happen (mc.md 6, 9.16)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from urllib.parse import unquote_plus

from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import size
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error, Malformed

KINDS = {"put": "s3:ObjectCreated:*", "delete": "s3:ObjectRemoved:*", "get": "s3:ObjectAccessed:*"}


@dataclass(frozen=True, slots=True)
class Event:
    """One change. key decoded, size in bytes, time as the server wrote it."""

    name: str
    bucket: str
    key: str
    size: int
    etag: str
    time: str
    user: str = ""

    @property
    def removed(self) -> bool:
        """Tell whether the object went away."""
        return "ObjectRemoved" in self.name


def kinds(text: str) -> list[str]:
    """Read `put,delete,get`; raise Fatal."""
    found = []
    for word in text.split(","):
        if word.strip() not in KINDS:
            raise Fatal(f"Unknown event `{word}`.", INVALID)
        found.append(word.strip())
    return found


def batches(target: Remote, wanted: Sequence[str], prefix: str, suffix: str) -> Iterator[list[Event]]:
    """Yield the events of a bucket for as long as the server sends them: what came together, at first nothing."""
    names = [KINDS[each] for each in wanted]
    with target.client.listen(target.bucket, prefix, suffix, names) as answer:
        yield []
        held = b""
        for piece in answer.pieces():
            *lines, held = (held + bytes(piece)).split(b"\n")
            found = [event for line in lines for event in _events(line)]
            if found:
                yield found


def _events(line: bytes) -> Iterator[Event]:
    """Read one line; blanks keep the connection alive."""
    if not line.strip():
        return
    try:
        document = json.loads(line)
    except ValueError as error:
        raise Malformed(f"an event that is not JSON: {error}") from error
    for record in document.get("Records") or ():
        s3 = record.get("s3", {})
        item = s3.get("object", {})
        yield Event(record.get("eventName", ""), s3.get("bucket", {}).get("name", ""),
                    unquote_plus(item.get("key", "")), int(item.get("size", 0) or 0), item.get("eTag", ""),
                    record.get("eventTime", ""), record.get("userIdentity", {}).get("principalId", ""))  # fmt: skip


def watch(shell: Shell, line: Line) -> None:
    """mc watch TARGET."""
    target = shell.remote(line.args[0], "Unable to watch `{}`.", "Watch", whole=True)
    wanted = kinds(line.text("events", "put,delete,get"))
    prefix = line.text("prefix") or target.key
    try:
        for event in chain.from_iterable(batches(target, wanted, prefix, line.text("suffix"))):
            path = target.at(event.key)
            record = {"status": "success", "events": {"time": event.time, "size": event.size, "path": path.url,
                                                      "type": event.name}}  # fmt: skip
            text = f"[{event.time}] {size(event.size):>8} {event.name} {path.url}"
            shell.console.say(record, text)
            shell.console.flush()
    except Error as error:
        raise Fatal(f"Unable to watch `{line.args[0]}`.", error) from error
