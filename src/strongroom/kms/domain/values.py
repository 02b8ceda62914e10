"""Durations and times as Go programs write them (vault.md 1.3): pure conversions, no clock is read here."""

import re
from time import gmtime, strftime

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")
LONGEST = 9_223_372_036  # seconds: what 64 bits of nanoseconds hold
LONGEST_TEXT = 100  # characters
ZERO_TIME = "0001-01-01T00:00:00Z"


def parse_duration(text: str) -> float:
    """Return seconds of `5m`, `1h30m`, `30d`, or of plain digits; raise ValueError with Go's text."""
    if text == "":
        return 0.0
    if len(text) > LONGEST_TEXT:
        raise ValueError("time: invalid duration")
    seconds = _parsed(text)
    if abs(seconds) > LONGEST:
        raise ValueError(f'time: invalid duration "{text}"')
    return seconds


def _parsed(text: str) -> float:
    digits = text[1:] if text[0] in "+-" else text
    sign = -1.0 if text[0] == "-" else 1.0
    if digits.isascii() and digits.isdigit():
        return sign * int(digits)
    total, position = 0.0, 0
    while position < len(digits):
        part = _PART.match(digits, position)
        if part is None:
            raise ValueError(f'time: invalid duration "{text}"')
        number, unit = part.groups()
        if unit == "":
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * UNITS[unit]
        position = part.end()
    if position == 0:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total


def go_duration(seconds: float) -> str:
    """Return Go's own form: `0s`, `1h30m0s`, `500ms`."""
    if seconds < 0:
        return "-" + go_duration(-seconds)
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    whole, minutes = int(seconds), int(seconds) // 60
    rest = f"{whole % 60 + (seconds - whole):g}s"
    if minutes == 0:
        return rest
    if minutes < 60:
        return f"{minutes}m{rest}"
    return f"{minutes // 60}h{minutes % 60}m{rest}"


def short_duration(seconds: float) -> str:
    """Return Go's form without trailing zero parts, as warnings show it: `720h`, `5m`."""
    text = go_duration(seconds)
    for tail, kept in (("h0m0s", "h"), ("m0s", "m")):
        if text.endswith(tail):
            return text[: -len(tail)] + kept
    return text


def rfc3339(ns: int) -> str:
    """Return UTC text with nanoseconds, trailing zeros dropped as Go does; 0 is Go's zero time."""
    if ns == 0:
        return ZERO_TIME
    seconds, fraction = divmod(ns, 1_000_000_000)
    text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z" if fraction else text + "Z"


def rfc3339_seconds(seconds: float) -> str:
    """Return UTC text with whole seconds."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(seconds))
