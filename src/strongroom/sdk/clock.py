"""How far our clock is from a peer's, by the `Date` of its answers (RFC 9110, 6.6.1)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

TOLERANCE = 5.0  # seconds: dates have no fractions, and answers take their time


@dataclass(slots=True)
class PeerClock:
    """ahead: seconds that our clock is ahead of the peer's, negative behind it; 0 until it is known to be more."""

    ahead: float = 0.0

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take note of an answer that has just come; names of headers in lower case. No date changes nothing."""
        try:
            ahead = time.time() - parsedate_to_datetime(headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            return
        self.ahead = ahead if abs(ahead) > TOLERANCE else 0.0
