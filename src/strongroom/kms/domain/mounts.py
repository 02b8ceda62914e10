"""The mount table: which engine or auth method answers a path (vault.md 1.1, 2.6)."""

import secrets
import uuid
from collections.abc import Iterator

from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.records import Mount, MountConfig, MountTable

FIXED = ("sys/", "cubbyhole/", "identity/")
TOKEN = "auth/token/"  # noqa: S105 - a path
SERVICE = "default-service"
SPECIAL_TYPES = {"cubbyhole", "system", "identity"}


def new_mount(path: str, kind: str, **more: object) -> Mount:
    """Return a mount with a fresh accessor and uuid; path ends in `/`."""
    head = "auth_" if path.startswith("auth/") else ""
    return Mount(path, kind, f"{head}{kind}_{secrets.token_hex(4)}", str(uuid.uuid4()), **more)  # type: ignore[arg-type]


def first_mounts() -> list[Mount]:
    """Return what a fresh server has."""
    accept, authorization = ["Accept"], ["Authorization"]
    return [
        new_mount("cubbyhole/", "cubbyhole", description="per-token private secret storage", local=True),
        new_mount(
            "identity/",
            "identity",
            description="identity store",
            config=MountConfig(passthrough_request_headers=authorization),
        ),
        new_mount(
            "sys/",
            "system",
            description="system endpoints used for control, policy and debugging",
            seal_wrap=True,
            config=MountConfig(passthrough_request_headers=accept),
        ),
        new_mount(TOKEN, "token", description="token based credentials", config=MountConfig(token_type=SERVICE)),
    ]


class Mounts:
    """The table in memory; no mount lies within another."""

    def __init__(self, table: MountTable) -> None:
        self.table = table
        self._by_path = {mount.path: mount for mount in table.mounts}

    def __iter__(self) -> Iterator[Mount]:
        return iter(self.table.mounts)

    def get(self, path: str) -> Mount | None:
        """Return the mount at exactly this path (`kv/`)."""
        return self._by_path.get(path)

    def match(self, path: str) -> Mount | None:
        """Return the mount that answers path: the one whose path begins it."""
        place = path.find("/")
        while place >= 0:
            mount = self._by_path.get(path[: place + 1])
            if mount is not None:
                return mount
            place = path.find("/", place + 1)
        return self._by_path.get(path + "/")

    def conflict(self, path: str, beside: Mount | None = None) -> str | None:
        """Return the path of a mount at, above or below path, other than `beside`."""
        for known, mount in self._by_path.items():
            if mount is not beside and (known.startswith(path) or path.startswith(known)):
                return known
        return None

    def add(self, mount: Mount) -> None:
        """Add a mount; raise Refused when its path is taken."""
        taken = self.conflict(mount.path)
        if taken is not None:
            raise Refused(f"path is already in use at {taken.removeprefix('auth/')}")
        self.table.mounts.append(mount)
        self._by_path[mount.path] = mount

    def remove(self, mount: Mount) -> None:
        """Remove a mount."""
        self.table.mounts.remove(mount)
        del self._by_path[mount.path]

    def move(self, mount: Mount, path: str) -> None:
        """Give a mount another path."""
        del self._by_path[mount.path]
        mount.path = path
        self._by_path[path] = mount
