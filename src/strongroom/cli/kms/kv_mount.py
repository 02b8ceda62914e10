"""Where a key/value secret lies: which mount, which version of the engine (vault.md 2.8 and 10.6)."""

from dataclasses import dataclass

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.faults import ServerFault
from strongroom.cli.kms.flags import Flag

MOUNT = Flag("mount", "where the engine is mounted; the path is then the secret's name below it")


@dataclass(frozen=True, slots=True)
class Place:
    """A secret's mount (with its slash, empty if unknown), its name below it, and the engine's version."""

    mount: str
    name: str
    version: int

    def path(self, kind: str) -> str:
        """Return the path to send for `data`, `metadata`, `delete`, ...; version 1 has one path for all."""
        parts = [self.mount.rstrip("/"), kind if self.version == 2 else "", self.name]
        return "/".join(part for part in parts if part)


def find(call: Call, path: str | None) -> Place:
    """Ask the server about the mount of a path, or of -mount.

    Raises ServerFault when the caller may not know (403). A server that does not know the question (404) has
    version 1 engines only.
    """
    mount = str(call.flag("mount")).strip("/")
    name = (path or "").strip("/")
    asked = mount or name
    try:
        answer = call.client.request("GET", f"sys/internal/ui/mounts/{asked}", ask=True).json() or {}
    except ServerFault as fault:
        if fault.status != 404:
            raise
        return Place(f"{mount}/" if mount else "", name, 1)
    data = answer.get("data") or {}
    found = str(data.get("path") or "")
    version = 2 if str((data.get("options") or {}).get("version")) == "2" else 1
    if not mount:
        name = name[len(found) :] if f"{name}/".startswith(found) else name
    return Place(found, name, version)
