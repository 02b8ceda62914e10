"""Byte ranges and conditions of reads (s3.md 4.1, 4.3)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from strongroom.s3.domain.refusals import Refused

_RANGE = re.compile(r"bytes=(?:(\d{1,19})-(\d{1,19})?|-(\d{1,19}))")
_COPY_RANGE = re.compile(r"bytes=(\d{1,19})-(\d{1,19})")


def parse(header: str, size: int) -> tuple[int, int] | None:
    """Return the half-open range of a Range header, None when the header is to be ignored; raise Refused (416)."""
    found = _RANGE.fullmatch(header)
    if not found:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0:
            raise _unsatisfiable(header, size, plain=True)
        return max(size - int(suffix), 0), size
    if last is not None and int(last) < int(first):
        return None  # AWS ignores it
    if int(first) >= size:
        raise _unsatisfiable(header, size)
    return int(first), min(int(last) + 1, size) if last is not None else size


def _unsatisfiable(header: str, size: int, *, plain: bool = False) -> Refused:
    text = (
        None if plain else f"The requested range '{header + ('-1' if header.endswith('-') else '')}' is not satisfiable"
    )
    extra = {"ActualObjectSize": str(size), "RangeRequested": header}
    return Refused("InvalidRange", text, extra=extra, headers=[("Content-Range", f"bytes */{size}")])


def parse_copy(header: str, size: int) -> tuple[int, int]:
    """Return the half-open range of x-amz-copy-source-range: both ends are required and must exist."""
    if not header.startswith("bytes="):
        raise Refused("InvalidArgument", f"'{header}' does not start with 'bytes='")
    found = _COPY_RANGE.fullmatch(header)
    if not found:
        text = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy"
        )
        raise Refused("InvalidArgument", text)
    first, last = int(found[1]), int(found[2])
    if last < first or last >= size:
        raise Refused("InvalidArgument", "Range specified is not valid for source object")
    return first, last + 1


def parse_any_time(text: str) -> int | None:
    """Return seconds since the epoch of an HTTP date or an ISO 8601 time, None for what is neither."""
    for parse_one in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = parse_one(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    return None


def etag_matches(header: str, etag: str) -> bool:
    """Compare a condition's value with an ETag; quotes do not count, lists and `*` are understood."""
    if header.strip() == "*":
        return True
    return any(_bare(piece) == etag for piece in header.split(","))


def _bare(text: str) -> str:
    return text.strip().removeprefix("W/").strip('"')


def _seconds(header: str | None) -> int | None:
    if not header:
        return None
    try:
        when = parsedate_to_datetime(header)
        return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # a date that cannot be read is ignored


def not_modified(headers: Mapping[str, str], etag: str, modified: int, prefix: str = "") -> bool:
    """Evaluate If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, in AWS's order.

    modified is in nanoseconds; prefix is `x-amz-copy-source-` for copies. Returns whether the answer is 304;
    raises Refused PreconditionFailed.
    """
    match, none_match = headers.get(prefix + "if-match"), headers.get(prefix + "if-none-match")
    seconds = modified // 1_000_000_000
    if match is not None:
        if not etag_matches(match, etag):
            raise Refused("PreconditionFailed", extra={"Condition": "If-Match"})
    else:
        before = _seconds(headers.get(prefix + "if-unmodified-since"))
        if before is not None and seconds > before:
            raise Refused("PreconditionFailed", extra={"Condition": "If-Unmodified-Since"})
    if none_match is not None:
        return etag_matches(none_match, etag)
    since = _seconds(headers.get(prefix + "if-modified-since"))
    return since is not None and seconds <= since


def still(header: str | None, etag: str, modified: int) -> bool:
    """Say whether an If-Range lets a Range count (RFC 9110, 13.1.5): none, the same strong ETag, or the exact date.

    modified is in nanoseconds. A client that goes on with a download must not get a piece of another object.
    """
    if header is None:
        return True
    if header.startswith("W/"):
        return False
    if '"' in header:
        return header.strip().strip('"') == etag
    return _seconds(header) == modified // 1_000_000_000


def check_write(headers: Mapping[str, str], etag: str | None) -> None:
    """Evaluate If-Match and If-None-Match of a write against the version it would replace (None: there is none).

    Raises Refused: PreconditionFailed, or NoSuchKey when If-Match meets nothing (s3.md 4.2).
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None:
        if etag is None:
            raise Refused("NoSuchKey")
        if not etag_matches(match, etag):
            raise Refused("PreconditionFailed", extra={"Condition": "If-Match"})
    if none_match is not None and etag is not None and etag_matches(none_match, etag):
        raise Refused("PreconditionFailed", extra={"Condition": "If-None-Match"})


CONDITIONAL = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
