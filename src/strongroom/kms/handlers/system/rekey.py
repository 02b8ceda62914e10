"""sys/rekey/* and sys/rotate/root/*: other shares of the same data (vault.md 2.11)."""

import hmac
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.barrier import KEY_SIZE, seal_with
from strongroom.kms.domain.errors import FailedPlain, Refused, Sealed
from strongroom.kms.domain.ports import Write
from strongroom.kms.domain.records import SealConfig
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.sealing import (
    CONFIG,
    RECOVERY,
    RECOVERY_KEY,
    ROOT_KEY,
    WRONG,
    check_split,
    combine,
    share_key,
    shown,
)
from strongroom.kms.handlers.system.quorum import Gathering, Quorum, bare

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

QUIET = frozenset({"progress", "backup", "verification_required"})
REKEY_FIELDS = {
    "secret_shares": "int",
    "secret_threshold": "int",
    "pgp_keys": "list",
    "backup": "bool",
    "require_verification": "bool",
    "stored_shares": "int",
    "nonce": "text",
    "key": "text",
}


@dataclass(slots=True, repr=False)
class Rekey(Gathering):
    """A rekey in progress: the wanted split; after the quorum, with verification, the new key."""

    shares: int = 0
    threshold: int = 0
    verify: bool = False
    new_key: bytes = b""
    verification: Gathering | None = None


class Rekeying(Quorum):
    """The rekey routes."""

    def __init__(self, core: "Core") -> None:
        super().__init__(core)
        self.rekeying: Rekey | None = None
        core.on_seal.append(self.forget)

    def forget(self) -> None:
        """Drop what is in progress (at seal)."""
        self.rekeying = None

    def routes(self) -> list[Route]:
        """Return the routes."""
        read, up, delete = acl.READ, acl.UPDATE, acl.DELETE
        found = []
        init: dict[int, Any] = {read: self.rekey_status, up: self.rekey_start, delete: self.rekey_cancel}
        verify: dict[int, Any] = {read: self.verify_status, up: self.verify_update, delete: self.verify_restart}
        kept = {"fields": REKEY_FIELDS, "open": True}
        found += [
            route("rekey/init", init, **kept),
            route("rekey/update", {up: self.rekey_update}, **kept),
            route("rekey/verify", verify, **kept),
            route("rekey/backup", {read: self.no_backup, delete: self.no_backup}, sudo=True),
            route("rekey/recovery-key-backup", {read: self.no_backup, delete: self.no_backup}, sudo=True),
        ]
        recovery: dict[int, Any] = dict.fromkeys((read, up, delete), self.recovery)
        found.append(route("rekey-recovery-key/(init|update|verify)", recovery, **kept))
        found += [
            route("rotate/(root|recovery)/init", self.enveloped(init, QUIET), fields=REKEY_FIELDS),
            route("rotate/(root|recovery)/update", self.enveloped({up: self.rekey_update}), fields=REKEY_FIELDS),
            route("rotate/(root|recovery)/verify", self.enveloped(verify), fields=REKEY_FIELDS),
            route("rotate/(root|recovery)/backup", {read: self.no_backup, delete: self.no_backup}),
        ]
        return found

    def _rekey_status(self) -> dict[str, Any]:
        rekey = self.rekeying
        found: dict[str, Any] = {
            "nonce": rekey.nonce if rekey else "",
            "started": rekey is not None,
            "t": rekey.threshold if rekey else 0,
            "n": rekey.shares if rekey else 0,
            "progress": len(rekey.parts) if rekey else 0,
            "required": self.sealing.quorum.secret_threshold,
            "pgp_fingerprints": None,
            "backup": False,
            "verification_required": rekey.verify if rekey else False,
        }
        if rekey is not None and rekey.verification is not None:
            found["verification_nonce"] = rekey.verification.nonce
        return found

    def rekey_status(self, call: Call) -> Reply:
        """Tell how far a rekey is."""
        self.unauthenticated(call, refused=call.listener.disable_unauthed_rekey)
        return bare(self._rekey_status())

    def rekey_start(self, call: Call) -> Reply:
        """Begin a rekey."""
        self.unauthenticated(call, refused=call.listener.disable_unauthed_rekey)
        shares, threshold = call.get("secret_shares"), call.get("secret_threshold")
        if call.get("backup") and not call.get("pgp_keys"):
            raise Refused("cannot request a backup of the new keys without providing PGP keys for encryption")
        if call.get("pgp_keys"):
            raise Refused("PGP keys are not supported: split without them and encrypt the shares yourself")
        try:
            check_split(shares, threshold)
        except Refused as error:
            raise FailedPlain(f"invalid rekey seal configuration: {error}") from error
        if self.rekeying is not None:
            raise Refused("rekey already in progress")
        self.rekeying = Rekey(shares=shares, threshold=threshold, verify=call.get("require_verification"))
        return bare(self._rekey_status())

    def rekey_cancel(self, call: Call) -> None:
        """Give a rekey up; the old shares stay valid."""
        self.unauthenticated(call, refused=call.listener.disable_unauthed_rekey)
        self.rekeying = None

    async def rekey_update(self, call: Call) -> Reply:
        """Take an old share; at the quorum make the new ones."""
        self.unauthenticated(call, refused=call.listener.disable_unauthed_rekey)
        rekey = self.rekeying
        if rekey is None:
            raise Refused("no barrier rekey in progress")
        rekey.add(call, "rekey")
        if len(rekey.parts) < self.sealing.quorum.secret_threshold:
            return bare(self._rekey_status())
        self._check_quorum(rekey.take())
        rekey.new_key = os.urandom(KEY_SIZE)
        parts = share_key(rekey.new_key, rekey.shares, rekey.threshold)
        found = {"nonce": rekey.nonce, "complete": True} | shown(parts)
        found |= {"pgp_fingerprints": None, "backup": False, "verification_required": rekey.verify}
        if rekey.verify:
            rekey.verification = Gathering()
            return bare(found | {"verification_nonce": rekey.verification.nonce})
        await self._finish(rekey)
        return bare(found)

    def _check_quorum(self, parts: list[bytes]) -> None:
        """Raise FailedPlain unless the shares combine to the present key."""
        try:
            key = combine(parts)
            if self.core.auto_seal is None:
                self.sealing.root_key(key, "")
            elif not self.sealing.recovery_key_matches(key):
                raise Refused(WRONG)
        except Refused as error:
            raise FailedPlain(f"failed to read root key: {error}") from error

    async def _finish(self, rekey: Rekey) -> None:
        """Make the new key the one that counts."""
        core, live = self.core, self.core.live
        self.rekeying = None  # nobody adds shares to it, or gives it up, while it is stored
        if core.auto_seal is None:
            config = SealConfig("shamir", rekey.shares, rekey.threshold)
            async with core.keys_lock:
                if core.unsealed is not live:
                    raise Sealed("Vault is sealed")
                sealed = seal_with(rekey.new_key, ROOT_KEY, live.keys.root)
                await core.commit_raw([Write(ROOT_KEY, sealed), self.sealing.save_config(config, CONFIG)]).wait()
            live.keys.seal = rekey.new_key  # also when it sealed meanwhile: the shares must still be answered
        else:
            config = SealConfig("shamir", rekey.shares, rekey.threshold)
            work = core.work()
            work.put(RECOVERY_KEY, rekey.new_key)
            await work.entries.commit(work.take(), [self.sealing.save_config(config, RECOVERY)]).wait()

    def _verifying(self, call: Call) -> tuple[Rekey, Gathering]:
        self.unauthenticated(call, refused=call.listener.disable_unauthed_rekey)
        rekey = self.rekeying
        if rekey is None or rekey.verification is None:
            raise Refused("no rekey configuration found")
        return rekey, rekey.verification

    def _verify_status(self, rekey: Rekey, found: Gathering) -> Reply:
        status = {"nonce": found.nonce, "started": True, "t": rekey.threshold, "n": rekey.shares}
        return bare(status | {"progress": len(found.parts)})

    def verify_status(self, call: Call) -> Reply:
        """Tell how far the verification of new shares is."""
        return self._verify_status(*self._verifying(call))

    def verify_restart(self, call: Call) -> Reply:
        """Begin the verification anew."""
        rekey, _ = self._verifying(call)
        rekey.verification = Gathering()
        return self._verify_status(rekey, rekey.verification)

    async def verify_update(self, call: Call) -> Reply:
        """Take a new share; at the quorum the new key takes effect."""
        rekey, found = self._verifying(call)
        found.add(call, "verify")
        if len(found.parts) < rekey.threshold:
            return self._verify_status(rekey, found)
        if not hmac.compare_digest(combine(found.take()), rekey.new_key):
            raise Refused("rekey verification failed; incorrect root key supplied")
        await self._finish(rekey)
        return bare({"nonce": found.nonce, "complete": True})

    def no_backup(self, call: Call) -> Reply:
        """There are no PGP-encrypted copies of shares here."""
        raise Refused("no backed-up keys found")

    def recovery(self, call: Call) -> Any:
        """The same operations for the recovery shares of an outside seal."""
        if self.core.auto_seal is None:
            raise Refused("recovery rekeying not supported")
        step = call.path.rpartition("/")[2]
        tables: dict[str, dict[int, Any]] = {
            "init": {acl.READ: self.rekey_status, acl.UPDATE: self.rekey_start, acl.DELETE: self.rekey_cancel},
            "update": {acl.UPDATE: self.rekey_update},
            "verify": {acl.READ: self.verify_status, acl.UPDATE: self.verify_update, acl.DELETE: self.verify_restart},
        }
        handler = tables[step].get(call.operation)
        if handler is None:
            raise Refused("unsupported operation")
        return handler(call)


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Rekeying(core).routes()
