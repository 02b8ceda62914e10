"""Encryption contexts in the one byte form that key services authenticate (sse.md 1.2)."""

import re
from collections.abc import Mapping
from functools import lru_cache

_PLAIN = re.compile(r"""[^\x00-\x1f"\\<>&\u2028\u2029\ud800-\udfff]*""")
_SPECIAL = re.compile(r"""[\x00-\x1f"\\<>&\u2028\u2029\ud800-\udfff]""")
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if "\ud800" <= character <= "\udfff":  # a byte that was not UTF-8, as Python's surrogateescape keeps it
        return "\\ufffd"
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _quote(text: str) -> str:
    return f'"{text}"' if _PLAIN.fullmatch(text) else f'"{_SPECIAL.sub(_escape, text)}"'


def canonical(context: Mapping[str, str]) -> bytes:
    """Return a context as canonical JSON: keys in byte order, no white space, HTML-safe escapes, else raw UTF-8."""
    entries = sorted((name.encode("utf-8", "surrogateescape"), name, value) for name, value in context.items())
    return ("{" + ",".join(f"{_quote(name)}:{_quote(value)}" for _, name, value in entries) + "}").encode()


@lru_cache(maxsize=1024)
def of_bucket(bucket: str) -> bytes:
    """Return the canonical {bucket: bucket}, the context of a bucket's shared data keys."""
    return canonical({bucket: bucket})


def path(bucket: str, name: str = "") -> str:
    """Return bucket/name, lexically cleaned: "//" and "." dropped, ".." resolved, no "/" at the end (sse.md 1.1)."""
    joined = f"{bucket}/{name}"
    if "//" not in joined and "/." not in joined and joined[-1] != "/":
        return joined
    kept: list[str] = []
    for step in joined.split("/"):
        if step == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif step not in ("", "."):
            kept.append(step)
    return "/".join(kept)
