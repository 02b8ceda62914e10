"""Keys brought from elsewhere: wrapped imports, backups (vault.md 6.1)."""

import json
import re
from base64 import b64decode, b64encode

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

from strongroom.kms.domain.errors import Failed, Refused
from strongroom.kms.domain.transit.record import CURVES, KINDS, Key, KeyVersion

WRAPPING_BITS = 4096
HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA1": hashes.SHA1(),  # noqa: S303 - some HSMs wrap with nothing else
    "SHA224": hashes.SHA224(),
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
BACKUP_VERSION = 1
NAMES = re.compile(r"\w(?:[\w.-]*\w)?")


def unwrap(private: rsa.RSAPrivateKey, wrapped: bytes, hash_name: str) -> bytes:
    """Return imported key material: RSA-OAEP of an AES key ‖ AES-KWP of the material. Raises Refused."""
    found = HASHES.get(hash_name.upper().replace("-", ""))
    if found is None:
        raise Refused(f"unsupported hash function: {hash_name}")
    size = private.key_size // 8
    try:
        ephemeral = private.decrypt(wrapped[:size], padding.OAEP(padding.MGF1(found), found, None))
        return aes_key_unwrap_with_padding(ephemeral, wrapped[size:])
    except (ValueError, InvalidUnwrap) as error:
        raise Refused("failed to unwrap the key: it was not wrapped with this server's wrapping key") from error


def material(kind: str, data: bytes) -> bytes:
    """Return imported bytes as a version keeps them; raise Refused when they do not fit the type."""
    if kind == "hmac" or (KINDS[kind].encrypts and KINDS[kind].derives):
        if kind != "hmac" and len(data) != KINDS[kind].size:
            raise Refused(f"invalid key size {len(data)} bytes for key type {kind}")
        return data
    try:
        private = serialization.load_der_private_key(data, None)
    except ValueError as error:
        raise Refused("error parsing asymmetric key: not a PKCS #8 private key") from error
    fits = {
        "ed25519": isinstance(private, ed25519.Ed25519PrivateKey),
        "rsa": isinstance(private, rsa.RSAPrivateKey) and private.key_size == KINDS[kind].size,
    }
    if kind in CURVES:
        fits[kind] = isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, CURVES[kind])
    if not fits.get(kind, fits.get(kind.partition("-")[0], False)):
        raise Refused(f"the key does not match the type {kind}")
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.private_bytes_raw()
    return data


def backup(key: Key) -> str:
    """Return a key with all its material as text, in clear; raise Failed unless the key allows it."""
    if not key.exportable:
        raise Failed("exporting is disallowed on the policy")
    if not key.allow_plaintext_backup:
        raise Failed("plaintext backup is disallowed on the policy")
    body = b64encode(msgspec.msgpack.encode(key)).decode()
    return b64encode(json.dumps({"strongroom_transit": BACKUP_VERSION, "key": body}).encode()).decode()


def restore(text: str) -> Key:
    """Return the key of a backup, ours or the original's of an aes256-gcm96 key; raise Failed."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise Failed("illegal base64 data at input byte 0") from error
    try:
        found = json.loads(data)
    except ValueError as error:
        first = data[:1].decode("latin-1")
        shown = first if first.isprintable() else f"\\x{data[0]:02x}" if data else ""
        raise Failed(f"invalid character '{shown}' looking for beginning of value") from error
    try:
        if "strongroom_transit" in found:
            return _checked(msgspec.msgpack.decode(b64decode(found["key"]), type=Key))
        return _checked(_foreign(found["policy"]))
    except (KeyError, TypeError, ValueError, Refused, msgspec.MsgspecError) as error:
        raise Failed("the backup is not one of a transit key") from error


def _checked(key: Key) -> Key:
    """Return a restored key that can be used; raise ValueError for one that only looks like a key."""
    numbers = range(max(key.min_available, key.min_decryption, 1), key.latest + 1)
    if not NAMES.fullmatch(key.name) or key.kind not in KINDS or not numbers:
        raise ValueError("name, type or number of versions")
    if any(number not in key.versions for number in numbers) or key.min_encryption > key.latest:
        raise ValueError("versions are missing")
    for version in key.versions.values():
        if key.kind == "ed25519":
            ed25519.Ed25519PrivateKey.from_private_bytes(version.key)
        else:
            material(key.kind, version.key)
    return key


def _foreign(policy: dict) -> Key:  # type: ignore[type-arg]
    """Read the original's backup (seen in tests/vectors/kms/transit.json); only its type 0, aes256-gcm96."""
    if policy["type"] != 0:
        raise Failed("only backups of aes256-gcm96 keys can be restored from other servers; export and import others")
    versions = {
        int(number): KeyVersion(b64decode(v["key"]), b64decode(v["hmac_key"]), int(v["creation_time"]))
        for number, v in policy["keys"].items()
    }
    return Key(
        policy["name"],
        derived=policy["derived"],
        convergent=policy["convergent_encryption"],
        exportable=policy["exportable"],
        allow_plaintext_backup=policy["allow_plaintext_backup"],
        deletion_allowed=policy["deletion_allowed"],
        latest=policy["latest_version"],
        min_decryption=policy["min_decryption_version"],
        min_encryption=policy["min_encryption_version"],
        min_available=policy["min_available_version"],
        versions=versions,
    )
