"""`secrets enable, list, tune, move, disable` (vault.md 10.3)."""

from strongroom.cli.kms import mounts
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import ServerFault


def enable(call: Call) -> int:
    """Mount an engine."""
    kind = call.flag("plugin-name") if call.words[0] == "plugin" else call.words[0]
    path = (call.flag("path") or kind).strip("/")
    try:
        call.client.request("POST", f"sys/mounts/{path}", mounts.enabling_body(call, kind))
    except ServerFault as fault:
        raise fault.under("Error enabling") from None
    return call.success(f"Enabled the {kind} secrets engine at: {path}/")


def list_engines(call: Call) -> int:
    """Show the mounts."""
    try:
        found = mounts.entries(call, "sys/mounts")
    except ServerFault as fault:
        raise fault.under("Error listing secrets engines") from None
    text = (
        mounts.long_table(found, token_type=False)
        if call.flag("detailed")
        else mounts.short_table(found, version=False)
    )
    call.show(found, text)
    return 0


def tune(call: Call) -> int:
    """Change a mount."""
    path = mounts.slashed(call.words[0])
    return tune_path(call, path)


def tune_path(call: Call, path: str) -> int:
    """Change the mount at a path and say so."""
    try:
        secret = call.client.write(f"sys/mounts/{path}tune", mounts.tuning_body(call), "POST")
    except ServerFault as fault:
        raise fault.under(f"Error tuning secrets engine {path}") from None
    if secret:
        call.warn(secret.warnings)
    return call.success(f"Tuned the secrets engine at: {path}")


def move(call: Call) -> int:
    """Move a mount."""
    source, target = map(mounts.slashed, call.words)
    try:
        return mounts.move(call, "secrets engine", source, target)
    except ServerFault as fault:
        raise fault.under(f"Error moving secrets engine {source} to {target}") from None


def disable(call: Call) -> int:
    """Unmount an engine."""
    path = mounts.slashed(call.words[0])
    try:
        call.client.delete(f"sys/mounts/{path}")
    except ServerFault as fault:
        raise fault.under(f"Error disabling secrets engine at {path}") from None
    return call.success(f"Disabled the secrets engine (if it existed) at: {path}")


COMMANDS = {
    "secrets enable": Command(
        enable,
        "[flags] TYPE",
        "Mounts a secrets engine: kv, kv-v2 or transit.",
        "PROGRAM secrets enable -path=kv2 -version=2 kv",
        (1, 1),
        (*mounts.ENABLING, *mounts.ENGINE),
        format=False,
    ),
    "secrets list": Command(
        list_engines,
        "[flags]",
        "Lists the secrets engines that are mounted.",
        "PROGRAM secrets list -detailed",
        flags=(mounts.DETAILED,),
    ),
    "secrets tune": Command(
        tune,
        "[flags] PATH",
        "Changes the settings of a mounted engine; only what the flags name.",
        "PROGRAM secrets tune -max-lease-ttl=72h kv/",
        (1, 1),
        (*mounts.TUNING, *mounts.ENGINE),
        format=False,
    ),
    "secrets move": Command(
        move,
        "[flags] SOURCE TARGET",
        "Moves a mounted engine with its data to another path. Policies are not changed.",
        "PROGRAM secrets move kv/ archive/",
        (2, 2),
        format=False,
    ),
    "secrets disable": Command(
        disable,
        "[flags] PATH",
        "Removes a mounted engine and deletes ALL its data, which cannot be undone.",
        "PROGRAM secrets disable kv/",
        (1, 1),
        format=False,
    ),
}
