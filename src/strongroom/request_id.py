"""The id that follows one request through every box: made by the first, sent on to the next in a header.

A box that serves a request notes its id here; whoever asks another box on behalf of that request sends it on.
"""

import os
import re
from contextvars import ContextVar
from itertools import count

HEADER = "X-Request-Id"
current: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that this task works for; "" outside of one."""

# Visible ASCII without quote and backslash, so that an id stands in JSON and in a header as it is.
valid_id = re.compile(r"[!#-\[\]-~]{1,64}").fullmatch
_PROCESS = os.urandom(8).hex()
_next = count(1).__next__


def request_id(given: str | None) -> str:
    """Return the id that a request came with if it is valid (64 visible characters), else a new one.

    A new one is 16 random hexadecimal digits of this process, `-`, and a count.
    """
    if given is not None and valid_id(given):
        return given
    return f"{_PROCESS}-{_next():x}"
