"""The barrier: every stored value is sealed with a key that exists in memory only while unsealed (vault.md 8.2).

Record, version 2 (docs/formats/kms-entries.md): 4 bytes term, big-endian ‖ 0x02 ‖ 12 bytes nonce, random ‖
AES-256-GCM ciphertext and tag; the storage path is the associated data, so that a moved record stays shut.
"""

import os
import struct
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.errors import Tampered
from strongroom.kms.domain.nonces import SIZE
from strongroom.kms.domain.nonces import nonce as fresh_nonce

KEY_SIZE = 32
VERSION = 2
MAX_OPERATIONS = 3_865_470_566  # seals under one key with random nonces (NIST SP 800-38D, 8.3, as vault.md 8.2)
_HEAD = struct.Struct(">IB12s")


class Term(msgspec.Struct):
    """One data key: its number, 32 bytes, when it was made (ns), how many seals were counted under it."""

    number: int
    key: bytes
    installed: int
    encryptions: int = 0

    def __repr__(self) -> str:
        return f"Term({self.number})"


class RotationRule(msgspec.Struct):
    """When the barrier key is replaced by itself: after so many seals, or so many seconds (0 = never)."""

    enabled: bool = True
    max_operations: int = MAX_OPERATIONS
    interval: int = 0


class KeyringRecord(msgspec.Struct):
    """What lies, sealed by the root key, at core/keyring."""

    terms: list[Term]
    rule: RotationRule = msgspec.field(default_factory=RotationRule)

    def __repr__(self) -> str:
        return f"KeyringRecord({len(self.terms)} terms)"


def seal_with(key: bytes, path: str, plaintext: bytes, term: int = 0) -> bytes:
    """Return a record sealed by a bare key (the root key seals the keyring, the seal key the root key)."""
    nonce = os.urandom(12)
    return _HEAD.pack(term, VERSION, nonce) + AESGCM(key).encrypt(nonce, plaintext, path.encode())


def open_with(key: bytes, path: str, record: bytes) -> bytes:
    """Return the plaintext; raise Tampered for a wrong key, path or byte."""
    try:
        _, version, nonce = _HEAD.unpack_from(record)
        if version != VERSION:
            raise Tampered(f"{path}: record version {version}")
        return AESGCM(key).decrypt(nonce, record[_HEAD.size :], path.encode())
    except (struct.error, InvalidTag, ValueError) as error:
        raise Tampered(f"{path}: record does not open") from error


@dataclass(slots=True, repr=False)
class Keyring:
    """The numbered data keys of an unsealed server; new records use the newest."""

    record: KeyringRecord
    _ciphers: dict[int, AESGCM] = field(default_factory=dict)
    _newest: Term = field(init=False)

    def __post_init__(self) -> None:
        self._load()

    @classmethod
    def fresh(cls, now_ns: int) -> "Keyring":
        """Return a keyring with one new key, term 1."""
        return cls(KeyringRecord([Term(1, os.urandom(KEY_SIZE), now_ns)]))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Keyring":
        """Read what `to_bytes` wrote."""
        return cls(msgspec.msgpack.decode(data, type=KeyringRecord))

    def to_bytes(self) -> bytes:
        """Return the record's bytes: secret, for the root key to seal."""
        return msgspec.msgpack.encode(self.record)

    def _load(self) -> None:
        self._ciphers = {term.number: AESGCM(term.key) for term in self.record.terms}
        self._newest = self.record.terms[-1]

    @property
    def newest(self) -> Term:
        """The term that new records are sealed under."""
        return self._newest

    def grow(self, now_ns: int) -> Term:
        """Add a term to the record and return it; new records are sealed under it once it is adopted."""
        made = Term(self.record.terms[-1].number + 1, os.urandom(KEY_SIZE), now_ns)
        self.record.terms.append(made)
        return made

    def adopt(self, term: Term) -> None:
        """Seal under a term from here on: its record is durable. Old records stay readable."""
        if term in self.record.terms and term.number > self._newest.number:  # not after a wipe
            self._ciphers[term.number] = AESGCM(term.key)
            self._newest = term

    def due(self, now_ns: int) -> bool:
        """Say whether the rule asks for a rotation now."""
        rule, newest = self.record.rule, self._newest
        aged = rule.interval > 0 and now_ns - newest.installed > rule.interval * 1_000_000_000
        return rule.enabled and (aged or newest.encryptions >= rule.max_operations)

    def seal(self, path: str, plaintext: bytes) -> bytes:
        """Return plaintext's record for path."""
        newest, nonce = self._newest, fresh_nonce(SIZE)
        newest.encryptions += 1
        sealed = self._ciphers[newest.number].encrypt(nonce, plaintext, path.encode())
        return _HEAD.pack(newest.number, VERSION, nonce) + sealed

    def open(self, path: str, record: bytes) -> bytes:
        """Return the plaintext; raise Tampered for an unknown term, a moved record or changed bytes."""
        try:
            number, version, nonce = _HEAD.unpack_from(record)
            if version != VERSION:
                raise Tampered(f"{path}: record version {version}")
            return self._ciphers[number].decrypt(nonce, record[_HEAD.size :], path.encode())
        except KeyError as error:
            raise Tampered(f"{path}: unknown term {error.args[0]}") from error
        except (struct.error, InvalidTag, ValueError) as error:
            raise Tampered(f"{path}: record does not open") from error

    def wipe(self) -> None:
        """Forget the keys, as far as Python can (docs/security/limitations/kms.md)."""
        self.record = KeyringRecord([])
        self._ciphers.clear()
