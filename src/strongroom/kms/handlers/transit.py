"""transit/: routes over domain/transit (vault.md 6). Keys lie under key/<name>; their ciphers are kept in memory."""

import asyncio
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from strongroom.kms.domain import acl
from strongroom.kms.domain.encoding import unbase64
from strongroom.kms.domain.entries import View, Work
from strongroom.kms.domain.errors import Failed, Nothing, Refused
from strongroom.kms.domain.fields import kind_name, to_int, to_text
from strongroom.kms.domain.records import Mount
from strongroom.kms.domain.transit import byok, record
from strongroom.kms.domain.transit.record import KINDS, Key, add_version, new_material
from strongroom.kms.domain.transit.signing import How, hmac_text, sign, verify, verify_hmac
from strongroom.kms.domain.transit.symmetric import Ciphers
from strongroom.kms.handlers import tools
from strongroom.kms.handlers.call import Backend, Call, Reply, Router, route

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

KEYS, CONFIG, WRAPPING = "key/", "config/keys", "config/wrapping"
NAME = r"(?P<name>\w(?:[\w.-]*\w)?)"
HOUR = 3600
NOT_FOUND = "encryption key not found"
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
CRYPT = {
    "plaintext": "any",
    "ciphertext": "any",
    "context": "text",
    "key_version": "int",
    "associated_data": "text",
    "type": "text",
    "convergent_encryption": "bool",
    "batch_input": "any",
    "partial_failure_response_code": "int",
}
SIGN = {
    "input": "text",
    "hash_algorithm": "text",
    "algorithm": "text",
    "urlalgorithm": "text",
    "signature_algorithm": "text",
    "marshaling_algorithm": "text",
    "prehashed": "bool",
    "salt_length": "text",
    "key_version": "int",
    "context": "text",
    "signature": "text",
    "hmac": "text",
    "batch_input": "any",
}
IMPORT = CREATE | {"ciphertext": "text", "hash_function": "text", "allow_rotation": "bool", "public_key": "text"}
FORCED = "since Vault 0.3 (prior to the OpenBao fork), transit key numbering starts at 1; forcing minimum to 1"


def decode(text: Any) -> bytes:
    """Return the bytes of base64 text, None counting as empty; raise Refused."""
    if text is None:
        return b""
    if not isinstance(text, str):
        raise Refused("illegal base64 data at input byte 0")
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Base64Error:
        return unbase64(text)


class Transit(Backend):
    """A transit engine."""

    kind = "transit"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        self._loaded: dict[str, Ciphers] = {}
        read, up, delete = acl.READ, acl.UPDATE, acl.DELETE
        one = {read: self.read_key, up: self.create_key, delete: self.delete_key}
        soft = {up: self.soft_delete, delete: self.soft_restore}
        alg = r"(/(?P<urlalgorithm>[\w-]+))?"
        self.router = Router(
            [
                route("encrypt/" + NAME, {up: self.encrypt}, fields=CRYPT, exists=self.key_exists, pure=True),
                route("decrypt/" + NAME, {up: self.decrypt}, fields=CRYPT, pure=True),
                route("rewrap/" + NAME, {up: self.rewrap}, fields=CRYPT, pure=True),
                route(
                    r"datakey/(?P<plaintext>[\w-]+)/" + NAME,
                    {up: self.datakey},
                    fields=CRYPT | {"bits": "int"},
                    pure=True,
                ),
                route("hmac/" + NAME + alg, {up: self.hmac}, fields=SIGN, pure=True),
                route("sign/" + NAME + alg, {up: self.sign}, fields=SIGN, pure=True),
                route("verify/" + NAME + alg, {up: self.verify}, fields=SIGN, pure=True),
                route("keys/?", {acl.LIST: self.list_keys}),
                route("keys/" + NAME, one, fields=CREATE),
                route("keys/" + NAME + "/config", {up: self.tune}, fields=TUNE),
                route("keys/" + NAME + "/rotate", {up: self.rotate}),
                route("keys/" + NAME + "/trim", {up: self.trim}, fields={"min_available_version": "int"}),
                route("keys/" + NAME + "/import", {up: self.import_key}, fields=IMPORT),
                route("keys/" + NAME + "/import_version", {up: self.import_version}, fields=IMPORT),
                route("keys/" + NAME + "/soft-delete", soft),
                route(f"export/(?P<export>[\\w-]+)/{NAME}(/(?P<version>\\w+))?", {read: self.export}),
                route("backup/" + NAME, {read: self.backup}),
                route(f"restore(/{NAME})?", {up: self.restore}, fields={"backup": "text", "force": "bool"}),
                route("wrapping_key", {read: self.wrapping_key}),
                route("cache-config", {read: self.cache, up: self.set_cache}, fields={"size": "int"}),
                route("config/keys", {read: self.config, up: self.set_config}, fields={"disable_upsert": "bool"}),
                *tools.routes(""),
            ]
        )

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
            raise Refused(f"key {name} is soft-deleted; restore it first")
        return found

    def _find(self, view: View, name: str) -> Ciphers | None:
        found = self._loaded.get(name)
        if found is None:
            key = view.load(KEYS + name, Key)
            if key is None:
                return None
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

    # keys

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

    def soft_delete(self, call: Call) -> None:
        """Make a key unusable until it is restored."""
        self._soft(call, deleted=True)

    def soft_restore(self, call: Call) -> None:
        """Make a softly deleted key usable again."""
        self._soft(call, deleted=False)

    def _soft(self, call: Call, *, deleted: bool) -> None:
        key = self._own(call)
        if key is None:
            raise Refused("key not found")
        if deleted and not key.deletion_allowed:
            raise Refused("deletion is not allowed for this key")
        key.soft_deleted = deleted
        self._save(call.view, key)

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
            raise Refused("minimum decryption version cannot be less than minimum available version")
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

    async def rotate(self, call: Call) -> Reply:
        """Add a version."""
        key = self._own(call)
        if key is None:
            raise Refused("key not found")
        if key.imported and not key.allow_rotation:
            raise Refused(f"imported key {key.name} does not allow rotation within the server")
        slow = key.kind.startswith("rsa-")
        make = new_material
        material = await asyncio.to_thread(make, key.kind) if slow else make(key.kind, key.key_size)
        key = self._own(call)
        if key is None:
            raise Refused("key not found")
        add_version(key, material, call.seconds)
        self._save(call.view, key)
        return Reply(data=key.shown())

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

    # import, export, backup

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
        keys = record.export(found.key, what, call.captures.get("version") or "")
        return Reply(data={"name": found.key.name, "type": found.key.kind, "keys": keys})

    def backup(self, call: Call) -> Reply:
        """Return a key with its material, if it allows that."""
        found = self._find(call.view, call.captures["name"])
        if found is None:
            raise Failed(f'key "{call.captures["name"]}" not found')
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

    # encryption

    def encrypt(self, call: Call) -> Any:
        """Encrypt one plaintext or a batch; a missing key is made if the caller may create."""
        data = call.data
        items = _batch(data, "plaintext")
        if items is None and "plaintext" not in data:
            raise Refused("missing plaintext to encrypt")
        if call.operation == acl.CREATE:
            return self._encrypt_new(call, items)
        ciphers = self.loaded(call)
        if items is not None:
            return self._encrypt_batch(call, ciphers, items)
        return self._encrypt_one(call, ciphers)

    def _encrypt_one(self, call: Call, ciphers: Ciphers) -> Reply:
        data = call.data
        plaintext = decode(data["plaintext"])
        context = decode(data.get("context"))
        associated = _associated(data.get("associated_data"))
        wanted = call.get("key_version") if "key_version" in data else 0
        text, number = ciphers.encrypt(plaintext, context, associated, wanted)
        return Reply(raw=b'{"ciphertext":"%b","key_version":%d}' % (text.encode(), number))

    def _encrypt_new(self, call: Call, items: list[dict[str, Any]] | None) -> Any:
        """Make the key on the way (upsert)."""
        if call.view.get(CONFIG) == b"1":
            raise Refused(NOT_FOUND)
        contexts = [item.get("context") for item in items] if items else [call.data.get("context")]
        kind = call.get("type") or "aes256-gcm96"
        if kind not in KINDS:
            raise Refused(f"unknown key type {kind}")
        if kind == "hmac" or not KINDS[kind].encrypts:
            raise Refused(f"message encryption not supported for key type {kind}")
        key = Key(call.captures["name"], kind, derived=any(contexts))
        key.convergent = call.get("convergent_encryption")
        if key.convergent and not key.derived:
            raise Refused("convergent encryption requires derivation to be enabled, so context is required")
        if kind.startswith("rsa-"):
            raise Refused("create RSA keys before encrypting with them")
        add_version(key, new_material(kind), call.seconds)
        ciphers = Ciphers(key)
        self._save(call.view, key)
        return self._encrypt_one(call, ciphers) if items is None else self._encrypt_batch(call, ciphers, items)

    def _encrypt_batch(self, call: Call, ciphers: Ciphers, items: list[dict[str, Any]]) -> Reply:
        _check_contexts(items)

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            associated = _associated(item.get("associated_data"), index)
            wanted = _int(item.get("key_version") or 0)
            text, number = ciphers.encrypt(decode(item["plaintext"]), decode(item.get("context")), associated, wanted)
            return {"ciphertext": text, "key_version": number}

        return _results(call, items, one, {})

    def decrypt(self, call: Call) -> Reply:
        """Decrypt one ciphertext or a batch."""
        data = call.data
        items = _batch(data, "ciphertext")
        if items is None and not data.get("ciphertext"):
            raise Refused("missing ciphertext to decrypt")
        ciphers = self.loaded(call)
        if items is not None:
            return self._decrypt_batch(call, ciphers, items)
        context, associated = decode(data.get("context")), _associated(data.get("associated_data"))
        plaintext = ciphers.decrypt(_text(data["ciphertext"]), context, associated)
        return Reply(raw=b'{"plaintext":"%b"}' % b2a_base64(plaintext, newline=False))

    def _decrypt_batch(self, call: Call, ciphers: Ciphers, items: list[dict[str, Any]]) -> Reply:
        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            associated = _associated(item.get("associated_data"), index)
            plaintext = ciphers.decrypt(_text(item["ciphertext"]), decode(item.get("context")), associated)
            return {"plaintext": b64encode(plaintext).decode()}

        return _results(call, items, one, {"plaintext": ""})

    def rewrap(self, call: Call) -> Reply:
        """Encrypt a ciphertext's plaintext again, under the newest version."""
        data = call.data
        items = _batch(data, "ciphertext")
        if items is None and not data.get("ciphertext"):
            raise Refused("missing ciphertext to decrypt")
        ciphers = self.loaded(call)

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            context, associated = decode(item.get("context")), _associated(item.get("associated_data"), index)
            plaintext = ciphers.decrypt(_text(item["ciphertext"]), context, associated)
            text, number = ciphers.encrypt(plaintext, context, associated, _int(item.get("key_version") or 0))
            return {"ciphertext": text, "key_version": number}

        return Reply(data=one(data, 0)) if items is None else _results(call, items, one, {})

    def datakey(self, call: Call) -> Reply:
        """Return a fresh data key, encrypted and on demand in clear."""
        kind = call.captures["plaintext"]
        if kind not in ("plaintext", "wrapped"):
            raise Refused("Invalid path, must be 'plaintext' or 'wrapped'")
        bits = call.get("bits") if call.has("bits") else 256
        ciphers = self.loaded(call)
        if bits not in (128, 256, 512):
            raise Refused("invalid bit length")
        key, context = os.urandom(bits // 8), decode(call.data.get("context"))
        text, number = ciphers.encrypt(key, context, _associated(call.data.get("associated_data")), 0)
        found: dict[str, Any] = {"ciphertext": text, "key_version": number}
        return Reply(data=found | ({"plaintext": b64encode(key).decode()} if kind == "plaintext" else {}))

    # signatures

    def hmac(self, call: Call) -> Reply:
        """Return the HMAC of an input or a batch."""
        algorithm = call.captures.get("urlalgorithm") or call.get("algorithm") or "sha2-256"
        key = self.loaded(call).key
        number = key.encryption_version(call.get("key_version"))

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            if "input" not in item:
                raise Refused("missing input for HMAC")
            data = unbase64(_text(item["input"]), "unable to decode input as base64: ")
            return {"hmac": hmac_text(key, number, data, algorithm)}

        items = _list(call.data)
        return Reply(data=one(call.data, 0)) if items is None else _results(call, items, one, {}, fine=True)

    def _how(self, call: Call) -> How:
        given = call.captures.get("urlalgorithm") or call.get("hash_algorithm") or call.get("algorithm")
        how = How(
            given or "sha2-256",
            call.get("signature_algorithm") or "pss",
            call.get("marshaling_algorithm") or "asn1",
            call.get("prehashed"),
            call.get("salt_length") or "auto",
        )
        how.check()
        return how

    def sign(self, call: Call) -> Reply:
        """Sign an input or a batch."""
        key = self.loaded(call, "signing key not found").key
        if not key.type.signs:
            raise Refused(f"key type {key.kind} does not support signing")
        how, number = self._how(call), key.encryption_version(call.get("key_version"))

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            data = unbase64(_text(item.get("input") or ""), "unable to decode input as base64: ")
            text, public = sign(key, number, data, decode(item.get("context")), how)
            found: dict[str, Any] = {"signature": text, "key_version": number}
            return found | ({"public_key": b64encode(public).decode()} if public else {})

        items = _list(call.data)
        if items is None:
            return Reply(data=one(call.data, 0))
        return _results(call, items, one, {"key_version": 0}, fine=True)

    def verify(self, call: Call) -> Reply:
        """Check a signature or HMAC, or a batch of them."""
        key, how = self.loaded(call, "signature verification key not found").key, self._how(call)
        algorithm = call.captures.get("urlalgorithm") or call.get("hash_algorithm") or call.get("algorithm")

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            data = unbase64(_text(item.get("input") or ""), "unable to decode input as base64: ")
            if item.get("signature"):
                valid = verify(key, _text(item["signature"]), data, decode(item.get("context")), how)
            elif item.get("hmac"):
                valid = verify_hmac(key, _text(item["hmac"]), data, algorithm or "sha2-256")
            else:
                raise Refused("neither a 'signature' nor an 'hmac' were given to verify")
            return {"valid": valid}

        items = _list(call.data)
        return Reply(data=one(call.data, 0)) if items is None else _results(call, items, one, {}, fine=True)

    def tick(self, work: Work, now: int) -> None:
        """Rotate keys whose period is over, once a minute; RSA keys are rotated by hand."""
        seconds = now // 1_000_000_000
        if seconds % 60:
            return
        view = View(work, self.mount.prefix)
        for name in view.names(KEYS):
            found = self._find(view, name)
            if found is None or not found.key.auto_rotate_period or found.key.kind.startswith("rsa-"):
                continue
            if seconds - found.key.versions[found.key.latest].created >= found.key.auto_rotate_period:
                key = view.load(KEYS + name, Key)
                add_version(key, new_material(key.kind, key.key_size), seconds)
                self._save(view, key)


def _text(value: Any) -> str:
    """Return a text member of a batch item; raise Refused."""
    try:
        return to_text(value)
    except ValueError as error:
        raise Refused(str(error)) from error


def _int(value: Any) -> int:
    """Return a whole number of a batch item; raise Refused."""
    try:
        return to_int(value)
    except ValueError as error:
        raise Refused(str(error)) from error


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


def _associated(text: Any, index: int = 0) -> bytes:
    if not text:
        return b""
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError, TypeError) as error:
        head = f"unable to get associated_data/additional_data from factory[{index}]: "
        try:
            unbase64(_text(text), head)
        except Refused as refused:
            raise Failed(str(refused)) from error
        raise Failed(head + "not base64") from error


def _list(data: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the items of a batch, None without one; raise Refused or Failed."""
    if "batch_input" not in data or data["batch_input"] is None:
        return None
    items = data["batch_input"]
    if not isinstance(items, list):
        raise Failed(f"failed to parse batch input: source data must be an array or slice, got {kind_name(items)}")
    if not items:
        raise Refused("missing batch input to process")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise Failed(f"failed to parse batch input: '[{index}]' expected a map, got '{kind_name(item)}'")
    return items


def _batch(data: dict[str, Any], member: str) -> list[dict[str, Any]] | None:
    """Return the items of a batch that each must have a member."""
    items = _list(data)
    what = f"{member} to {'encrypt' if member == 'plaintext' else 'decrypt'}"
    for index, item in enumerate(items or ()):
        if member not in item:
            raise Failed(f"failed to parse batch input: '[{index}].{member}' missing {what}")
    return items


def _check_contexts(items: list[dict[str, Any]]) -> None:
    if len({bool(item.get("context")) for item in items}) > 1:
        raise Refused("context should be set either in all the request blocks or in none")


def _results(call: Call, items: list[dict[str, Any]], one: Any, failed: dict[str, Any], *, fine: bool = False) -> Reply:
    """Return the answer to a batch: 400, or the wished code, when an item failed, unless that is fine."""
    results, errors = [], 0
    for index, item in enumerate(items):
        try:
            result = one(item, index)
        except Refused as error:
            result, errors = failed | {"error": str(error)}, errors + 1
        results.append(result | {"reference": _text(item.get("reference") or "")})
    status = 0
    if errors and not fine:
        wished = call.get("partial_failure_response_code")
        status = wished if wished and errors < len(items) else 400
    return Reply(status=status, data={"batch_results": results})
