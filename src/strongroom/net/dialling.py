"""How blocking connections are made: addresses, TLS, name resolution, brakes (net/blocking.py uses them)."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from strongroom.errors import Unavailable

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0  # a server that hashes a 5 GiB part may be silent for long


class Unreachable(Unavailable):
    """No connection, or it broke. `refused` says that nothing listens; `number` is the system's errno or 0."""

    def __init__(self, reason: str, *, address: str = "", refused: bool = False, number: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.address, self.refused, self.number = reason, address, refused, number


class Untrusted(Unreachable):
    """The server's certificate was not accepted."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a server listens. `host` without brackets."""

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """Return what goes into the Host header: the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class Throttle:
    """A shared brake: at most `rate` bytes a second over all connections, in bursts of a quarter second."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock, self._lock, self._free_at = rate, clock, threading.Lock(), 0.0

    def pass_(self, count: int) -> None:
        """Account for count bytes and sleep as long as the rate demands."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - 0.25) + count / self._rate
            wait = self._free_at - now
        if wait > 0:
            time.sleep(wait)


@dataclass(frozen=True, slots=True)
class Dialling:
    """How connections are made.

    resolve   host, or host:port, to an address (as curl --resolve)
    up, down  brakes for what is sent and received
    """

    tls: ssl.SSLContext | None = None
    connect_seconds: float = CONNECT_SECONDS
    silence_seconds: float = SILENCE_SECONDS
    resolve: Mapping[str, str] = field(default_factory=dict)
    up: Throttle | None = None
    down: Throttle | None = None


def open_socket(origin: Origin, how: Dialling) -> socket.socket:
    """Connect, with TLS where the origin has it; raise Unreachable or Untrusted."""
    host = how.resolve.get(f"{origin.host}:{origin.port}", how.resolve.get(origin.host, origin.host))
    try:
        plain = socket.create_connection((host, origin.port), how.connect_seconds)
    except socket.gaierror as error:
        raise Unreachable(f"dial tcp: lookup {host}: no such host", address=host) from error
    except TimeoutError as error:
        raise Unreachable(f"dial tcp {host}:{origin.port}: i/o timeout", address=host) from error
    except OSError as error:
        raise _not_connected(error, host, origin.port) from error
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.settimeout(how.silence_seconds)
    if not origin.tls:
        return plain
    try:
        return (how.tls or ssl.create_default_context()).wrap_socket(plain, server_hostname=origin.host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise Untrusted(_distrust(error), address=host) from error
    except OSError as error:
        plain.close()
        raise Unreachable(f"tls: {error.strerror or error}", address=host) from error


def _not_connected(error: OSError, host: str, port: int) -> Unreachable:
    refused = isinstance(error, ConnectionRefusedError)
    words = (error.strerror or str(error)).lower()
    return Unreachable(
        f"dial tcp {host}:{port}: connect: {words}", address=host, refused=refused, number=error.errno or 0
    )


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    """Say why a certificate was refused, in the words that Go clients print (mc.md 4)."""
    texts = {
        10: "certificate has expired or is not yet valid",
        9: "certificate has expired or is not yet valid",
        62: f"certificate is not valid for this host name ({error.verify_message})",
        64: f"certificate is not valid for this address ({error.verify_message})",
    }
    reason = texts.get(error.verify_code, "certificate signed by unknown authority")
    return f"tls: failed to verify certificate: x509: {reason}"
