"""`kv metadata get, put, patch, delete` (vault.md 5.2 and 10.6)."""

from typing import Any

from strongroom.cli.kms import durations, table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.data import nothing_at
from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.kv import VERSION_2
from strongroom.cli.kms.kv_mount import MOUNT, find

_UNSET = -1
_SETTINGS = (
    Flag("max-versions", "how many versions are kept", Kind.NUMBER, default=_UNSET),
    Flag("cas-required", "writes must name the version they replace", Kind.LATER),
    Flag("delete-version-after", "delete each version this long after it was written", Kind.SPAN, default=_UNSET),
    Flag("custom-metadata", "a member of the secret's own metadata; may be repeated", Kind.PAIRS),
)
_REMOVE = Flag("remove-custom-metadata", "remove this member; may be repeated", Kind.WORDS)


def _path(call: Call) -> str:
    place = find(call, call.words[0])
    if place.version != VERSION_2:
        raise Fault("Metadata not supported on KV Version 1")
    return place.path("metadata")


def get(call: Call) -> int:
    """Show a secret's settings and versions."""
    path = _path(call)
    try:
        secret = call.client.read(path)
    except ServerFault as fault:
        raise fault.under(f"Error reading {path}") from None
    if secret is None or secret.data is None:
        raise nothing_at(path)
    if not call.plain or call.flag("field"):
        return call.secret(secret)
    call.warn(secret.warnings)
    call.out.write(f"{table.titled('Metadata Path', len(path))}{path}\n\n" + _blocks(secret.data))
    return 0


def _blocks(data: dict[str, Any]) -> str:
    versions = data.get("versions") or {}
    parts = [table.block("Metadata", {name: value for name, value in data.items() if name != "versions"})]
    parts += [table.block(f"Version {number}", versions[number]) for number in sorted(versions, key=int)]
    return "\n".join(parts)


def put(call: Call) -> int:
    """Set the settings that the flags name."""
    path = _path(call)
    body = _settings(call)
    if call.flag("custom-metadata"):
        body["custom_metadata"] = call.flag("custom-metadata")
    return _send(call, path, dict(sorted(body.items())), "PUT")


def patch(call: Call) -> int:
    """Change the settings that the flags name; members of the own metadata one by one."""
    path = _path(call)
    removed: dict[str, str | None] = dict.fromkeys(call.flag("remove-custom-metadata"))
    body = _settings(call) | {"custom_metadata": {**(call.flag("custom-metadata") or {}), **removed}}
    return _send(call, path, dict(sorted(body.items())), "PATCH")


def _settings(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if call.flag("max-versions") != _UNSET:
        body["max_versions"] = call.flag("max-versions")
    if call.flag("cas-required") is not None:
        body["cas_required"] = call.flag("cas-required")
    if call.flag("delete-version-after") != _UNSET:
        body["delete_version_after"] = durations.write(call.flag("delete-version-after"))
    return body


def _send(call: Call, path: str, body: dict[str, Any], method: str) -> int:
    try:
        secret = call.client.write(path, body, method)
    except ServerFault as fault:
        raise fault.under(f"Error writing data to {path}") from None
    if secret:
        return call.secret(secret)
    return call.success(f"Data written to: {path}")


def delete(call: Call) -> int:
    """Remove a secret with all its versions."""
    path = _path(call)
    try:
        call.client.delete(path)
    except ServerFault as fault:
        raise fault.under(f"Error deleting {path}") from None
    return call.success(f"Data deleted (if it existed) at: {path}")


COMMANDS = {
    "kv metadata get": Command(
        get,
        "[flags] PATH",
        "Shows a secret's settings and its versions (version 2).",
        "PROGRAM kv metadata get -mount=kv2 app/db",
        (1, 1),
        (MOUNT,),
        field=True,
    ),
    "kv metadata put": Command(
        put,
        "[flags] PATH",
        "Sets a secret's settings; custom metadata is replaced as a whole (version 2).",
        "PROGRAM kv metadata put -mount=kv2 -max-versions=5 -custom-metadata=owner=ops app/db",
        (1, 1),
        (MOUNT, *_SETTINGS),
    ),
    "kv metadata patch": Command(
        patch,
        "[flags] PATH",
        "Changes some of a secret's settings and members of its custom metadata (version 2).",
        "PROGRAM kv metadata patch -mount=kv2 -custom-metadata=owner=ops app/db",
        (1, 1),
        (MOUNT, *_SETTINGS, _REMOVE),
    ),
    "kv metadata delete": Command(
        delete,
        "[flags] PATH",
        "Removes a secret with ALL its versions, which cannot be undone (version 2).",
        "PROGRAM kv metadata delete -mount=kv2 app/db",
        (1, 1),
        (MOUNT,),
    ),
}
