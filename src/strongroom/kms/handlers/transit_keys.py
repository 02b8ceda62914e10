"""transit/: making, changing and moving keys (vault.md 6.1). Keys lie under key/<name>; ciphers are kept in memory."""

import asyncio
from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.entries import View
from strongroom.kms.domain.errors import Failed, Nothing, Refused
from strongroom.kms.domain.records import Mount
from strongroom.kms.domain.transit.record import KINDS, Key, add_version, new_material
from strongroom.kms.domain.transit.symmetric import Ciphers
from strongroom.kms.handlers.call import Backend, Call, Reply, Route, route

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

KEYS, CONFIG = "key/", "config/keys"
NAME = r"(?P<name>\w(?:[\w.-]*\w)?)"
HOUR = 3600
LOADED = 16384  # keys that are kept ready
NOT_FOUND = "encryption key not found"
SOFT_DELETED = "refusing to use soft-deleted key"
CREATE = {
    "type": "text",
    "derived": "bool",
    "convergent_encryption": "bool",
    "exportable": "bool",
    "allow_plaintext_backup": "bool",
    "auto_rotate_period": "seconds",
    "key_size": "int",
    "context": "text",
}
TUNE = {
    "min_decryption_version": "int",
    "min_encryption_version": "int",
    "deletion_allowed": "bool",
    "exportable": "bool",
    "allow_plaintext_backup": "bool",
    "auto_rotate_period": "seconds",
}
FORCED = "since Vault 0.3 (prior to the OpenBao fork), transit key numbering starts at 1; forcing minimum to 1"


class TransitKeys(Backend):
    """The part of a transit engine that keeps keys."""

    kind = "transit"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        self._loaded: dict[str, Ciphers] = {}

    def key_routes(self) -> list[Route]:
        """Return the routes about keys."""
        read, up, delete = acl.READ, acl.UPDATE, acl.DELETE
        one = {read: self.read_key, up: self.create_key, delete: self.delete_key}
        return [
            route("keys/?", {acl.LIST: self.list_keys}),
            route("keys/" + NAME, one, fields=CREATE),
            route("keys/" + NAME + "/config", {up: self.tune}, fields=TUNE),
            route("keys/" + NAME + "/trim", {up: self.trim}, fields={"min_available_version": "int"}),
            route("keys/" + NAME + "/soft-delete", {delete: self.soft_delete}),
            route("keys/" + NAME + "/soft-delete-restore", {up: self.soft_restore}),
        ]

    def forget(self) -> None:
        """Drop the ciphers."""
        self._loaded.clear()

    def loaded(self, call: Call, missing: str = NOT_FOUND) -> Ciphers:
        """Return a key's ciphers; raise Refused when there is no such key, or it is softly deleted."""
        name = call.captures["name"]
        found = self._find(call.view, name)
        if found is None:
            raise Refused(missing)
        if found.key.soft_deleted:
            raise Refused(SOFT_DELETED)
        return found

    def _find(self, view: View, name: str) -> Ciphers | None:
        found = self._loaded.get(name)
        if found is None:
            key = view.load(KEYS + name, Key)
            if key is None:
                return None
            if len(self._loaded) >= LOADED:
                self._loaded.clear()
            found = self._loaded[name] = Ciphers(key)
        ticket = view.work.entries.waits(view.prefix + KEYS + name)
        if ticket is not None:
            view.work.waiting.append(ticket)
        return found

    def _own(self, call: Call) -> Key | None:
        """Return a copy of a key's record that may be changed."""
        return call.view.load(KEYS + call.captures["name"], Key)  # type: ignore[no-any-return]

    def _save(self, view: View, key: Key) -> None:
        view.store(KEYS + key.name, key)
        self._loaded.pop(key.name, None)

    def key_exists(self, call: Call) -> bool:
        """Say whether the key is there."""
        return self._find(call.view, call.captures["name"]) is not None

    def list_keys(self, call: Call) -> Reply:
        """Return the names of the keys."""
        names = call.view.names(KEYS)
        if not names:
            raise Nothing("keys")
        return Reply(data={"keys": names})

    def read_key(self, call: Call) -> Reply:
        """Describe a key."""
        found = self._find(call.view, call.captures["name"])
        if found is None:
            raise Nothing("key")
        return Reply(data=found.key.shown())

    def _fresh(self, call: Call, kind: str = "") -> Key:
        """Return a key's record as the request wants it, without a version; raise Refused or Failed."""
        kind = kind or call.get("type") or "aes256-gcm96"
        if kind not in KINDS:
            raise Refused(f"unknown key type {kind}")
        key = Key(call.captures["name"], kind)
        key.derived, key.convergent = call.get("derived"), call.get("convergent_encryption")
        key.exportable, key.allow_plaintext_backup = call.get("exportable"), call.get("allow_plaintext_backup")
        key.auto_rotate_period = _period(call)
        key.key_size = call.get("key_size")
        if key.convergent and not key.derived:
            raise Refused("convergent encryption requires derivation to be enabled")
        if key.key_size and kind != "hmac":
            raise Refused(f"key_size is not valid for algorithm {kind}")
        if key.key_size and not 32 <= key.key_size <= 512:
            raise Refused(f"invalid key_size {key.key_size}")
        if kind == "hmac" and not key.key_size:
            raise Failed("invalid key size for HMAC key, must be between 32 and 512 bytes")
        if key.derived and not key.type.derives:
            raise Failed(f"key derivation and convergent encryption not supported for keys of type {kind}")
        if key.convergent and not key.symmetric:
            raise Failed(f"convergent encryption is not supported for keys of type {kind}")
        return key

    def create_key(self, call: Call) -> Any:
        """Make a key; making it again changes nothing."""
        known = self._find(call.view, call.captures["name"])
        if known is not None:
            return Reply(data=known.key.shown())
        key = self._fresh(call)
        if key.kind.startswith("rsa-"):
            return self._create_slowly(call, key)
        add_version(key, new_material(key.kind, key.key_size), call.seconds)
        self._save(call.view, key)
        return Reply(data=key.shown())

    async def _create_slowly(self, call: Call, key: Key) -> Reply:
        material = await asyncio.to_thread(new_material, key.kind)
        known = self._find(call.view, key.name)
        if known is not None:
            return Reply(data=known.key.shown())
        add_version(key, material, call.seconds)
        self._save(call.view, key)
        return Reply(data=key.shown())

    def delete_key(self, call: Call) -> None:
        """Erase a key, if it allows that."""
        key, name = self._own(call), call.captures["name"]
        if key is None:
            raise Refused(f"error deleting policy {name}: could not delete key; not found")
        if not key.deletion_allowed:
            raise Refused(f"error deleting policy {name}: deletion is not allowed for this key")
        call.view.delete(KEYS + name, erase=True)
        self._loaded.pop(name, None)

    def soft_delete(self, call: Call) -> Reply | None:
        """Make a key unusable until it is restored; one that is not there is no error."""
        return self._soft(call, deleted=True)

    def soft_restore(self, call: Call) -> Reply | None:
        """Make a softly deleted key usable again."""
        return self._soft(call, deleted=False)

    def _soft(self, call: Call, *, deleted: bool) -> Reply | None:
        key = self._own(call)
        if key is None:
            return None
        key.soft_deleted = deleted
        self._save(call.view, key)
        return Reply(data=key.shown())

    def _usable(self, key: Key | None) -> Key | None:
        """Return a key that may be used; raise Failed for a softly deleted one."""
        if key is not None and key.soft_deleted:
            raise Failed(SOFT_DELETED)
        return key

    def tune(self, call: Call) -> Reply:
        """Change a key's settings."""
        key = self._own(call)
        if key is None:
            raise Refused(f"no existing key named {call.captures['name']} could be found")
        warnings = []
        decryption = call.get("min_decryption_version") if call.has("min_decryption_version") else key.min_decryption
        encryption = call.get("min_encryption_version") if call.has("min_encryption_version") else key.min_encryption
        if decryption == 0:
            decryption = 1
            warnings.append(FORCED)
        _check_minimum("decryption", decryption, key)
        _check_minimum("encryption", encryption, key)
        if 0 < encryption < decryption:
            raise Refused(
                f"cannot set min encryption/decryption values; min encryption version of {encryption} must be greater "
                f"than or equal to min decryption version of {decryption}"
            )
        if decryption < key.min_available:
            raise Refused("min decryption version should not be less then min available version")
        key.min_decryption, key.min_encryption = decryption, encryption
        if call.has("deletion_allowed"):
            key.deletion_allowed = call.get("deletion_allowed")
        for name in ("exportable", "allow_plaintext_backup"):
            if call.get(name):
                setattr(key, name, True)
        if call.has("auto_rotate_period"):
            key.auto_rotate_period = _period(call)
        self._save(call.view, key)
        return Reply(data=key.shown(), warnings=warnings or None)

    def trim(self, call: Call) -> Reply:
        """Destroy old versions."""
        key = self._own(call)
        if key is None:
            raise Refused(f"invalid key {call.captures['name']}")
        if not call.has("min_available_version"):
            raise Refused("missing min_available_version")
        wanted = call.get("min_available_version")
        rules = (
            (wanted < key.min_available, "minimum available version cannot be decremented"),
            (
                key.min_encryption == 0,
                "minimum available version cannot be set when minimum encryption version is not set",
            ),
            (
                key.min_decryption == 0,
                "minimum available version cannot be set when minimum decryption version is not set",
            ),
            (
                wanted > key.min_encryption,
                "minimum available version cannot be set higher than minimum encryption version",
            ),
            (
                wanted > key.min_decryption,
                "minimum available version cannot be set higher than minimum decryption version",
            ),
            (wanted < 0, "minimum available version cannot be negative"),
        )
        for broken, text in rules:
            if broken:
                raise Refused(text)
        key.min_available = wanted
        key.versions = {number: v for number, v in key.versions.items() if number >= wanted}
        call.view.delete(KEYS + key.name, erase=True)
        self._save(call.view, key)
        return Reply(data=key.shown())


def _period(call: Call) -> int:
    period = int(call.get("auto_rotate_period"))
    if 0 < period < HOUR:
        raise Refused("auto rotate period must be 0 to disable or at least an hour")
    return period


def _check_minimum(what: str, value: int, key: Key) -> None:
    if value < 0:
        raise Refused(f"min {what} version cannot be negative")
    if value > key.latest:
        raise Refused(f"cannot set min {what} version of {value}, latest key version is {key.latest}")
