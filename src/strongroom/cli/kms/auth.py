"""`auth enable, list, tune, move, disable, help` (vault.md 10.3)."""

from strongroom.cli.kms import mounts
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault, ServerFault


def enable(call: Call) -> int:
    """Mount an auth method."""
    kind = call.flag("plugin-name") if call.words[0] == "plugin" else call.words[0]
    path = (call.flag("path") or kind).strip("/")
    try:
        call.client.request("POST", f"sys/auth/{path}", mounts.enabling_body(call, kind))
    except ServerFault as fault:
        raise fault.under(f"Error enabling {kind} auth") from None
    return call.success(f"Enabled {kind} auth method at: {path}/")


def list_methods(call: Call) -> int:
    """Show the auth methods."""
    try:
        found = mounts.entries(call, "sys/auth")
    except ServerFault as fault:
        raise fault.under("Error listing enabled authentications") from None
    text = (
        mounts.long_table(found, token_type=True) if call.flag("detailed") else mounts.short_table(found, version=True)
    )
    call.show(found, text)
    return 0


def tune(call: Call) -> int:
    """Change an auth method."""
    path = mounts.slashed(call.words[0])
    try:
        call.client.write(f"sys/mounts/auth/{path}tune", mounts.tuning_body(call), "POST")
    except ServerFault as fault:
        raise fault.under(f"Error tuning auth method {path}") from None
    return call.success(f"Tuned the auth method at: {path}")


def move(call: Call) -> int:
    """Move an auth method; its tokens are revoked."""
    source, target = map(mounts.slashed, call.words)
    try:
        return mounts.move(call, "auth method", f"auth/{source}", f"auth/{target}")
    except ServerFault as fault:
        raise fault.under(f"Error moving auth method {source} to {target}") from None


def disable(call: Call) -> int:
    """Unmount an auth method."""
    path = mounts.slashed(call.words[0])
    try:
        call.client.delete(f"sys/auth/{path}")
    except ServerFault as fault:
        raise fault.under(f"Error disabling auth method at {path}") from None
    return call.success(f"Disabled the auth method (if it existed) at: {path}")


def show_help(call: Call) -> int:
    """Show which K=V arguments a login with the method wants."""
    from strongroom.cli.kms.login import METHODS

    kind = call.words[0].strip("/")
    if kind not in METHODS:
        found = mounts.entries(call, "sys/auth")
        kind = str(found.get(f"{kind}/", {}).get("type", kind))
    method = METHODS.get(kind)
    if method is None:
        raise Fault(f"Unknown auth method: {kind}. Known: {', '.join(sorted(METHODS))}")
    call.say(f"Usage: {call.brand.program} login -method={kind} [-path=PATH] {method.usage}\n\n{method.about}")
    return 0


COMMANDS = {
    "auth enable": Command(
        enable,
        "[flags] TYPE",
        "Mounts an auth method: approle, userpass, cert or kubernetes.",
        "PROGRAM auth enable approle",
        (1, 1),
        (*mounts.ENABLING, *mounts.METHOD),
        format=False,
    ),
    "auth list": Command(
        list_methods,
        "[flags]",
        "Lists the auth methods.",
        "PROGRAM auth list -detailed",
        flags=(mounts.DETAILED,),
    ),
    "auth tune": Command(
        tune,
        "[flags] PATH",
        "Changes the settings of an auth method; only what the flags name.",
        "PROGRAM auth tune -default-lease-ttl=1h approle/",
        (1, 1),
        (*mounts.TUNING, *mounts.METHOD, *mounts.LOCKOUT),
        format=False,
    ),
    "auth move": Command(
        move,
        "[flags] SOURCE TARGET",
        "Moves an auth method with its roles or users to another path; tokens made by it are revoked.",
        "PROGRAM auth move approle/ machines/",
        (2, 2),
        format=False,
    ),
    "auth disable": Command(
        disable,
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
