"""transit/: encrypting, signing and hashing with keys that stay here (vault.md 6.2)."""

import os
from base64 import b64encode
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.encoding import unbase64
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.records import Mount
from strongroom.kms.domain.transit.record import KINDS, Key, add_version, new_material
from strongroom.kms.domain.transit.signing import How, hmac_text, sign, verify, verify_hmac
from strongroom.kms.domain.transit.symmetric import Ciphers
from strongroom.kms.handlers import tools
from strongroom.kms.handlers.call import Call, Reply, Router, route
from strongroom.kms.handlers.transit_batch import (
    associated_data,
    batch_items,
    batch_of,
    batch_reply,
    check_contexts,
    check_evidence,
    decode,
    input_of,
    text_of,
    whole,
)
from strongroom.kms.handlers.transit_keys import CONFIG, NAME, NOT_FOUND
from strongroom.kms.handlers.transit_moving import TransitMoving

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

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
NO_CIPHERTEXT = "missing ciphertext to decrypt"


class Transit(TransitMoving):
    """A transit engine."""

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(core, mount)
        up = acl.UPDATE
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
                *self.key_routes(),
                *self.moving_routes(),
                *tools.routes(""),
            ]
        )

    def encrypt(self, call: Call) -> Any:
        """Encrypt one plaintext or a batch; a missing key is made if the caller may create."""
        data = call.data
        items = batch_of(data, "plaintext")
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
        associated = associated_data(data.get("associated_data"))
        wanted = call.get("key_version") if "key_version" in data else 0
        text, number = ciphers.encrypt(plaintext, context, associated, wanted)
        raw = b'{"ciphertext":"%b","key_version":%d}' % (text.encode(), number)
        return Reply(data={"ciphertext": text, "key_version": number}, raw=raw)

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
        if items is None:
            return self._encrypt_one(call, ciphers)
        made = call.work.commit()  # before the batch lets others in, who may want the same key
        call.work.waiting += [made] if made is not None else []
        return self._encrypt_batch(call, ciphers, items)

    def _encrypt_batch(self, call: Call, ciphers: Ciphers, items: list[dict[str, Any]]) -> Any:
        check_contexts(items)

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            associated = associated_data(item.get("associated_data"), index)
            wanted = whole(item.get("key_version") or 0)
            text, number = ciphers.encrypt(decode(item["plaintext"]), decode(item.get("context")), associated, wanted)
            return {"ciphertext": text, "key_version": number}

        return batch_reply(call, items, one, {})

    def decrypt(self, call: Call) -> Any:
        """Decrypt one ciphertext or a batch."""
        data = call.data
        items = batch_of(data, "ciphertext")
        if items is None and not data.get("ciphertext"):
            raise Refused(NO_CIPHERTEXT)
        ciphers = self.loaded(call)
        if items is not None:
            return self._decrypt_batch(call, ciphers, items)
        context, associated = decode(data.get("context")), associated_data(data.get("associated_data"))
        plaintext = ciphers.decrypt(text_of(data["ciphertext"]), context, associated)
        encoded = b2a_base64(plaintext, newline=False)
        return Reply(data={"plaintext": encoded.decode()}, raw=b'{"plaintext":"%b"}' % encoded)

    def _decrypt_batch(self, call: Call, ciphers: Ciphers, items: list[dict[str, Any]]) -> Any:
        check_contexts(items)

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            if not item["ciphertext"]:
                raise Refused(NO_CIPHERTEXT)
            associated = associated_data(item.get("associated_data"), index)
            plaintext = ciphers.decrypt(text_of(item["ciphertext"]), decode(item.get("context")), associated)
            return {"plaintext": b64encode(plaintext).decode()}

        return batch_reply(call, items, one, {"plaintext": ""})

    def rewrap(self, call: Call) -> Any:
        """Encrypt a ciphertext's plaintext again, under the newest version."""
        data = call.data
        items = batch_items(data)
        if items is None and not data.get("ciphertext"):
            raise Refused(NO_CIPHERTEXT)
        check_contexts(items or [])
        ciphers = self.loaded(call)

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            if not item.get("ciphertext"):
                raise Refused(NO_CIPHERTEXT)
            context, associated = decode(item.get("context")), associated_data(item.get("associated_data"), index)
            plaintext = ciphers.decrypt(text_of(item["ciphertext"]), context, associated)
            text, number = ciphers.encrypt(plaintext, context, associated, whole(item.get("key_version") or 0))
            return {"ciphertext": text, "key_version": number}

        return Reply(data=one(data, 0)) if items is None else batch_reply(call, items, one, {}, fine=True)

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
        text, number = ciphers.encrypt(key, context, associated_data(call.data.get("associated_data")), 0)
        found: dict[str, Any] = {"ciphertext": text, "key_version": number}
        return Reply(data=found | ({"plaintext": b64encode(key).decode()} if kind == "plaintext" else {}))

    def hmac(self, call: Call) -> Any:
        """Return the HMAC of an input or a batch."""
        algorithm = call.captures.get("urlalgorithm") or call.get("algorithm") or "sha2-256"
        key = self.loaded(call).key
        number = key.hmac_version(call.get("key_version"))

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            if "input" not in item:
                raise Refused("missing input for HMAC")
            data = unbase64(text_of(item["input"]), "unable to decode input as base64: ")
            return {"hmac": hmac_text(key, number, data, algorithm)}

        items = batch_items(call.data)
        return Reply(data=one(call.data, 0)) if items is None else batch_reply(call, items, one, {}, fine=True)

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

    def sign(self, call: Call) -> Any:
        """Sign an input or a batch."""
        key = self.loaded(call, "signing key not found").key
        if not key.type.signs:
            raise Refused(f"key type {key.kind} does not support signing")
        how, number = self._how(call), key.encryption_version(call.get("key_version"), "signing")
        items = batch_items(call.data)

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            data = input_of(item, needed=items is not None)
            text, public = sign(key, number, data, decode(item.get("context")), how)
            found: dict[str, Any] = {"signature": text, "key_version": number}
            return found | ({"public_key": b64encode(public).decode()} if public else {})

        if items is None:
            return Reply(data=one(call.data, 0))
        return batch_reply(call, items, one, {"key_version": 0}, fine=True)

    def verify(self, call: Call) -> Any:
        """Check a signature or HMAC, or a batch of them."""
        items = batch_items(call.data)
        evidence = check_evidence(items) if items is not None else ""
        key, how = self.loaded(call, "signature verification key not found").key, self._how(call)
        algorithm = call.captures.get("urlalgorithm") or call.get("hash_algorithm") or call.get("algorithm")

        def one(item: dict[str, Any], index: int) -> dict[str, Any]:
            data = input_of(item, needed=items is not None)
            if item.get("signature"):
                valid = verify(key, text_of(item["signature"]), data, decode(item.get("context")), how)
            elif item.get("hmac"):
                valid = verify_hmac(key, text_of(item["hmac"]), data, algorithm or "sha2-256")
            else:
                raise Refused("neither a 'signature' nor an 'hmac' were given to verify")
            return {"valid": valid}

        if items is None:
            return Reply(data=one(call.data, 0))
        return batch_reply(call, items, one, {"valid": False} if evidence == "signature" else {}, fine=True)
