"""A named key with its versions, as it is stored, and the table of key types (vault.md 6.1)."""

import os
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from strongroom.kms.domain.errors import Failed, Refused
from strongroom.kms.domain.values import rfc3339_seconds

HMAC_KEY = 32
KeyPair = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key type can do. size: bytes of a symmetric key, bits of an RSA key; shown: its name in key data."""

    size: int = 0
    encrypts: bool = False
    signs: bool = False
    derives: bool = False
    shown: str = ""
    nonce: int = 12


KINDS = {
    "aes256-gcm96": Kind(32, encrypts=True, derives=True),
    "aes128-gcm96": Kind(16, encrypts=True, derives=True),
    "chacha20-poly1305": Kind(32, encrypts=True, derives=True),
    "xchacha20-poly1305": Kind(32, encrypts=True, derives=True, nonce=24),
    "ed25519": Kind(32, signs=True, derives=True, shown="ed25519"),
    "ecdsa-p256": Kind(signs=True, shown="P-256"),
    "ecdsa-p384": Kind(signs=True, shown="P-384"),
    "ecdsa-p521": Kind(signs=True, shown="P-521"),
    "rsa-2048": Kind(2048, encrypts=True, signs=True, shown="rsa-2048"),
    "rsa-3072": Kind(3072, encrypts=True, signs=True, shown="rsa-3072"),
    "rsa-4096": Kind(4096, encrypts=True, signs=True, shown="rsa-4096"),
    "hmac": Kind(),
}
CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ecdsa-p256": ec.SECP256R1,
    "ecdsa-p384": ec.SECP384R1,
    "ecdsa-p521": ec.SECP521R1,
}
MISSING_CONTEXT = (
    "missing 'context' for key derivation; the key was created using a derived key, which means additional, "
    "per-request information must be included in order to perform operations with the key"
)


class KeyVersion(msgspec.Struct):
    """One version; key: raw bytes of a symmetric key or an ed25519 seed, else the private key in DER (PKCS #8)."""

    key: bytes
    hmac_key: bytes
    created: int

    def __repr__(self) -> str:
        return f"KeyVersion({self.created})"


class Key(msgspec.Struct):
    """A key; auto_rotate_period in seconds, rotated in seconds since 1970."""

    name: str
    kind: str = "aes256-gcm96"
    derived: bool = False
    convergent: bool = False
    exportable: bool = False
    allow_plaintext_backup: bool = False
    deletion_allowed: bool = False
    auto_rotate_period: int = 0
    imported: bool = False
    allow_rotation: bool = True
    soft_deleted: bool = False
    key_size: int = 0
    latest: int = 0
    min_decryption: int = 1
    min_encryption: int = 0
    min_available: int = 0
    versions: dict[int, KeyVersion] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Key({self.name!r}, {self.kind}, {self.latest})"

    @property
    def type(self) -> Kind:
        """What the key can do."""
        return KINDS[self.kind]

    @property
    def symmetric(self) -> bool:
        """Whether it is an AEAD key."""
        return self.type.encrypts and self.type.derives

    def version(self, number: int) -> KeyVersion:
        """Return a version; raise Refused for a trimmed one."""
        found = self.versions.get(number)
        if found is None:
            raise Refused("no such key version")
        return found

    def encryption_version(self, wanted: int, purpose: str = "encryption") -> int:
        """Return the version to encrypt or sign with, 0 wanting the newest; raise Refused (vault.md 6.2)."""
        if wanted < 0:
            raise Refused(f"requested version for {purpose} is negative")
        if wanted == 0:
            return self.latest
        if wanted > self.latest:
            raise Refused(f"requested version for {purpose} is higher than the latest key version")
        if self.min_encryption and wanted < self.min_encryption:
            raise Refused(f"requested version for {purpose} is less than the minimum encryption key version")
        if wanted < self.min_decryption:
            raise Refused("no such key version")
        return wanted

    def hmac_version(self, wanted: int) -> int:
        """Return the version to make an HMAC with, 0 wanting the newest; raise Refused."""
        if wanted in (0, self.latest):
            return self.latest
        if self.min_encryption and wanted < self.min_encryption:
            raise Refused("cannot generate HMAC: version is too old (disallowed by policy)")
        if not 0 < wanted < self.latest:
            raise Refused(f"key version does not exist; latest key version is {self.latest}")
        if wanted < self.min_decryption:
            raise Refused("no such key version")
        return wanted

    def shown(self) -> dict[str, Any]:
        """Return the key data that answers carry."""
        kind = self.type
        found: dict[str, Any] = {
            "name": self.name,
            "type": self.kind,
            "derived": self.derived,
            "deletion_allowed": self.deletion_allowed,
            "exportable": self.exportable,
            "allow_plaintext_backup": self.allow_plaintext_backup,
            "auto_rotate_period": self.auto_rotate_period,
            "imported_key": self.imported,
            "latest_version": self.latest,
            "min_available_version": self.min_available,
            "min_decryption_version": self.min_decryption,
            "min_encryption_version": self.min_encryption,
            "soft_deleted": self.soft_deleted,
            "supports_encryption": kind.encrypts,
            "supports_decryption": kind.encrypts,
            "supports_signing": kind.signs,
            "supports_derivation": kind.derives,
        }
        if self.imported:
            found["imported_key_allow_rotation"] = self.allow_rotation
        if self.derived:
            found |= {"kdf": "hkdf_sha256", "convergent_encryption": self.convergent}
            if self.convergent:
                found["convergent_encryption_version"] = -1
        if self.kind == "hmac":
            return found | {"key_size": self.key_size}
        visible = {number: v for number, v in self.versions.items() if number >= self.min_decryption}
        if self.symmetric:
            return found | {"keys": {str(number): version.created for number, version in visible.items()}}
        return found | {"keys": {str(number): self._public(version) for number, version in visible.items()}}

    def _public(self, version: KeyVersion) -> dict[str, Any]:
        public = "" if self.kind == "ed25519" and self.derived else public_text(self.kind, version.key)
        created = rfc3339_seconds(version.created)
        return {"name": self.type.shown, "public_key": public, "creation_time": created, "certificate_chain": ""}


def new_material(kind: str, key_size: int = 0) -> bytes:
    """Return fresh key material of a type; for RSA this takes a while."""
    if kind == "hmac":
        return os.urandom(key_size)
    if kind in CURVES:
        return _pkcs8(ec.generate_private_key(CURVES[kind]()))
    if kind.startswith("rsa-"):
        return _pkcs8(rsa.generate_private_key(65537, KINDS[kind].size))
    return os.urandom(KINDS[kind].size)


def add_version(key: Key, material: bytes, now: int) -> None:
    """Add the next version with this material; now in seconds."""
    key.latest += 1
    hmac_key = material if key.kind == "hmac" else os.urandom(HMAC_KEY)
    key.versions[key.latest] = KeyVersion(material, hmac_key, now)


def _pkcs8(private: KeyPair) -> bytes:
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_pair(kind: str, material: bytes) -> KeyPair:
    """Return the private key of an asymmetric version."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(material)
    return serialization.load_der_private_key(material, None)  # type: ignore[return-value]


def public_text(kind: str, material: bytes) -> str:
    """Return the public key: PEM, or base64 of the raw key for ed25519."""
    public = key_pair(kind, material).public_key()
    if kind == "ed25519":
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return b64encode(raw).decode()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def private_text(kind: str, material: bytes) -> str:
    """Return an asymmetric private key as export shows it."""
    private = key_pair(kind, material)
    if kind == "ed25519":
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return b64encode(material + raw).decode()
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    return pem if kind.startswith("rsa") else pem.rstrip("\n")


EXPORTS = ("encryption-key", "signing-key", "hmac-key", "public-key")


def export(key: Key, what: str, version: str) -> dict[str, str]:
    """Return version → material in the form of an export type; raise Refused or Failed (vault.md 6.1)."""
    if what not in EXPORTS:
        raise Refused(f"invalid export type: {what}")
    if what != "public-key" and not key.exportable:
        raise Refused("private key material is not exportable")
    if what == "encryption-key" and not key.type.encrypts:
        raise Refused("encryption not supported for the key")
    if what == "signing-key" and not key.type.signs:
        raise Refused("signing not supported for the key")
    if what == "public-key" and not key.type.shown:
        raise Failed(f"unknown key type {key.kind} for export type public-key")
    visible = {n: v for n, v in key.versions.items() if n >= key.min_decryption}
    if version:
        number = key.latest if version == "latest" else int(version) if version.isdecimal() else 0
        if number == 0:
            raise Refused("invalid key version")
        if number not in visible:
            raise Refused("version does not exist or cannot be found")
        visible = {number: visible[number]}
    return {str(number): _exported(key, what, found) for number, found in visible.items()}


def _exported(key: Key, what: str, version: KeyVersion) -> str:
    if what == "hmac-key":
        return b64encode(version.hmac_key).decode()
    if what == "public-key":
        public = public_text(key.kind, version.key)
        return public if key.kind.startswith("rsa") else public.rstrip("\n")
    if key.symmetric:
        return b64encode(version.key).decode()
    return private_text(key.kind, version.key)
