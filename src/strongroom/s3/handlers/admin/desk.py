"""What admin handlers work with: the desk (what lasts) and the errand (one request)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from strongroom.crypto import madmin
from strongroom.errors import Denied, Malformed, Tampered
from strongroom.messages import Body, Request, Response
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.key_service import KeyCounters, KeyService
from strongroom.s3.domain.policy.decide import Question, Verdict
from strongroom.s3.domain.ports import DataKeys
from strongroom.s3.domain.principals import Principal
from strongroom.s3.handlers.call import Box
from strongroom.s3.handlers.circumstances import Values, of_caller
from strongroom.s3.handlers.hub import Hub
from strongroom.s3.handlers.iam_store import IamStore
from strongroom.s3.handlers.jobs import Jobs
from strongroom.s3.wire.admin import refused
from strongroom.s3.wire.sigv4 import Pairs

BODY_LIMIT = 4 * 1024 * 1024  # bytes of any admin request; batch jobs are the largest
CONTAINERS = 2  # Argon2id runs at a time, 64 MiB each: what a flood of admin calls may cost


Note: TypeAlias = Callable[[Request, str, str, Mapping[str, str], int], None]
"""Records an admin call: the request, its id, who made it, its arguments, the status of its answer."""


def _unnoted(request: Request, request_id: str, who: str, query: Mapping[str, str], status: int) -> None:
    """Record nothing."""


class Control(Protocol):
    """The server process."""

    def restart(self) -> None:
        """Begin to restart; the answer to the request that asks is still sent."""

    def stop(self) -> None:
        """Begin to stop."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What `admin info` tells of this server. started: seconds since the epoch."""

    endpoint: str
    version: str
    started: float
    deployment: str
    path: str
    region: str = ""


@dataclass(slots=True)
class Desk:
    """The parts of a running server that admin handlers use. keys and jobs None: no key service is configured."""

    box: Box
    iam: IamStore
    facts: ServerFacts
    control: Control
    counters: KeyCounters | None = None
    keys: KeyService | None = None
    data_keys: DataKeys | None = None
    jobs: Jobs | None = None
    keys_changed: Callable[[], Awaitable[None]] | None = None
    note: Note = _unnoted
    configuration: dict[str, list[str]] = field(default_factory=dict)
    traces: Hub[dict[str, Any]] = field(default_factory=Hub)
    logs: Hub[dict[str, Any]] = field(default_factory=Hub)
    containers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONTAINERS))

    @property
    def directory(self) -> Directory:
        """The IAM entries in memory."""
        return self.iam.directory


@dataclass(slots=True)
class Errand:
    """One admin request. pairs: the query, decoded; query: the same by name, the first of a repeated name."""

    desk: Desk
    request: Request
    body: Body
    pairs: Pairs
    query: Mapping[str, str]
    principal: Principal
    request_id: str
    content: bytes = b""

    @property
    def directory(self) -> Directory:
        """The IAM entries in memory."""
        return self.desk.directory

    async def keys_changed(self) -> None:
        """Let the server's other processes forget the data keys they have in memory, before the answer."""
        if self.desk.keys_changed is not None:
            await self.desk.keys_changed()

    def argument(self, name: str) -> str:
        """Return a query argument; raise the refusal of a missing or empty one."""
        value = self.query.get(name, "")
        if not value:
            raise refused("XMinioAdminInvalidArgument")
        return value

    def values(self, name: str) -> list[str]:
        """Return every value of a repeated query argument."""
        return [value for key, value in self.pairs if key == name]

    @property
    def circumstances(self) -> Values:
        """What policy conditions may compare."""
        box = self.desk.box
        return of_caller(self.request, self.principal.credential, box.now(), box.settings.trusted_proxies)

    def allows(self, action: str, resource: str = "") -> bool:
        """Say whether the caller's policies allow an admin or kms action."""
        question = Question(action, resource, (), self.circumstances)
        return self.directory.verdict(self.principal, question) is Verdict.ALLOW

    def authorise(self, action: str, resource: str = "") -> None:
        """Raise Denied unless the caller's policies allow it."""
        if not self.allows(action, resource):
            raise Denied(f"{self.principal.name} may not {action} {resource}")

    @property
    def _secret(self) -> bytes:
        credential = self.principal.credential
        return credential.secret.encode() if credential else b""

    async def opened(self) -> bytes:
        """Return the request's body out of its container; raise the recorded refusal for anything else."""
        async with self.desk.containers:
            try:
                return await asyncio.to_thread(madmin.open, self._secret, self.content)
            except (Malformed, Tampered) as error:
                raise refused("XMinioAdminConfigBadJSON") from error

    async def sealed(self, plaintext: bytes) -> Response:
        """Return an answer in a container under the caller's secret."""
        async with self.desk.containers:
            container = await asyncio.to_thread(madmin.seal, self._secret, plaintext)
        return Response(200, [("Content-Type", "application/json")], container)


Errander: TypeAlias = Callable[[Errand], Awaitable[Response]]
DONE = Response(200)


def opt(**members: Any) -> dict[str, Any]:
    """Return the members that are not empty: the original leaves those out."""
    return {name: value for name, value in members.items() if value not in ("", None, [], {})}
