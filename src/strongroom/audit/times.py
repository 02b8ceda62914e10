"""Times as audit lines show them. Lines of one second share most of the text, so that it is kept for a while."""

from functools import lru_cache
from time import gmtime, strftime

_NANOSECONDS = 1_000_000_000  # in a second


def nanoseconds_text(at: int) -> str:
    """Return a time in nanoseconds since 1970 as RFC 3339 in UTC, with all nine digits of the fraction."""
    seconds, rest = divmod(at, _NANOSECONDS)
    return f"{_second(seconds)}.{rest:09d}Z"


def microseconds_text(at: int) -> str:
    """Return a time in nanoseconds since 1970 as RFC 3339 in UTC, cut to microseconds."""
    seconds, rest = divmod(at, _NANOSECONDS)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))
