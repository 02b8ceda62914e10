"""AppRoles with their role ids; secret ids cannot be read anywhere (vault.md 4)."""

from functools import partial
from typing import Any

from strongroom.cli.kms.client import Client
from strongroom.cli.kms.transfer.mounts import make, mounts, note_left
from strongroom.cli.kms.transfer.report import State, Transfer

_OLD_NAMES = {"policies": "token_policies", "period": "token_period", "bound_cidr_list": "secret_id_bound_cidrs"}


def copy_approles(transfer: Transfer) -> None:
    """Copy the AppRole mounts and the roles of each."""
    found = mounts(transfer.source, "sys/auth")
    existing = mounts(transfer.target, "sys/auth")
    for path, mount in found.items():
        if mount["type"] == "approle" and make(transfer, "sys/auth", path, mount, existing):
            roles = transfer.source.names(f"auth/{path}role")
            for name in ((roles.data if roles else None) or {}).get("keys") or ():
                place = f"auth/{path}role/{name}"
                transfer.settle("role", place, _copy, transfer, place)
    note_left(transfer, "auth method", found, "approle", "its passwords or keys do not leave a server over the API")


def _copy(transfer: Transfer, place: str) -> tuple[State, str]:
    new, old = _role(transfer.source, place), _role(transfer.target, place)
    if new is None:
        return State.FAILED, "listed, but not to be read"
    same = old is not None and all(_equal(old.get(name), value) for name, value in new.items())
    detail = "make new secret ids, or set the old ones as custom ones"
    return transfer.put(old is not None, same, partial(_write, transfer.target, place, new), detail)


def _write(target: Client, place: str, role: dict[str, Any]) -> None:
    target.write(place, {name: value for name, value in role.items() if name != "role_id"})
    target.write(f"{place}/role-id", {"role_id": role["role_id"]})


def _role(client: Client, place: str) -> dict[str, Any] | None:
    """Return a role's settings under their newest names, without those that are unset, and its role id."""
    found, identity = client.read(place), client.read(f"{place}/role-id")
    if found is None or identity is None:
        return None
    data = found.data or {}
    named = {_OLD_NAMES.get(name, name): value for name, value in data.items() if name in _OLD_NAMES}
    named |= {name: value for name, value in data.items() if name not in _OLD_NAMES}
    role = {name: value for name, value in named.items() if value is not None}
    return role | {"role_id": str((identity.data or {}).get("role_id"))}


def _equal(mine: Any, theirs: Any) -> bool:
    """Compare settings; one that a server does not have equals one that is off."""
    return mine == theirs or (mine is None and str(theirs) in ("False", "0", "[]", ""))
