"""`kes policy ls|info|show` (kes.md 10.2)."""

import datetime
import json
from typing import TYPE_CHECKING

from strongroom.cli.kes.connect import run, terminal
from strongroom.cli.kes.flags import COLOR, ENCLAVE, INSECURE, JSON, Command, Failed, Parsed
from strongroom.cli.kes.keys import LABEL, print_names
from strongroom.errors import Error

if TYPE_CHECKING:
    from strongroom.sdk.kes import KesClient


def ls(parsed: Parsed) -> int:
    """List policies."""
    parsed.at_most(1)

    async def work(kes: "KesClient") -> int:
        try:
            names = await kes.policies(parsed.words[0] if parsed.words else "*")
        except Error as error:
            raise Failed(f"failed to list policies: {error}") from error
        print_names(names, "Key", as_json=parsed.on("json"), color=parsed["color"])  # the heading is the original's
        return 0

    return run(work, insecure=parsed.on("insecure"))


def info(parsed: Parsed) -> int:
    """Print a policy's age."""
    name = parsed.one("policy name")

    async def work(kes: "KesClient") -> int:
        found = await kes.describe_policy(name)
        if parsed.on("json"):
            print(json.dumps(found, separators=(",", ":")))
            return 0
        date, author = local(found.get("created_at")), found.get("created_by", "")
        for label, value in (("Name", found.get("name", name)), ("Date", date), ("Created by", author)):
            print(f"{label:<{LABEL}} {value}")
        return 0

    return run(work, insecure=parsed.on("insecure"))


def local(time: object) -> str:
    """Return an RFC 3339 time as this machine's time of day; what is none as it is."""
    text = str(time or "")
    try:
        moment = datetime.datetime.fromisoformat(text[:19] + "+00:00").astimezone()
    except (ValueError, OverflowError):
        return text
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def show(parsed: Parsed) -> int:
    """Print a policy's rules."""
    name = parsed.one("policy name")

    async def work(kes: "KesClient") -> int:
        try:
            found = await kes.policy(name)
        except Error as error:
            raise Failed(f"failed to show policy '{name}': {error}") from error
        members = ("allow", "deny", "created_at", "created_by")
        if parsed.on("json") or not terminal():
            print(json.dumps({one: found[one] for one in members if one in found}, separators=(",", ":")))
            return 0
        for heading in ("allow", "deny"):
            if found.get(heading):
                print(f"{heading.capitalize()}:")
                print("".join(f"  · {pattern}\n" for pattern in sorted(found[heading])))
        if not found.get("allow") and not found.get("deny"):
            print()
        print(f"\nCreated at: {local(found.get('created_at'))}\nCreated by: {found.get('created_by', '')}")
        return 0

    return run(work, insecure=parsed.on("insecure"))


_COMMON = (INSECURE, JSON, COLOR)
LS = Command("[PATTERN]", "List policies.", _COMMON, ls)
INFO = Command("NAME", "Print a policy's age and author.", (*_COMMON, ENCLAVE), info)
SHOW = Command("NAME", "Print a policy's rules.", (INSECURE, JSON, ENCLAVE), show)
