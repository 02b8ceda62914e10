"""The command line of the key server: finds the command, imports only its module, turns failures into one line."""

import importlib
import sys

from strongroom.cli.kes.flags import Command, Failed, Usage, help_text, parse
from strongroom.errors import Error

# Where each command lives; a pair is a command of a group.
COMMANDS: dict[tuple[str, ...], str] = {
    ("server",): "server:SERVER",
    ("init",): "initfile:INIT",
    ("ls",): "listing:LS",
    ("key", "create"): "keys:CREATE",
    ("key", "import"): "keys:IMPORT",
    ("key", "info"): "keys:INFO",
    ("key", "ls"): "keys:LS",
    ("key", "rm"): "keys:RM",
    ("key", "encrypt"): "keys:ENCRYPT",
    ("key", "decrypt"): "keys:DECRYPT",
    ("key", "dek"): "keys:DEK",
    ("key", "rotate"): "states:ROTATE",
    ("key", "disable"): "states:DISABLE",
    ("key", "enable"): "states:ENABLE",
    ("key", "delete"): "states:DELETE",
    ("key", "restore"): "states:RESTORE",
    ("key", "state"): "states:STATE",
    ("policy", "ls"): "policies:LS",
    ("policy", "info"): "policies:INFO",
    ("policy", "show"): "policies:SHOW",
    ("identity",): "identity:IDENTITY",
    ("identity", "new"): "identity:NEW",
    ("identity", "of"): "identity:OF",
    ("identity", "info"): "identities:INFO",
    ("identity", "ls"): "identities:LS",
    ("log",): "log:LOG",
    ("log", "trace"): "log:TRACE",
    ("status",): "status:STATUS",
    ("metric",): "metric:METRIC",
    ("migrate",): "migrate:MIGRATE",
    ("update",): "update:UPDATE",
    ("audit", "verify"): "audit:VERIFY",
    # The command line of 2020 (kes.md 10.3).
    ("tool", "identity", "new"): "old:IDENTITY_NEW",
    ("tool", "identity", "of"): "old:IDENTITY_OF",
    ("tool", "migrate"): "old:MIGRATE",
    ("key", "derive"): "old:DERIVE",
    ("key", "list"): "keys:LS",
    ("policy", "list"): "policies:LS",
    ("policy", "add"): "old:GONE",
    ("policy", "delete"): "old:GONE",
    ("identity", "list"): "identities:LS",
    ("identity", "assign"): "old:GONE",
    ("identity", "forget"): "old:GONE",
}
ABOUT: dict[tuple[str, ...], str] = {
    ("server",): "Start a key server",
    ("init",): "Write a commented configuration file",
    ("ls",): "List keys, policies and identities",
    ("key",): "Manage and use keys",
    ("policy",): "Look at policies",
    ("identity",): "Make and look at identities",
    ("log",): "Follow the audit or error log",
    ("status",): "Print the server's status",
    ("metric",): "Watch the server's metrics",
    ("migrate",): "Copy keys from one key store to another",
    ("update",): "Not supported; says what to use",
    ("audit",): "Verify an audit log",
    ("tool",): "Commands of 2020",
    ("tool", "identity"): "Make and look at identities",
}
_HELP = {"-h", "--help"}
_SAID: dict[type[BaseException], str] = {
    UnicodeEncodeError: "an argument, or what it would print, is no text in this terminal's character set",
    EOFError: "no password was given",
    KeyboardInterrupt: "",  # whoever interrupts knows why
}


def main(words: list[str], name: str) -> int:
    """Run one command; name is how the program was called, such as `kes` or `strongroom kes`."""
    if words and words[0] in {"-v", "--version"}:
        return _version()
    if words and words[0] == "--auto-completion":
        return _fail("--auto-completion is not supported: `kes --help` lists the commands")
    try:
        return _dispatch(words, name)
    except (Usage, Failed, Error) as error:
        return _fail(str(error))
    except (UnicodeEncodeError, EOFError, KeyboardInterrupt) as error:
        return _fail(_SAID[type(error)])
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _dispatch(words: list[str], name: str) -> int:
    path, rest = _find(words)
    called = " ".join((name, *path))
    if path not in COMMANDS:
        return _group(path, rest, called)
    if _HELP & set(rest[: rest.index("--")] if "--" in rest else rest):
        from strongroom.cli.kes.examples import EXAMPLES

        print(help_text(_load(path), called, EXAMPLES[path]), file=sys.stderr, end="")
        return 2
    command = _load(path)
    return command.run(parse(rest, command.flags, _plain(called)))


def _find(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the longest known command or group that words begin with, and the words behind it."""
    for length in (3, 2, 1):
        path = tuple(words[:length])
        if len(path) == length and (path in COMMANDS or any(known[:length] == path for known in COMMANDS)):
            return path, words[length:]
    return (), words


def _group(path: tuple[str, ...], rest: list[str], called: str) -> int:
    """Print what a group offers, or say that a word is none of its commands."""
    if rest and rest[0] not in _HELP:
        if rest[0].startswith("-"):
            parse([word for word in rest if word.startswith("-")], (), _plain(called))
        raise Usage(f"\"{rest[0]}\" is not a {path[-1] if path else 'kes'} command. See '{_plain(called)} --help'")
    from strongroom.cli.kes.examples import EXAMPLES

    depth = len(path) + 1
    names: dict[tuple[str, ...], None] = dict.fromkeys(
        known[:depth] for known in COMMANDS if known[: len(path)] == path and len(known) >= depth
    )
    lines = ["Usage:", f"    {called} COMMAND", "", "Commands:"]
    for one in names:
        about = ABOUT.get(one) or _load(one).about
        lines.append(f"    {one[-1]:<12} {about}")
    first = next(known for known in COMMANDS if known[: len(path)] == path)
    lines += ["", "Example:", f"    {' '.join((called, *first[len(path) :], EXAMPLES[first]))}"]
    print("\n".join([*lines, "", f"`{called} COMMAND --help` tells more.", ""]), file=sys.stderr, end="")
    return 2


def _load(path: tuple[str, ...]) -> Command:
    module, _, variable = COMMANDS[path].partition(":")
    command: Command = getattr(importlib.import_module(f"strongroom.cli.kes.{module}"), variable)
    return command


def _plain(called: str) -> str:
    """Return how messages name the program: `kes …`, as the original's do."""
    return called.removeprefix("strongroom ")


def _fail(text: str) -> int:
    if text:
        red = sys.stderr.isatty()
        print(f"\x1b[31mError: \x1b[0m{text}" if red else f"Error: {text}", file=sys.stderr)
    return 1


def _version() -> int:
    import platform

    import strongroom

    version = strongroom.__version__
    rows = (
        ("Version", f"{version:<22} commit={version}"),
        (
            "Runtime",
            f"{'python' + platform.python_version() + ' ' + platform.system().lower():<22} {platform.machine()}",
        ),
        ("License", f"{'Apache-2.0':<22} https://www.apache.org/licenses/LICENSE-2.0"),
        ("Copyright", "The Strongroom authors"),
    )
    for label, value in rows:
        print(f"{label:<11}{value}")
    return 0
