"""`operator step-down` and `operator members` (vault.md 2.5)."""

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import ServerFault

_HEAD = ("Host Name", "API Address", "Cluster Address", "Active Node", "Version", "Upgrade Version", "Last Echo")


def step_down(call: Call) -> int:
    """Make the active server give up."""
    try:
        call.client.request("PUT", "sys/step-down")
    except ServerFault as fault:
        raise fault.under("Error stepping down") from None
    return call.success(f"Stepped down: {call.settings.address}")


def members(call: Call) -> int:
    """List the servers of a cluster."""
    answer = call.client.request("GET", "sys/ha-status").json() or {}
    nodes = (answer.get("data") or answer).get("nodes") or []
    rows = [
        (
            str(node.get("hostname") or ""),
            str(node.get("api_address") or ""),
            str(node.get("cluster_address") or ""),
            table.text(bool(node.get("active_node"))),
            str(node.get("version") or ""),
            str(node.get("upgrade_version") or ""),
            str(node.get("last_echo") or ""),
        )
        for node in nodes
    ]
    call.show({"Nodes": nodes}, table.headed(_HEAD, rows))
    return 0


COMMANDS = {
    "operator step-down": Command(
        step_down,
        "[flags]",
        "Makes the active server of a cluster a standby, so that another one takes over.",
        "PROGRAM operator step-down",
        format=False,
    ),
    "operator members": Command(
        members,
        "[flags]",
        "Lists the servers of a cluster and which one is active.",
        "PROGRAM operator members",
    ),
}
