"""`PUT sys/seal`: outside the mounts, so that a standby can be sealed too, yet audited and a use of its token.

One line is written, that of the request: the device is closed when the answer leaves (as OpenBao 2.7.2 does; seen).
"""

from strongroom.kms.domain import acl
from strongroom.kms.domain.entries import Ticket
from strongroom.kms.domain.errors import Forbidden, Refusal
from strongroom.kms.handlers.call import Call
from strongroom.kms.handlers.reading import find_token
from strongroom.kms.handlers.render import DENIED
from strongroom.kms.handlers.sealing import Sealing


async def shut(call: Call, sealing: Sealing) -> None:
    """Seal for a caller who is root or has update and sudo; raise Forbidden, Refusal or Unavailable."""
    core = call.core
    call.token = token = find_token(core, call.work, call.token_text, call.now)
    if token is None:
        raise Forbidden(DENIED)
    if token.bound_cidrs:
        core.check_cidrs(token.bound_cidrs, call.peer.address)
    call.rules = core.acl_of(call.work, token)
    call.granted = None if call.rules.root else call.rules.grant(acl.Asked(acl.UPDATE, call.full, {}, None, sudo=True))
    spent = _spend(call)
    if core.audit.active:
        core.audit.request(call, None)
    if spent is not None:
        await spent.wait()
    if not call.rules.root and call.granted is None:
        raise Refusal(DENIED)
    sealing.seal()


def _spend(call: Call) -> Ticket | None:
    """Count a use of a limited token; a standby may not write."""
    token, tokens = call.token, call.core.live.tokens
    if token is None or token.num_uses <= 0 or call.core.standby:
        return None
    if tokens.use(call.work, token):
        tokens.revoke(call.work, token.hash)
    return call.work.commit()
