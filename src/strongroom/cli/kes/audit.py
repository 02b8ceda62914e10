"""`kes audit verify`: finds any changed, removed or reordered line of an audit log (docs/formats/audit-log.md)."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from strongroom.cli.kes.flags import JSON, Command, Failed, Flag, Parsed
from strongroom.errors import Tampered


def verify(parsed: Parsed) -> int:
    """Check the named files, the oldest first, as one log."""
    from strongroom.audit.chain import verify as verify_chain

    parsed.at_least(1, "audit file")
    key = _key(parsed["key"] or parsed.words[-1] + ".key", demanded=bool(parsed["key"]))
    try:
        found = verify_chain(_lines(parsed.words), key)
    except Tampered as error:
        raise Failed(f"{', '.join(parsed.words)}: {error}") from error
    if parsed["head"] and found.head != parsed["head"]:
        raise Failed(f"the log ends with {found.head}, not with {parsed['head']}: its tail was cut or replaced")
    if parsed.on("json"):
        members = {name: getattr(found, name) for name in ("lines", "head", "sealed_lines", "checkpoints", "start")}
        print(json.dumps(members))
        return 0
    print(f"{found.lines} lines are as they were written; the last one's chain value is {found.head}")
    if key:
        print(f"{found.checkpoints} checkpoints fit the key; {found.lines - found.sealed_lines} lines follow the last")
    else:
        print(
            "without the checkpoint key (--key) it cannot be told whether the whole log was made anew", file=sys.stderr
        )
    return 0


def _key(path: str, *, demanded: bool) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        if demanded:
            raise Failed(f"open {path}: no such file or directory") from None
        return b""
    except OSError as error:
        raise Failed(f"open {path}: {error.strerror}") from error


def _lines(files: list[str]) -> Iterator[bytes]:
    for file in files:
        try:
            with open(file, "rb") as lines:
                yield from lines
        except OSError as error:
            raise Failed(f"open {file}: {(error.strerror or str(error)).lower()}") from error


VERIFY = Command(
    "FILE...",
    "Find any changed, removed or reordered line. Name rotated files first, the oldest in front.",
    (
        JSON,
        Flag("key", help="The checkpoint key; FILE.key by default"),
        Flag("head", help="The last chain value as it was kept elsewhere: finds a cut tail"),
    ),
    verify,
)
