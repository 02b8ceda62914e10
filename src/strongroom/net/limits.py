"""What a peer may cost us: sizes in bytes, times in seconds; a time of 0 means no limit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one listener; every box overrides what its original does differently.

    head_bytes     longest request head, else 431
    headers        most header fields in a head, else 431
    buffered_body  a body up to this length arrives before the handler is called (no await needed for it)
    connections    more than this at once are closed as they come
    head_seconds   from the first byte of a head to its end, and for a whole TLS handshake; else 408
    idle_seconds   a kept-alive connection without a request is closed after this
    body_stall_seconds  a body that brings nothing for so long ends in 408, or in Incomplete for its reader
    body_rate      bytes a second that a body must bring on average once body_stall_seconds have passed
    send_stall_seconds  a peer that takes nothing of an answer for so long is cut
    linger_seconds, linger_bytes  how long, and how much, we still read from a peer whose body nobody wanted, so
                   that it sees the answer rather than a reset
    """

    head_bytes: int = 64 * 1024
    headers: int = 200
    buffered_body: int = 256 * 1024
    connections: int = 20_000
    head_seconds: float = 10.0
    idle_seconds: float = 90.0
    body_stall_seconds: float = 30.0
    body_rate: int = 1024
    send_stall_seconds: float = 60.0
    linger_seconds: float = 5.0
    linger_bytes: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("head_seconds", "idle_seconds", "body_stall_seconds", "send_stall_seconds"):
            if getattr(self, name) <= 0:
                object.__setattr__(self, name, float("inf"))
