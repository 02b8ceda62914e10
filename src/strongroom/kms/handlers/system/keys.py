"""sys/key-status and sys/rotate: the barrier's keyring (vault.md 2.10)."""

import os
from typing import TYPE_CHECKING

from strongroom.kms.domain import acl
from strongroom.kms.domain.barrier import KEY_SIZE, MAX_OPERATIONS, seal_with
from strongroom.kms.domain.errors import Refused, Sealed
from strongroom.kms.domain.ports import Write
from strongroom.kms.domain.values import go_duration, rfc3339
from strongroom.kms.handlers.call import Call, Reply, Route, route

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

DAY = 24 * 3600
LEAST_OPERATIONS = 1_000_000
FIELDS = {"enabled": "bool", "max_operations": "int", "interval": "seconds"}


class Keys:
    """The keyring's routes."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    def routes(self) -> list[Route]:
        """Return the routes."""
        up = acl.UPDATE
        return [
            route("key-status", {acl.READ: self.status}),
            route("rotate", {up: self.rotate}, sudo=True),
            route("rotate/keyring", {up: self.rotate}, sudo=True),
            route("rotate/root", {up: self.rotate_root}, sudo=True),
            route("rotate/config", {acl.READ: self.rule, up: self.set_rule}, fields=FIELDS),
            route("rotate/keyring/config", {acl.READ: self.rule, up: self.set_rule}, fields=FIELDS),
        ]

    def status(self, call: Call) -> Reply:
        """Tell the newest term."""
        term = self.core.live.entries.keyring.newest
        found = {"term": term.number, "install_time": rfc3339(term.installed), "encryptions": term.encryptions}
        return Reply(data=found, hoist=True)

    async def rotate(self, call: Call) -> None:
        """Add a term to the keyring."""
        await self.core.rotate_keyring(call.now)

    async def rotate_root(self, call: Call) -> None:
        """Replace the root key; shares stay valid, for the seal key that wraps it does. Raises Refused or Sealed."""
        from strongroom.kms.handlers.core import KEYRING
        from strongroom.kms.handlers.sealing import ROOT_KEY

        core, live, root = self.core, self.core.live, os.urandom(KEY_SIZE)
        wrapped = await core.auto_seal.wrap(root) if core.auto_seal is not None else b""
        async with core.keys_lock:
            if core.working() is not live:  # sealed meanwhile, perhaps unsealed again: these are not its keys
                raise Sealed("Vault is sealed")
            if core.auto_seal is None:
                self._check_seal_key(live.keys.seal)
                wrapped = seal_with(live.keys.seal, ROOT_KEY, root)
            await core.commit_raw([Write(ROOT_KEY, wrapped), Write(KEYRING, core.keyring_record(root))]).wait()
            live.keys.root = root

    def _check_seal_key(self, key: bytes) -> None:
        """Raise Refused unless this is the key that today's shares give.

        Another server, or the one of a restored backup, may have other shares than those that unsealed this one.
        """
        assert self.core.sealing is not None
        try:
            self.core.sealing.root_key(key, "")
        except Refused as error:
            raise Refused("the unseal shares are not those of this unseal: seal this server and unseal it") from error

    def rule(self, call: Call) -> Reply:
        """Return when the keyring rotates by itself."""
        rule = self.core.live.entries.keyring.record.rule
        found = {
            "enabled": rule.enabled,
            "max_operations": rule.max_operations,
            "interval": go_duration(rule.interval) if rule.interval else 0,
        }
        return Reply(data=found)

    async def set_rule(self, call: Call) -> None:
        """Change when the keyring rotates by itself."""
        rule = self.core.live.entries.keyring.record.rule
        interval = int(call.get("interval")) if call.has("interval") else rule.interval
        operations = call.get("max_operations") if call.has("max_operations") else rule.max_operations
        if 0 < interval < DAY:
            raise Refused("interval must be greater or equal to 24h0m0s")
        if not LEAST_OPERATIONS <= operations <= MAX_OPERATIONS:
            raise Refused(f"max_operations must be in the range [{LEAST_OPERATIONS},{MAX_OPERATIONS}]")
        rule.interval, rule.max_operations = interval, operations
        if call.has("enabled"):
            rule.enabled = call.get("enabled")
        async with self.core.keys_lock:
            await self.core.save_keyring()


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Keys(core).routes()
