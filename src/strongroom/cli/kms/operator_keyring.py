"""`operator key-status` and `operator rotate`: the barrier's keys (vault.md 2.10)."""

from datetime import UTC, datetime
from typing import Any

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import ServerFault


def key_status(call: Call) -> int:
    """Show the newest barrier key."""
    try:
        found = _newest(call)
    except ServerFault as fault:
        raise fault.under("Error reading key status") from None
    call.show(found, _table(found))
    return 0


def rotate(call: Call) -> int:
    """Add a barrier key."""
    try:
        call.client.request("POST", call.brand.rotate_path)
        found = _newest(call)
    except ServerFault as fault:
        raise fault.under("Error rotating key") from None
    call.show(found, "Success! Rotated key\n\n" + _table(found))
    return 0


def _newest(call: Call) -> dict[str, Any]:
    answer = call.client.request("GET", "sys/key-status").json() or {}
    data = answer.get("data") or answer
    return {name: data.get(name) for name in ("term", "install_time", "encryptions")}


def _table(found: dict[str, Any]) -> str:
    return table.columns(
        [
            ("Key Term", table.text(found["term"])),
            ("Install Time", _short_time(str(found["install_time"] or ""))),
            ("Encryption Count", table.text(found["encryptions"] or 0)),
        ],
    )


def _short_time(stamp: str) -> str:
    """Return an RFC 3339 time as `24 Nov 26 22:58 UTC`; what is no time stays as it is."""
    try:
        moment = datetime.fromisoformat(f"{stamp[:19]}+00:00").astimezone(UTC)
    except ValueError:
        return stamp
    return moment.strftime("%d %b %y %H:%M UTC")


COMMANDS = {
    "operator key-status": Command(
        key_status,
        "[flags]",
        "Shows the key that new data is encrypted with: its number, its age, how often it was used.",
        "PROGRAM operator key-status",
    ),
    "operator rotate": Command(
        rotate,
        "[flags]",
        "Adds a key for new data. Old data stays readable, and the unseal keys stay the same.",
        "PROGRAM operator rotate",
    ),
}
