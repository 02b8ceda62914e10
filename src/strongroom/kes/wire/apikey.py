"""API keys (kes.md 2.4): an Ed25519 seed as text. It never travels; a certificate made from it does."""

import base64
import binascii
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.errors import Malformed
from strongroom.kes.wire import identity

PREFIX = "kes:v1:"
VALIDITY = datetime.timedelta(days=90)
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_ED25519 = 0
_USAGES: tuple[str, ...] = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
)
_USAGES += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")


class ApiKey:
    """A parsed API key. Its text and its certificate's key are secret; `identity` is not."""

    __slots__ = ("_key", "identity")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.identity = identity.of_public_key(key.public_key())

    @classmethod
    def generate(cls) -> "ApiKey":
        """Make a new one."""
        return cls(Ed25519PrivateKey.from_private_bytes(os.urandom(32)))

    @classmethod
    def parse(cls, text: str) -> "ApiKey":
        """Read `kes:v1:` and the base64 of 33 bytes; the prefix is optional. Raises Malformed."""
        try:
            data = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise Malformed(bad_base64(text.removeprefix(PREFIX))) from None
        if len(data) != 33:
            raise Malformed("kes: invalid API key: invalid length")
        if data[0] != _ED25519:
            raise Malformed("kes: invalid API key: unsupported type")
        return cls(Ed25519PrivateKey.from_private_bytes(data[1:]))

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """The Ed25519 key itself."""
        return self._key

    def text(self) -> str:
        """Return the key as users write it."""
        return PREFIX + base64.b64encode(bytes([_ED25519]) + self._key.private_bytes_raw()).decode()

    def certificate(self, now: datetime.datetime) -> tuple[bytes, bytes]:
        """Make a self-signed client certificate, valid for 90 days; return it and its private key, both PEM."""
        pem = self_signed(self._key, self.identity, now, VALIDITY, (ExtendedKeyUsageOID.CLIENT_AUTH,))
        return pem, self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"ApiKey(identity={self.identity})"


def bad_base64(text: str) -> str:
    """Say where text stops being base64, in the words of Go's decoder, which users of KES know."""
    place = next((at for at, letter in enumerate(text) if letter not in _BASE64), len(text) // 4 * 4)
    return f"illegal base64 data at input byte {place}"


def self_signed(
    key: Ed25519PrivateKey,
    common_name: str,
    now: datetime.datetime,
    validity: datetime.timedelta,
    usages: tuple[x509.ObjectIdentifier, ...],
    names: tuple[x509.GeneralName, ...] = (),
) -> bytes:
    """Make a certificate that is no CA's, signed by its own key; return it as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)])
    flags = {usage: usage == "digital_signature" for usage in _USAGES}
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(os.urandom(16)) >> 1 or 1)
        .not_valid_before(now)
        .not_valid_after(now + validity)
        .add_extension(x509.KeyUsage(**flags), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, None).public_bytes(Encoding.PEM)
