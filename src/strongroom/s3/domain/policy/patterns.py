"""Wildcards and variables in policy documents."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_AS_IS = "\0"  # before a `*` or `?` that stands for itself
_STARS, _MARKS = re.compile(rf"(?<!{_AS_IS})\*"), re.compile(rf"(?<!{_AS_IS})\?")
_LITERALS = {"*": _AS_IS + "*", "?": _AS_IS + "?", "$": "$"}


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern.

    What stands between two `*` is looked for once, at its first place, and that is kept (an atomic group): whatever
    follows matches behind a later place only if it does behind the first. With plain `.*` a tenant's pattern of
    twenty `*` would keep the server busy for years.
    """
    first, *rest = [_literal(piece) for piece in _STARS.split(pattern)]
    if not rest:
        return re.compile(first, re.DOTALL)
    between = "".join([f"(?>.*?{piece})" for piece in rest[:-1] if piece])
    return re.compile(f"{first}{between}.*{rest[-1]}", re.DOTALL)


def _literal(piece: str) -> str:
    return ".".join([re.escape(plain(text)) for text in _MARKS.split(piece)])


def plain(pattern: str) -> str:
    """Return a pattern that `substitute` made as the text it is, for comparisons that know no wildcards."""
    return pattern.replace(_AS_IS, "")


def matches(pattern: str, text: str) -> bool:
    """Say whether text matches a pattern of `*` (any run of characters) and `?` (one character)."""
    if pattern in ("*", text):
        return True
    return _compiled(pattern).fullmatch(text) is not None


def variables(pattern: str) -> list[str]:
    """Return the names, in lower case, of the variables that have no default."""
    found = [found.partition(",") for found in _VARIABLE.findall(pattern)]
    return [name.strip().lower() for name, _, default in found if name not in _LITERALS and not default]


def substitute(pattern: str, values: Mapping[str, Sequence[str]]) -> str | None:
    """Replace ${name} by the request's single value; None when it has none: the pattern then matches nothing.

    `${name, 'default'}` falls back to its default; `${*}`, `${?}` and `${$}` are the characters themselves, and so
    are those in a value: whoever chose it chose no pattern.
    """
    if "${" not in pattern:
        return pattern
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = found[1].partition(",")
        if name in _LITERALS:
            return _LITERALS[name]
        known = values.get(name.strip().lower(), ())
        if len(known) == 1:
            return known[0].replace("*", _LITERALS["*"]).replace("?", _LITERALS["?"])
        if default:
            return default.strip().strip("'")
        missing = True
        return ""

    done = _VARIABLE.sub(value, pattern)
    return None if missing else done
