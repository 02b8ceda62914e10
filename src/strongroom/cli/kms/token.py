"""`token create, lookup, renew, revoke, capabilities` (vault.md 3 and 10.3)."""

from typing import Any

from strongroom.cli.kms import durations
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind

_ACCESSOR = Flag("accessor", "the argument is an accessor instead of a token", Kind.SWITCH)


def create(call: Call) -> int:
    """Make a token."""
    role = call.flag("role")
    path = f"auth/token/create/{role}" if role else "auth/token/create"
    try:
        secret = call.client.write(path, _creation(call), "POST")
    except ServerFault as fault:
        raise fault.under("Error creating token") from None
    return call.secret(secret) if secret else 0


def _creation(call: Call) -> dict[str, Any]:
    """Return the request's members; those that say nothing are left out, as the original does."""
    flag = call.flag
    optional_head = {"id": flag("id"), "policies": list(flag("policy")), "meta": flag("metadata")}
    optional_tail = {"no_parent": flag("orphan"), "no_default_policy": flag("no-default-policy")}
    return {
        **{name: value for name, value in optional_head.items() if value},
        "ttl": durations.write(flag("ttl")),
        "explicit_max_ttl": durations.write(flag("explicit-max-ttl")),
        "period": durations.write(flag("period")),
        **{name: value for name, value in optional_tail.items() if value},
        "display_name": flag("display-name"),
        "num_uses": flag("use-limit"),
        "renewable": flag("renewable"),
        "type": flag("type"),
        "entity_alias": flag("entity-alias"),
    }


def _at_most_one(call: Call) -> None:
    if len(call.words) > 1 and not call.flag("accessor"):
        raise Fault(f"Too many arguments (expected 0-1, got {len(call.words)})")


def lookup(call: Call) -> int:
    """Show a token, the caller's own without an argument."""
    _at_most_one(call)
    request = _lookup_request(call)
    try:
        secret = call.client.write(*request)
    except ServerFault as fault:
        raise fault.under("Error looking up token") from None
    return call.secret(secret) if secret else 0


def _lookup_request(call: Call) -> tuple[str, Any, str]:
    if call.flag("accessor"):
        return "auth/token/lookup-accessor", {"accessor": _accessor(call)}, "POST"
    if call.words:
        return "auth/token/lookup", {"token": call.words[0]}, "POST"
    return "auth/token/lookup-self", ..., "GET"


def _accessor(call: Call) -> str:
    got = len(call.words)
    if got != 1:
        raise Fault(f"{'Not enough' if got < 1 else 'Too many'} arguments with -accessor (expected 1, got {got})")
    return call.words[0]


def renew(call: Call) -> int:
    """Prolong a token, the caller's own without an argument."""
    _at_most_one(call)
    seconds = call.flag("increment") // durations.SECOND
    request: tuple[str, Any, str] = ("auth/token/renew-self", {"increment": seconds}, "PUT")
    if call.flag("accessor"):
        request = "auth/token/renew-accessor", {"accessor": _accessor(call), "increment": seconds}, "POST"
    elif call.words:
        request = "auth/token/renew", {"increment": seconds, "token": call.words[0]}, "PUT"
    try:
        secret = call.client.write(*request)
    except ServerFault as fault:
        raise fault.under("Error renewing token") from None
    return call.secret(secret) if secret else 0


_REVOCATIONS = {
    "": "auth/token/revoke",
    "orphan": "auth/token/revoke-orphan",
    "path": "sys/leases/revoke-prefix",
}


def revoke(call: Call) -> int:
    """Revoke a token."""
    request = _revocation(call)
    try:
        call.client.write(*request)
    except ServerFault as fault:
        if not (call.flag("accessor") and "invalid accessor" in fault.text):  # gone already is as good
            raise fault.under("Error revoking token") from None
    return call.success("Revoked token (if it existed)")


def _revocation(call: Call) -> tuple[str, Any, str]:
    mode, itself, got = call.flag("mode"), call.flag("self"), len(call.words)
    if itself and call.flag("accessor"):
        raise Fault("Cannot use -self with -accessor!")
    if itself and mode:
        raise Fault("Cannot use -self with -mode!")
    if mode not in _REVOCATIONS:
        raise Fault(f"Invalid mode: {mode}")
    if itself and got:
        raise Fault(f"Too many arguments with -self (expected 0, got {got})")
    if itself:
        return "auth/token/revoke-self", ..., "PUT"
    if got != 1:
        raise Fault(f"{'Not enough' if got < 1 else 'Too many'} arguments (expected 1 or -self, got {got})")
    if call.flag("accessor"):
        if mode == "path":
            raise Fault("Cannot use -accessor with -mode=path!")
        return "auth/token/revoke-accessor", {"accessor": call.words[0]}, "POST"
    if mode == "path":
        return f"{_REVOCATIONS[mode]}/{call.words[0]}", ..., "PUT"
    return _REVOCATIONS[mode], {"token": call.words[0]}, "PUT"


def capabilities(call: Call) -> int:
    """Show what a token, the caller's own without one, may do at a path."""
    token, path = (call.words[0], call.words[1]) if len(call.words) == 2 else ("", call.words[0])
    body = {"path": path, "token": token or call.token}
    route = "sys/capabilities" if token else "sys/capabilities-self"
    if call.flag("accessor"):
        route, body = "sys/capabilities-accessor", {"path": path, "accessor": token}
    try:
        secret = call.client.write(route, body, "POST")
    except ServerFault as fault:
        raise fault.under("Error listing capabilities") from None
    data = (secret.data if secret else None) or {}
    found = sorted(map(str, data.get("capabilities") or data.get(path) or ()))
    call.show(found, ", ".join(found) + "\n")
    return 0


COMMANDS = {
    "token create": Command(
        create,
        "[flags]",
        "Makes a token, a child of the caller's own, with the caller's policies unless others are named.",
        "PROGRAM token create -policy=minio-key-policy -ttl=1h",
        flags=(
            Flag("policy", "a policy of the token; may be repeated", Kind.WORDS),
            Flag("ttl", "how long it lives, such as 1h", Kind.SPAN),
            Flag("explicit-max-ttl", "how long it can be prolonged at most", Kind.SPAN),
            Flag("period", "renewals always give it this long", Kind.SPAN),
            Flag("renewable", "whether it can be prolonged", Kind.SWITCH, default=True),
            Flag("use-limit", "how many requests it is good for; 0 is any number", Kind.NUMBER),
            Flag("orphan", "it outlives the caller's token", Kind.SWITCH),
            Flag("no-default-policy", "without the policy `default`", Kind.SWITCH),
            Flag("display-name", "a name for logs"),
            Flag("metadata", "a member of its metadata; may be repeated", Kind.PAIRS),
            Flag("type", "service or batch", default="service"),
            Flag("role", "make it as this token role says"),
            Flag("entity-alias", "alias, with a role that allows it"),
            Flag("id", "its text, instead of a random one"),
        ),
        field=True,
    ),
    "token lookup": Command(
        lookup, "[flags] [TOKEN or ACCESSOR]", "Shows a token, without one the caller's own.",
        "PROGRAM token lookup -accessor ACCESSOR", (0, None), (_ACCESSOR,), field=True,
    ),
    "token renew": Command(
        renew, "[flags] [TOKEN or ACCESSOR]", "Prolongs a token. Without one the caller's own.",
        "PROGRAM token renew -increment=30m",
        (0, None), (_ACCESSOR, Flag("increment", "how long from now", Kind.SPAN, aliases=("i",))), field=True,
    ),
    "token revoke": Command(
        revoke, "[flags] [TOKEN or ACCESSOR]", "Ends a token with its children and leases.",
        "PROGRAM token revoke -self",
        (0, None),
        (
            _ACCESSOR,
            Flag("self", "the caller's own token", Kind.SWITCH),
            Flag("mode", "orphan spares the children; path revokes every token made at the given path"),
        ), format=False,
    ),
    "token capabilities": Command(
        capabilities, "[flags] [TOKEN] PATH", "Shows what a token, the caller's own without one, may do at a path.",
        "PROGRAM token capabilities kv/minio/my-key", (1, 2), (_ACCESSOR,),
    ),
}  # fmt: skip
