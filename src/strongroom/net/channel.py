"""What a TLS implementation offers to a connection: bytes of the wire in, plaintext out, and the other way."""

from collections.abc import Callable
from typing import Protocol

from ..messages import Buffer


class Broken(Exception):
    """The peer's TLS is broken or refused; `alert` holds what should still be sent to say so."""

    def __init__(self, message: str, alert: bytes = b"") -> None:
        super().__init__(message)
        self.alert = alert


class Channel(Protocol):
    """One connection's TLS state. Not thread-safe: whoever owns the connection calls it, one call at a time."""

    ready: bool  # the handshake is complete
    ended: bool  # the peer has said that it sends no more (close_notify)

    def receive(self, data: Buffer) -> bytes:
        """Take bytes of the wire, b"" included; return the plaintext they completed. Raises Broken."""

    def receive_into(self, view: memoryview) -> int:
        """Decrypt into view what was given by `put`; return the count, 0 when more wire bytes are needed."""

    def put(self, data: Buffer) -> None:
        """Take bytes of the wire for receive_into."""

    def outgoing(self) -> bytes:
        """Return what the protocol itself wants sent: handshake, key updates, alerts. Often b""."""

    def protect(self, data: Buffer) -> bytes:
        """Return the wire bytes that carry data."""

    def close(self) -> bytes:
        """Return the wire bytes that say that we send no more."""

    def certificates(self) -> tuple[bytes, ...]:
        """Return the peer's certificates in DER, the leaf first; () without one."""


class TlsContext:
    """Makes a Channel for each new connection. `reload` swaps certificates; open connections keep theirs."""

    def __init__(self, build: Callable[[], Callable[[], Channel]]) -> None:
        """build reads the files and returns the maker of channels; it raises BadSettings."""
        self._build = build
        self._make = build()

    def channel(self) -> Channel:
        """Return the state of a new connection."""
        return self._make()

    def reload(self) -> None:
        """Read the files again. Raises BadSettings and then keeps what it had."""
        self._make = self._build()

    def replace(self, other: "TlsContext") -> None:
        """Use what other uses, for new connections."""
        self._build, self._make = other._build, other._make
