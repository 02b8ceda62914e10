"""`audit enable, list, disable` (vault.md 2.14)."""

from typing import Any

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.flags import DETAILED, Flag, Kind
from strongroom.cli.kms.values import parse_values

_ORDER = ("type", "description", "options", "local", "path")


def enable(call: Call) -> int:
    """Start a device."""
    if not call.words:
        raise Fault(
            "Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'."
        )
    kind = call.words[0].strip().lower()
    path = (call.flag("path") or kind).strip("/")
    body = {
        "type": kind,
        "description": call.flag("description"),
        "options": parse_values(call, call.words[1:]),
        "local": call.flag("local"),
    }
    try:
        call.client.request("PUT", f"sys/audit/{path}", body)
    except ServerFault as fault:
        raise fault.under("Error enabling audit device") from None
    return call.success(f"Enabled the {kind} audit device at: {path}/")


def list_devices(call: Call) -> int:
    """Show the devices; none is exit code 2."""
    try:
        answer = call.client.request("GET", "sys/audit").json() or {}
    except ServerFault as fault:
        raise fault.under("Error listing audits") from None
    found = answer.get("data") or {name: value for name, value in answer.items() if name.endswith("/")}
    devices = {path: {name: found[path].get(name) for name in _ORDER} for path in sorted(found)}
    if not devices:
        call.show({}, "No audit devices are enabled.\n")
        return REMOTE if call.plain else 0
    call.show(devices, _table(devices, call.detailed))
    return 0


def _table(devices: dict[str, dict[str, Any]], detailed: bool) -> str:
    head = ["Path", "Type", "Description", *(("Replication", "Options") if detailed else ())]
    rows = [[path, str(device["type"]), str(device["description"] or "")] for path, device in devices.items()]
    if detailed:
        for row, device in zip(rows, devices.values(), strict=True):
            options = device["options"] or {}
            row += [
                "local" if device["local"] else "replicated",
                " ".join(f"{k}={options[k]}" for k in sorted(options)),
            ]
    return table.headed(head, rows)


def disable(call: Call) -> int:
    """Stop a device."""
    path = call.words[0].strip("/")
    try:
        call.client.delete(f"sys/audit/{path}")
    except ServerFault as fault:
        raise fault.under("Error disabling audit device") from None
    return call.success(f"Disabled audit device (if it was enabled) at: {path}/")


COMMANDS = {
    "audit enable": Command(
        enable, "[flags] TYPE [K=V ...]", "Starts an audit device: file, syslog or socket.",
        "PROGRAM audit enable file file_path=/var/log/vault-audit.log", (0, None),
        (
            Flag("path", "its name; the type if left out"),
            Flag("description", "a text for people"),
            Flag("local", "keep it out of replication", Kind.SWITCH),
        ), format=False,
    ),
    "audit list": Command(
        list_devices, "[flags]", "Lists the audit devices.", "PROGRAM audit list -detailed", flags=(DETAILED,),
        exits="Exit codes: 0 done, 1 wrong usage, 2 the server refused or (as a table) there are none.",
    ),
    "audit disable": Command(
        disable, "[flags] PATH", "Stops an audit device.", "PROGRAM audit disable file/", (1, 1), format=False,
    ),
}  # fmt: skip
