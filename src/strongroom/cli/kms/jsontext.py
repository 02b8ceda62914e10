"""JSON read and written as Go's encoding/json does it; numbers keep the spelling they came with (vault.md 1.4)."""

import json
import re
from collections.abc import Callable
from typing import Any

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPED = re.compile("[<>&\u2028\u2029]")


class Number(str):
    """A JSON number as it was spelled: `1.10`, `1e3`, 20 digits."""

    __slots__ = ()


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text, numbers as Number; raise ValueError if it is none."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse)


def _refuse(word: str) -> Any:
    raise ValueError(f"invalid JSON value {word}")


def ordered(value: Any) -> Any:
    """Return the value with the members of every object sorted, as Go prints maps."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(item) for item in value]
    return value


def dumps(value: Any, *, indent: str = "") -> str:
    """Return the JSON text, members in the order given; with an indent one member a line, without one compact."""
    return _write(value, "\n" if indent else "", indent)


def _write(value: Any, newline: str, step: str) -> str:
    if isinstance(value, dict):
        colon = ": " if step else ":"
        return _block(
            "{}", value.items(), lambda kv, n: f"{_text(kv[0])}{colon}{_write(kv[1], n, step)}", newline, step
        )
    if isinstance(value, (list, tuple)):
        return _block("[]", value, lambda item, n: _write(item, n, step), newline, step)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, Number):
        return _text(value)
    return str(value)


def _block(ends: str, items: Any, write: Callable[[Any, str], str], newline: str, step: str) -> str:
    inner = newline + step if step else ""
    parts = [write(item, inner) for item in items]
    if not parts:
        return ends
    return f"{ends[0]}{inner}{(',' + inner).join(parts)}{newline if step else ''}{ends[1]}"


def _text(value: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], json.dumps(value, ensure_ascii=False))
