"""Which encryption a writer gets: what it asks for, what its bucket says, what the server does by itself (sse.md 8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from strongroom.crypto.secret import Secret


class Kind(StrEnum):
    """Whose key stands above an object's. The values of the first two are those of x-amz-server-side-encryption."""

    S3 = "AES256"  # the server's default key
    KMS = "aws:kms"  # a named key of the key service
    C = "SSE-C"  # a key that the client sends and we forget

    __hash__ = str.__hash__  # Enum's own is written in Python, and every request asks for several


DUAL = "aws:kms:dsse"  # x-amz-server-side-encryption of a KMS object with two layers


@dataclass(frozen=True, slots=True)
class Encryption:
    """A wanted encryption; where None stands in its place, the object stays in clear.

    key_name      KMS only; "" is the server's default key; without the prefix arn:aws:kms:
    context       KMS only; what the client sent, "" and {} being the same
    customer_key  C only: 32 bytes
    customer_md5  C only: base64 of its MD5, for the answer
    bucket_key    False: one call of the key service for each object, whatever the server's setting
    dual          KMS only: a second layer around the first (DSSE-KMS); such objects never share a data key
    """

    kind: Kind
    key_name: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    customer_key: Secret | None = None
    customer_md5: str = ""
    bucket_key: bool | None = None
    dual: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A bucket's default for keys that begin with prefix."""

    kind: Kind
    key_name: str = ""  # as sent, perhaps with its ARN prefix
    prefix: str = ""
    bucket_key: bool | None = None
    blocked: tuple[str, ...] = ()  # encryption types that writers may not ask for: SSE-C; NONE blocks nothing
    dual: bool = False


@dataclass(frozen=True, slots=True)
class BucketEncryption:
    """A bucket's encryption configuration."""

    rules: tuple[Rule, ...]

    def blocks(self, kind: Kind, key: str) -> bool:
        """Say whether objects of this name may not be written with this kind of key."""
        return any(kind in rule.blocked for rule in self.rules if key.startswith(rule.prefix))

    def for_key(self, key: str) -> Encryption | None:
        """Return what objects of this name get; the longest prefix wins. None: no rule covers it."""
        found = max((rule for rule in self.rules if key.startswith(rule.prefix)), key=_length, default=None)
        if found is None:
            return None
        return Encryption(found.kind, strip_arn(found.key_name), bucket_key=found.bucket_key, dual=found.dual)


def _length(rule: Rule) -> int:
    return len(rule.prefix)


def choose(
    asked: Encryption | None, bucket: BucketEncryption | None, key: str, automatic: Encryption | None
) -> Encryption | None:
    """Return the encryption of a new object: the client's, else the bucket's, else the server's (sse.md 8.2).

    A client that names a method but no key gets the server's default key, not the bucket's.
    """
    if asked is not None:
        return asked
    return (bucket.for_key(key) if bucket is not None else None) or automatic


ARN = "arn:aws:kms:"


def strip_arn(key_id: str) -> str:
    """Return the key's name: what follows the ARN prefix, verbatim."""
    return key_id.removeprefix(ARN)


def with_arn(key_name: str) -> str:
    """Return the key id that answers show."""
    return key_name if key_name.startswith(ARN) else ARN + key_name
