"""Encrypting with a transit key: `vault:v<n>:` + base64 of nonce ‖ ciphertext ‖ tag (vault.md 6.2)."""

import hmac
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.crypto.aead import hchacha20
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.nonces import nonce as fresh_nonce
from strongroom.kms.domain.transit.record import MISSING_CONTEXT, Key, key_pair

PREFIX = "vault:v"
_FAILED = {
    "aes256-gcm96": "cipher",
    "aes128-gcm96": "cipher",
    "chacha20-poly1305": "chacha20poly1305",
    "xchacha20-poly1305": "chacha20poly1305",
}
TAG = 16
HMAC_KEY = 32
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class XChaCha20Poly1305:
    """ChaCha20-Poly1305 with 24-byte nonces (draft-irtf-cfrg-xchacha-03)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _inner(self, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
        return ChaCha20Poly1305(hchacha20(self._key, nonce[:16])), bytes(4) + nonce[16:]

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes | None) -> bytes:
        """Return ciphertext and tag."""
        cipher, short = self._inner(nonce)
        return cipher.encrypt(short, data, associated)

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes | None) -> bytes:
        """Return the plaintext; raise InvalidTag."""
        cipher, short = self._inner(nonce)
        return cipher.decrypt(short, data, associated)


Cipher = AESGCM | ChaCha20Poly1305 | XChaCha20Poly1305
_CIPHERS: dict[str, type[AESGCM] | type[ChaCha20Poly1305] | type[XChaCha20Poly1305]] = {
    "aes256-gcm96": AESGCM,
    "aes128-gcm96": AESGCM,
    "chacha20-poly1305": ChaCha20Poly1305,
    "xchacha20-poly1305": XChaCha20Poly1305,
}


def derive(key: bytes, context: bytes, length: int) -> bytes:
    """Return a subkey for a context: HKDF-SHA-256 without salt."""
    return HKDF(hashes.SHA256(), length, None, context).derive(key)


def convergent_nonce(keys: bytes, plaintext: bytes, associated: bytes, size: int) -> bytes:
    """Return the nonce that equal messages have: of the plaintext, under the first of two HMAC keys as the original's.

    With associated data it is made of that too, under the second key. The original leaves it out: one plaintext with
    two associated data has two tags under one nonce there, which give GCM's authentication key away.
    """
    if not associated:
        return hmac.digest(keys[:HMAC_KEY], plaintext, "sha256")[:size]
    message = len(associated).to_bytes(8, "big") + associated + plaintext
    return hmac.digest(keys[HMAC_KEY:], message, "sha256")[:size]


class Ciphers:
    """The ciphers of one key's versions, kept because making one costs more than a small message."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self._plain: dict[int, Cipher] = {}

    def plain(self, number: int) -> Cipher:
        """Return the cipher of a version that is not derived."""
        found = self._plain.get(number)
        if found is None:
            found = self._plain[number] = _CIPHERS[self.key.kind](self.key.version(number).key)
        return found

    def of(self, number: int, context: bytes) -> tuple[Cipher, bytes]:
        """Return the cipher for a version and context, and the HMAC keys of convergent encryption (else b"")."""
        key = self.key
        if not key.derived:
            return self.plain(number), b""
        if not context:
            raise Refused(MISSING_CONTEXT)
        size = key.type.size
        material = derive(key.version(number).key, context, size + 2 * HMAC_KEY if key.convergent else size)
        return _CIPHERS[key.kind](material[:size]), material[size:]

    def encrypt(self, plaintext: bytes, context: bytes, associated: bytes, wanted: int) -> tuple[str, int]:
        """Return (ciphertext text, version); raise Refused."""
        key = self.key
        if not key.type.encrypts:
            raise Refused(f"message encryption not supported for key type {key.kind}")
        number = key.latest if wanted == 0 else key.encryption_version(wanted)
        if not key.symmetric:
            return _rsa_encrypt(key, number, plaintext), number
        cipher, hmac_keys = self.of(number, context)
        size = key.type.nonce
        nonce = convergent_nonce(hmac_keys, plaintext, associated, size) if hmac_keys else fresh_nonce(size)
        sealed = nonce + cipher.encrypt(nonce, plaintext, associated or None)
        return f"{PREFIX}{number}:{b2a_base64(sealed, newline=False).decode()}", number

    def decrypt(self, text: str, context: bytes, associated: bytes) -> bytes:
        """Return the plaintext; raise Refused."""
        key = self.key
        if not key.type.encrypts:
            raise Refused(f"message decryption not supported for key type {key.kind}")
        number, sealed = parse(key, text, "ciphertext")
        if not key.symmetric:
            return _rsa_decrypt(key, number, sealed)
        size = key.type.nonce
        if len(sealed) < size:
            raise Refused("invalid ciphertext length")
        cipher, _ = self.of(number, context)
        try:
            return cipher.decrypt(sealed[:size], sealed[size:], associated or None)
        except InvalidTag as error:
            raise Refused(_FAILED[key.kind] + ": message authentication failed") from error


def parse(key: Key, text: str, what: str) -> tuple[int, bytes]:
    """Return (version, bytes) of `vault:v<n>:<base64>`; raise Refused. what: ciphertext, signature, HMAC to verify."""
    if not text.startswith(PREFIX):
        raise Refused(f"invalid {what}: no prefix")
    version, colon, body = text[len(PREFIX) :].partition(":")
    if not colon:
        raise Refused(f"invalid {what}: wrong number of fields")
    if not (version.isascii() and version.isdigit()):
        raise Refused(f"invalid {what}: version number could not be decoded")
    number = int(version) or 1  # v0 was the first version once (vault.md 6.1)
    if number > key.latest:
        raise Refused(f"invalid {what}: version is too new")
    if number < key.min_decryption:
        raise Refused("ciphertext or signature version is disallowed by policy (too old)")
    try:
        return number, a2b_base64(body, strict_mode=True)
    except Base64Error as error:
        raise Refused(f"invalid {what}: could not decode base64") from error


def _rsa_encrypt(key: Key, number: int, plaintext: bytes) -> str:
    private = key_pair(key.kind, key.version(number).key)
    assert isinstance(private, rsa.RSAPrivateKey)
    try:
        sealed = private.public_key().encrypt(plaintext, _OAEP)
    except ValueError as error:
        raise Refused("failed to RSA encrypt the plaintext: message too long for RSA key size") from error
    return f"{PREFIX}{number}:{b2a_base64(sealed, newline=False).decode()}"


def _rsa_decrypt(key: Key, number: int, sealed: bytes) -> bytes:
    private = key_pair(key.kind, key.version(number).key)
    assert isinstance(private, rsa.RSAPrivateKey)
    try:
        return private.decrypt(sealed, _OAEP)
    except ValueError as error:
        raise Refused("failed to RSA decrypt the ciphertext: crypto/rsa: decryption error") from error
