"""How much a JSON body would become in memory, told from its bytes before it is decoded (vault.md 1.3).

A body within the size limit can decode into many times its size, and each of its texts is hashed for the audit log; an
unauthenticated one as well. The texts of the refusals are OpenBao's (seen: 2.7.2).
"""

import re
from math import inf

from strongroom.kms.domain.errors import Refused

CONTAINER, ELEMENT = 64, 24  # bytes that an object or list, and a place in one, are counted as
REFUSED = "refused JSON input due to high complexity: exceeded maximum "
TOO_MANY = REFUSED + "number of strings"
TOO_LARGE = REFUSED + "estimated memory limits"
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def check_complexity(body: bytes, strings: int, memory: int) -> None:
    """Raise Refused for JSON with more than so many strings, or so many bytes when decoded; below zero: no limit.

    A body that is no JSON may pass or not; decoding it says what is wrong with it.
    """
    if 0 <= strings < body.count(b'"') // 2 and strings < _strings(body):
        raise Refused(TOO_MANY)
    if 0 <= memory < _estimate(body) and memory < _estimate(_TEXT.sub(b"", body)):
        raise Refused(TOO_LARGE)


def plain_size(strings: int, memory: int) -> float:
    """Return the length in bytes up to which every body is within both limits, so that nobody has to look."""
    return min(2.0 * strings if strings >= 0 else inf, memory / CONTAINER if memory >= 0 else inf)


def _strings(body: bytes) -> int:
    return body.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"') // 2


def _estimate(body: bytes) -> int:
    return CONTAINER * (body.count(b"{") + body.count(b"[")) + ELEMENT * body.count(b",")
