"""`status`, and the table of a seal state that `operator unseal` shows too (vault.md 10.5)."""

from typing import Any

from strongroom.cli.kms import table
from strongroom.cli.kms.brand import Brand
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import LOCAL, Fault, ServerFault

SEALED = 2
_NEVER = "0001-01-01T00:00:00Z"
_SEAL_ORDER = (
    "type", "initialized", "sealed", "t", "n", "progress", "nonce", "version", "commit_date", "migration",
    "cluster_name", "cluster_id", "recovery_seal", "recovery_seal_type", "storage_type", "build_date",
)  # fmt: skip
_LEADER_ORDER = (
    "ha_enabled", "is_self", "active_time", "leader_address", "leader_cluster_address", "performance_standby",
    "performance_standby_last_remote_wal", "last_wal", "raft_committed_index", "raft_applied_index",
)  # fmt: skip


def status(call: Call) -> int:
    """Show the seal state; the exit code is 0 unsealed, 1 error, 2 sealed."""
    try:
        seal = call.client.request("GET", "sys/seal-status").json() or {}
    except ServerFault as fault:
        raise Fault(f"Error checking seal status: {fault.text}", LOCAL) from None
    show(call, seal, LOCAL)
    return SEALED if seal.get("sealed") else 0


def show(call: Call, seal: dict[str, Any], code: int) -> None:
    """Print a seal state together with who leads; raises Fault with the given exit code when that cannot be asked."""
    try:
        leader = call.client.request("GET", "sys/leader").json() or {}
    except ServerFault as fault:
        if fault.status != 503:
            raise Fault(f"Error checking leader status: {fault.text}", code) from None
        leader = {"ha_enabled": True}  # a sealed server of a cluster does not know who leads
    shown = structure(seal, leader)
    if field := (call.flag("field") if call.command.field else ""):
        if shown.get(field) is None:
            raise Fault(f'Field "{field}" not present in seal status')
        call.print_field(shown[field])
    else:
        call.show(shown, table.pairs(rows(call.brand, seal, leader)))


def structure(seal: dict[str, Any], leader: dict[str, Any]) -> dict[str, Any]:
    """Return the two answers as one value, with the members that say nothing left out as the original does."""
    shown = {name: seal[name] for name in _SEAL_ORDER if name in seal}
    shown.setdefault("build_date", "")
    shown |= {name: seal[name] for name in sorted(seal) if name not in shown}
    for name in _LEADER_ORDER:
        value = leader.get(name)
        if name == "ha_enabled" or (value and str(value) not in (_NEVER, "0")):
            shown[name] = bool(value) if name == "ha_enabled" else value
    return shown


def rows(brand: Brand, seal: dict[str, Any], leader: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the rows of the status table, in their order."""
    sealed = bool(seal.get("sealed"))
    recovery = bool(seal.get("recovery_seal"))
    found: list[tuple[str, Any]] = [("Seal Type", seal.get("type"))]
    if seal.get("recovery_seal_type"):
        found.append(("Recovery Seal Type", seal["recovery_seal_type"]))
    found += [
        ("Initialized", bool(seal.get("initialized"))),
        ("Sealed", sealed),
        ("Total Recovery Shares" if recovery else "Total Shares", seal.get("n", 0)),
        ("Threshold", seal.get("t", 0)),
    ]
    if sealed:
        found += [
            ("Unseal Progress", f"{seal.get('progress', 0)}/{seal.get('t', 0)}"),
            ("Unseal Nonce", seal.get("nonce")),
        ]
    if seal.get("migration"):
        found.append(("Seal Migration in Progress", True))
    date = seal.get(brand.date_key) or seal.get("build_date") or seal.get("commit_date")
    found += [("Version", seal.get("version")), (brand.date_label, date), ("Storage Type", seal.get("storage_type"))]
    found += [
        (label, seal[name])
        for label, name in (("Cluster Name", "cluster_name"), ("Cluster ID", "cluster_id"))
        if seal.get(name)
    ]
    return found + _ha_rows(sealed, leader)


def _ha_rows(sealed: bool, leader: dict[str, Any]) -> list[tuple[str, Any]]:
    enabled = bool(leader.get("ha_enabled"))
    found: list[tuple[str, Any]] = [("HA Enabled", enabled)]
    if not enabled or sealed:
        return found
    found.append(("HA Cluster", leader.get("leader_cluster_address") or "n/a"))
    if leader.get("is_self"):
        since = leader.get("active_time")
        found.append(("HA Mode", "active"))
        found += [("Active Since", since)] if since and since != _NEVER else []
    else:
        found.append(("HA Mode", "performance standby" if leader.get("performance_standby") else "standby"))
        found.append(("Active Node Address", leader.get("leader_address") or "<none>"))
    indexes = (("Raft Committed Index", "raft_committed_index"), ("Raft Applied Index", "raft_applied_index"))
    return found + [(label, leader[name]) for label, name in indexes if str(leader.get(name) or "0") != "0"]


COMMANDS = {
    "status": Command(
        status,
        "[flags]",
        "Shows whether the server is initialised and sealed, and which server of a cluster is active.",
        "PROGRAM status -format=json",
        field=True,
        exits="Exit codes: 0 unsealed, 1 error, 2 sealed.",
    ),
}
