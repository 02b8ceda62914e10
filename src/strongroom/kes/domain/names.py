"""Names and listing patterns (kes.md 1.3): 1 to 80 bytes of `0-9 A-Z a-z _ -`, no hyphen first or last."""

import re

_NAME = re.compile(r"(?!_\Z)[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,78}[0-9A-Za-z_])?")
_PREFIX = re.compile(r"(?:[0-9A-Za-z_][0-9A-Za-z_-]{0,78})?\*")


def valid_name(name: str) -> bool:
    """Say whether name may name a key, a policy or an identity."""
    return _NAME.fullmatch(name) is not None


def valid_pattern(pattern: str) -> bool:
    """Say whether pattern may select names in a listing: empty, a name, or a prefix with `*` behind it."""
    return pattern == "" or valid_name(pattern) or _PREFIX.fullmatch(pattern) is not None
