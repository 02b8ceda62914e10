"""What share holders do together: gathering shares, and answers in both forms (vault.md 2.11, 2.12)."""

import hmac
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.kms.domain.errors import Forbidden, Refused
from strongroom.kms.handlers.call import Call, Reply
from strongroom.kms.handlers.sealing import (
    Sealing,
    decode_share,
)
from strongroom.kms.wire import gojson

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core


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


def bare(data: dict[str, Any]) -> Reply:
    """Return an answer without an envelope."""
    return Reply(bare=gojson.encode(data))


class Quorum:
    """What both families of routes need."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    @property
    def sealing(self) -> Sealing:
        """The server's seal."""
        sealing = self.core.sealing
        assert sealing is not None
        return sealing

    def enveloped(self, operations: dict[int, Any], dropped: frozenset[str] = frozenset()) -> dict[int, Any]:
        """Return handlers whose bare answers come as `data`, without empty texts and without `dropped` when unset."""

        def wrapped(handler: Any) -> Any:
            async def run(call: Call) -> Reply | None:
                found = handler(call)
                reply = await found if hasattr(found, "__await__") else found
                if reply is None:
                    return None
                data = msgspec.json.decode(reply.bare)
                quiet = frozenset() if data.get("started") else dropped
                shown = {k: v for k, v in data.items() if k == "otp" or (v not in ("", None) and (v or k not in quiet))}
                return Reply(data=shown)

            return run

        return {operation: wrapped(handler) for operation, handler in operations.items()}

    def unauthenticated(self, call: Call, *, refused: bool) -> None:
        """Raise Forbidden for a caller without a token where the listener refuses those."""
        if refused and call.token is None:
            raise Forbidden("permission denied")
