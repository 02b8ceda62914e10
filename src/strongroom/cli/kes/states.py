"""`kes key rotate|disable|enable|delete|restore`: key versions and states (docs/reference/kes.md)."""

import json
import re
from typing import TYPE_CHECKING, Any

from strongroom.cli.kes.connect import run
from strongroom.cli.kes.flags import INSECURE, JSON, Command, Failed, Flag, Parsed
from strongroom.cli.kes.keys import each
from strongroom.errors import Error

if TYPE_CHECKING:
    from strongroom.sdk.kes import KesClient

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def rotate(parsed: Parsed) -> int:
    """Add a version to keys."""
    return _change(parsed, "rotate key", "rotate")


def disable(parsed: Parsed) -> int:
    """Refuse every use of keys."""
    return _change(parsed, "disable key", "disable")


def enable(parsed: Parsed) -> int:
    """Undo disable."""
    return _change(parsed, "enable key", "enable")


def restore(parsed: Parsed) -> int:
    """Take back a delete that has not happened yet."""
    return _change(parsed, "restore key", "restore")


def delete(parsed: Parsed) -> int:
    """Delete keys after a while."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", parsed["after"])
    if found is None:
        raise parsed.usage(f"invalid duration '{parsed['after']}'; write it like 7d, 12h or 30m")
    seconds = float(found[1]) * _UNITS[found[2]]

    async def one(kes: "KesClient", name: str) -> None:
        _print(await kes.delete_later(name, seconds), parsed)

    return each(parsed, "delete key", one)


def _change(parsed: Parsed, words: str, verb: str) -> int:
    async def one(kes: "KesClient", name: str) -> None:
        _print(await getattr(kes, verb)(name), parsed)

    return each(parsed, words, one)


def _print(document: dict[str, Any], parsed: Parsed) -> None:
    if parsed.on("json"):
        print(json.dumps(document, separators=(",", ":")))


def state(parsed: Parsed) -> int:
    """Print a key's state and versions."""
    name = parsed.one("key name")

    async def work(kes: "KesClient") -> int:
        try:
            print_states([await kes.lifecycle(name)], as_json=parsed.on("json"))
        except Error as error:
            raise Failed(f"failed to describe key: {error}") from error
        return 0

    return run(work, insecure=parsed.on("insecure"))


def print_states(keys: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print keys with version, state, fingerprint, creation and last use."""
    if as_json:
        print(json.dumps(keys, separators=(",", ":")))
        return
    rows = [("Key", "Version", "State", "Fingerprint", "Created", "Last used")]
    for key in keys:
        state_text = str(key["state"]) + (f" at {key['deleted_at'][:19]}Z" if "deleted_at" in key else "")
        used = str(key.get("last_used", "-"))[:19]
        created = str(key["created_at"])[:19]
        rows.append((key["name"], str(key["version"]), state_text, key["fingerprint"], created, used))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows if len(rows) > 1 else []:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


_FLAGS = (INSECURE, JSON)
_AFTER = Flag("after", default="7d", help="How long the key can be restored: 7d, 12h, 30m")
ROTATE = Command("NAME...", "Add a version: new data keys use it, old ciphertexts stay readable.", _FLAGS, rotate)
DISABLE = Command("NAME...", "Refuse every use of keys, everywhere, until they are enabled.", _FLAGS, disable)
ENABLE = Command("NAME...", "Let disabled keys be used again.", _FLAGS, enable)
DELETE = Command("NAME...", "Refuse keys now, and delete them after a while.", (*_FLAGS, _AFTER), delete)
RESTORE = Command("NAME...", "Take back a deletion that has not happened yet.", _FLAGS, restore)
STATE = Command("NAME", "Print a key's state and versions.", _FLAGS, state)
