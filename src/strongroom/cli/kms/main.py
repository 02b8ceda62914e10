"""`vault`, `bao`, `strongroom kms`: finds the command, reads its flags, runs it."""

import io
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import IO

from strongroom.cli.kms import registry
from strongroom.cli.kms.brand import Brand, brand
from strongroom.cli.kms.faults import Fault, ServerFault

UNKNOWN = 127  # exit code of a program without a command, or with an unknown one (vault.md 10.1)
INTERRUPTED = 130
_HELP = ("-h", "-help", "--help")
_VERSION = ("-v", "-version", "--version")

Streams = tuple[IO[str], IO[str], IO[str]]


def main(words: list[str], name: str) -> int:
    """Run the command that the words name; `name` is what the program was called as. Return its exit code."""
    try:
        stdin = sys.stdin or io.StringIO()  # none when it was closed
        code = run(words, brand(name), os.environ, (stdin, sys.stdout, sys.stderr))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the exit does not try to flush again
        return 1
    except UnicodeEncodeError:
        sys.stderr.write("An argument or a value cannot be written as UTF-8.\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def run(words: list[str], called: Brand, environment: Mapping[str, str], streams: Streams) -> int:
    """Run one command line on the given streams (standard input, output, error)."""
    _, out, err = streams
    if words and words[0] in _VERSION:
        words = ["version", *words[1:]]
    if words[:1] == ["server"]:  # reads its own flags; it needs none of the client's
        return int(import_module("strongroom.cli.kms.server").main(words[1:], called.program))
    if words and words[0].startswith("-") and words[0] not in _HELP:
        err.write("Flags belong behind the command, as in `status -format=json`.\n")
        return 1
    name, rest = registry.find(words)
    if name in registry.UNSUPPORTED:
        err.write(f"{called.program} {name} is not supported by Strongroom: {registry.UNSUPPORTED[name]}.\n")
        return 1
    if any(word in _HELP for word in _flag_words(rest)):
        return _help(name, called, out, 0)
    if name not in registry.COMMANDS:
        return _help(name, called, err, 1 if name else UNKNOWN)
    return _run_command(name, rest, called, environment, streams)


def _flag_words(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _help(name: str, called: Brand, out: IO[str], code: int) -> int:
    from strongroom.cli.kms import help as texts

    if name in registry.COMMANDS:
        out.write(texts.command_help(called, name, registry.load(name)))
    else:
        out.write(texts.group_help(called, name) if name else texts.program_help(called))
    return code


def _run_command(name: str, words: list[str], called: Brand, environment: Mapping[str, str], streams: Streams) -> int:
    from strongroom.cli.kms.call import Call, choose_format
    from strongroom.cli.kms.faults import Printed
    from strongroom.cli.kms.flags import parse

    command = registry.load(name)
    _, out, err = streams
    try:
        parsed = parse(words, command.all_flags())
        call = Call(command, parsed, called, environment, streams, "table")
        _late_flags(call.words, command.format, err)
        if command.format:
            asked = _late_format(call.words) or call.flag("format") or call.environment.get("FORMAT")
            call.format = choose_format(asked, command)
        command.check_count(call.words)
        return command.run(call)
    except Printed as shown:
        out.write(shown.text)
        return 0
    except Fault as fault:
        err.write(fault.text + "\n")
        if isinstance(fault, ServerFault) and fault.warnings:
            from strongroom.cli.kms.paragraphs import warning

            err.write(warning(called.product, fault.warnings))
        return fault.code


def _late_format(words: list[str]) -> str:
    """Return a -format among the arguments: the reference obeys it there, although other flags are data by then."""
    return next(
        (word.split("=", 1)[1] for word in words if word.lstrip("-").startswith("format=") and word[0] == "-"), ""
    )


def _late_flags(words: list[str], has_format: bool, err: IO[str]) -> None:
    late = [word for word in words if word.startswith("-") and len(word) > 1]
    if has_format:
        late = [word for word in late if not word.lstrip("-").startswith("format=")]
    if late:
        err.write(
            "Command flags must be provided before positional arguments. "
            f"The following arguments will not be parsed as flags: [{' '.join(late)}]\n"
        )
