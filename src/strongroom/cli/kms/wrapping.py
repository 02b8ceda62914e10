"""`unwrap` (vault.md 1.7)."""

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault


def unwrap(call: Call) -> int:
    """Open a wrapped answer with its token, or with the caller's own being that token."""
    body = {"token": call.words[0]} if call.words else None
    try:
        secret = call.client.write("sys/wrapping/unwrap", body)
    except ServerFault as fault:
        raise fault.under("Error unwrapping") from None
    if secret is None:
        raise Fault("Could not find wrapped response", REMOTE)
    return call.secret(secret)


COMMANDS = {
    "unwrap": Command(
        unwrap,
        "[flags] [TOKEN]",
        "Shows what was wrapped, once. Without a token the caller's own is taken for the wrapping one.",
        "PROGRAM unwrap -field=secret_id hvs.WRAPPINGTOKEN",
        (0, 1),
        field=True,
    ),
}
