"""YAML read against a schema, with the line of every mistake (kes.md 4.1).

A document becomes plain dictionaries and lists that hold exactly the members the schema names. Error texts are those
of the original's library, because operators search for them.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from strongroom.errors import BadSettings

MAX_DEPTH = 32  # of mappings and lists in one another
MAX_SECONDS = float(2**63 // 10**9)  # what a Go duration can hold
_TRUE = {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
_FALSE = {"n", "N", "no", "No", "NO", "off", "Off", "OFF"}
_REFERENCE = re.compile(r"\s*\$\{(.*)\}\s*", re.DOTALL)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Text:
    """Any scalar, as its text; `${NAME}` is replaced unless plain."""

    plain: bool = False
    go: str = "string"


@dataclass(frozen=True, slots=True)
class Duration:
    """A Go duration, read as seconds."""

    go: str = "time.Duration"


@dataclass(frozen=True, slots=True)
class Bool:
    """A boolean, YAML 1.1's words included."""

    go: str = "bool"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A sequence."""

    item: "Schema"

    @property
    def go(self) -> str:
        """The type's name in the original's error texts."""
        return f"[]{self.item.go}"


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with any keys."""

    item: "Schema"

    @property
    def go(self) -> str:
        """The type's name in the original's error texts."""
        return f"map[string]{self.item.go}"


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys; quiet ones are read over without a warning."""

    members: Mapping[str, "Schema"]
    go: str = "struct {…}"
    quiet: frozenset[str] = frozenset()


Schema = Text | Duration | Bool | ListOf | MapOf | Record


@dataclass(slots=True)
class Document:
    """A parsed file: its root node, and the unknown members that reading it found."""

    root: MappingNode
    env: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)

    def read(self, schema: Record) -> dict[str, Any]:
        """Return the members that schema names and the document has; raise BadSettings with all type errors."""
        self._errors.clear()
        value = self._read(self.root, schema, "")
        if self._errors:
            raise BadSettings("yaml: unmarshal errors:\n" + "\n".join(self._errors))
        return dict(value or {})

    def node(self, *path: str) -> Node | None:
        """Return the node at path, None if there is none."""
        node: Node | None = self.root
        for name in path:
            if not isinstance(node, MappingNode):
                return None
            node = next((value for key, value in node.value if key.value == name), None)
        return node

    def _read(self, node: Node, schema: Schema, path: str) -> Any:
        if isinstance(node, ScalarNode) and _tag(node) == "null":
            return None
        match schema:
            case Record():
                return self._record(node, schema, path)
            case MapOf():
                return self._map(node, schema, path)
            case ListOf():
                if not isinstance(node, SequenceNode):
                    return self._mismatch(node, schema)
                return [self._read(one, schema.item, f"{path}[]") for one in node.value]
            case _:
                return self._scalar(node, schema)

    def _record(self, node: Node, schema: Record, path: str) -> Any:
        if not isinstance(node, MappingNode):
            return self._mismatch(node, schema)
        found = {}
        for key, value in node.value:
            name = str(key.value)
            if name in schema.members:
                found[name] = self._read(value, schema.members[name], f"{path}.{name}")
            elif name not in schema.quiet:
                self.warnings.append(_unknown(name, line_of(key), path, schema))
        return {name: value for name, value in found.items() if value is not None}

    def _map(self, node: Node, schema: MapOf, path: str) -> Any:
        if not isinstance(node, MappingNode):
            return self._mismatch(node, schema)
        return {str(key.value): self._read(value, schema.item, f"{path}.{key.value}") for key, value in node.value}

    def _scalar(self, node: Node, schema: Text | Duration | Bool) -> Any:
        if not isinstance(node, ScalarNode):
            return self._mismatch(node, schema)
        text, tag = str(node.value), _tag(node)
        reference = None if isinstance(schema, Text) and schema.plain else _REFERENCE.fullmatch(text)
        if reference is not None:
            name = reference[1].strip()
            if name not in self.env:
                raise BadSettings(f"kesconf: referenced env. variable '{name}' in line '{line_of(node)}' not found")
            text, tag = self.env[name], "str"
        if isinstance(schema, Text):
            return text
        value = _bool(text, tag) if isinstance(schema, Bool) else duration(text) if tag == "str" else None
        return self._mismatch(node, schema, text, tag) if value is None else value

    def _mismatch(self, node: Node, schema: Schema, text: str | None = None, tag: str = "") -> None:
        shown = ""
        if isinstance(node, ScalarNode):
            text = str(node.value) if text is None else text
            shown = f" `{text[:7] + '...' if len(text) > 10 else text}`"
        self._errors.append(f"  line {line_of(node)}: cannot unmarshal !!{tag or _tag(node)}{shown} into {schema.go}")


def parse(text: str, env: Mapping[str, str], root: str) -> Document:
    """Parse the first document of text; root is how the original calls its type. Raises BadSettings."""
    yaml = YAML(typ="safe", pure=True)
    try:
        node = next(iter(yaml.compose_all(text)), None)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise BadSettings(f"yaml: {line}{_problem(str(error.problem))}") from error
    except YAMLError as error:
        raise BadSettings(f"yaml: {error}") from error
    except RecursionError:
        raise BadSettings("yaml: mappings or lists lie too deep in one another") from None
    if node is None or (isinstance(node, ScalarNode) and _tag(node) == "null"):
        raise BadSettings("EOF")
    if not isinstance(node, MappingNode):
        shown = f" `{node.value}`" if isinstance(node, ScalarNode) else ""
        raise BadSettings(
            f"yaml: unmarshal errors:\n  line {line_of(node)}: cannot unmarshal !!{_tag(node)}{shown} into {root}"
        )
    _refuse_duplicates(node, (), set())
    return Document(node, env)


def _problem(text: str) -> str:
    """Put the library's words for the commonest mistakes into the original's."""
    if "character '\\t'" in text:
        return "found a tab character that violates indentation"
    if "expected the node content" in text:
        return "did not find expected node content"
    return text


def _refuse_duplicates(node: Node, within: tuple[Node, ...], checked: set[int]) -> None:
    """Raise BadSettings when a mapping names a member twice, or when a node holds itself.

    within: what the node lies in; checked: nodes (by id) that need no second look, however often an alias names them.
    """
    if len(within) > MAX_DEPTH or any(node is outer for outer in within):
        raise BadSettings(f"yaml: line {line_of(node)}: an anchor's value contains itself, or lies too deep")
    if id(node) in checked or not isinstance(node, MappingNode | SequenceNode):
        return
    checked.add(id(node))
    within = (*within, node)
    lines: dict[str, int] = {}
    for one in node.value:
        if not isinstance(one, tuple):
            _refuse_duplicates(one, within, checked)
            continue
        key, value = one
        name = str(key.value)
        if name in lines:
            raise BadSettings(
                f"yaml: unmarshal errors:\n  line {line_of(key)}: mapping key {_quoted(name)} "
                f"already defined at line {lines[name]}"
            )
        lines[name] = line_of(key)
        _refuse_duplicates(value, within, checked)


def line_of(node: Node) -> int:
    """Return the line that a node starts in, from 1."""
    return int(node.start_mark.line) + 1


def duration(text: str) -> float | None:
    """Return the seconds of a Go duration such as `1h30m` or `-1.5s`; None if it is none."""
    sign, rest = (-1.0 if text[:1] == "-" else 1.0), text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0.0
    parts = list(_PART.finditer(rest))
    if not rest or "".join(part[0] for part in parts) != rest:
        return None
    seconds = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    return sign * seconds if seconds <= MAX_SECONDS else None


def _bool(text: str, tag: str) -> bool | None:
    if tag == "bool":
        return text.lower() == "true"
    if tag == "str" and text in _TRUE | _FALSE:
        return text in _TRUE
    return None


def _tag(node: Node) -> str:
    tag = str(node.tag).rpartition(":")[2]
    return tag if tag != "mapping" else "map"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unknown(name: str, line: int, path: str, schema: Record) -> str:
    near = difflib.get_close_matches(name, schema.members, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    place = f" in '{path[1:]}'" if path else ""
    return f"line {line}: unknown member '{name}'{place}{hint}"
