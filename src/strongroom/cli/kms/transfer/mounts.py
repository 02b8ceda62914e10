"""Mounts of secrets engines and auth methods (vault.md 2.6)."""

from typing import Any

from strongroom.cli.kms.client import Client
from strongroom.cli.kms.transfer.report import State, Transfer

_ALWAYS = ("system", "cubbyhole", "identity", "token", "ns_system", "ns_cubbyhole", "ns_identity", "ns_token")
_KEPT_CONFIG = (
    "default_lease_ttl", "max_lease_ttl", "listing_visibility", "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys", "passthrough_request_headers", "allowed_response_headers", "token_type",
)  # fmt: skip

Mount = dict[str, Any]


def mounts(client: Client, route: str) -> dict[str, Mount]:
    """Return the mounts of sys/mounts or sys/auth by path (with its slash)."""
    answer = client.request("GET", route).json() or {}
    found = answer.get("data") or answer
    return {path: mount for path, mount in sorted(found.items()) if isinstance(mount, dict) and "type" in mount}


def make(transfer: Transfer, route: str, path: str, mount: Mount, existing: dict[str, Mount]) -> bool:
    """Make a mount on the target like the source's; return whether its contents can be copied (or compared) now.

    A mount of the same type and version that is there already is used as it is.
    """
    kind = "secrets engine" if route == "sys/mounts" else "auth method"
    there = existing.get(path)
    same = there is not None and _nature(there) == _nature(mount)

    def write() -> None:
        transfer.target.request("POST", f"{route}/{path.rstrip('/')}", _body(mount))

    def decide() -> tuple[State, str]:
        if there is not None and not same:
            return State.DIFFERS, f"the target has a {' '.join(filter(None, _nature(there)))} here"
        return transfer.put(there is not None, same, write)

    transfer.settle(kind, path, decide)
    return transfer.items[-1].state in (State.COPIED, State.SAME, State.MISSING)


def _nature(mount: Mount) -> tuple[str, str]:
    version = str((mount.get("options") or {}).get("version") or "")
    kind = str(mount["type"])
    return kind, f"version {version or 1}" if kind == "kv" else ""


def _body(mount: Mount) -> dict[str, Any]:
    config = mount.get("config") or {}
    return {
        "type": mount["type"],
        "description": mount.get("description") or "",
        "config": {name: config[name] for name in _KEPT_CONFIG if config.get(name)},
        "options": mount.get("options") or None,
    }


def note_left(transfer: Transfer, kind: str, found: dict[str, Mount], copied: str, reason: str) -> None:
    """Name the mounts whose contents cannot be copied."""
    for path, mount in found.items():
        if mount["type"] not in (copied, *_ALWAYS):
            transfer.note(kind, path, State.LEFT, f"{mount['type']}: {reason}")
