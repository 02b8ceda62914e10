"""The entrance: read the line, run the command, turn every ending into an exit code (mc.md 2)."""

import io
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType

from strongroom.cli.mc.flags import Line, Misused, parse
from strongroom.cli.mc.output import ReaderLeft, Unwritable, writing
from strongroom.cli.mc.table import ROOT

INTERRUPTED, TERMINATED = 130, 143


class _Terminated(BaseException):
    """SIGTERM came: unwinds the stack so that what is open is closed."""


def _terminate(_: int, __: FrameType | None) -> None:
    raise _Terminated


def main(words: list[str], name: str) -> int:
    """Run mc with words; name is how it was called. Returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files are bytes, whatever the locale says
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    program = name.rpartition(" ")[2]
    try:
        code = _main(words, program)
        with writing():
            sys.stdout.flush()
    except (BrokenPipeError, ReaderLeft):
        return _without_output(0)
    except Unwritable as error:
        print(f"{program}: <ERROR> Unable to write the output: {error}.", file=sys.stderr)
        return _without_output(1)
    return code


def _main(words: list[str], program: str) -> int:
    try:
        line = parse(words, ROOT)
    except Misused as error:
        return _misused(error, program, words)
    if line.on("version"):
        _print(_version(program))
        return 0
    if line.on("autocompletion"):
        _print(f"Put this into your shell's start file: source <({program} completion bash)")
        return 0
    asked = line.on("help")
    few, most = len(line.args) < line.command.least, line.command.most
    if asked or not line.command.run or few or (most is not None and len(line.args) > most):
        from strongroom.cli.mc.help import text

        _print(text(line.command, line.path, program))
        return 0 if asked or not words else 1
    return _run(line, program)


def _print(text: str) -> None:
    with writing():
        print(text)


def _version(program: str) -> str:
    import platform

    from strongroom import __version__

    runtime = f"Python {platform.python_version()} {sys.platform}/{platform.machine()}"
    licence = "License Apache-2.0 <https://www.apache.org/licenses/LICENSE-2.0>"
    return "\n".join((f"{program} version {__version__} (strongroom)", f"Runtime: {runtime}",
                      "Copyright the Strongroom authors", licence))  # fmt: skip


def _misused(error: Misused, program: str, words: list[str]) -> int:
    """Say what is wrong with the line (mc.md 2.1)."""
    from strongroom.cli.mc.console import Console
    from strongroom.cli.mc.failures import Fatal
    from strongroom.cli.mc.help import near, supported

    console = Console(program=program, as_json="--json" in words)
    if error.kind == "flag":
        console.note(f"{program}: <ERROR> Invalid command usage, {error.message}\n\n{supported(error.command)}")
        return 1
    if error.kind == "value":
        console.fatal(Fatal(error.message))
        return 1
    message = f"`{error.message}` is not a recognized command. Get help using `--help` flag."
    close = near(error.message, error.command)
    if close:
        message += "\n\nDid you mean one of these?\n" + "\n".join(f"        `{each}`" for each in close)
    console.fatal(Fatal(message))
    return 1


def _run(line: Line, program: str) -> int:
    from strongroom.cli.mc.aliases import Store
    from strongroom.cli.mc.console import Console
    from strongroom.cli.mc.failures import Fatal
    from strongroom.cli.mc.shell import Globals, Shell
    from strongroom.errors import Error

    console = Console(program=program, as_json=line.on("json"), quiet=line.on("quiet"), color=not line.on("no-color"))
    folder = line.text("config-dir") or os.path.join(os.path.expanduser("~"), f".{program}")
    if folder == os.path.join("~", f".{program}"):  # nobody knows where that is
        console.fatal(Fatal("Unable to find the home folder.", "Set HOME, or name a folder with --config-dir."))
        return 1
    store = Store(Path(folder).absolute())
    text, several = line.text, line.many
    headers = [*several("custom-header"), *(["x-minio-extract: true"] if line.on("zip") else [])]
    flags = Globals(line.on("insecure"), line.on("debug"), tuple(several("ca")), tuple(several("resolve")),
                    text("limit-upload"), text("limit-download"), tuple(headers))  # fmt: skip
    shell = Shell(console, store, flags, program=program)
    old = signal.signal(signal.SIGTERM, _terminate)
    try:
        store.prepare(program)
        if not console.quiet and not console.json:
            for news in store.news:
                console.line(news)
        command(line)(shell, line)
    except Fatal as failure:
        console.fatal(failure)
    except BrokenPipeError:
        return _without_output(0)
    except (Error, OSError, EOFError) as failure:
        console.fatal(Fatal(f"Unable to run `{' '.join(line.path)}`.", failure))
    except UnicodeError:
        console.fatal(Fatal(f"Unable to run `{' '.join(line.path)}`.", "An argument, or a file, is not UTF-8."))
    except KeyboardInterrupt:
        return _stopped(console, INTERRUPTED)
    except _Terminated:
        return _stopped(console, TERMINATED)
    finally:
        signal.signal(signal.SIGTERM, old)
        shell.close()
    console.flush()
    return 1 if console.failed else 0


def command(line: Line) -> Callable[..., None]:
    """Import the function that a command runs."""
    module, _, function = line.command.run.partition(":")
    found: Callable[..., None] = getattr(import_module(f"strongroom.cli.mc.{module}"), function)
    return found


def _stopped(console: object, code: int) -> int:
    from strongroom.cli.mc.console import Console

    if isinstance(console, Console):
        console.before()
        if console.unfinished:
            console.note(f"{console.program}: stopped; unfinished: {console.unfinished()}")
    return code


def _without_output(code: int) -> int:
    """Return code; what is left of our output goes nowhere, so that Python's flush at exit says nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
