"""`kes migrate`: copies keys between the stores of two configuration files (kes.md 10.2)."""

import sys
import time

from strongroom.cli.kes.flags import INSECURE, JSON, Command, Failed, Flag, Parsed
from strongroom.errors import AlreadyExists


def migrate_keys(parsed: Parsed) -> int:
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
    return _migrate(parsed)


def _migrate(parsed: Parsed) -> int:
    from strongroom.config.kes import load_store
    from strongroom.kes.migrate import Migration, WasDeleted, migrate

    source, target = load_store(parsed["from"]), load_store(parsed["to"])
    shown, as_json = time.monotonic(), parsed.on("json")

    def progress(copied: int) -> None:
        nonlocal shown
        if not as_json and time.monotonic() - shown >= 1:
            shown = time.monotonic()
            print(f"Migrated {copied:>6} keys", flush=True)

    wanted = Migration(
        parsed.words[0] if parsed.words else "*",
        parsed.on("force"),
        parsed.on("merge"),
        parsed.on("dry-run"),
        progress,
        lambda name: print(f"'{name}' exists already", file=sys.stderr),
        lambda name: _warn(f"'{name}' is another key in the target, and is left alone"),
    )
    if not as_json:
        print("Starting key migration:\n")
    try:
        copied = migrate(source, target, wanted, _warn)
    except WasDeleted as error:
        raise Failed(f"key '{error}' was deleted in the target; '--force' brings it back") from None
    except AlreadyExists:
        raise Failed("key already exists") from None
    if as_json:
        print(f'{{"copied":{copied},"dry_run":{parsed["dry-run"]}}}')
    elif not copied:
        print("Migration succeeded! No keys migrated.")
    elif parsed.on("dry-run"):
        print(f"Would migrate {copied:>6} keys.")
    else:
        print(f"Migrated {copied:>6} keys successfully!")
    return 0


def _warn(text: str) -> None:
    print(f"Warning: {text}", file=sys.stderr)


MIGRATE = Command(
    "[PATTERN]",
    "Copy keys from one key store to another.",
    (
        INSECURE,
        JSON,
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
    migrate_keys,
)
