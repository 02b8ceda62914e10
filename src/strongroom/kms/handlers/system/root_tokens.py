"""sys/generate-root/* and sys/generate-root-token/*: a root token from a quorum of shares (vault.md 2.12)."""

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.tokens import random_text
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.core import root_token
from strongroom.kms.handlers.sealing import (
    WRONG,
    combine,
)
from strongroom.kms.handlers.system.quorum import Gathering, Quorum, bare

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

TOKEN_LENGTH = 26
ROOT_FIELDS = {"otp": "text", "pgp_key": "text", "nonce": "text", "key": "text"}


@dataclass(slots=True, repr=False)
class RootAttempt(Gathering):
    """A root token on its way; otp hides it."""

    otp: str = ""


class RootTokens(Quorum):
    """The root token routes."""

    def __init__(self, core: "Core") -> None:
        super().__init__(core)
        self.attempt: RootAttempt | None = None
        core.on_seal.append(self.forget)

    def forget(self) -> None:
        """Drop what is in progress (at seal)."""
        self.attempt = None

    def routes(self) -> list[Route]:
        """Return the routes."""
        read, up, delete = acl.READ, acl.UPDATE, acl.DELETE
        found = []
        attempt = {read: self.root_status, up: self.root_start, delete: self.root_cancel}
        update = {up: self.root_update}
        found += [
            route("generate-root/attempt", attempt, fields=ROOT_FIELDS, open=True),
            route("generate-root/update", update, fields=ROOT_FIELDS, open=True),
            route("generate-root-token/attempt", self.enveloped(attempt), fields=ROOT_FIELDS, sudo=True),
            route("generate-root-token/update", self.enveloped(update), fields=ROOT_FIELDS, sudo=True),
        ]
        return found

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
        self.unauthenticated(call, refused=call.listener.disable_unauthed_generate_root)
        return bare(self._root_status())

    def root_start(self, call: Call) -> Reply:
        """Begin a root token; without an OTP the server makes one and tells it once."""
        self.unauthenticated(call, refused=call.listener.disable_unauthed_generate_root)
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
        self.unauthenticated(call, refused=call.listener.disable_unauthed_generate_root)
        self.attempt = None

    def root_update(self, call: Call) -> Reply:
        """Take a share; at the quorum make the token, hidden by the OTP."""
        self.unauthenticated(call, refused=call.listener.disable_unauthed_generate_root)
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
    return RootTokens(core).routes()
