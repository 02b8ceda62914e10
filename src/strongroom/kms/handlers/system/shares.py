"""sys/rekey/* and sys/generate-root/*: what a quorum of share holders may do without a token (vault.md 2.11, 2.12).

The newer authenticated families (sys/rotate/root/*, sys/generate-root-token/*) lead to the same operations.
"""

import hmac
import os
import uuid
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.kms.domain import acl
from strongroom.kms.domain.barrier import KEY_SIZE, seal_with
from strongroom.kms.domain.errors import FailedPlain, Forbidden, Refused
from strongroom.kms.domain.ports import Write
from strongroom.kms.domain.records import SealConfig
from strongroom.kms.domain.tokens import random_text
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.core import root_token
from strongroom.kms.handlers.sealing import (
    CONFIG,
    RECOVERY,
    RECOVERY_KEY,
    ROOT_KEY,
    WRONG,
    Sealing,
    check_split,
    combine,
    decode_share,
    share_key,
    shown,
)
from strongroom.kms.wire import gojson

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

TOKEN_LENGTH = 26
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
ROOT_FIELDS = {"otp": "text", "pgp_key": "text", "nonce": "text", "key": "text"}


@dataclass(slots=True, repr=False)
class Gathering:
    """Shares of one operation on their way to a quorum."""

    nonce: str = field(default_factory=lambda: str(uuid.uuid4()))
    parts: list[bytes] = field(default_factory=list)

    def add(self, call: Call, what: str) -> None:
        """Take the request's share; raise Refused."""
        text = call.get("key")
        if not text:
            raise Refused("'key' must be specified in request body as JSON")
        part = decode_share(text)
        if not hmac.compare_digest(call.get("nonce").encode(), self.nonce.encode()):
            raise Refused(f'incorrect nonce supplied; nonce for this {what} operation is "{self.nonce}"')
        if part in self.parts:
            raise Refused("given key has already been provided during this generation operation")
        self.parts.append(part)

    def take(self) -> list[bytes]:
        """Return the shares and begin anew."""
        parts, self.parts = self.parts, []
        return parts


@dataclass(slots=True, repr=False)
class Rekey(Gathering):
    """A rekey in progress: the wanted split; after the quorum, with verification, the new key."""

    shares: int = 0
    threshold: int = 0
    verify: bool = False
    new_key: bytes = b""
    verification: Gathering | None = None


@dataclass(slots=True, repr=False)
class RootAttempt(Gathering):
    """A root token on its way; otp hides it."""

    otp: str = ""


def bare(data: dict[str, Any]) -> Reply:
    """Return an answer without an envelope."""
    return Reply(bare=gojson.encode(data))


class Shares:
    """Both families of routes."""

    def __init__(self, core: "Core") -> None:
        self.core = core
        self.rekeying: Rekey | None = None
        self.attempt: RootAttempt | None = None
        core.on_seal.append(self.forget)

    @property
    def sealing(self) -> Sealing:
        """The server's seal."""
        sealing = self.core.sealing
        assert sealing is not None
        return sealing

    def forget(self) -> None:
        """Drop what is in progress (at seal)."""
        self.rekeying = self.attempt = None

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
            route("rotate/(root|recovery)/init", self._enveloped(init, QUIET), fields=REKEY_FIELDS),
            route("rotate/(root|recovery)/update", self._enveloped({up: self.rekey_update}), fields=REKEY_FIELDS),
            route("rotate/(root|recovery)/verify", self._enveloped(verify), fields=REKEY_FIELDS),
            route("rotate/(root|recovery)/backup", {read: self.no_backup, delete: self.no_backup}),
        ]
        attempt = {read: self.root_status, up: self.root_start, delete: self.root_cancel}
        update = {up: self.root_update}
        found += [
            route("generate-root/attempt", attempt, fields=ROOT_FIELDS, open=True),
            route("generate-root/update", update, fields=ROOT_FIELDS, open=True),
            route("generate-root-token/attempt", self._enveloped(attempt), fields=ROOT_FIELDS, sudo=True),
            route("generate-root-token/update", self._enveloped(update), fields=ROOT_FIELDS, sudo=True),
        ]
        return found

    def _enveloped(self, operations: dict[int, Any], dropped: frozenset[str] = frozenset()) -> dict[int, Any]:
        """Return handlers whose bare answers come as `data`, without empty texts and without `dropped` when unset."""

        def wrapped(handler: Any) -> Any:
            async def run(call: Call) -> Reply | None:
                found = handler(call)
                reply = await found if hasattr(found, "__await__") else found
                if reply is None:
                    return None
                data = msgspec.json.decode(reply.bare)
                shown = {
                    k: v for k, v in data.items() if k == "otp" or (v not in ("", None) and (v or k not in dropped))
                }
                return Reply(data=shown)

            return run

        return {operation: wrapped(handler) for operation, handler in operations.items()}

    def _unauthenticated(self, call: Call, switch: str) -> None:
        """Raise Forbidden where the listener has switched the unauthenticated family off."""
        listeners = self.core.settings.listeners
        if listeners and all(getattr(listener, switch) for listener in listeners) and call.token is None:
            raise Forbidden("permission denied")

    # rekey

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
        self._unauthenticated(call, "disable_unauthed_rekey")
        return bare(self._rekey_status())

    def rekey_start(self, call: Call) -> Reply:
        """Begin a rekey."""
        self._unauthenticated(call, "disable_unauthed_rekey")
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
        self._unauthenticated(call, "disable_unauthed_rekey")
        self.rekeying = None

    async def rekey_update(self, call: Call) -> Reply:
        """Take an old share; at the quorum make the new ones."""
        self._unauthenticated(call, "disable_unauthed_rekey")
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
        core = self.core
        if core.auto_seal is None:
            config = SealConfig("shamir", rekey.shares, rekey.threshold)
            sealed = seal_with(rekey.new_key, ROOT_KEY, core.live.keys.root)
            await core.commit_raw([Write(ROOT_KEY, sealed), self.sealing.save_config(config, CONFIG)]).wait()
            core.live.keys.seal = rekey.new_key
        else:
            config = SealConfig("shamir", rekey.shares, rekey.threshold)
            work = core.work()
            work.put(RECOVERY_KEY, rekey.new_key)
            await work.entries.commit(work.take(), [self.sealing.save_config(config, RECOVERY)]).wait()
        self.rekeying = None

    def _verifying(self) -> tuple[Rekey, Gathering]:
        rekey = self.rekeying
        if rekey is None or rekey.verification is None:
            raise Refused("no rekey configuration found")
        return rekey, rekey.verification

    def _verify_status(self, rekey: Rekey, found: Gathering) -> Reply:
        status = {"nonce": found.nonce, "started": True, "t": rekey.threshold, "n": rekey.shares}
        return bare(status | {"progress": len(found.parts)})

    def verify_status(self, call: Call) -> Reply:
        """Tell how far the verification of new shares is."""
        return self._verify_status(*self._verifying())

    def verify_restart(self, call: Call) -> Reply:
        """Begin the verification anew."""
        rekey, _ = self._verifying()
        rekey.verification = Gathering()
        return self._verify_status(rekey, rekey.verification)

    async def verify_update(self, call: Call) -> Reply:
        """Take a new share; at the quorum the new key takes effect."""
        rekey, found = self._verifying()
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

    # root tokens

    def _root_status(self, *, with_length: bool = True, **more: Any) -> dict[str, Any]:
        attempt = self.attempt
        found = {
            "nonce": attempt.nonce if attempt else "",
            "started": attempt is not None,
            "progress": len(attempt.parts) if attempt else 0,
            "required": self.sealing.quorum.secret_threshold,
            "complete": False,
            "encoded_token": "",
            "encoded_root_token": "",
            "pgp_fingerprint": "",
            "otp": "",
            "otp_length": TOKEN_LENGTH if with_length else 0,
        }
        return found | more

    def root_status(self, call: Call) -> Reply:
        """Tell how far a root token is."""
        self._unauthenticated(call, "disable_unauthed_generate_root")
        return bare(self._root_status())

    def root_start(self, call: Call) -> Reply:
        """Begin a root token; without an OTP the server makes one and tells it once."""
        self._unauthenticated(call, "disable_unauthed_generate_root")
        otp, shown_otp = call.get("otp"), ""
        if not otp and call.get("pgp_key"):
            raise Refused(
                "error parsing PGP key: error parsing given PGP key: openpgp: invalid data: "
                "tag byte does not have MSB set"
            )
        if otp and len(otp) != TOKEN_LENGTH:
            raise Refused("OTP string has incorrect length")
        if self.attempt is not None:
            raise Refused("root generation already in progress for this namespace")
        if not otp:
            otp = shown_otp = random_text(TOKEN_LENGTH)
        self.attempt = RootAttempt(otp=otp)
        return bare(self._root_status(otp=shown_otp))

    def root_cancel(self, call: Call) -> None:
        """Give an attempt up."""
        self._unauthenticated(call, "disable_unauthed_generate_root")
        self.attempt = None

    def root_update(self, call: Call) -> Reply:
        """Take a share; at the quorum make the token, hidden by the OTP."""
        self._unauthenticated(call, "disable_unauthed_generate_root")
        attempt = self.attempt
        if attempt is None:
            raise Refused("no root generation in progress")
        attempt.add(call, "root generation")
        required = self.sealing.quorum.secret_threshold
        if len(attempt.parts) < required:
            return bare(self._root_status(with_length=False))
        self._check_root_quorum(attempt.take())
        token = root_token(call.work, self.core.live.tokens, call.now)
        hidden = bytes(a ^ b for a, b in zip(token.encode(), attempt.otp.encode(), strict=True))
        encoded = b64encode(hidden).decode().rstrip("=")
        more = {"progress": required, "complete": True, "encoded_token": encoded, "encoded_root_token": encoded}
        found = self._root_status(with_length=False, **more)
        self.attempt = None
        return bare(found)

    def _check_root_quorum(self, parts: list[bytes]) -> None:
        head = "root generation aborted: unable to authenticate: "
        try:
            key = combine(parts)
            if self.core.auto_seal is None:
                self.sealing.root_key(key, "unable to retrieve stored keys: ")
            elif not self.sealing.recovery_key_matches(key):
                raise Refused("unable to retrieve stored keys: " + WRONG)
        except Refused as error:
            raise Refused(head + str(error)) from error


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Shares(core).routes()
