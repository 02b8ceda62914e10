"""`read`, `write`, `patch`, `delete`, `list`, `scan`: any path of the API (vault.md 10.3)."""

from typing import Any

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.flags import DETAILED, Flag, Kind
from strongroom.cli.kms.values import parse_values, query_of


def tidy(path: str) -> str:
    """Return a path without slashes at its ends, as it is sent and shown."""
    return path.strip("/")


def nothing_at(path: str) -> Fault:
    """Return the fault for a path that holds nothing."""
    return Fault(f"No value found at {path}", REMOTE)


def read(call: Call) -> int:
    """GET the path; arguments after it become the query."""
    path = tidy(call.words[0])
    query = query_of(parse_values(call, call.words[1:]))
    if call.format == "raw":
        return _read_raw(call, path, query)
    try:
        secret = call.client.read(path, query)
    except ServerFault as fault:
        raise fault.under(f"Error reading {path}") from None
    if secret is None:
        raise nothing_at(path)
    return call.secret(secret)


def _read_raw(call: Call, path: str, query: list[tuple[str, str]]) -> int:
    """Print the body as it came."""
    try:
        body = call.client.request("GET", path, query=query).body
    except ServerFault as fault:
        raise fault.under(f"Error reading: {path}") from None
    call.out.write(body.decode("utf-8", "replace") + "\n")
    return 0


def write(call: Call) -> int:
    """PUT the data to the path."""
    return _send(call, "PUT")


def patch(call: Call) -> int:
    """PATCH the path with the data, as a JSON merge patch."""
    return _send(call, "PATCH")


def _send(call: Call, method: str) -> int:
    path = tidy(call.words[0])
    data = parse_values(call, call.words[1:])
    if not data and not call.flag("force"):
        raise Fault("Must supply data or use -force")
    try:
        secret = call.client.write(path, data or ..., method)
    except ServerFault as fault:
        raise fault.under(f"Error writing data to {path}") from None
    if secret is None:
        return call.success(f"Data written to: {path}")
    return call.secret(secret)


def delete(call: Call) -> int:
    """DELETE the path."""
    path = tidy(call.words[0])
    try:
        secret = call.client.delete(path, query_of(parse_values(call, call.words[1:])))
    except ServerFault as fault:
        raise fault.under(f"Error deleting {path}") from None
    if secret is not None and (secret.data or secret.warnings):
        return call.secret(secret)
    return call.success(f"Data deleted (if it existed) at: {path}")


def list_names(call: Call) -> int:
    """LIST the path."""
    return print_names(call, tidy(call.words[0]), detailed=call.detailed)


def scan(call: Call) -> int:
    """SCAN the path."""
    return print_names(call, tidy(call.words[0]), "scan", detailed=call.detailed)


def print_names(call: Call, path: str, verb: str = "list", *, detailed: bool = False) -> int:
    """Print the names below a path; none is exit code 2, and `{}` where output is structured.

    detailed: with what the server tells of each, a column for each member.
    """
    try:
        secret = call.client.names(path, verb)
    except ServerFault as fault:
        raise fault.under(f"Error {'scanning' if verb == 'scan' else 'listing'} {path}") from None
    keys: Any = (secret.data or {}).get("keys") if secret else None
    if secret and call.plain:
        call.warn(secret.warnings)
    if secret and secret.wrap_info:
        return call.secret(secret)
    if not keys and secret and secret.warnings and call.plain:
        return 0  # the warnings say why there is nothing to list
    if not keys:
        if not call.plain:
            call.structure({})
            return REMOTE
        raise nothing_at(path) if verb == "list" else Fault(f"No entries found at {path}", REMOTE)
    known = secret.data.get("key_info") if secret and secret.data and detailed and call.plain else None
    if isinstance(known, dict):
        call.out.write(_detailed_table(keys, known))
        return 0
    return call.keys(keys)


def _detailed_table(keys: list[Any], known: dict[str, Any]) -> str:
    members = sorted({name for found in known.values() if isinstance(found, dict) for name in found})
    rows = []
    for key in map(str, keys):
        found = known.get(key) or {}
        rows.append((key, *(table.text(found[name]) if name in found else "" for name in members)))
    return table.headed(("Keys", *members), rows)


_FORCE = Flag("force", "write without data", Kind.SWITCH, aliases=("f",))

COMMANDS = {
    "read": Command(
        read,
        "[flags] PATH [K=V ...]",
        "Reads what is at a path of the API and shows it. K=V arguments become query parameters.",
        "PROGRAM read -field=role_id auth/approle/role/kes-role/role-id",
        (1, None),
        field=True,
        raw=True,
    ),
    "write": Command(
        write,
        "[flags] PATH [K=V ...]",
        "Writes data to a path. A value `@file` is read from a file, `-` from standard input; `\\@` is a leading @. "
        "`@file.json` or `-` alone is a whole JSON object.",
        "PROGRAM write auth/approle/role/kes-role token_num_uses=0 period=5m\n"
        "PROGRAM write -f auth/approle/role/kes-role/secret-id",
        (1, None),
        (_FORCE,),
        field=True,
    ),
    "patch": Command(
        patch,
        "[flags] PATH [K=V ...]",
        "Changes the given members of what is at a path and leaves the others, where the engine can do so.",
        "PROGRAM patch kv2/data/app @changes.json",
        (1, None),
        (_FORCE,),
        field=True,
    ),
    "delete": Command(
        delete,
        "[flags] PATH [K=V ...]",
        "Deletes what is at a path. Nothing there is a success as well.",
        "PROGRAM delete kv/minio/old-key",
        (1, None),
        field=True,
    ),
    "list": Command(
        list_names,
        "[flags] PATH",
        "Lists the names below a path; folders end in a slash.",
        "PROGRAM list -format=json kv/minio",
        (1, 1),
        (DETAILED,),
    ),
    "scan": Command(
        scan,
        "[flags] PATH",
        "Lists the names below a path with those in its folders, where the server can do so.",
        "PROGRAM scan kv",
        (1, 1),
        (DETAILED,),
    ),
}
