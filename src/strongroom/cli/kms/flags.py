"""Command-line flags as Go has them: one dash or two, `-f=v` or `-f v`, all before the arguments (vault.md 10.1)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from strongroom.cli.kms import durations
from strongroom.cli.kms.faults import Fault


class Kind(Enum):
    """What a flag's value is; the second part is how help shows it."""

    TEXT = ("text", "string")
    SWITCH = ("switch", "")
    NUMBER = ("number", "int")
    SPAN = ("span", "duration")  # nanoseconds
    LIST = ("list", "string,...")  # repeated or separated by commas
    WORDS = ("words", "string")  # repeated, commas are part of the value
    PAIRS = ("pairs", "key=value")  # repeated
    LATER = ("later", "")  # a switch that can also stay unset

    @property
    def shown(self) -> str:
        """How help shows the value; empty for a switch."""
        return str(self.value[1])


_EMPTY: dict[Kind, Any] = {
    Kind.TEXT: "",
    Kind.SWITCH: False,
    Kind.NUMBER: 0,
    Kind.SPAN: 0,
    Kind.LIST: (),
    Kind.WORDS: (),
    Kind.PAIRS: None,
    Kind.LATER: None,
}
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of a command, with the line that help prints for it."""

    name: str
    about: str
    kind: Kind = Kind.TEXT
    aliases: tuple[str, ...] = ()
    default: Any = None


DETAILED = Flag("detailed", "show everything that is known about each (VAULT_DETAILED)", Kind.SWITCH)


@dataclass(slots=True)
class Parsed:
    """Flags by name, the arguments after them, and which flags were given at all."""

    values: dict[str, Any]
    arguments: list[str]
    given: set[str] = field(default_factory=set)


def boolean(text: str) -> bool:
    """Return the truth of Go's boolean words; raise ValueError for any other."""
    if text not in _BOOLEANS:
        raise ValueError(f"not a boolean: {text!r}")
    return _BOOLEANS[text]


def parse(words: list[str], flags: Iterable[Flag]) -> Parsed:
    """Split words into flags and arguments.

    Raises Fault (exit code 1) for a flag that does not exist, lacks its value or has a bad one.
    """
    known = list(flags)
    table = {name: flag for flag in known for name in (flag.name, *flag.aliases)}
    values = {flag.name: _EMPTY[flag.kind] if flag.default is None else flag.default for flag in known}
    parsed = Parsed(values, [])
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, has_value, text = word.lstrip("-").partition("=")
        if name not in table:
            raise Fault(f"flag provided but not defined: -{name}")
        flag = table[name]
        if not has_value:
            text = _value_of(flag, name, rest)
        _store(parsed, flag, name, text)
    parsed.arguments = rest
    return parsed


def _value_of(flag: Flag, name: str, rest: list[str]) -> str:
    if flag.kind in (Kind.SWITCH, Kind.LATER):
        return "true"
    if not rest:
        raise Fault(f"flag needs an argument: -{name}")
    return rest.pop(0)


def _store(parsed: Parsed, flag: Flag, name: str, text: str) -> None:
    old = parsed.values[flag.name] if flag.name in parsed.given else None
    try:
        parsed.values[flag.name] = _convert(flag.kind, text, old)
    except ValueError as error:
        boolean_word = "boolean " if flag.kind in (Kind.SWITCH, Kind.LATER) else ""
        raise Fault(f'invalid {boolean_word}value "{text}" for flag -{name}: {error}') from None
    parsed.given.add(flag.name)


def _convert(kind: Kind, text: str, old: Any) -> Any:
    if kind is Kind.TEXT:
        return text
    if kind in (Kind.SWITCH, Kind.LATER):
        if text not in _BOOLEANS:
            raise ValueError("parse error")
        return _BOOLEANS[text]
    if kind is Kind.NUMBER:
        return _integer(text)
    if kind is Kind.SPAN:
        return durations.parse(text)
    if kind is Kind.PAIRS:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f'missing = in KV pair: "{text}"')
        return {**(old or {}), key: value}
    parts = [part.strip() for part in text.split(",")] if kind is Kind.LIST else [text]
    return (*(old or ()), *parts)


def _integer(text: str) -> int:
    try:
        return int(text, 0) if text.lower().startswith(("0x", "0b", "0o")) else int(text)
    except ValueError:
        raise ValueError("parse error") from None
