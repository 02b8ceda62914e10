"""What the server does right now: `mc admin trace` and `mc admin logs` (mc.md 10.6)."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from strongroom.messages import Response, Stream
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.handlers.hub import Hub
from strongroom.s3.wire.admin import refused

Record = dict[str, Any]
MAX_LAST = 1000
_JSON = ("Content-Type", "application/json")
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
LONGEST = 64  # characters of a duration that are looked at
_PART = re.compile(r"(\d+\.?\d*)(ns|us|µs|ms|s|m|h)")


async def trace(errand: Errand) -> Response:
    """Send every request as it is answered, without bodies and without secrets."""
    query = errand.query
    s3, internal, errors = (query.get(name) == "true" for name in ("s3", "internal", "err"))
    threshold = _nanoseconds(query.get("threshold", ""))

    def fits(record: Record) -> bool:
        kind = s3 if record["funcname"].startswith("s3.") else internal
        failed = record["http"]["respInfo"]["statuscode"] >= 400
        return kind and (failed or not errors) and record["dur"] >= threshold

    return _stream(errand.desk.traces, fits)


async def logs(errand: Errand) -> Response:
    """Send the last log lines, then those to come."""
    text = errand.query.get("limit", "10")
    if not text.isdecimal() or len(text) > 9:
        raise refused("XMinioAdminInvalidArgument")
    node = errand.query.get("node", "")
    return _stream(errand.desk.logs, lambda record: node in ("", record["node"]), min(int(text), MAX_LAST))


def _stream(hub: "Hub[Record]", fits: Callable[[Record], bool], last: int = 0) -> Response:
    return Response(200, [_JSON], Stream(_lines(hub, fits, last)))


async def _lines(hub: "Hub[Record]", fits: Callable[[Record], bool], last: int) -> AsyncIterator[bytes]:
    yield b"\n"  # the head goes out at once
    async for record in hub.listen(last):
        if record is None:
            yield b"\n"
        elif fits(record):
            yield msgspec.json.encode(record) + b"\n"


def _nanoseconds(text: str) -> float:
    """Return a Go duration such as `1.5s`; raise Refused."""
    parts = _PART.findall(text[:LONGEST])
    if "".join(number + unit for number, unit in parts) != text:
        raise refused("XMinioAdminInvalidArgument")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
