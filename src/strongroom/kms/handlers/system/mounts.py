"""sys/mounts, sys/auth, sys/remount: engines and auth methods come, are tuned, move and go (vault.md 2.6)."""

import copy
import uuid
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Nothing, Refused
from strongroom.kms.domain.mounts import FIXED, SPECIAL_TYPES, TOKEN, new_mount
from strongroom.kms.domain.records import Mount, MountConfig
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.removal import Doomed
from strongroom.kms.handlers.system.lockout_tuning import lockout_shown, take_lockout
from strongroom.kms.handlers.system.mount_tuning import CONFIG, LISTS, take_config, take_token_type

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

PLUGIN_VERSION = "v2.7.2+builtin.bao"
SUPPORTED = {"kv", "approle", "transit", "userpass", "cert", "kubernetes"}
SECRET_TYPES = {"kv", "kv-v1", "kv-v2", "generic", "transit", *SPECIAL_TYPES}
AUTH_TYPES = {"approle", "userpass", "cert", "kubernetes", "token"}
ENABLE = {
    "type": "text",
    "description": "text",
    "config": "map",
    "options": "pairs",
    "local": "bool",
    "seal_wrap": "bool",
    "external_entropy_access": "bool",
    "plugin_name": "text",
    "plugin_version": "text",
}
UPGRADED = (
    "Upgrading mount from version 0 to version 0. This mount will be unavailable for a brief period and will resume "
    "service shortly."
)


def shown(mount: Mount) -> dict[str, Any]:
    """Return a mount as answers show it."""
    config = mount.config
    settings: dict[str, Any] = {
        "default_lease_ttl": config.default_lease_ttl,
        "max_lease_ttl": config.max_lease_ttl,
        "force_no_cache": config.force_no_cache,
    }
    for name in (*LISTS, "listing_visibility", "token_type"):
        if getattr(config, name):
            settings[name] = getattr(config, name)
    if config.user_lockout is not None:
        settings["user_lockout_config"] = lockout_shown(config.user_lockout)
    found = {
        "type": mount.type,
        "description": mount.description,
        "accessor": mount.accessor,
        "uuid": mount.uuid,
        "local": mount.local,
        "seal_wrap": mount.seal_wrap,
        "external_entropy_access": mount.external_entropy_access,
        "options": mount.options,
        "plugin_version": "",
        "running_plugin_version": PLUGIN_VERSION,
        "running_sha256": "",
        "config": settings,
    }
    return found | ({"deprecation_status": "supported"} if mount.type in SUPPORTED else {})


class MountRoutes:
    """The routes of one of the two tables: head "" for sys/mounts, "auth/" for sys/auth."""

    def __init__(self, core: "Core", head: str) -> None:
        self.core, self.head = core, head

    def routes(self) -> list[Route]:
        """Return the table's routes."""
        base, up, auth = "auth" if self.head else "mounts", acl.UPDATE, bool(self.head)
        one = {acl.READ: self.read, up: self.enable, acl.DELETE: self.disable}
        tune = {acl.READ: self.read_tune, up: self.tune}
        return [
            route(base, {acl.READ: self.list_names}),
            route(base + "/(?P<path>.+?)/tune", tune, fields=CONFIG, sudo=auth, lazy=True),
            route(base + "/(?P<path>.+)", one, fields=ENABLE, sudo=auth),
        ]

    def path(self, call: Call) -> str:
        """Return the mount path that the request names, with the trailing `/`."""
        return self.head + call.captures["path"].strip("/") + "/"

    def mounts(self) -> list[Mount]:
        """Return the table's mounts."""
        return [m for m in self.core.live.mounts if m.path.startswith("auth/") == bool(self.head)]

    def list_names(self, call: Call) -> Reply:
        """Return the table."""
        found = {mount.path.removeprefix(self.head): shown(mount) for mount in self.mounts()}
        return Reply(data=found, hoist=True)

    def read(self, call: Call) -> Reply:
        """Return one mount."""
        path = self.path(call)
        mount = self.core.live.mounts.get(path)
        if mount is None:
            short = path.removeprefix(self.head)
            raise Refused(f"No auth engine at {short}" if self.head else f"No secret engine mount at {short}")
        return Reply(data=shown(mount), hoist=True)

    def enable(self, call: Call) -> None:
        """Mount an engine or auth method."""
        path, kind = self.path(call), call.get("type")
        kind = call.get("plugin_name") if kind in ("", "plugin") else kind
        options = call.get("options") or {}
        if not kind:
            raise Refused("backend type must be specified as a string")
        self._check_place(path, kind)
        if kind in ("kv-v1", "kv-v2"):
            kind, options = "kv", options | {"version": kind[-1]}
        if "version" in options and kind != "kv":
            what = "auth method" if self.head else "secrets engine"
            raise Refused(f'{what} "{kind}" does not allow setting a version')
        if kind == "kv" and options.get("version", "1") not in ("1", "2"):
            raise Refused('nil backend of type "kv" returned from factory')
        config = MountConfig()
        given = call.get("config") or {}
        take_config(config, given)
        if self.head:
            take_token_type(config, path, given.get("token_type"))
        self._check_ttls(config)
        if self.head and not config.token_type:
            config.token_type = "default-service"  # noqa: S105
        mount = new_mount(path, kind, description=call.get("description"), config=config)
        mount.options = options if options or "options" not in call.data else None
        mount.local, mount.seal_wrap = call.get("local"), call.get("seal_wrap")
        mount.external_entropy_access = call.get("external_entropy_access")
        live = self.core.live
        backend = self.core.backend(mount)
        live.mounts.add(mount)
        live.backends[mount.uuid] = backend
        self.core.save_mounts(call.work)

    def _check_place(self, path: str, kind: str) -> None:
        if self.head:
            if kind == "token":
                raise Refused("token credential backend cannot be instantiated")
            if kind not in AUTH_TYPES:
                raise Refused(f"plugin not found in the catalog: {kind}")
            return
        if path.startswith(("sys/", "auth/")) or path in FIXED:
            raise Refused(f'cannot mount "{path}"')
        if kind in SPECIAL_TYPES:
            raise Refused(f'mount type of "{kind}" is not mountable')
        if kind not in SECRET_TYPES:
            raise Refused(f"plugin not found in the catalog: {kind}")

    def _check_ttls(self, config: MountConfig) -> None:
        if config.max_lease_ttl and config.default_lease_ttl > config.max_lease_ttl:
            raise Refused("given default lease TTL greater than given max lease TTL")
        system = self.core.settings.max_lease_ttl
        if not config.max_lease_ttl and config.default_lease_ttl > system:
            raise Refused(f"given default lease TTL greater than system max lease TTL of {system}")

    def disable(self, call: Call) -> Awaitable[None] | None:
        """Unmount: all data of the mount goes, and the tokens that an auth method made."""
        path = self.path(call)
        if self.head and path == TOKEN:
            raise Refused("token credential backend cannot be disabled")
        if not self.head and path.startswith((*FIXED, "auth/")):
            raise Refused(f'cannot unmount "{path}"')
        live = self.core.live
        mount = live.mounts.get(path)
        if mount is None:
            return None
        doomed, removal = Doomed(mount.prefix, f"sys/lease/{path}" if self.head else ""), self.core.removal
        small = removal.small(doomed)
        if small:
            removal.at_once(call.work, doomed)
        live.backends.pop(mount.uuid).forget()
        live.mounts.remove(mount)
        self.core.save_mounts(call.work)
        return None if small else removal.in_slices(call.work, mount.uuid, doomed)

    def read_tune(self, call: Call) -> Reply:
        """Return a mount's effective tuning."""
        path = self.path(call)
        mount = self.core.live.mounts.get(path)
        if mount is None:
            raise Refused(f'cannot fetch sysview for path "{path}"')
        found = shown(mount)["config"]
        found |= found.pop("user_lockout_config", {})
        found |= {
            "default_lease_ttl": self.core.default_ttl(mount),
            "max_lease_ttl": self.core.max_ttl(mount),
            "description": mount.description,
        }
        if mount.options:
            found["options"] = mount.options
        return Reply(data=found, hoist=True)

    def tune(self, call: Call) -> Reply | None:
        """Change a mount's tuning."""
        path = self.path(call)
        mount = self.core.live.mounts.get(path)
        if mount is None:
            raise Refused(f'tune of path "{path}" failed: no mount entry found')
        config = copy.deepcopy(mount.config)
        take_config(config, call.data)
        take_token_type(config, path, call.data.get("token_type"))
        take_lockout(config, mount.type, call.get("user_lockout_config") if call.has("user_lockout_config") else None)
        if config.max_lease_ttl and config.default_lease_ttl > config.max_lease_ttl:
            raise Refused(
                f"backend max lease TTL of {config.max_lease_ttl} would be less than backend default lease TTL of "
                f"{config.default_lease_ttl}"
            )
        warnings = self._options(call, mount)
        mount.config = config
        if call.has("description"):
            mount.description = call.get("description")
        self.core.save_mounts(call.work)
        return Reply(warnings=warnings) if warnings else None

    def _options(self, call: Call, mount: Mount) -> list[str]:
        """Change a KV mount's version; raise Refused for a way back."""
        options = call.get("options") or {}
        version = options.get("version", "")
        if not version:
            return []
        current = (mount.options or {}).get("version", "1")
        if version not in ("1", "2"):
            raise Refused(f"invalid version provided: {version}")
        if current == "2" and version == "1":
            raise Refused("cannot downgrade mount from version 2")
        if current != version:
            from strongroom.kms.handlers.kv2 import upgrade

            upgrade(call.work, mount, call.now)
        mount.options = (mount.options or {}) | {"version": version}
        if current == version:
            return []
        self.core.live.backends[mount.uuid] = self.core.backend(mount)
        return [UPGRADED]


class Remount:
    """sys/remount: an engine moves to another path."""

    def __init__(self, core: "Core") -> None:
        self.core = core
        self.moves: dict[str, tuple[str, str]] = {}

    def routes(self) -> "list[Route]":
        """Return the routes."""
        fields = {"from": "text", "to": "text"}
        return [
            route("remount", {acl.UPDATE: self.move}, fields=fields, sudo=True),
            route("remount/status/(?P<migration_id>.+)", {acl.READ: self.status}),
        ]

    def move(self, call: Call) -> Reply | Awaitable[Reply]:
        """Move a mount at once; answer as the original's background job. The tokens of an auth method are revoked."""
        source, target = (call.get(name).strip("/") + "/" for name in ("from", "to"))
        live = self.core.live
        mount = live.mounts.get(source)
        if mount is None:
            raise Refused(f'no matching mount at "{source}"')
        if source in (*FIXED, TOKEN) or target.startswith("sys/") or target in ("auth/", *FIXED):
            raise Refused(f'cannot remount "{source}"')
        taken = live.mounts.conflict(target, beside=mount)
        if taken is not None:
            raise Refused(f'path already in use at "{taken}"')
        if source.startswith("auth/") != target.startswith("auth/"):
            raise Refused("cannot remount between auth methods and secret engines")
        live.mounts.move(mount, target)
        self.core.save_mounts(call.work)
        made = str(uuid.uuid4())
        self.moves[made] = (source, target)
        reply, removal = self._moved(made), self.core.removal
        doomed = Doomed("", f"sys/lease/{source}" if source.startswith("auth/") else "")
        if removal.small(doomed):
            removal.at_once(call.work, doomed)
            return reply
        return self._revoke(call, doomed, reply)

    async def _revoke(self, call: Call, doomed: Doomed, reply: Reply) -> Reply:
        await self.core.removal.in_slices(call.work, call.request_id, doomed)
        return reply

    def _moved(self, made: str) -> Reply:
        warning = (
            "Mount move has been queued. Progress will be reported in the server's log, tagged with the returned "
            "migration_id"
        )
        return Reply(data={"migration_id": made}, warnings=[warning], hoist=True)

    def status(self, call: Call) -> Reply:
        """Tell how a move went."""
        name = call.captures["migration_id"]
        if name not in self.moves:
            raise Nothing(name)
        source, target = self.moves[name]
        info = {"source_mount": source, "target_mount": target, "status": "success"}
        return Reply(data={"migration_id": name, "migration_info": info})


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return [*MountRoutes(core, "").routes(), *MountRoutes(core, "auth/").routes(), *Remount(core).routes()]
