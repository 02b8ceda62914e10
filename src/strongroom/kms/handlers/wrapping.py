"""Response wrapping: an answer waits in the cubbyhole of a single-use token (vault.md 1.7)."""

from typing import Any

import msgspec

from strongroom.kms.domain.errors import Forbidden, Refused
from strongroom.kms.domain.records import Token
from strongroom.kms.domain.tokens import random_text
from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers.call import Call, Reply, Wrapped
from strongroom.kms.handlers.policies import RESPONSE_WRAPPING
from strongroom.kms.handlers.render import envelope

INVALID = "wrapping token is not valid or does not exist"


class WrapRecord(msgspec.Struct):
    """What lies in a wrapping token's cubbyhole: the envelope's bytes, and what lookup tells."""

    body: bytes
    path: str
    ttl: int
    created: int
    wrapped_accessor: str = ""

    def __repr__(self) -> str:
        return f"WrapRecord({self.path!r})"


def wrap(call: Call, reply: Reply, ttl: float) -> Reply:
    """Return the answer that holds only a wrapping token for reply."""
    accessor = ""
    if reply.auth is not None:
        accessor = reply.auth.token.accessor
    elif reply.data is not None:
        accessor = str(reply.data.get("secret_id_accessor", ""))
    ttl = min(ttl, call.core.settings.max_lease_ttl)
    record = WrapRecord(envelope(reply, call.request_id), reply.wrap_path or call.full, int(ttl), call.now, accessor)
    return keep(call, record)


def keep(call: Call, record: WrapRecord) -> Reply:
    """Store a wrapped answer under a fresh token; return the answer that names it."""
    ttl, seconds = record.ttl, call.seconds
    token = Token("", random_text(24), [RESPONSE_WRAPPING], record.path, "", seconds, call.now)
    token.ttl = token.explicit_max_ttl = ttl
    token.expires, token.num_uses, token.orphan = seconds + ttl, 1, True
    text = call.core.live.tokens.create(call.work, token, "s." + random_text(24))
    call.work.store(f"cubbyhole/{token.hash}/response", record)
    info = Wrapped(text, token.accessor, ttl, rfc3339(call.now), record.path, record.wrapped_accessor)
    return Reply(wrap=info)


def _find(call: Call, text: str) -> tuple[Token, WrapRecord]:
    """Return a wrapping token and its record; raise Refused."""
    token = call.core.live.tokens.find(call.work, text, call.seconds)
    if token is None or token.policies != [RESPONSE_WRAPPING]:
        raise Refused(INVALID)
    record: WrapRecord | None = call.work.load(f"cubbyhole/{token.hash}/response", WrapRecord)
    if record is None:
        raise Refused(INVALID)
    return token, record


def header_token(call: Call) -> str:
    """Return the token text of the request's headers."""
    text = call.headers.get("x-vault-token", "")
    bearer = call.headers.get("authorization", "")
    return text or (bearer[7:] if bearer.startswith("Bearer ") else "")


def _named(call: Call) -> str:
    """Return the wrapping token's text: the body's, from a caller who may ask; else the caller's own."""
    text: str = call.get("token", "text") or header_token(call)
    if not text:
        raise Forbidden("error validating wrapping token: token is empty")
    return text


def unwrap(call: Call) -> Reply:
    """Return the wrapped answer, once."""
    token, record = _find(call, _named(call))
    call.core.live.tokens.revoke(call.work, token.hash)
    return Reply(bare=record.body.rstrip(b"\n"))


def rewrap(call: Call) -> Reply:
    """Move a wrapped answer to a fresh token."""
    text = call.get("token", "text") or call.token_text
    token, record = _find(call, text)
    call.core.live.tokens.revoke(call.work, token.hash)
    return keep(call, msgspec.structs.replace(record, created=call.now))


def lookup(call: Call) -> Reply:
    """Tell how old a wrapping token is and what it holds, without spending it."""
    text = call.get("token", "text") or header_token(call)
    if not text:
        raise Forbidden("error validating wrapping token: token is empty")
    _, record = _find(call, text)
    shown: dict[str, Any] = {"creation_path": record.path, "creation_ttl": record.ttl}
    return Reply(data=shown | {"creation_time": rfc3339(record.created)})


def wrap_body(call: Call) -> Reply:
    """Echo the request's data; only wrapped."""
    if not call.wrap_ttl:
        raise Refused("endpoint requires response wrapping to be used")
    return Reply(data=call.data)
