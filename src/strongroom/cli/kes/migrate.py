"""`kes migrate`: copies the values of one key store into another, as they are (kes.md 10.2).

Running it again with --merge goes on where it stopped: what is there already is left alone.
"""

import asyncio
import fnmatch
import sys
import time
from typing import TYPE_CHECKING

from strongroom.cli.kes.flags import INSECURE, Command, Failed, Flag, Parsed
from strongroom.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from strongroom.kes.domain.ports import KeyStore

PAGE = 1000


def migrate(parsed: Parsed) -> int:
    """Copy keys between the stores of two configuration files."""
    parsed.at_most(1)
    if not parsed["from"]:
        raise Failed("no source specified. Use '--from' flag")
    if parsed.on("force") and parsed.on("merge"):
        raise Failed("'--force' and '--merge' flags are mutually exclusive")
    if parsed["server"]:
        raise Failed("migrating to a MinIO KMS server is not supported; use '--to' with another key store")
    if not parsed["to"]:
        raise Failed("missing migration target. Use '--to' or '--server'")
    return asyncio.run(_migrate(parsed))


async def _migrate(parsed: Parsed) -> int:
    from strongroom.config.kes import load_store
    from strongroom.kes.stores import open_store

    source_settings, target_settings = load_store(parsed["from"]), load_store(parsed["to"])
    source = await open_store(source_settings, _warn)
    try:
        target = await open_store(target_settings, _warn)
        try:
            return await _copy(source, target, parsed)
        finally:
            await target.close()
    finally:
        await source.close()


async def _copy(source: "KeyStore", target: "KeyStore", parsed: Parsed) -> int:
    pattern = parsed.words[0] if parsed.words else "*"
    print("Starting key migration:\n")
    copied, shown = 0, time.monotonic()
    after = ""
    while page := await source.names("", after, PAGE):
        after = page[-1]
        for name in page:
            if not fnmatch.fnmatchcase(_key_of(name), pattern):
                continue
            copied += await _copy_one(source, target, name, parsed)
            if time.monotonic() - shown >= 1:
                shown = time.monotonic()
                print(f"Migrated {copied:>6} keys", flush=True)
    if not copied:
        print("Migration succeeded! No keys migrated.")
    elif parsed.on("dry-run"):
        print(f"Would migrate {copied:>6} keys.")
    else:
        print(f"Migrated {copied:>6} keys successfully!")
    return 0


def _key_of(entry: str) -> str:
    """Return the key that an entry belongs to: states and further versions go with their key."""
    return entry[:-1].rpartition("-")[0] or entry if entry.endswith("-") else entry


async def _copy_one(source: "KeyStore", target: "KeyStore", name: str, parsed: Parsed) -> int:
    try:
        value = await source.get(name)
    except NotFound:
        return 0  # deleted meanwhile
    if parsed.on("dry-run"):
        return await _would_copy(target, name, parsed)
    try:
        if parsed.on("force"):
            await _forget(target, name)
        await target.create(name, value)
    except AlreadyExists:
        if parsed.on("merge"):
            return 0
        raise Failed("key already exists") from None
    return int(not name.endswith("-"))  # a key's states are copied with it, and not counted


async def _would_copy(target: "KeyStore", name: str, parsed: Parsed) -> int:
    try:
        await target.get(name)
    except NotFound:
        return int(not name.endswith("-"))
    if not parsed.on("force") and not parsed.on("merge"):
        print(f"'{name}' exists already", file=sys.stderr)
    return int(parsed.on("force") and not name.endswith("-"))


async def _forget(target: "KeyStore", name: str) -> None:
    try:
        await target.delete(name)
    except NotFound:
        return  # nothing to overwrite


def _warn(text: str) -> None:
    print(f"Warning: {text}", file=sys.stderr)


MIGRATE = Command(
    "[PATTERN]",
    "Copy keys from one key store to another.",
    (
        INSECURE,
        Flag("from", help="Configuration file that names the source"),
        Flag("to", help="Configuration file that names the target"),
        Flag("server", "s", help="Not supported"),
        Flag("enclave", "e", help="Ignored"),
        Flag("api-key", "a", help="Ignored"),
        Flag("force", "f", switch=True, help="Overwrite keys in the target"),
        Flag("merge", switch=True, help="Leave keys that are in the target"),
        Flag("dry-run", switch=True, help="Only say how many keys would be copied"),
        Flag("quiet", "q", switch=True, help="Ignored"),
    ),
    migrate,
)
