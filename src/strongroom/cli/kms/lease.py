"""`lease lookup, renew, revoke` (vault.md 2.13)."""

from typing import Any

from strongroom.cli.kms import durations
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind


def _identity(call: Call) -> str:
    if not call.words:
        raise Fault("Missing ID!")
    return str(call.words[0])


def lookup(call: Call) -> int:
    """Show a lease."""
    identity = _identity(call)
    try:
        secret = call.client.write("sys/leases/lookup", {"lease_id": identity})
    except ServerFault as fault:
        raise fault.under(f"error looking up lease id {identity}") from None
    return call.secret(secret) if secret else 0


def renew(call: Call) -> int:
    """Prolong a lease."""
    identity = _identity(call)
    body = {"increment": call.flag("increment") // durations.SECOND, "lease_id": identity}
    try:
        secret = call.client.write("sys/leases/renew", body)
    except ServerFault as fault:
        raise fault.under(f"Error renewing {identity}") from None
    return call.secret(secret) if secret else 0


def revoke(call: Call) -> int:
    """End a lease or all below a prefix."""
    identity = call.words[0].strip("/")
    prefix, force, sync = call.flag("prefix"), call.flag("force"), call.flag("sync")
    if force and not prefix:
        raise Fault("Specifying -force requires also specifying -prefix")
    if force:
        call.note(f"Warning! Leases that are removed by force may stay valid outside {call.brand.product}.")
    route = "revoke-force" if force else "revoke-prefix" if prefix else "revoke"
    body: Any = ... if force else {"sync": sync}
    try:
        call.client.write(f"sys/leases/{route}/{identity}", body)
    except ServerFault as fault:
        raise fault.under(
            f"Error revoking leases with prefix {identity}" if prefix else f"Error revoking lease {identity}"
        ) from None
    if force:
        return call.success(f"Force revoked any leases with prefix: {identity}")
    if not sync:
        call.say("All revocation operations queued successfully!")
        return 0
    return call.success(f"Revoked any leases with prefix: {identity}" if prefix else f"Revoked lease: {identity}")


COMMANDS = {
    "lease lookup": Command(
        lookup, "[flags] ID", "Shows a lease.", "PROGRAM lease lookup auth/approle/login/ID", (0, 1), expected="1",
    ),
    "lease renew": Command(
        renew, "[flags] ID", "Prolongs a lease.", "PROGRAM lease renew -increment=1h ID",
        (0, 1), (Flag("increment", "how long from now", Kind.SPAN, aliases=("i",)),), expected="1", field=True,
    ),
    "lease revoke": Command(
        revoke, "[flags] ID", "Ends a lease, or with -prefix every lease and token below a path.",
        "PROGRAM lease revoke -prefix auth/approle", (1, 1),
        (
            Flag("prefix", "ID is a prefix", Kind.SWITCH),
            Flag("force", "forget leases even where they cannot be ended", Kind.SWITCH, aliases=("f",)),
            Flag("sync", "wait until it is done", Kind.SWITCH),
        ), format=False,
    ),
}  # fmt: skip
