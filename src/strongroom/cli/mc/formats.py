"""Sizes, times, tables: how mc writes them (mc.md 8, 9)."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def size(count: int, blank: str = " ") -> str:
    """Write bytes as listings do: `5 B`, `1.5 KiB`, `16 MiB` (one decimal below ten, else none)."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    if unit == 0:
        return f"{count}{blank}B"
    rounded = int(value * 10 + 0.5) / 10
    return f"{rounded:.1f}{blank}{UNITS[unit]}" if value < 10 else f"{rounded:.0f}{blank}{UNITS[unit]}"


def amount(count: float) -> str:
    """Write bytes as transfers do: `5 B`, `16.00 MiB`."""
    value, unit = count, 0
    while value >= 1024 and unit < 4:
        value, unit = value / 1024, unit + 1
    return f"{int(count)} B" if unit == 0 else f"{value:.2f} {UNITS[unit]}"


def parse_size(text: str) -> int:
    """Read `10`, `10MiB`, `10MB` (powers of 1024 and of 1000); raise ValueError."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGTPE]?)(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"`{text}` is not a size such as 64MiB")
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    return int(float(number) * base ** (" KMGTPE".index(unit.upper()) if unit else 0))


_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9,
            "w": 604800.0, "y": 31536000.0}  # fmt: skip
LONGEST_SECONDS = 2000 * _SECONDS["y"]  # so that a date so long ago, or to come, can be written
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|ns|[dhmswy])")


def parse_duration(text: str) -> float:
    """Read `1d2h3m`, `168h`, `1.5s`; return seconds; raise ValueError."""
    total, at = 0.0, 0
    while at < len(text) and (match := _PART.match(text, at)):
        total += float(match[1]) * _SECONDS[match[2]]
        at = match.end()
    if not text or at != len(text):
        raise ValueError(f"`{text}` is not a duration such as 1d2h3m")
    if total > LONGEST_SECONDS:
        raise ValueError(f"`{text}` is too long")
    return total


def moment(text: str) -> datetime:
    """Read a server's time, RFC 3339 or HTTP date; return 1970 for anything else."""
    try:
        if text[:1].isdecimal():
            return datetime.fromisoformat(text.replace("Z", "+00:00") if text.endswith("Z") else text)
        return parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return EPOCH


def local(when: datetime) -> str:
    """Write a time for people, in the local zone: `2025-01-31 12:00:00 UTC`."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def rfc3339(when: datetime) -> str:
    """Write a time for programs, in UTC, without trailing zeros."""
    text = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def took(seconds: float) -> str:
    """Write how long a transfer took: `[Nd][Nh]MMmSSs`."""
    left = int(seconds)
    days, left = divmod(left, 86400)
    hours, left = divmod(left, 3600)
    text = f"{days}d" if days else ""
    text += f"{hours}h" if hours or days else ""
    return f"{text}{left // 60:02d}m{left % 60:02d}s"


def go_duration(seconds: float) -> str:
    """Write a duration as Go does: `1.234567ms`, `505.12ms`, `1m3s`."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3f}".rstrip("0").rstrip(".") + "µs"
    if seconds < 1:
        return f"{seconds * 1e3:.6f}".rstrip("0").rstrip(".") + "ms"
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.9f}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return text
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"


def long_duration(seconds: float) -> str:
    """Write `7 days 0 hours 0 minutes 0 seconds`, beginning with the first unit that is not zero."""
    left = int(seconds)
    parts: list[str] = []
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
        count, left = divmod(left, length)
        if count or parts or unit == "seconds":
            parts.append(f"{count} {unit}")
    return " ".join(parts)


def width(text: str) -> int:
    """Return the columns that text takes on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    """Draw rows in light box characters without inner lines, as transfer summaries are drawn."""
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]

    def rule(left: str, middle: str, right: str) -> str:
        return indent + left + middle.join("─" * (w + 2) for w in widths) + right

    def line(row: Sequence[str]) -> str:
        cells = (f" {cell}{' ' * (w - width(cell))} " for cell, w in zip(row, widths, strict=True))
        return indent + "│" + "│".join(cells) + "│"

    return "\n".join([rule("┌", "┬", "┐"), *map(line, rows), rule("└", "┴", "┘")])
