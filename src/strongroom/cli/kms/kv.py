"""`kv put, get, list, patch` (vault.md 10.6)."""

from typing import Any

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.data import nothing_at, print_names
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.kv_mount import MOUNT, Place, find
from strongroom.cli.kms.secret import Secret
from strongroom.cli.kms.values import parse_values

VERSION_2 = 2
_UNSET = -1
CAS = Flag(
    "cas", "write only if this is the newest version; 0 only if there is none (version 2)", Kind.NUMBER, default=_UNSET
)


def put(call: Call) -> int:
    """Store a secret."""
    data = parse_values(call, call.words[1:])
    if not data:
        raise Fault("Must supply data")
    place = find(call, call.words[0])
    path = place.path("data")
    return _stored(
        call, path, _write(call, path, data if place.version == 1 else versioned(data, call.flag("cas")), "PUT")
    )


def versioned(data: dict[str, Any], cas: int) -> dict[str, Any]:
    """Return the body of a version 2 write."""
    return {"data": data, "options": {} if cas == _UNSET else {"cas": cas}}


def _write(call: Call, path: str, body: dict[str, Any], method: str) -> Secret | None:
    try:
        return call.client.write(path, body, method)
    except ServerFault as fault:
        raise fault.under(f"Error writing data to {path}") from None


def _stored(call: Call, path: str, secret: Secret | None) -> int:
    """Say what a write has made."""
    if secret is None:
        return call.success(f"Data written to: {path}")
    if call.flag("field") or not call.plain or secret.data is None:
        return call.secret(secret)
    call.warn(secret.warnings)
    call.out.write(_path_block("Secret Path", path) + table.block("Metadata", secret.data))
    return 0


def _path_block(title: str, path: str) -> str:
    return f"{table.titled(title, len(path))}{path}\n\n"


def get(call: Call) -> int:
    """Show a secret."""
    place = find(call, call.words[0] if call.words else None)
    path = place.path("data")
    version = call.flag("version")
    query = (("version", str(version)),) if place.version == VERSION_2 and version else ()
    try:
        secret = call.client.read(path, query)
    except ServerFault as fault:
        raise fault.under(f"Error reading {path}") from None
    if secret is None:
        raise nothing_at(path)
    if place.version == 1 or secret.wrap_info:
        return _show_first(call, secret)
    return _show_second(call, path, secret)


def _show_first(call: Call, secret: Secret) -> int:
    if call.flag("field") or not call.plain or secret.wrap_info:
        return call.secret(secret)
    call.warn(secret.warnings)
    call.out.write(table.block("Data", secret.data or {}))
    return 0


def _show_second(call: Call, path: str, secret: Secret) -> int:
    data = secret.data or {}
    if field := call.flag("field"):
        call.warn(secret.warnings)
        value = (data.get("data") or {}).get(field, data.get(field))
        if value is None:
            raise Fault(f'Field "{field}" not present in secret')
        return call.print_field(value)
    if not call.plain:
        return call.secret(secret)
    call.warn(secret.warnings)
    call.out.write(_path_block("Secret Path", path))
    if isinstance(data.get("metadata"), dict):
        call.out.write(table.block("Metadata", data["metadata"]) + "\n")
    if isinstance(data.get("data"), dict):
        call.out.write(table.block("Data", data["data"]))
    return 0


def list_secrets(call: Call) -> int:
    """List secrets below a path, or below the whole mount."""
    place = find(call, call.words[0] if call.words else None)
    return print_names(call, place.path("metadata"))


def scan_secrets(call: Call) -> int:
    """List secrets below a path with those in its folders."""
    place = find(call, call.words[0] if call.words else None)
    return print_names(call, place.path("metadata"), "scan")


def patch(call: Call) -> int:
    """Change some members of a secret."""
    data: dict[str, Any] = parse_values(call, call.words[1:])
    data |= dict.fromkeys(call.flag("remove-data"))
    if not data:
        raise Fault("Must supply data")
    place = find(call, call.words[0])
    if place.version != VERSION_2:
        raise Fault("K/V engine mount must be version 2 for patch support", REMOTE)
    way = call.flag("method")
    if way not in ("", "patch", "rw"):
        raise Fault(f"Unsupported method provided to -method flag: {way}", REMOTE)
    if way == "rw":
        return _read_and_write(call, place, data)
    path = place.path("data")
    try:
        secret = _write(call, path, versioned(data, call.flag("cas")), "PATCH")
    except ServerFault as fault:
        if way == "patch" or fault.status not in (403, 405):  # a server or a policy that knows no patching
            raise
        return _read_and_write(call, place, data)
    return _stored(call, path, secret)


def _read_and_write(call: Call, place: Place, changes: dict[str, Any]) -> int:
    """Merge the changes into the newest version and write that, if nobody was faster."""
    path = place.path("data")
    try:
        old = call.client.read(path)
    except ServerFault as fault:
        raise fault.under(f"Error doing pre-read at {path}") from None
    found = (old.data if old else None) or {}
    if not isinstance(found.get("data"), dict):
        raise nothing_at(path)
    version = int((found.get("metadata") or {}).get("version") or 0)
    merged = {name: value for name, value in (found["data"] | changes).items() if value is not None}
    cas = call.flag("cas") if "cas" in call.given else version
    return _stored(call, path, _write(call, path, versioned(merged, cas), "PUT"))


COMMANDS = {
    "kv put": Command(
        put,
        "[flags] PATH K=V ...",
        "Stores a secret in place of an old one. A value `@file` is read from a file, `-` from standard input; "
        "`@file.json` or `-` alone is a whole JSON object.",
        "PROGRAM kv put -mount=kv app/db user=app password=@password.txt",
        (1, None),
        (MOUNT, CAS),
        field=True,
    ),
    "kv get": Command(
        get,
        "[flags] PATH",
        "Shows a secret; for version 2 with the metadata of the version shown.",
        "PROGRAM kv get -mount=kv -field=password app/db",
        (1, 1),
        (MOUNT, Flag("version", "an older version of the secret (version 2)", Kind.NUMBER)),
        field=True,
    ),
    "kv list": Command(
        list_secrets,
        "[flags] [PATH]",
        "Lists the secrets below a path.",
        "PROGRAM kv list -mount=kv app",
        (0, 1),
        (MOUNT,),
    ),
    "kv scan": Command(
        scan_secrets,
        "[flags] [PATH]",
        "Lists the secrets below a path with those in its folders, where the server can do so.",
        "PROGRAM kv scan -mount=kv app",
        (0, 1),
        (MOUNT,),
    ),
    "kv patch": Command(
        patch,
        "[flags] PATH K=V ...",
        "Changes the given members of a secret and keeps the others (version 2).",
        "PROGRAM kv patch -mount=kv2 app/db password=-",
        (1, None),
        (
            MOUNT,
            CAS,
            Flag("method", "patch, or rw to read and write; patch first and then rw if left out"),
            Flag("remove-data", "remove this member; may be repeated", Kind.WORDS),
        ),
        field=True,
    ),
}
