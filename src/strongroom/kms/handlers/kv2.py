"""KV version 2 (vault.md 5.2). Entries of a mount: config, m/<path> metadata, v/<number>/<path> a version's JSON."""

from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl, fields, kv2
from strongroom.kms.domain.entries import View, Work
from strongroom.kms.domain.errors import Nothing, Refused
from strongroom.kms.domain.kv2 import Config, Key, Version
from strongroom.kms.domain.records import Mount
from strongroom.kms.domain.values import go_duration
from strongroom.kms.handlers.call import Backend, Call, Reply, Router, route
from strongroom.kms.wire import gojson

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

DATA = {"data": "any", "options": "map", "version": "int"}
VERSIONS = {"versions": "ints"}
META = {
    "max_versions": "int",
    "cas_required": "bool",
    "delete_version_after": "signed",
    "custom_metadata": "any",
    "metadata_cas_required": "bool",
    "metadata_cas": "int",
}
CONFIG = {
    name: META[name] for name in ("max_versions", "cas_required", "delete_version_after", "metadata_cas_required")
}
VERBS = {acl.READ: "get", acl.UPDATE: "put", acl.CREATE: "put", acl.LIST: "list", acl.DELETE: "delete"}
WRONG_PATH = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If "
    "using the Vault CLI, use 'vault kv {}' for this operation."
)
ROOT_PATH = "Non-listing operations on the root of a K/V v2 mount are not supported."
MANDATED = '"cas_required" set to false, but is mandated by backend config. This value will be ignored.'
NO_BODY = Reply(status=404, bare=b"")


class Kv2(Backend):
    """A KV version 2 engine."""

    kind = "kv"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        read, up, patch, delete, path = acl.READ, acl.UPDATE, acl.PATCH, acl.DELETE, "(?P<path>.+)"
        data = {read: self.read, up: self.write, patch: self.patch, delete: self.delete_latest}
        meta = {read: self.read_meta, up: self.write_meta, patch: self.patch_meta, delete: self.delete_meta}
        meta |= {acl.LIST: self.list_names, acl.SCAN: self.scan}
        self.router = Router(
            [
                route("config", {read: self.read_config, up: self.write_config}, fields=CONFIG),
                route("data/" + path, data, fields=DATA, exists=self.exists),
                route("delete/" + path, {up: self.delete_versions}, fields=VERSIONS),
                route("undelete/" + path, {up: self.undelete}, fields=VERSIONS),
                route("destroy/" + path, {up: self.destroy}, fields=VERSIONS),
                route("metadata/(?P<path>.*)", meta, fields=META, exists=self.exists, lazy=True),
                route("detailed-metadata/(?P<path>.*)", {acl.LIST: self.detailed}),
                route("subkeys/" + path, {read: self.subkeys}, fields={"version": "int", "depth": "int"}),
                route("data/?", {read: self.rootless, up: self.rootless, delete: self.rootless}),
            ]
        )

    def missing(self, call: Call) -> Reply:
        """Answer a path in the style of version 1 with a hint."""
        return Reply(status=404, warnings=[WRONG_PATH.format(VERBS.get(call.operation, "get"))])

    def rootless(self, call: Call) -> Reply:
        """Answer `data` without a path."""
        return Reply(status=404, warnings=[ROOT_PATH])

    def config(self, view: View) -> Config:
        """Return the mount's settings."""
        return view.load("config", Config) or Config()

    def key(self, call: Call) -> Key | None:
        """Return the metadata of the request's secret."""
        return call.view.load("m/" + call.captures["path"], Key)  # type: ignore[no-any-return]

    def exists(self, call: Call) -> bool:
        """Say whether a secret is there, be it without a version that can be read."""
        return self.key(call) is not None

    def _save(self, call: Call, key: Key) -> None:
        call.view.store("m/" + call.captures["path"], key)

    def _data_key(self, call: Call, number: int) -> str:
        return f"v/{number}/{call.captures['path']}"

    def read_config(self, call: Call) -> Reply:
        """Return the mount's settings."""
        config = self.config(call.view)
        found = {"max_versions": config.max_versions, "cas_required": config.cas_required}
        found |= {"metadata_cas_required": config.metadata_cas_required}
        return Reply(data=found | {"delete_version_after": go_duration(config.delete_version_after)})

    def write_config(self, call: Call) -> None:
        """Change the mount's settings."""
        config = self.config(call.view)
        for name in CONFIG:
            if call.has(name):
                setattr(config, name, _setting(call, name))
        call.view.store("config", config)

    def _wanted(self, call: Call) -> tuple[Key, int]:
        """Return the secret and the number of the version that the request reads."""
        key = self.key(call)
        if key is None:
            raise Nothing("secret")
        number = call.get("version")
        number = key.current if number <= 0 else number
        if number not in key.versions:
            raise Nothing("version")
        return key, number

    def read(self, call: Call) -> Reply:
        """Return a version; a deleted one as 404 with its metadata."""
        key, number = self._wanted(call)
        shown = kv2.version_shown(key, number)
        if not key.live(number, call.now):
            return Reply(status=404, data={"data": None, "metadata": shown})
        raw = call.view.get(self._data_key(call, number)) or b"null"
        return Reply(raw=b'{"data":%b,"metadata":%b}' % (raw, gojson.encode(shown)))

    def write(self, call: Call) -> Reply:
        """Add a version."""
        if "data" not in call.data:
            raise Refused("no data provided")
        data = call.data["data"]
        if data is not None:
            data = fields.convert("data", "map", data)
        config, key = self.config(call.view), self.key(call)
        kv2.check_cas(key, config, call.get("options"))
        return Reply(data=self._add(call, key or Key(call.now, call.now), config, gojson.encode(data)))

    def _add(self, call: Call, key: Key, config: Config, raw: bytes) -> dict[str, Any]:
        for number in kv2.add_version(key, config, call.now):
            call.view.delete(self._data_key(call, number), erase=True)
        call.view.put(self._data_key(call, key.current), raw)
        self._save(call, key)
        return kv2.version_shown(key, key.current)

    def patch(self, call: Call) -> Reply:
        """Add a version that is the newest one changed by a merge patch."""
        data = call.data.get("data")
        if data is None:
            raise Refused("no data provided")
        config, key = self.config(call.view), self.key(call)
        if key is None or key.current not in key.versions:
            return NO_BODY
        kv2.check_cas(key, config, call.get("options"))
        if not key.live(key.current, call.now):
            return Reply(status=404, data=kv2.version_shown(key, key.current))
        old = gojson.decode(call.view.get(self._data_key(call, key.current)) or b"")
        merged = kv2.merge_patch(old, fields.convert("data", "map", data))
        return Reply(data=self._add(call, key, config, gojson.encode(merged)))

    def delete_latest(self, call: Call) -> None:
        """Delete the newest version softly."""
        key = self.key(call)
        if key is not None:
            self._delete(call, key, [key.current])

    def _delete(self, call: Call, key: Key, numbers: list[int]) -> None:
        for number in numbers:
            if key.live(number, call.now):
                key.versions[number].deleted = call.now
        self._save(call, key)

    def _numbers(self, call: Call, text: str) -> list[int]:
        numbers: list[int] = call.get("versions")
        if not numbers:
            raise Refused(text)
        return numbers

    def delete_versions(self, call: Call) -> None:
        """Delete versions softly."""
        numbers, key = self._numbers(call, "No version number provided"), self.key(call)
        if key is not None:
            self._delete(call, key, numbers)

    def undelete(self, call: Call) -> None:
        """Bring deleted versions back."""
        numbers, key = self._numbers(call, "No version number provided"), self.key(call)
        if key is not None:
            kv2.undelete(key, self.config(call.view), numbers, call.now)
            self._save(call, key)

    def destroy(self, call: Call) -> None:
        """Erase versions for good."""
        numbers, key = self._numbers(call, "no version number provided"), self.key(call)
        if key is not None:
            for number in numbers:
                if number in key.versions:
                    key.versions[number].destroyed = True
                    call.view.delete(self._data_key(call, number), erase=True)
            self._save(call, key)

    def read_meta(self, call: Call) -> Reply:
        """Return a secret's metadata."""
        key = self.key(call)
        if key is None:
            raise Nothing("secret")
        return Reply(data=kv2.key_shown(key))

    def write_meta(self, call: Call) -> Reply | None:
        """Make or change a secret's metadata."""
        if not call.captures["path"]:
            raise Refused("missing path")
        key = self.key(call)
        key = Key(call.now, call.now) if key is None else key
        self._take_meta(call, key, patching=False)
        self._save(call, key)
        return self._mandated(call)

    def patch_meta(self, call: Call) -> Reply | None:
        """Change a secret's metadata; null removes a custom member."""
        key = self.key(call)
        if key is None:
            return NO_BODY
        self._take_meta(call, key, patching=True)
        self._save(call, key)
        return self._mandated(call)

    def _mandated(self, call: Call) -> Reply | None:
        """Return a warning for a secret that wants no check-and-set where the mount does."""
        wanted = call.get("cas_required") if call.has("cas_required") else True
        return None if wanted or not self.config(call.view).cas_required else Reply(warnings=[MANDATED])

    def _take_meta(self, call: Call, key: Key, *, patching: bool) -> None:
        if call.has("metadata_cas") and call.get("metadata_cas") != key.metadata_version:
            raise Refused("metadata check-and-set parameter does not match the current version")
        if not call.has("metadata_cas") and key.metadata_cas_required:
            raise Refused("metadata check-and-set parameter required for this call")
        for name in ("max_versions", "cas_required", "metadata_cas_required"):
            if name in call.data:  # null resets it
                setattr(key, name, _setting(call, name))
        if call.has("delete_version_after"):
            key.delete_version_after = call.get("delete_version_after", "seconds")
        if call.has("custom_metadata"):
            key.custom = kv2.custom_metadata(call.data["custom_metadata"], key.custom if patching else None)
        elif "custom_metadata" in call.data:
            key.custom = None
        if any(name in call.data for name in META):
            key.metadata_version, key.updated = key.metadata_version + 1, call.now

    def delete_meta(self, call: Call) -> None:
        """Erase a secret with all its versions."""
        key = self.key(call)
        if key is not None:
            for number in key.versions:
                call.view.delete(self._data_key(call, number), erase=True)
            call.view.delete("m/" + call.captures["path"], erase=True)

    def list_names(self, call: Call) -> Reply:
        """Return the names directly below a folder."""
        names = call.view.names("m/" + call.captures["path"])
        if not names:
            raise Nothing(call.full)
        return Reply(data={"keys": names})

    def detailed(self, call: Call) -> Reply:
        """Return the names directly below a folder, with the metadata of each secret."""
        start = "m/" + call.captures["path"]
        names = call.view.names(start)
        if not names:
            raise Nothing(call.full)
        keys = {name: call.view.load(start + name, Key) for name in names if not name.endswith("/")}
        return Reply(data={"keys": names, "key_info": {n: kv2.key_shown(k) for n, k in keys.items() if k is not None}})

    def scan(self, call: Call) -> Reply:
        """Return every name below a folder."""
        start = "m/" + call.captures["path"]
        names = [key[len(start) :] for key in call.view.walk(start)]
        if not names:
            raise Nothing(call.full)
        return Reply(data={"keys": names})

    def subkeys(self, call: Call) -> Reply:
        """Return a version's structure without its values."""
        key, number = self._wanted(call)
        shown = kv2.version_shown(key, number)
        if not key.live(number, call.now):
            return Reply(status=404, data={"subkeys": None, "metadata": shown})
        data = gojson.decode(call.view.get(self._data_key(call, number)) or b"")
        return Reply(data={"subkeys": kv2.subkeys(data, call.get("depth")), "metadata": shown})


def _setting(call: Call, name: str) -> Any:
    value = call.get(name)
    return kv2.versions_kept(value) if name == "max_versions" else value


def upgrade(work: Work, mount: Mount, now: int) -> None:
    """Turn a version 1 mount's values into first versions, in the request's own batch."""
    view = View(work, mount.prefix)
    values = {path: view.get(path) or b"\n{}" for path in view.walk("")}
    for path in values:
        view.delete(path, erase=True)
    for path, value in values.items():  # once all have left: a secret `m/a` lies where the metadata of `a` goes
        view.put(f"v/1/{path}", value.split(b"\n", 1)[1])
        view.store(f"m/{path}", Key(now, now, {1: Version(now)}, 1))
