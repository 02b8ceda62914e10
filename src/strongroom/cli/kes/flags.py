"""Command-line flags as the original takes them: GNU style, anywhere among the arguments (kes.md 10.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


class Usage(Exception):
    """The command line is wrong; the text is what is printed behind `Error: `."""


class Failed(Exception):
    """The command failed; the text is what is printed behind `Error: `. Nothing is printed for an empty one."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. A switch takes no value (but `--flag=false` works); others take the next word or what follows `=`."""

    name: str
    short: str = ""
    switch: bool = False
    default: str = ""
    many: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The values by flag name, the arguments, and the flags that were given."""

    values: dict[str, str]
    lists: dict[str, list[str]]
    words: list[str]
    given: frozenset[str]
    command: str = ""

    def on(self, name: str) -> bool:
        """Say whether a switch is on."""
        return self.values[name] == "true"

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def usage(self, problem: str) -> Usage:
        """Return the error for a wrong command line."""
        return Usage(f"{problem}. See '{self.command} --help'")

    def one(self, what: str) -> str:
        """Return the only argument; raise Usage when there is none, or more."""
        self.at_least(1, what)
        self.at_most(1)
        return self.words[0]

    def at_least(self, count: int, what: str) -> None:
        """Raise Usage when an argument is missing."""
        if len(self.words) < count:
            raise self.usage(f"no {what} specified")

    def at_most(self, count: int) -> None:
        """Raise Usage when there are too many arguments."""
        if len(self.words) > count:
            raise self.usage("too many arguments")


INSECURE = Flag("insecure", "k", switch=True, help="Skip the verification of the server's certificate")
JSON = Flag("json", switch=True, help="Print JSON")
COLOR = Flag("color", default="auto", help="When to use colours: auto, never, always")
ENCLAVE = Flag("enclave", "e", help="Ignored")
_COLORS = {"auto", "never", "always"}


@dataclass(slots=True)
class _Parser:
    flags: Sequence[Flag]
    command: str
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    def run(self, words: Sequence[str]) -> Parsed:
        self.values = {flag.name: "false" if flag.switch else flag.default for flag in self.flags}
        self.lists = {flag.name: [] for flag in self.flags if flag.many}
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self.words += rest
                break
            if word.startswith("--"):
                self._long(word[2:], rest)
            elif word.startswith("-") and word != "-":
                self._short(word[1:], word, rest)
            else:
                self.words.append(word)
        return Parsed(self.values, self.lists, self.words, frozenset(self.given), self.command)

    def _long(self, text: str, rest: list[str]) -> None:
        name, equals, value = text.partition("=")
        flag = next((one for one in self.flags if one.name == name), None)
        if flag is None:
            raise Usage(f"unknown flag: --{name}. See '{self.command} --help'")
        if equals:
            self._set(flag, value, f"--{name}")
        elif flag.switch:
            self._set(flag, "true", f"--{name}")
        elif rest:
            self._set(flag, rest.pop(0), f"--{name}")
        else:
            raise Usage(f"flag needs an argument: --{name}. See '{self.command} --help'")

    def _short(self, letters: str, word: str, rest: list[str]) -> None:
        while letters:
            flag = next((one for one in self.flags if one.short == letters[0]), None)
            if flag is None:
                raise Usage(f"unknown shorthand flag: '{letters[0]}' in {word}. See '{self.command} --help'")
            tail = letters[1:]
            if flag.switch and not tail.startswith("="):
                self._set(flag, "true", f"-{flag.short}")
                letters = tail
                continue
            if not tail and not rest:
                raise Usage(f"flag needs an argument: '{flag.short}' in {word}. See '{self.command} --help'")
            self._set(flag, tail.removeprefix("=") if tail else rest.pop(0), f"-{flag.short}, --{flag.name}")
            return

    def _set(self, flag: Flag, value: str, shown: str) -> None:
        if flag.switch and value.lower() not in {"true", "false", "1", "0", "t", "f"}:
            raise Usage(
                f'invalid argument "{value}" for "{shown}" flag: strconv.ParseBool: parsing "{value}": '
                f"invalid syntax. See '{self.command} --help'"
            )
        if flag.name == "color" and value not in _COLORS:
            problem = f'invalid argument "{value}" for "{shown}" flag: invalid color option'
            raise Usage(f"{problem}. See '{self.command} --help'")
        self.values[flag.name] = str(value.lower() in {"true", "1", "t"}).lower() if flag.switch else value
        if flag.many:
            self.lists[flag.name] += value.split(",")
        self.given.add(flag.name)


def parse(words: Sequence[str], flags: Sequence[Flag], command: str) -> Parsed:
    """Read a command's words; command is how errors name it, such as `kes key create`. Raises Usage."""
    return _Parser(flags, command).run(words)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: flags, what its usage line shows, what it does, and its work, which returns the exit code."""

    usage: str
    about: str
    flags: tuple[Flag, ...]
    run: Callable[[Parsed], int]
    details: str = ""


def help_text(command: Command, name: str, example: str) -> str:
    """Return a command's usage text; example is what to write behind name."""
    lines = ["Usage:", f"    {name} {command.usage}".rstrip(), "", command.about, "", "Options:"]
    for flag in (*command.flags, Flag("help", "h", switch=True, help="Print this help")):
        short = f"-{flag.short}, " if flag.short else "    "
        value = "" if flag.switch else " VALUE"
        default = f" (default: {flag.default})" if flag.default else ""
        lines.append(f"    {short + '--' + flag.name + value:<30} {flag.help}{default}")
    if command.details:
        lines += ["", command.details.rstrip()]
    lines += ["", "Example:", f"    {name} {example}".rstrip()]
    return "\n".join([*lines, "", "Exit codes: 0 done, 1 failed (one line says why), 2 no command or --help.", ""])
