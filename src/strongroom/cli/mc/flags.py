"""Commands and flags as data, and the parser that reads a line by them.

Flags stand anywhere, `-name` and `--name` are the same, `--name=value` and `--name value` too, `--` ends them
(mc.md 2). Help texts, manual pages and shell completion come from the same tables (help.py).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["on", "text", "many"]
TRUE, FALSE = frozenset({"1", "t", "T", "true", "True", "TRUE"}), frozenset({"0", "f", "F", "false", "False", "FALSE"})


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. names: the long one first; env: the variables that stand in for it; hidden: old or rare."""

    names: tuple[str, ...]
    kind: Kind
    about: str = ""
    env: str = ""
    meta: str = "VALUE"
    hidden: bool = False

    @property
    def name(self) -> str:
        """The long name."""
        return self.names[0]


def on(names: str, about: str = "", env: str = "", *, hidden: bool = False) -> Flag:
    """Make a switch; names are separated by blanks."""
    return Flag(tuple(names.split()), "on", about, env, hidden=hidden)


def text(names: str, about: str = "", env: str = "", meta: str = "VALUE", *, hidden: bool = False) -> Flag:
    """Make a flag with one value."""
    return Flag(tuple(names.split()), "text", about, env, meta, hidden)


def many(names: str, about: str = "", env: str = "", meta: str = "VALUE", *, hidden: bool = False) -> Flag:
    """Make a flag that may be repeated."""
    return Flag(tuple(names.split()), "many", about, env, meta, hidden)


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a group of them.

    run       "module:function" below strongroom.cli.mc; called with (Shell, Line)
    usage     the arguments, as help shows them
    least, most   how many arguments; others get the help text and exit code 1
    others    old names
    """

    name: str
    about: str
    run: str = ""
    usage: str = ""
    flags: tuple[Flag, ...] = ()
    least: int = 0
    most: int | None = None
    children: tuple["Command", ...] = ()
    others: tuple[str, ...] = ()
    hidden: bool = False
    notes: tuple[str, ...] = ()

    def child(self, word: str) -> "Command | None":
        """Return the command below this one that word names."""
        return next((each for each in self.children if word == each.name or word in each.others), None)


@dataclass(slots=True)
class Values:
    """What flags were given, by long name."""

    found: dict[str, list[str]] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    inherited: set[str] = field(default_factory=set)  # names of those that the environment gave

    def on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.switches.get(name, False)

    def text(self, name: str, default: str = "") -> str:
        """Return a flag's last value."""
        given = self.found.get(name)
        return given[-1] if given else default

    def many(self, name: str) -> list[str]:
        """Return all values of a flag."""
        return self.found.get(name, [])

    def has(self, name: str) -> bool:
        """Tell whether the flag was given at all."""
        return name in self.found or name in self.switches


@dataclass(frozen=True, slots=True)
class Line:
    """A command line that was understood."""

    command: Command
    path: tuple[str, ...]
    args: tuple[str, ...]
    values: Values

    def on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.values.on(name)

    def text(self, name: str, default: str = "") -> str:
        """Return a flag's value."""
        return self.values.text(name, default)

    def many(self, name: str) -> list[str]:
        """Return all values of a flag."""
        return self.values.many(name)

    def has(self, name: str) -> bool:
        """Tell whether the flag was given at all."""
        return self.values.has(name)


class Misused(Exception):
    """The line cannot be understood. kind: `flag`, `command`, `arguments` or `value`."""

    def __init__(self, kind: str, message: str, command: Command, path: tuple[str, ...]) -> None:
        super().__init__(message)
        self.kind, self.message, self.command, self.path = kind, message, command, path


def _index(*groups: Sequence[Flag]) -> dict[str, Flag]:
    """Map every name to its flag; earlier groups win."""
    found: dict[str, Flag] = {}
    for flags in groups:
        for flag in flags:
            for name in flag.names:
                found.setdefault(name, flag)
    return found


class _Reader:
    """Takes words one by one; flags into values, the others are returned."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words, self.at, self.values, self.plain = list(words), 0, Values(), False

    def next(self, known: Mapping[str, Flag], command: Command, path: tuple[str, ...]) -> str | None:
        """Return the next word that is not a flag, None at the end."""
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            if self.plain or word in {"-", ""} or not word.startswith("-"):
                return word
            if word == "--":
                self.plain = True
                continue
            self._flag(word, known, command, path)
        return None

    def _flag(self, word: str, known: Mapping[str, Flag], command: Command, path: tuple[str, ...]) -> None:
        name, equals, value = word.lstrip("-").partition("=")
        flag = known.get(name)
        if flag is None:
            raise Misused("flag", f"flag provided but not defined: -{name}", command, path)
        if flag.kind == "on":
            if equals and value not in TRUE | FALSE:
                raise Misused("flag", f'invalid boolean value "{value}" for -{name}', command, path)
            self.values.switches[flag.name] = not equals or value in TRUE
            return
        if not equals:
            if self.at >= len(self.words):
                raise Misused("flag", f"flag needs an argument: -{name}", command, path)
            value = self.words[self.at]
            self.at += 1
        self.values.found.setdefault(flag.name, []).append(value)


def _from_environment(values: Values, flags: Sequence[Flag], environ: Mapping[str, str], where: Command,
                      path: tuple[str, ...]) -> None:  # fmt: skip
    for flag in flags:
        raw = next((environ[name] for name in flag.env.split() if environ.get(name)), "")
        if not raw or values.has(flag.name):
            continue
        if flag.kind == "on":
            if raw not in TRUE | FALSE:
                raise Misused("value", f"could not parse {raw} as bool value for flag {flag.name}", where, path)
            values.switches[flag.name] = raw in TRUE
        else:
            values.found[flag.name] = [raw]
        values.inherited.add(flag.name)


def parse(words: Sequence[str], root: Command, environ: Mapping[str, str] | None = None) -> Line:
    """Read a command line; raise Misused. root.flags are the global ones."""
    environ = os.environ if environ is None else environ
    reader, command = _Reader(words), root
    path: tuple[str, ...] = ()
    while command.children:
        word = reader.next(_index(command.flags, root.flags), command, path)
        if word is None:
            break
        below = command.child(word)
        if below is None:
            raise Misused("command", word, command, path)
        command, path = below, (*path, below.name)
    known = _index(command.flags, root.flags)
    args: list[str] = []
    while command.run and (word := reader.next(known, command, path)) is not None:
        args.append(word)
    own = command.flags if command is root else (*command.flags, *root.flags)
    _from_environment(reader.values, own, environ, command, path)
    return Line(command, path, tuple(args), reader.values)
