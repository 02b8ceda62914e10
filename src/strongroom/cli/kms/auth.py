"""`auth enable, list, tune, move, disable, help` (vault.md 10.3)."""

from strongroom.cli.kms import mounts
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.flags import DETAILED
from strongroom.cli.kms.mounted import METHODS


def show_help(call: Call) -> int:
    """Show which K=V arguments a login with the method wants."""
    from strongroom.cli.kms.login import METHODS as LOGINS

    kind = call.words[0].strip("/")
    if kind not in LOGINS:
        found = mounts.entries(call, "sys/auth")
        kind = str(found.get(f"{kind}/", {}).get("type", kind))
    method = LOGINS.get(kind)
    if method is None:
        raise Fault(f"Unknown auth method: {kind}. Known: {', '.join(sorted(LOGINS))}")
    call.say(f"Usage: {call.brand.program} login -method={kind} [-path=PATH] {method.usage}\n\n{method.about}")
    return 0


COMMANDS = {
    "auth enable": Command(
        METHODS.enable,
        "[flags] TYPE",
        "Mounts an auth method: approle, userpass, cert or kubernetes.",
        "PROGRAM auth enable approle",
        (1, 1),
        (*mounts.ENABLING, *mounts.METHOD),
        format=False,
    ),
    "auth list": Command(
        METHODS.list,
        "[flags]",
        "Lists the auth methods.",
        "PROGRAM auth list -detailed",
        flags=(DETAILED,),
    ),
    "auth tune": Command(
        METHODS.tune,
        "[flags] PATH",
        "Changes the settings of an auth method; only what the flags name.",
        "PROGRAM auth tune -default-lease-ttl=1h approle/",
        (1, 1),
        (*mounts.TUNING, *mounts.METHOD, *mounts.LOCKOUT),
        format=False,
    ),
    "auth move": Command(
        METHODS.move,
        "[flags] SOURCE TARGET",
        "Moves an auth method with its roles or users to another path; tokens made by it are revoked.",
        "PROGRAM auth move approle/ machines/",
        (2, 2),
        format=False,
    ),
    "auth disable": Command(
        METHODS.disable,
        "[flags] PATH",
        "Removes an auth method with its roles or users and revokes every token made by it.",
        "PROGRAM auth disable approle/",
        (1, 1),
        format=False,
    ),
    "auth help": Command(
        show_help,
        "[flags] TYPE or PATH",
        "Shows what `login` needs for an auth method.",
        "PROGRAM auth help userpass",
        (1, 1),
        format=False,
    ),
}
