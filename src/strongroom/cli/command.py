"""What the commands of the executable share: errors in one line, exit codes, JSON on demand."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from strongroom.errors import Error


def run(command: click.Command, words: Sequence[str], name: str) -> int:
    """Run a click command; return 0, 1 (an error, said in one line) or 2 (wrong usage)."""
    try:
        result = command.main(list(words), prog_name=name, standalone_mode=False)
    except click.UsageError as error:
        print(f"{name}: {error.format_message()}; `{name} --help` shows the usage", file=sys.stderr)
        return 2
    except click.Abort:
        return 130
    except click.ClickException as error:
        return fail(name, error.format_message())
    except BrokenPipeError:
        sys.stdout = None  # nobody reads: nothing is left to flush at exit
        return 0
    except (Error, OSError) as error:
        return fail(name, str(error))
    return result if isinstance(result, int) else 0


def fail(name: str, message: str) -> int:
    """Say in one line what went wrong; return exit code 1."""
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    return 1


def show(as_json: bool, record: Any, text: Callable[[], str]) -> None:
    """Print a result: one line of JSON, or the text for people."""
    print(json.dumps(record) if as_json else text())
