"""transit/: keys that come and go: wrapped imports, exports, backups (vault.md 6.1)."""

import asyncio

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from strongroom.kms.domain import acl
from strongroom.kms.domain.encoding import unbase64
from strongroom.kms.domain.errors import Failed, Nothing, Refused
from strongroom.kms.domain.transit import byok, record
from strongroom.kms.domain.transit.record import KINDS, add_version
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.transit_keys import CONFIG, CREATE, NAME
from strongroom.kms.handlers.transit_rotation import TransitRotation

WRAPPING = "config/wrapping"
IMPORT = CREATE | {"ciphertext": "text", "hash_function": "text", "allow_rotation": "bool", "public_key": "text"}


class TransitMoving(TransitRotation):
    """The part of a transit engine that takes keys in and lets them out."""

    def moving_routes(self) -> list[Route]:
        """Return the routes."""
        read, up = acl.READ, acl.UPDATE
        return [
            route("keys/" + NAME + "/import", {up: self.import_key}, fields=IMPORT),
            route("keys/" + NAME + "/import_version", {up: self.import_version}, fields=IMPORT),
            route(f"export/(?P<export>[\\w-]+)/{NAME}(/(?P<version>\\w+))?", {read: self.export}),
            route("backup/" + NAME, {read: self.backup}),
            route(f"restore(/{NAME})?", {up: self.restore}, fields={"backup": "text", "force": "bool"}),
            route("wrapping_key", {read: self.wrapping_key}),
            route("cache-config", {read: self.cache, up: self.set_cache}, fields={"size": "int"}),
            route("config/keys", {read: self.config, up: self.set_config}, fields={"disable_upsert": "bool"}),
        ]

    def _wrapping(self, call: Call) -> rsa.RSAPrivateKey | None:
        data = call.view.get(WRAPPING)
        return None if data is None else serialization.load_der_private_key(data, None)  # type: ignore[return-value]

    async def wrapping_key(self, call: Call) -> Reply:
        """Return the public key to wrap imports with."""
        private = self._wrapping(call)
        if private is None:
            made = await asyncio.to_thread(rsa.generate_private_key, 65537, byok.WRAPPING_BITS)
            private = self._wrapping(call)
            if private is None:
                private, form = made, serialization.PrivateFormat.PKCS8
                none = serialization.NoEncryption()
                call.view.put(WRAPPING, private.private_bytes(serialization.Encoding.DER, form, none))
        public = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = private.public_key().public_bytes(serialization.Encoding.PEM, public)
        return Reply(data={"public_key": pem.decode()})

    def _imported(self, call: Call, kind: str) -> bytes:
        private = self._wrapping(call)
        if private is None:
            raise Refused("no wrapping key yet: read wrapping_key first")
        wrapped = unbase64(call.get("ciphertext"))
        if not wrapped:
            raise Refused("missing ciphertext")
        return byok.material(kind, byok.unwrap(private, wrapped, call.get("hash_function") or "SHA256"))

    def import_key(self, call: Call) -> None:
        """Make a key of material that was wrapped with the wrapping key."""
        if self.key_exists(call):
            raise Refused("the import path cannot be used with an existing key; use import-version to rotate it")
        kind = call.get("type") or "aes256-gcm96"
        if kind not in KINDS:
            raise Refused(f"unknown key type {kind}")
        material = self._imported(call, kind)
        if kind == "hmac":
            call.data["key_size"] = len(material)
        key = self._fresh(call, kind)
        key.imported, key.allow_rotation = True, call.get("allow_rotation")
        add_version(key, material, call.seconds)
        self._save(call.view, key)

    def import_version(self, call: Call) -> None:
        """Add a version of wrapped material to an imported key."""
        key = self._own(call)
        if key is None:
            raise Refused("no key found with name " + call.captures["name"])
        if not key.imported:
            raise Refused("the import_version endpoint can only be used with an imported key")
        add_version(key, self._imported(call, key.kind), call.seconds)
        self._save(call.view, key)

    def export(self, call: Call) -> Reply:
        """Return key material of an exportable key."""
        what = call.captures["export"]
        if what not in record.EXPORTS:
            raise Refused(f"invalid export type: {what}")
        found = self._find(call.view, call.captures["name"])
        if found is None:
            raise Nothing("key")
        self._usable(found.key)
        keys = record.export(found.key, what, call.captures.get("version") or "")
        return Reply(data={"name": found.key.name, "type": found.key.kind, "keys": keys})

    def backup(self, call: Call) -> Reply:
        """Return a key with its material, if it allows that."""
        found = self._find(call.view, call.captures["name"])
        if found is None:
            raise Failed(f'key "{call.captures["name"]}" not found')
        self._usable(found.key)
        return Reply(data={"backup": byok.backup(found.key)})

    def restore(self, call: Call) -> None:
        """Bring a key back from its backup."""
        if not call.get("backup"):
            raise Refused("'backup' must be supplied")
        key = byok.restore(call.get("backup"))
        key.name = call.captures.get("name") or key.name
        if self._find(call.view, key.name) is not None and not call.get("force"):
            raise Failed(f'key "{key.name}" already exists')
        self._save(call.view, key)

    def cache(self, call: Call) -> Reply:
        """Return the cache size: 0, without a limit."""
        return Reply(data={"size": 0})

    def set_cache(self, call: Call) -> Reply:
        """Accept a cache size; ciphers are always kept."""
        size = call.get("size")
        if size and size < 10:
            raise Refused("size must be 0 or a value greater or equal to 10")
        return Reply(data={"size": size})

    def config(self, call: Call) -> Reply:
        """Return the engine's settings."""
        return Reply(data={"disable_upsert": call.view.get(CONFIG) == b"1"})

    def set_config(self, call: Call) -> Reply:
        """Change the engine's settings."""
        call.view.put(CONFIG, b"1" if call.get("disable_upsert") else b"0")
        return self.config(call)
