"""The order of keys. SQLite compares TEXT by its UTF-8 bytes, Python compares str by code point: the same order."""

LAST = "\U0010ffff"


def successor(prefix: str) -> str | None:
    """Return the smallest string above every string that starts with prefix; None when there is none ("" …)."""
    trimmed = prefix.rstrip(LAST)
    if not trimmed:
        return None
    last = ord(trimmed[-1]) + 1
    if 0xD800 <= last <= 0xDFFF:  # surrogates are no characters of UTF-8
        last = 0xE000
    return trimmed[:-1] + chr(last)


def above(key: str) -> str:
    """Return the smallest string greater than key."""
    return key + "\0"


def common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """Return key up to the first delimiter behind prefix, that included; None when there is none."""
    if not delimiter:
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]
