"""What every handler gets: the caller's words, and the parts of the server that they concern."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from strongroom.audit.log import AuditLog
from strongroom.errors import Error, Unavailable
from strongroom.kes.domain.errors import KeyExists, KeyNotFound, OperationFailed
from strongroom.kes.domain.policy import Policies
from strongroom.kes.domain.settings import Settings
from strongroom.kes.handlers.counters import Counters
from strongroom.kes.handlers.keyring import Keyring
from strongroom.kes.handlers.watch import Watch
from strongroom.messages import Request, Response
from strongroom.observe.log import Log

JSON = (("Content-Type", "application/json"),)


@dataclass(slots=True)
class State:
    """What a reload replaces as a whole."""

    settings: Settings
    policies: Policies
    keyring: Keyring
    watch: Watch
    started: str  # RFC 3339: when the policies were read
    verify: Callable[[bytes], None] | None = None  # judges certificates that TLS proxies forward, with `auth: on`


class Call(msgspec.Struct):
    """One request, after its identity and policy were checked.

    identity is "" without a certificate; argument is the decoded rest of the path.
    """

    state: State
    server: "Server"
    request: Request
    identity: str
    path: str
    quoted: str  # the path as JSON
    argument: str
    body: bytes = b""
    chunked: bool = False  # the body came without a declared length
    request_id: str = ""  # the client's, or ours
    address: str = ""  # the client's
    fingerprint: str = ""  # SHA-256 of the client's certificate
    refused: bool = False
    version: int = 0  # of the key that was used, for the audit line
    context: bytes = b""  # the request's, for the audit line

    def __repr__(self) -> str:
        return f"Call({self.request.method} {self.path} by {self.identity})"  # the body is secret


@dataclass(slots=True)
class Server:
    """What outlives a reload. now() is in seconds since 1970."""

    version: str
    log: Log
    audit: AuditLog
    counters: Counters
    now: Callable[[], float] = time.time
    started: float = field(default_factory=time.monotonic)
    stopping: list[Callable[[], None]] = field(default_factory=list)  # ends the streams


EMPTY = Response(200)
NDJSON = (("Content-Type", "application/x-ndjson"),)


def listed(
    call: Call, member: str, names: list[str], more: Callable[[str], dict[str, object]] = lambda name: {}
) -> Response | None:
    """Return a list as clients of 2021 to 2023 read it, one object a line, if this one accepts that (kes.md 1.7).

    more returns the further members of a name's line.
    """
    if "application/x-ndjson" not in call.request.headers.get("accept", ""):
        return None
    return Response(200, NDJSON, b"".join(msgspec.json.encode({member: name, **more(name)}) + b"\n" for name in names))


def ours(error: Exception) -> Error:
    """Return an error of ours: what nobody foresaw becomes one that says where, to be answered and audited like others.

    Without its text, which may hold a secret.
    """
    if isinstance(error, Error):
        return error
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return Error(f"{type(error).__name__} at {places}")


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Turn a store's failure into the 502 that names what could not be done, keeping what clients may know."""
    try:
        yield
    except (KeyNotFound, KeyExists):
        raise
    except Unavailable as error:
        raise OperationFailed(what, str(error)) from error
