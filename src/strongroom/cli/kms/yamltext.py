"""YAML as the Go tools print it: members sorted, lists at their key's own column, text quoted only where needed."""

import re
from typing import Any

from strongroom.cli.kms.jsontext import Number, dumps

_STEP = "  "
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"))
_NUMBER = re.compile(
    r"[-+]?(\d[\d_]*)?(\.\d*)?([eE][-+]?\d+)?|0[xXoObB][\da-fA-F_]+|[-+]?\.(inf|nan)|[-+]?\d+(:\d+)+", re.I
)
_TIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt ]\s*\d.*)?")
_PLAIN_START = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`=]|[-?:](?=\S)")
_PLAIN_BREAK = re.compile(r":\s|:$|\s#|\t|\s$")
# What YAML does not allow in plain text, and its line breaks other than the newline.
_SPECIAL = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def dumps_yaml(value: Any) -> str:
    """Return the YAML text of a JSON value, ending in a newline."""
    first, *rest = _lines(value)
    if isinstance(value, str):
        rest = [_STEP + line if line else line for line in rest]
    return "\n".join([first, *rest]) + "\n"


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key in sorted(value) for line in _member(_key(key), value[key])]
    if isinstance(value, list) and value:
        return [line for item in value for line in _item(item)]
    return _scalar(value).split("\n")


def _member(key: str, value: Any) -> list[str]:
    lines = _lines(value)
    if isinstance(value, dict) and value:
        return [f"{key}:", *(_STEP + line for line in lines)]
    if isinstance(value, list) and value:
        return [f"{key}:", *lines]
    return [f"{key}: {lines[0]}", *(_STEP + line if line else line for line in lines[1:])]


def _item(value: Any) -> list[str]:
    first, *rest = _lines(value)
    return [f"- {first}", *(_STEP + line if line else line for line in rest)]


def _scalar(value: Any) -> str:
    if isinstance(value, Number):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    return "{}" if value == {} and isinstance(value, dict) else dumps(value)


def _number(value: Number) -> str:
    """Return integers as spelled, others as the shortest text of the double, as the reference does."""
    if re.fullmatch(r"-?\d+", value):
        return str(value)
    short = repr(float(value))
    return short.removesuffix(".0")


def _text(value: str) -> str:
    if value == "" or value.lower() in _WORDS or _NUMBER.fullmatch(value) or _TIME.fullmatch(value):
        return _quoted(value)
    if _SPECIAL.search(value):
        return _quoted(value)
    if "\n" in value:
        return _literal(value) if not value[0].isspace() else _quoted(value)
    if _PLAIN_START.match(value) and not _PLAIN_BREAK.search(value):
        return value
    return "'" + value.replace("'", "''") + "'"


def _key(value: str) -> str:
    return _quoted(value) if "\n" in value else _text(value)


def _quoted(value: str) -> str:
    return _SPECIAL.sub(lambda found: _escape(ord(found[0])), dumps(value))


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _literal(value: str) -> str:
    """Return a block scalar; the mark says how many newlines end the text."""
    body = value.rstrip("\n")
    mark = {0: "-", 1: ""}.get(len(value) - len(body), "+")
    kept = value[:-1] if mark == "+" else body
    return f"|{mark}\n{kept}"
