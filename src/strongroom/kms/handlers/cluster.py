"""Several servers over one storage: one is active, the others send clients to it (vault.md 12)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

from strongroom.errors import Error, Tampered, Unavailable
from strongroom.kms.domain.errors import NotActive, Refused
from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers.core import Core
from strongroom.kms.handlers.sealing import Sealing
from strongroom.messages import Request, Response

POLL = 1.0  # seconds between tries to become active, and between signs of life
LEASE = 4.0  # seconds after its last sign of life that an active server still answers; the storage drops it after 5
PAUSE = 10.0  # seconds that a server which stepped down leaves the lock to others


class Leading(Protocol):
    """Who the active server is."""

    @property
    def address(self) -> str:
        """Where clients reach it."""


@runtime_checkable
class Election(Protocol):
    """The lock that elects the active server; calls may block and run in a thread."""

    def acquire(self, address: str) -> bool:
        """Try to become active; raise Unavailable."""

    def beat(self) -> bool:
        """Say so again; False when it is so no longer."""

    def release(self) -> None:
        """Be active no longer."""

    def leader(self) -> Leading | None:
        """Return the active server."""


class Member:
    """Keeps one server's place among several."""

    def __init__(self, core: Core, sealing: Sealing, election: Election, address: str) -> None:
        self.core, self.sealing, self.election, self.address = core, sealing, election, address
        self._beat = 0.0
        self._pause_until = 0.0
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        core.standby = core.ha_enabled = True
        core.on_step_down = self.step_down
        core.on_seal.append(self._sealed)

    async def run(self) -> None:
        """Try to become active while unsealed, and prove it while active."""
        while True:
            try:
                async with asyncio.timeout(POLL):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.turn()
            except Error as error:
                self._demote(f"{error}")

    async def turn(self) -> None:
        """Do one step: prove, lose or try."""
        async with self._lock:
            core = self.core
            if core.unsealed is None:
                await asyncio.to_thread(self.election.release)
            elif not core.standby:
                failed = core.unsealed.entries.failed is not None
                if failed or not await asyncio.to_thread(self.election.beat):
                    self._demote("the place of the active server is lost")
                    await asyncio.to_thread(self.election.release)
                else:
                    self._beat = time.monotonic()
            elif time.monotonic() >= self._pause_until and await asyncio.to_thread(self.election.acquire, self.address):
                self._promote()

    def _promote(self) -> None:
        """Become active: everything is read anew, for another server may have changed it."""
        core = self.core
        live = core.unsealed
        if live is None:
            return
        self.sealing.reload()
        try:
            core.reopen(live.keys)
        except Tampered:
            self.sealing.seal()  # the root key was replaced: the shares are needed again
            return
        core.standby, core.active_time = False, rfc3339(core.clock())
        self._beat = time.monotonic()
        core.info("active")

    def _demote(self, why: str) -> None:
        if not self.core.standby:
            self.core.standby = True
            self.core.warn(f"standby: {why}")

    def step_down(self) -> None:
        """Leave the place to another server for a while."""
        self._demote("asked to step down")
        self._pause_until = time.monotonic() + PAUSE
        self._release_later()

    def _sealed(self) -> None:
        self.core.standby = True
        self._release_later()

    def _release_later(self) -> None:
        self._task = asyncio.get_running_loop().create_task(asyncio.to_thread(self.election.release))

    async def unsealed(self) -> None:
        """Try at once after an unseal, so that a lone server answers the next request."""
        try:
            await self.turn()
        except Unavailable as error:
            self.core.warn(str(error))

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[None]:
        """Hold the place for an init, so that two servers cannot both initialise; raise Refused.

        The turns wait meanwhile: a sealed server gives the place back at each of them.
        """
        async with self._lock:
            if not await asyncio.to_thread(self.election.acquire, self.address):
                raise Refused("another server is being initialised")
            self.sealing.reload()
            yield

    def serving(self) -> bool:
        """Say whether this server may answer: it is active, and showed so lately."""
        return not self.core.standby and time.monotonic() - self._beat < LEASE

    def elsewhere(self, request: Request) -> Response:
        """Send a client to the active server; raise NotActive when there is none."""
        leader = self.election.leader()
        if leader is None or leader.address == self.address:
            raise NotActive("no active Vault instance found")
        location = leader.address.rstrip("/") + request.target
        return Response(307, (("Cache-Control", "no-store"), ("Location", location)), b"")
