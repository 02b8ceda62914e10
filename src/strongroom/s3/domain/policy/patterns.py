"""Wildcards and variables in policy documents."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern.

    What stands between two `*` is looked for once, at its first place, and that is kept (an atomic group): whatever
    follows matches behind a later place only if it does behind the first. With plain `.*` a tenant's pattern of
    twenty `*` would keep the server busy for years.
    """
    first, *rest = [_literal(piece) for piece in pattern.split("*")]
    if not rest:
        return re.compile(first, re.DOTALL)
    between = "".join([f"(?>.*?{piece})" for piece in rest[:-1] if piece])
    return re.compile(f"{first}{between}.*{rest[-1]}", re.DOTALL)


def _literal(piece: str) -> str:
    return ".".join(map(re.escape, piece.split("?")))


def matches(pattern: str, text: str) -> bool:
    """Say whether text matches a pattern of `*` (any run of characters) and `?` (one character)."""
    if pattern in ("*", text):
        return True
    return _compiled(pattern).fullmatch(text) is not None


def substitute(pattern: str, values: Mapping[str, Sequence[str]]) -> str | None:
    """Replace ${name} by the request's single value; None when it has none: the pattern then matches nothing.

    `${name, 'default'}` falls back to its default; `${*}`, `${?}` and `${$}` are the characters themselves.
    A value's own wildcards are taken literally by nobody (IAM user guide, "Policy variables"), so they are refused.
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
        if len(known) == 1 and "*" not in known[0] and "?" not in known[0]:
            return known[0]
        if default:
            return default.strip().strip("'")
        missing = True
        return ""

    done = _VARIABLE.sub(value, pattern)
    return None if missing else done
