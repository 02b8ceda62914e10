"""JSON as Go programs read and write it (vault.md 1.3, 1.4): exact numbers, sorted members, its error texts."""

import json
import re
from typing import Any

import msgspec

from strongroom.kms.domain.errors import Refused

MAX_DEPTH = 200
_EXACT = re.compile(
    rb'(?:"\s*:|[\[,])\s*-?(?:\d+[.eE]|\d{16}|0\s*[,}\]])'
)  # numbers whose spelling msgspec would change
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="deterministic").encode
_SPACE = " \t\r\n"
_KINDS = {"[": "array", '"': "string", "t": "bool", "f": "bool"}


def _whole(text: str) -> Any:
    return msgspec.Raw(b"-0") if text == "-0" else int(text)


def decode(body: bytes, into: str = "map[string]interface {}") -> dict[str, Any]:
    """Return a request body's object, {} for no body or `null`; raise Refused with Go's text.

    Floats and `-0` come as msgspec.Raw with their spelling; whole numbers as int of any size.
    """
    if not body:
        return {}
    try:
        if _EXACT.search(body):
            value = json.loads(body, parse_float=lambda text: msgspec.Raw(text.encode()), parse_int=_whole)
        else:
            value = _decode(body)
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise Refused(f"failed to decode JSON input: {_reason(body)}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        first = body.strip()[:1].decode()
        kind = _KINDS.get(first, "number")
        raise Refused(f"failed to decode JSON input: json: cannot unmarshal {kind} into Go value of type {into}")
    return value


def decode_own(data: bytes) -> dict[str, Any]:
    """Return an object that `encode` made; numbers keep their spelling."""
    if _EXACT.search(data):
        return decode(data)
    return _decode(data)  # type: ignore[no-any-return]


def encode(value: Any) -> bytes:
    """Return JSON bytes: members sorted, `<`, `>`, `&` escaped."""
    return escape(_encode(value))


def escape(data: bytes) -> bytes:
    """Return JSON bytes with the characters escaped that Go escapes."""
    if b"<" in data or b">" in data or b"&" in data:
        data = data.replace(b"<", rb"\u003c").replace(b">", rb"\u003e").replace(b"&", rb"\u0026")
    return data


def _reason(body: bytes) -> str:
    """Return Go's complaint about bytes that are not one JSON value."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace")
    scanner = _Scanner(text)
    try:
        scanner.value(0)
        scanner.space()
        if scanner.place < len(text):
            return scanner.invalid("looking for beginning of value")
    except _Broken as broken:
        return str(broken)
    return "invalid JSON"


class _Broken(Exception):
    """Carries Go's text."""


class _Scanner:
    """Walks a text to find where it stops being JSON; used only after a real decoder has refused it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def space(self) -> None:
        while self.place < len(self.text) and self.text[self.place] in _SPACE:
            self.place += 1

    def invalid(self, where: str) -> str:
        c = self.text[self.place]
        shown = {"'": r"'\''", '"': "'\"'"}.get(c) or (f"'{c}'" if c.isprintable() else f"'\\x{ord(c):02x}'")
        return f"invalid character {shown} {where}"

    def peek(self) -> str:
        self.space()
        if self.place >= len(self.text):
            raise _Broken("unexpected EOF")
        return self.text[self.place]

    def value(self, depth: int) -> None:
        c = self.peek()
        if depth > MAX_DEPTH:
            raise _Broken("exceeded max depth")
        if c == "{":
            self.members(depth)
        elif c == "[":
            self.elements(depth)
        elif c == '"':
            self.string()
        elif c in "-0123456789":
            self.number()
        else:
            self.word()

    def word(self) -> None:
        for word in ("true", "false", "null"):
            if self.text[self.place] == word[0]:
                for c in word:
                    if self.place >= len(self.text):
                        raise _Broken("unexpected EOF")
                    if self.text[self.place] != c:
                        raise _Broken(self.invalid(f"in literal {word} (expecting '{c}')"))
                    self.place += 1
                return
        raise _Broken(self.invalid("looking for beginning of value"))

    def number(self) -> None:
        match = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?").match(self.text, self.place)
        if match is None:
            self.place += 1
            if self.place >= len(self.text):
                raise _Broken("unexpected EOF")
            raise _Broken(self.invalid("in numeric literal"))
        self.place = match.end()

    def string(self) -> None:
        self.place += 1
        while True:
            if self.place >= len(self.text):
                raise _Broken("unexpected EOF")
            c = self.text[self.place]
            if ord(c) < 32:
                raise _Broken(self.invalid("in string literal"))
            self.place += 1
            if c == '"':
                return
            if c == "\\":
                if self.place < len(self.text) and self.text[self.place] not in '"\\/bfnrtu':
                    raise _Broken(self.invalid("in string escape code"))
                self.place += 1

    def members(self, depth: int) -> None:
        self.place += 1
        if self.peek() == "}":
            self.place += 1
            return
        while True:
            if self.peek() != '"':
                raise _Broken(self.invalid("looking for beginning of value"))
            self.string()
            if self.peek() != ":":
                raise _Broken(self.invalid("after object key"))
            self.place += 1
            self.value(depth + 1)
            c = self.peek()
            if c not in ",}":
                raise _Broken(self.invalid("after object key:value pair"))
            self.place += 1
            if c == "}":
                return

    def elements(self, depth: int) -> None:
        self.place += 1
        if self.peek() == "]":
            self.place += 1
            return
        while True:
            self.value(depth + 1)
            c = self.peek()
            if c not in ",]":
                raise _Broken(self.invalid("after array element"))
            self.place += 1
            if c == "]":
                return
