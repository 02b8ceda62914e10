"""Key/value secrets with all their versions (vault.md 5)."""

from collections.abc import Iterator
from typing import Any

from strongroom.cli.kms.client import Client
from strongroom.cli.kms.transfer.mounts import Mount, make, mounts, note_left
from strongroom.cli.kms.transfer.report import State, Transfer

_SETTINGS = ("max_versions", "cas_required", "delete_version_after", "custom_metadata")
_CONFIG = ("max_versions", "cas_required", "delete_version_after")
_MOST_GAPS = 1000  # versions of one secret that are gone and would have to be counted past


def copy_kv(transfer: Transfer, wanted: tuple[str, ...]) -> None:
    """Copy the key/value mounts that are wanted, all of them if none is named."""
    found = mounts(transfer.source, "sys/mounts")
    existing = mounts(transfer.target, "sys/mounts")
    names = {name.strip("/") + "/" for name in wanted}
    for missing in sorted(names - found.keys()):
        transfer.note("secrets engine", missing, State.FAILED, "the source has none at this path")
    for path, mount in found.items():
        if (
            mount["type"] in ("kv", "generic")
            and (not names or path in names)
            and make(transfer, "sys/mounts", path, mount | {"type": "kv"}, existing)
        ):
            _copy_mount(transfer, path, mount)
    if not names:
        note_left(transfer, "secrets engine", found, "kv", "its keys do not leave a server over the API")


def _copy_mount(transfer: Transfer, path: str, mount: Mount) -> None:
    if str((mount.get("options") or {}).get("version")) == "2":
        if not transfer.dry_run:
            transfer.settle("settings", path, _copy_config, transfer, path)
        for name in _walk(transfer.source, f"{path}metadata/"):
            transfer.settle("secret", path + name, _Versioned(transfer, path, name).copy)
    else:
        for name in _walk(transfer.source, path):
            transfer.settle("secret", path + name, _copy_plain, transfer, path + name)


def _walk(client: Client, root: str) -> Iterator[str]:
    """Yield the name of every secret below a path, folder by folder."""
    folders = [""]
    while folders:
        folder = folders.pop()
        found = client.names(root + folder)
        for key in ((found.data if found else None) or {}).get("keys") or ():
            if str(key).endswith("/"):
                folders.append(folder + str(key))
            else:
                yield folder + str(key)


def _copy_plain(transfer: Transfer, path: str) -> tuple[State, str]:
    new, old = transfer.source.read(path), transfer.target.read(path)
    if new is None or new.data is None:
        return State.FAILED, "listed, but not to be read"

    def write() -> None:
        transfer.target.write(path, new.data)

    return transfer.put(old is not None, old is not None and old.data == new.data, write)


def _copy_config(transfer: Transfer, path: str) -> tuple[State, str]:
    new, old = transfer.source.read(f"{path}config"), transfer.target.read(f"{path}config")
    wanted = {name: ((new.data if new else None) or {}).get(name) for name in _CONFIG}
    has = {name: ((old.data if old else None) or {}).get(name) for name in _CONFIG}
    if has != wanted:
        transfer.target.write(f"{path}config", wanted)
        return State.COPIED, ""
    return State.SAME, ""


class _Versioned:
    """One secret of a version 2 engine. Version numbers are kept: those that are gone become destroyed ones."""

    def __init__(self, transfer: Transfer, mount: str, name: str) -> None:
        self._transfer = transfer
        self._mount = mount
        self._name = name

    def copy(self) -> tuple[State, str]:
        """Copy what the target has not got yet; an interrupted copy goes on where it stopped."""
        transfer = self._transfer
        new, old = self._metadata(transfer.source), self._metadata(transfer.target)
        have = _number(old, "current_version")
        common = self._common(new, have)
        same = common == have == _number(new, "current_version") and _settings(old) == _settings(new)
        can_go_on = common == have and not transfer.dry_run
        if _gaps(new) > _MOST_GAPS:
            return State.FAILED, f"more than {_MOST_GAPS} of its versions are gone; write its newest version by hand"
        if have and can_go_on and not same:
            self._write(new, have)
            return State.COPIED, f"went on behind version {have}"
        return transfer.put(bool(old), same, lambda: self._replace(new, bool(old)), _lost(new))

    def _replace(self, new: dict[str, Any], there: bool) -> None:
        if there:
            self._transfer.target.delete(self._path("metadata"))
        self._write(new, 0)

    def _write(self, new: dict[str, Any], have: int) -> None:
        target = self._transfer.target
        settings = {name: value for name, value in _settings(new).items() if value is not None}
        target.write(self._path("metadata"), settings)
        gone: dict[str, list[str]] = {"destroy": [], "delete": []}
        for number in range(have + 1, _number(new, "current_version") + 1):
            data = self._data(self._transfer.source, number)
            target.write(self._path("data"), {"data": data or {}, "options": {"cas": number - 1}})
            if data is None:
                state = (new.get("versions") or {}).get(str(number)) or {"destroyed": True}
                gone["destroy" if state.get("destroyed") else "delete"].append(str(number))
        for verb, numbers in gone.items():
            if numbers:
                target.write(self._path(verb), {"versions": numbers})

    def _common(self, new: dict[str, Any], have: int) -> int:
        """Return up to which version the target holds the same as the source."""
        for number in range(1, min(have, _number(new, "current_version")) + 1):
            if self._data(self._transfer.source, number) != self._data(self._transfer.target, number):
                return number - 1
        return min(have, _number(new, "current_version"))

    def _metadata(self, client: Client) -> dict[str, Any]:
        secret = client.read(self._path("metadata"))
        return (secret.data if secret else None) or {}

    def _data(self, client: Client, number: int) -> dict[str, Any] | None:
        secret = client.read(self._path("data"), (("version", str(number)),))
        found = ((secret.data if secret else None) or {}).get("data")
        return found if isinstance(found, dict) else None

    def _path(self, kind: str) -> str:
        return f"{self._mount}{kind}/{self._name}"


def _settings(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: metadata.get(name) for name in _SETTINGS}


def _number(metadata: dict[str, Any], name: str) -> int:
    return int(metadata.get(name) or 0)


def _gaps(metadata: dict[str, Any]) -> int:
    return _number(metadata, "current_version") - len(metadata.get("versions") or {})


def _lost(metadata: dict[str, Any]) -> str:
    """Say how many deleted versions lose their data: it cannot be read, so it cannot be copied."""
    versions = (metadata.get("versions") or {}).values()
    deleted = sum(1 for version in versions if version.get("deletion_time") and not version.get("destroyed"))
    return f"{deleted} deleted version(s) without their data" if deleted else ""
