"""transit/keys/…/rotate: new versions of keys, when asked for and when their period is over (vault.md 6.1)."""

import asyncio
from typing import TYPE_CHECKING

from strongroom.kms.domain import acl
from strongroom.kms.domain.entries import View, Work
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.records import Mount
from strongroom.kms.domain.transit.record import Key, add_version, new_material
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.rounds import Round
from strongroom.kms.handlers.transit_keys import KEYS, NAME, TransitKeys

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core


class TransitRotation(TransitKeys):
    """The part of a transit engine that rotates keys."""

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(core, mount)
        self._round = Round()
        self._rotating: dict[str, asyncio.Task[None]] = {}

    def key_routes(self) -> list[Route]:
        """Return the routes about keys."""
        return [*super().key_routes(), route("keys/" + NAME + "/rotate", {acl.UPDATE: self.rotate})]

    async def rotate(self, call: Call) -> Reply:
        """Add a version."""
        key = self._usable(self._own(call))
        if key is None:
            raise Refused("key not found")
        if key.imported and not key.allow_rotation:
            raise Refused(f"imported key {key.name} does not allow rotation within the server")
        slow = key.kind.startswith("rsa-")
        make = new_material
        material = await asyncio.to_thread(make, key.kind) if slow else make(key.kind, key.key_size)
        key = self._own(call)
        if key is None:
            raise Refused("key not found")
        add_version(key, material, call.seconds)
        self._save(call.view, key)
        return Reply(data=key.shown())

    def tick(self, work: Work, now: int) -> None:
        """Rotate keys whose period is over: a page of keys at each tick, a round a minute."""
        view, seconds = View(work, self.mount.prefix), now // 1_000_000_000
        for path in self._round.page(view, KEYS, seconds):
            key: Key | None = view.load(path, Key)
            if key is None or not _due(key, seconds):
                continue
            if key.kind.startswith("rsa-"):
                self._rotate_slowly(key.name, seconds)
            else:
                add_version(key, new_material(key.kind, key.key_size), seconds)
                self._save(view, key)

    def _rotate_slowly(self, name: str, seconds: int) -> None:
        """Make an RSA key's next version in a thread; it counts once it is there."""
        if name in self._rotating:
            return

        async def rotate() -> None:
            core, live = self.core, self.core.unsealed
            work = core.work()
            key: Key | None = View(work, self.mount.prefix).load(KEYS + name, Key)
            if key is None:
                return
            material = await asyncio.to_thread(new_material, key.kind)
            if core.working() is not live or self.mount.uuid not in core.live.backends:
                return
            work = core.work()
            view = View(work, self.mount.prefix)
            key = view.load(KEYS + name, Key)  # as it is now
            if key is not None and _due(key, seconds):
                add_version(key, material, seconds)
                self._save(view, key)
                work.commit()

        task = self._rotating[name] = asyncio.get_running_loop().create_task(rotate())

        def done(ended: "asyncio.Task[None]") -> None:
            self._rotating.pop(name, None)
            if not ended.cancelled() and ended.exception() is not None:
                self.core.warn(f"rotating {self.mount.path}{name}: {type(ended.exception()).__name__}")

        task.add_done_callback(done)


def _due(key: Key, seconds: int) -> bool:
    period = key.auto_rotate_period
    return bool(period) and seconds - key.versions[key.latest].created >= period
