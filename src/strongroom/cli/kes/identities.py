"""`kes identity info|ls` (kes.md 10.2)."""

import json
from typing import TYPE_CHECKING, Any

from strongroom.cli.kes.connect import run
from strongroom.cli.kes.flags import COLOR, ENCLAVE, INSECURE, JSON, Command, Failed, Parsed
from strongroom.cli.kes.keys import LABEL, print_names
from strongroom.cli.kes.policies import local
from strongroom.errors import Error

if TYPE_CHECKING:
    from strongroom.sdk.kes import KesClient


def info(parsed: Parsed) -> int:
    """Describe an identity, by default the caller's own with its rules."""
    parsed.at_most(1)

    async def work(kes: "KesClient") -> int:
        name = parsed.words[0] if parsed.words else None
        found = await kes.identity(name)
        found.setdefault("identity", name)
        if parsed.on("json"):
            print(json.dumps(found, separators=(",", ":")))
        else:
            _print(found)
        return 0

    return run(work, insecure=parsed.on("insecure"))


def _print(found: dict[str, Any]) -> None:
    rows = (
        ("Identity", found["identity"]),
        ("Policy", found.get("policy", "")),
        ("Created At", local(found.get("created_at"))),
        ("Role", "Admin" if found.get("admin") else "User"),
        ("Created By", found.get("created_by", "")),
    )
    for label, value in rows:
        if value:
            print(f"{label:<{LABEL}} {value}")
    for heading in ("allow", "deny"):
        for place, pattern in enumerate(sorted(found.get(heading) or {})):
            print(f"{heading.capitalize() if not place else '':<{LABEL}} {pattern}")


def ls(parsed: Parsed) -> int:
    """List identities."""
    parsed.at_most(1)

    async def work(kes: "KesClient") -> int:
        try:
            names = await kes.identities(parsed.words[0] if parsed.words else "*")
        except Error as error:
            raise Failed(f"failed to list identities: {error}") from error
        print_names(names, "Identity", as_json=parsed.on("json"), color=parsed["color"])
        return 0

    return run(work, insecure=parsed.on("insecure"))


_COMMON = (INSECURE, JSON, COLOR)
INFO = Command("[IDENTITY]", "Describe an identity, or your own.", (*_COMMON, ENCLAVE), info)
LS = Command("[PATTERN]", "List identities.", _COMMON, ls)
