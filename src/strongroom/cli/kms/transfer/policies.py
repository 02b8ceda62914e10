"""Policies (vault.md 2.7)."""

from strongroom.cli.kms.client import Client
from strongroom.cli.kms.transfer.report import State, Transfer

_BUILT_IN = ("root", "default", "response-wrapping")


def copy_policies(transfer: Transfer) -> None:
    """Copy every policy but the built-in ones."""
    found = transfer.source.names("sys/policies/acl")
    for name in ((found.data if found else None) or {}).get("keys") or ():
        if name not in _BUILT_IN:
            transfer.settle("policy", str(name), _copy, transfer, str(name))


def _copy(transfer: Transfer, name: str) -> tuple[State, str]:
    text, old = _text(transfer.source, name), _text(transfer.target, name)

    def write() -> None:
        transfer.target.write(f"sys/policies/acl/{name}", {"policy": text})

    return transfer.put(old is not None, old == text, write)


def _text(client: Client, name: str) -> str | None:
    secret = client.read(f"sys/policies/acl/{name}")
    return None if secret is None else str((secret.data or {}).get("policy", ""))
