"""K=V arguments: `k=v`, `k=@file`, `k=-`, `@file.json`, `-` (vault.md 10.1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.jsontext import loads


def parse_values(call: Call, words: Sequence[str]) -> dict[str, Any]:
    """Return the members that the words name; a key given twice becomes a list.

    Raises Fault (exit code 1), naming the word, when one cannot be read.
    """
    found: dict[str, Any] = {}
    for word in words:
        try:
            for key, value in _read(call, word):
                found[key] = _add(found[key], value) if key in found else value
        except ValueError as error:
            raise Fault(f'Failed to parse K=V data: invalid key/value pair "{word}": {error}') from None
    return found


def _add(old: Any, value: Any) -> Any:
    return [*old, value] if isinstance(old, list) else [old, value]


def _read(call: Call, word: str) -> list[tuple[str, Any]]:
    if word == "-":
        return _members(read_stdin(call))
    if word.startswith("@"):
        return _members(_file(word[1:], "open"))
    key, equals, value = word.partition("=")
    if not equals:
        raise ValueError("format must be key=value")
    if value.startswith("@"):
        return [(key, _file(value[1:], "error reading file: open"))]
    if value.startswith("\\@"):
        return [(key, value[1:])]
    if value == "-":
        return [(key, read_stdin(call))]
    return [(key, value)]


def _members(text: str) -> list[tuple[str, Any]]:
    if not text.strip():
        raise ValueError("EOF")
    try:
        value = loads(text)
    except ValueError as error:
        raise ValueError(f"invalid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("the JSON value has to be an object")
    return list(value.items())


def _file(name: str, what: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except FileNotFoundError:
        raise ValueError(f"{what} {name}: no such file or directory") from None
    except OSError as error:
        raise ValueError(f"{what} {name}: {str(error.strerror).lower()}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text; encode it, for example with base64") from None


def read_stdin(call: Call) -> str:
    """Return all of standard input; raise ValueError when it was read before."""
    if call.stdin_used:
        raise ValueError("stdin already consumed")
    call.stdin_used = True
    return call.stdin.read()


def query_of(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return values as query parameters; a list repeats its name."""
    return [
        (key, str(item)) for key, value in values.items() for item in (value if isinstance(value, list) else [value])
    ]
