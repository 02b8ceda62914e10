"""What the key server knows about keys, policies and itself, as frozen values."""

import datetime
from dataclasses import dataclass, field

from strongroom.crypto.keyciphertext import KeyType

WIRE_NAMES = {KeyType.AES256: "AES256", KeyType.CHACHA20: "ChaCha20"}  # as answers spell them
CIPHERS = {  # the names that imports and stored keys may use (kes.md 5.1)
    "AES256": KeyType.AES256,
    "AES256-GCM_SHA256": KeyType.AES256,
    "ChaCha20": KeyType.CHACHA20,
    "XCHACHA20-POLY1305": KeyType.CHACHA20,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in UTC with nanoseconds, which datetime cannot hold."""

    seconds: int  # since 1970
    nanos: int = 0

    def text(self) -> str:
        """Return RFC 3339 with up to 9 fractional digits, trailing zeros trimmed (kes.md 1.4)."""
        moment = datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(seconds=self.seconds)
        fraction = f".{self.nanos:09}".rstrip("0") if self.nanos else ""
        return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}{fraction}Z"


ABSENT = Moment(-62135596800)  # 0001-01-01T00:00:00Z


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A master key as it lies in a key store. Formats: kes.md 5.4 and 5.5; docs/formats/kes-stored-key.md."""

    key: bytes = field(repr=False)  # 32 bytes
    type: KeyType = KeyType.AES256
    hmac_key: bytes | None = field(default=None, repr=False)  # 32 bytes; None in keys from before 2024
    created_at: Moment = ABSENT
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A fresh data key: the plaintext for use, the ciphertext to store.

    version and fingerprint name the master key's version that sealed it; unknown (None, "") behind an original KES.
    generation is the state of all keys that the answer was made under.
    """

    plaintext: bytes = field(repr=False)  # 32 bytes
    ciphertext: bytes
    version: int | None = None
    fingerprint: str = ""
    generation: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened ciphertext, and which version of the master key had sealed it (None, "" behind an original)."""

    plaintext: bytes = field(repr=False)
    version: int | None = None
    fingerprint: str = ""
    generation: str = ""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What `describe` says about a key."""

    name: str
    algorithm: str
    created_at: str  # RFC 3339
    created_by: str


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One row of `/v1/api`."""

    method: str
    path: str
    max_body: int  # bytes
    timeout: int  # seconds, 0 for none
