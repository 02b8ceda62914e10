"""The --enc-* flags: which address is encrypted how, and the headers that say so (mc.md 7)."""

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from strongroom.cli.mc.aliases import Store
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Remote, Target

_KEY_NAME = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_-]*[0-9A-Za-z_])?")
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_SSE = "X-Amz-Server-Side-Encryption"
_CUSTOMER = "Server-Side-Encryption-Customer-"
KMS = {"enc-kms": "aws:kms", "enc-dsse": "aws:kms:dsse"}  # flags that name a key, and what they ask for
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One value of a flag. secret: the key of SSE-C; name: the key of SSE-KMS."""

    prefix: str
    kind: str
    name: str = ""
    secret: bytes = field(default=b"", repr=False)

    def headers(self) -> Headers:
        """Return what a write sends."""
        if self.kind == "enc-s3":
            return [(_SSE, "AES256")]
        if self.kind in KMS:
            return [(_SSE, KMS[self.kind]), (f"{_SSE}-Aws-Kms-Key-Id", self.name)]
        return self.customer("X-Amz-")

    def customer(self, start: str) -> Headers:
        """Return the SSE-C headers: `X-Amz-` for the object, `X-Amz-Copy-Source-` for a copy's source."""
        digest = hashlib.md5(self.secret, usedforsecurity=False).digest()
        return [(f"{start}{_CUSTOMER}Algorithm", "AES256"),
                (f"{start}{_CUSTOMER}Key", b64encode(self.secret).decode()),
                (f"{start}{_CUSTOMER}Key-MD5", b64encode(digest).decode())]  # fmt: skip


class Encryption:
    """All rules of one command; the longest prefix wins."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = sorted(rules, key=lambda rule: -len(rule.prefix))

    def rule(self, place: Target) -> Rule | None:
        """Return the rule for an address."""
        if not isinstance(place, Remote):
            return None
        return next((rule for rule in self.rules if place.name.startswith(rule.prefix)), None)

    def write(self, place: Target) -> Headers:
        """Return the headers for storing at place."""
        rule = self.rule(place)
        return rule.headers() if rule else []

    def read(self, place: Target) -> Headers:
        """Return the headers for reading from place: only SSE-C needs any."""
        rule = self.rule(place)
        return rule.customer("X-Amz-") if rule and rule.kind == "enc-c" else []

    def source(self, place: Target) -> Headers:
        """Return the headers for a server-side copy that reads from place."""
        rule = self.rule(place)
        return rule.customer("X-Amz-Copy-Source-") if rule and rule.kind == "enc-c" else []


def _fail(text: str) -> Fatal:
    return Fatal("SSE Error", text)


def customer_key(text: str) -> bytes:
    """Read 64 hex digits or unpadded base64 of 32 bytes; raise Fatal."""
    if len(text) == 64:
        if not _HEX_KEY.fullmatch(text):
            raise _fail("Encryption key is not hexadecimal.")
        return bytes.fromhex(text)
    padded = text + "=" * (-len(text) % 4) if len(text) % 4 != 1 else text[:-1]  # five characters hold three bytes
    try:
        key = b64decode(padded, validate=True)
    except ValueError as error:  # binascii.Error, or characters beyond ASCII
        raise _fail("Encryption key should be either raw base64 encoded or hex encoded.") from error
    if len(key) != 32:
        raise _fail(f"Encryption key should be either raw base64 encoded or hex encoded. Plain text from key "
                    f"is only {len(key)} bytes, but should be 32 bytes.")  # fmt: skip
    return key


def _old_key(text: str) -> bytes:
    """Read the key of --encrypt-key: 32 plain characters or 44 of padded base64."""
    if len(text) == 32 and text.isascii():
        return text.encode()
    return customer_key(text.rstrip("=") if len(text) == 44 else text)


def _rule(kind: str, value: str) -> Rule:
    if kind in {"enc-s3", "encrypt"}:
        return Rule(value, "enc-s3")
    prefix, equals, key = value.partition("=") if kind == "encrypt-key" else value.rpartition("=")
    if not equals or not key or not prefix:
        raise _fail("SSE key is missing")
    if kind in KMS:
        if not _KEY_NAME.fullmatch(key):
            raise _fail(f"SSE-KMS key name `{key}` may hold letters, digits, `_` and `-`, not at its ends.")
        return Rule(prefix, kind, name=key)
    return Rule(prefix, "enc-c", secret=_old_key(key) if kind == "encrypt-key" else customer_key(key))


def encryption(line: Line, words: Iterable[str], store: Store | None = None) -> Encryption:
    """Read the flags of a line; words are its addresses, one of which each given prefix has to match. Raise Fatal.

    store  knows the aliases that prefixes may begin with; None leaves that out
    """
    rules: list[tuple[Rule, bool]] = []
    for kind in ("enc-s3", *KMS, "enc-c", "encrypt", "encrypt-key"):
        for value in line.many(kind):
            for each in value.split(","):
                if each:
                    rules.append((_rule(kind, each), kind in line.values.inherited))
    plain = [rule for rule, _ in rules]
    for at, one in enumerate(plain):
        for other in plain[at + 1 :]:
            if one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix):
                raise _fail(f"SSE prefix {one.prefix} overlaps with {other.prefix}")
    given = [rule for rule, inherited in rules if not inherited]
    words = list(words)
    for rule in given:
        if not any(word.startswith(rule.prefix) or rule.prefix.startswith(word.rstrip("/")) for word in words):
            raise _fail("SSE prefixes do not match any object paths.")
    for rule in plain:
        if store is not None and store.find(rule.prefix.partition("/")[0]) is None:
            raise _fail(f"SSE prefix {rule.prefix} has an invalid alias.")
    return Encryption(plain)
