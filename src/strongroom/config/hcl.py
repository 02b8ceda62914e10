"""Configuration files in HCL or JSON (vault.md 9.1): several files or folders become one list of items.

The grammar is kms/wire/hcl.py, shared with policies. Each item keeps its file and line for error texts.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strongroom.errors import BadSettings, Malformed
from strongroom.kms.wire.hcl import Item, Listing, Node, Object, parse, plain

SUFFIXES = (".hcl", ".json")


@dataclass(frozen=True, slots=True)
class Block:
    """A block such as `listener "tcp" { … }`: its type, further labels, members, place (`file:line`)."""

    kind: str
    labels: tuple[str, ...]
    members: Mapping[str, Any]
    place: str

    def text(self, name: str, default: str = "") -> str:
        """Return a member as text."""
        value = self.members.get(name)
        return default if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    def switch(self, name: str, default: bool = False) -> bool:
        """Return a member as a boolean, which may be text (vault.md 9.1); raise BadSettings."""
        return to_switch(self.members.get(name, default), f"{self.place}: {name}")


def to_switch(value: Any, place: str) -> bool:
    """Return a boolean given as such, as a number or as text; raise BadSettings naming the place."""
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("1", "t", "true", "on"):
        return True
    if str(value).lower() in ("0", "f", "false", "off", ""):
        return False
    raise BadSettings(f"{place}: {value!r} is not a boolean; write true or false")


@dataclass(frozen=True, slots=True)
class Entry:
    """A top-level item and the file it stands in."""

    file: str
    item: Item

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.item.line}"


def read_files(paths: Sequence[str]) -> list[Entry]:
    """Return the items of all files, in order; a folder stands for its *.hcl and *.json. Raises BadSettings."""
    found: list[Entry] = []
    for path in paths:
        for file in _files(path):
            found += [Entry(file, item) for item in _read(file).items]
    return found


def _files(path: str) -> list[str]:
    if not Path(path).is_dir():
        return [path]
    return sorted(str(file) for file in Path(path).iterdir() if file.suffix in SUFFIXES and file.is_file())


def _read(path: str) -> Object:
    head = f"error loading configuration from {path}: "
    try:
        return parse(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise BadSettings(f"{head}stat {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise BadSettings(f"{head}not UTF-8 text") from error
    except Malformed as error:
        raise BadSettings(f"{head}{error}") from error


def blocks(entries: Iterable[Entry], *names: str) -> list[Block]:
    """Return the blocks of a name, in any of the forms that files have them: labels, maps, lists (vault.md 9.1)."""
    found: list[Block] = []
    for entry in entries:
        if entry.item.keys[0] in names:
            found += _blocks(entry, entry.item.keys[1:], entry.item.value)
    return found


def _blocks(entry: Entry, labels: tuple[str, ...], value: Node) -> list[Block]:
    if isinstance(value, Listing):
        return [block for part in value.values for block in _blocks(entry, labels, part)]
    if not isinstance(value, Object):
        name = entry.item.keys[0]
        raise BadSettings(f"error loading configuration from {entry.file}: {entry.place}: {name} is not a block")
    if labels:
        return [Block(labels[0], labels[1:], plain(value), entry.place)]
    found = []
    for item in value.items:
        if not isinstance(item.value, Object | Listing):
            name = entry.item.keys[0]
            raise BadSettings(
                f"error loading configuration from {entry.file}: error parsing '{name}': {name}s.0: "
                f"{name} type must be specified"
            )
        found += _blocks(entry, item.keys, item.value)
    return found


def values(entries: Iterable[Entry]) -> dict[str, tuple[Any, str]]:
    """Return the plain top-level members with their places; a later file wins."""
    return {entry.item.keys[0]: (plain(entry.item.value), entry.place) for entry in entries}


def unknown(name: str, known: Iterable[str], place: str) -> str:
    """Return a warning about a name that nothing reads, with the nearest known one."""
    near = difflib.get_close_matches(name, list(known), 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown or unsupported field {name} found in configuration at {place}{hint}"
