"""mc diff: two folders compared in step (mc.md 9.9)."""

from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.cli.mc.failures import Failed, Fatal, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.listing import Entry, Look, local_entries, look_up, remote_entries
from strongroom.cli.mc.planning import below
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error

SAME, SIZE, NEWER, FIRST, SECOND = 0, 2, 4, 5, 6  # as --json of diff numbers them


@dataclass(frozen=True, slots=True)
class Difference:
    """One name that the two sides do not agree on. kind: SAME, SIZE, NEWER, FIRST (only there) or SECOND."""

    kind: int
    key: str
    first: Entry | None = None
    second: Entry | None = None


def folder_entries(target: Target) -> Iterator[Entry]:
    """Yield every object below an address, keys relative to it, sorted by key; nothing when it is missing."""
    if isinstance(target, Local):
        if target.path.is_dir():
            yield from local_entries(target.path, Look(recursive=True))
        return
    prefix = target.key if not target.key or target.key.endswith("/") else target.key + "/"
    for entry in remote_entries(target, prefix, Look(recursive=True)):
        if entry.key != prefix:
            entry.key = entry.key[len(prefix) :]
            yield entry


def compare(first: Iterator[Entry], second: Iterator[Entry]) -> Iterator[Difference]:
    """Go through both sides in step; memory: one entry of each."""
    one, two = next(first, None), next(second, None)
    while one is not None or two is not None:
        if two is None or (one is not None and _order(one.key) < _order(two.key)):
            if one is not None:
                yield Difference(FIRST, one.key, one)
            one = next(first, None)
        elif one is None or _order(two.key) < _order(one.key):
            yield Difference(SECOND, two.key, None, two)
            two = next(second, None)
        else:
            yield Difference(_difference(one, two), one.key, one, two)
            one, two = next(first, None), next(second, None)


def _order(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _difference(one: Entry, two: Entry) -> int:
    if one.size != two.size:
        return SIZE
    return NEWER if one.when > two.when else SAME


def url_of(side: Target, key: str) -> str:
    """Return where a name lies on one side."""
    place = below(side, key)
    return str(place.path) if isinstance(place, Local) else place.url


def diff(shell: Shell, line: Line) -> None:
    """mc diff FIRST SECOND."""
    first, second = (shell.located(word) for word in line.args)
    try:
        for side, word in ((first, line.args[0]), (second, line.args[1])):
            _must_be_folder(side, word)
        for found in compare(folder_entries(first), folder_entries(second)):
            _show(shell, found, first, second)
    except (Error, OSError) as error:
        if isinstance(error, Fatal):
            raise
        raise Fatal("Unable to calculate difference.", error) from error


def _must_be_folder(side: Target, word: str) -> None:
    if isinstance(side, Remote):
        if side.bucket and look_up(side).kind == "object":
            raise Failed(f"`{word}` is not a folder.")
    elif not side.path.exists():
        raise missing_path(side.path)


def _show(shell: Shell, found: Difference, first: Target, second: Target) -> None:
    if found.kind not in {SIZE, FIRST, SECOND}:
        return
    left = url_of(first, found.key) if found.first else ""
    right = url_of(second, found.key) if found.second else ""
    mark, shown, style = {SIZE: ("!", right, "warn"), FIRST: ("<", left, "bad"), SECOND: (">", right, "ok")}[found.kind]
    record = {"status": "success", "first": left, "second": right, "diff": found.kind}
    shell.console.say(record, f"{mark} {shown}", style)
