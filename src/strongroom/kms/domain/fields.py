"""Lenient typing: integers, booleans, durations and lists arrive as JSON values or as text (vault.md 1.3).

Each converter returns the value or raises ValueError with the text that the original's decoder gives.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.values import LONGEST, parse_duration

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_INT = re.compile(r"[+-]?\d+\Z")


def kind_name(value: Any) -> str:
    """Return Go's name for a decoded JSON value's type."""
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list | tuple):
        return "[]interface {}"
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "json.Number"


def to_text(value: Any) -> str:
    """Return a string field; numbers and booleans become text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    raise ValueError(f"'' expected type 'string', got unconvertible type '{kind_name(value)}'")


def to_int(value: Any) -> int:
    """Return an integer field of 64 bits."""
    number = None
    if isinstance(value, int):
        number = int(value)
    elif isinstance(value, msgspec.Raw):
        number = int(min(max(float(bytes(value)), -1e20), 1e20))
    elif isinstance(value, str):
        if value == "":
            return 0
        if _INT.match(value) and len(value) <= 24:
            number = int(value)
    if number is not None:
        if -(2**63) <= number < 2**63:
            return number
        raise ValueError("'' cannot parse value as 'int': strconv.ParseInt: value out of range")
    if isinstance(value, str):
        raise ValueError("'' cannot parse value as 'int': strconv.ParseInt: invalid syntax")
    raise ValueError(f"'' expected type 'int', got unconvertible type '{kind_name(value)}'")


def to_bool(value: Any) -> bool:
    """Return a boolean field."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0
    if isinstance(value, str):
        if value in _TRUE:
            return True
        if value in _FALSE or value == "":
            return False
        raise ValueError("'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax")
    raise ValueError(f"'' expected type 'bool', got unconvertible type '{kind_name(value)}'")


def to_signed_seconds(value: Any) -> float:
    """Return a duration in seconds, possibly negative."""
    if isinstance(value, bool):
        raise ValueError("could not parse duration from input")
    if isinstance(value, int):
        if abs(value) > LONGEST:
            raise ValueError("could not parse duration from input")
        return float(value)
    if isinstance(value, msgspec.Raw):
        return parse_duration(bytes(value).decode())
    if isinstance(value, str):
        return parse_duration(value.strip())
    raise ValueError("could not parse duration from input")


def to_seconds(value: Any) -> float:
    """Return a duration in seconds, never negative."""
    seconds = to_signed_seconds(value)
    if seconds < 0:
        raise ValueError(f"cannot provide negative value '{seconds:g}'")
    return seconds


def to_list(value: Any) -> list[str]:
    """Return a comma-string-list: `"a,b"` or a list; elements trimmed, empty ones dropped."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        return [text for text in (to_text(part).strip() for part in value) if text]
    return [to_text(value)]


def to_plain_list(value: Any) -> list[str]:
    """Return a list field whose text form is one element."""
    return [to_text(part) for part in value] if isinstance(value, list) else [to_text(value)]


def to_ints(value: Any) -> list[int]:
    """Return a list of integers: a list, or comma-separated text."""
    if isinstance(value, str):
        return [to_int(part.strip()) for part in value.split(",") if part.strip()]
    return [to_int(part) for part in value] if isinstance(value, list) else [to_int(value)]


def to_map(value: Any) -> dict[str, Any]:
    """Return an object field."""
    if isinstance(value, dict):
        return value
    raise ValueError(f"'' expected type 'map[string]interface {{}}', got unconvertible type '{kind_name(value)}'")


def to_pairs(value: Any) -> dict[str, str]:
    """Return a key-value map: an object, a list of `k=v`, or one `k=v` text."""
    if isinstance(value, dict):
        return {key: to_text(part) for key, part in value.items()}
    parts = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else [value]
    found = {}
    for index, part in enumerate(parts):
        key, equals, text = part.partition("=") if isinstance(part, str) else ("", "", "")
        if not equals or not key.strip():
            raise ValueError(f"invalid key pair at index {index} in field")
        found[key.strip()] = text.strip()
    return found


def untouched(value: Any) -> Any:
    """Return the value as it came."""
    return value


Convert = Callable[[Any], Any]
KINDS: dict[str, tuple[Convert, Any]] = {
    "text": (to_text, ""),
    "int": (to_int, 0),
    "bool": (to_bool, False),
    "seconds": (to_seconds, 0.0),
    "signed": (to_signed_seconds, 0.0),
    "list": (to_list, ()),
    "plain": (to_plain_list, ()),
    "ints": (to_ints, ()),
    "map": (to_map, None),
    "pairs": (to_pairs, None),
    "any": (untouched, None),
}


def convert(name: str, kind: str, value: Any) -> Any:
    """Return value as the field's kind; raise Refused with the decoder's text."""
    try:
        return KINDS[kind][0](value)
    except ValueError as error:
        suffix = f' "{name}"' if str(error).endswith(" in field") else ""
        raise Refused(f'error converting input for field "{name}": {error}{suffix}') from error
