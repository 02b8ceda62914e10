"""`operator raft snapshot save, restore`: backup of the whole store (vault.md 2.15)."""

import os
from pathlib import Path

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind

_ROUTE = "sys/storage/raft/snapshot"


def save(call: Call) -> int:
    """Write a backup to a file of mode 0600, which appears whole or not at all."""
    target = Path(call.words[0])
    temporary = target.with_name(target.name + ".tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                length = call.client.download(_ROUTE, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except ServerFault as fault:
        raise fault.under("Error taking the snapshot") from None
    except OSError as error:
        raise Fault(f"Error writing the snapshot to {target}: {error.strerror}") from None
    return call.success(f"Saved {length} bytes to {target}")


def restore(call: Call) -> int:
    """Replace the store by a backup."""
    source = Path(call.words[0])
    try:
        with source.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                raise Fault(f"Error reading the snapshot: {source} is empty")
            call.client.upload(f"{_ROUTE}-force" if call.flag("force") else _ROUTE, file)
    except ServerFault as fault:
        raise fault.under("Error installing the snapshot") from None
    except OSError as error:
        raise Fault(f"Error opening {source}: {error.strerror}") from None
    return call.success(f"Restored {source}")


COMMANDS = {
    "operator raft snapshot save": Command(
        save,
        "[flags] FILE",
        "Saves a consistent backup of the whole store while the server works. It is encrypted: restoring it needs the "
        "unseal keys of the time it was made.",
        "PROGRAM operator raft snapshot save vault.snap",
        (1, 1),
        format=False,
    ),
    "operator raft snapshot restore": Command(
        restore,
        "[flags] FILE",
        "Replaces everything that is stored by a backup.",
        "PROGRAM operator raft snapshot restore vault.snap",
        (1, 1),
        (Flag("force", "even if it was made under other unseal keys", Kind.SWITCH),),
        format=False,
    ),
}
