"""`kv delete, undelete, destroy, rollback, enable-versioning` (vault.md 10.6)."""

from typing import Any

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.data import nothing_at
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.kv import VERSION_2, versioned
from strongroom.cli.kms.kv_mount import MOUNT, Place, find

_VERSIONS = Flag("versions", "versions to act on, separated by commas", Kind.LIST)


def delete(call: Call) -> int:
    """Delete the newest version, or those named; version 1 deletes the secret."""
    place = find(call, call.words[0])
    path, versions = place.path("data"), list(call.flag("versions"))
    try:
        if place.version == VERSION_2 and versions:
            call.client.write(place.path("delete"), {"versions": versions})
        else:
            call.client.delete(path)
    except ServerFault as fault:
        raise fault.under(f"Error deleting {path}") from None
    return call.success(f"Data deleted (if it existed) at: {path}")


def undelete(call: Call) -> int:
    """Bring versions back."""
    return _on_versions(call, "undelete")


def destroy(call: Call) -> int:
    """Remove versions for ever."""
    return _on_versions(call, "destroy")


def _on_versions(call: Call, verb: str) -> int:
    versions = list(call.flag("versions"))
    if not versions:
        raise Fault(f'No versions provided, use the "-versions" flag to specify the version to {verb}.')
    place = _second(call, verb.title())
    path = place.path(verb)
    try:
        secret = call.client.write(path, {"versions": versions})
    except ServerFault as fault:
        raise fault.under(f"Error writing data to {path}") from None
    if secret:
        return call.secret(secret)
    return call.success(f"Data written to: {path}")


def _second(call: Call, what: str) -> Place:
    place = find(call, call.words[0])
    if place.version != VERSION_2:
        if what == "Rollback":  # as the reference has it: another text and another exit code
            raise Fault("K/V engine mount must be version 2 for rollback support", REMOTE)
        raise Fault(f"{what} not supported on KV Version 1")
    return place


def rollback(call: Call) -> int:
    """Write the data of an old version as the newest, if nobody is faster."""
    version = call.flag("version")
    if not version:
        raise Fault("Version flag must be specified")
    place = _second(call, "Rollback")
    path = place.path("data")
    newest = _version(_read(call, path))
    old = _read(call, path, (("version", str(version)),))
    if not isinstance(old.get("data"), dict):
        raise nothing_at(path)
    try:
        secret = call.client.write(path, versioned(old["data"], newest))
    except ServerFault as fault:
        raise fault.under(f"Error writing data to {path}") from None
    return call.secret(secret) if secret else 0


def _read(call: Call, path: str, query: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    try:
        secret = call.client.read(path, query)
    except ServerFault as fault:
        raise fault.under(f"Error doing pre-read at {path}") from None
    if secret is None or not secret.data:
        raise nothing_at(path)
    return secret.data


def _version(data: dict[str, Any]) -> int:
    return int((data.get("metadata") or {}).get("version") or 0)


def enable_versioning(call: Call) -> int:
    """Tune a mount to version 2."""
    path = call.words[0].strip("/") + "/"
    body = {"options": {"version": "2"}, "default_lease_ttl": "", "max_lease_ttl": "", "force_no_cache": False}
    try:
        call.client.request("POST", f"sys/mounts/{path}tune", body)
    except ServerFault as fault:
        raise fault.under(f"Error tuning secrets engine {path}") from None
    return call.success(f"Tuned the secrets engine at: {path}")


COMMANDS = {
    "kv delete": Command(
        delete,
        "[flags] PATH",
        "Deletes a secret. Version 2 keeps what was deleted until it is destroyed; -versions deletes older versions.",
        "PROGRAM kv delete -mount=kv2 -versions=1,2 app/db",
        (1, 1),
        (MOUNT, _VERSIONS),
    ),
    "kv undelete": Command(
        undelete,
        "[flags] PATH",
        "Brings deleted versions back (version 2).",
        "PROGRAM kv undelete -mount=kv2 -versions=3 app/db",
        (1, 1),
        (MOUNT, _VERSIONS),
    ),
    "kv destroy": Command(
        destroy,
        "[flags] PATH",
        "Removes versions for ever (version 2).",
        "PROGRAM kv destroy -mount=kv2 -versions=1 app/db",
        (1, 1),
        (MOUNT, _VERSIONS),
    ),
    "kv rollback": Command(
        rollback,
        "[flags] PATH",
        "Writes the data of an old version again, as the newest one (version 2).",
        "PROGRAM kv rollback -mount=kv2 -version=2 app/db",
        (1, 1),
        (MOUNT, Flag("version", "the version to go back to", Kind.NUMBER)),
        field=True,
    ),
    "kv enable-versioning": Command(
        enable_versioning,
        "[flags] MOUNT",
        "Turns a version 1 mount into version 2. There is no way back.",
        "PROGRAM kv enable-versioning kv",
        (1, 1),
        format=False,
    ),
}
