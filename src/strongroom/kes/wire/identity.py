"""Who a client is: the hash of its certificate's public key (kes.md 2.1; the leaf alone, docs/decisions)."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.errors import Malformed
from strongroom.kes.domain.errors import ManyCertificates, NoCertificate

# What the library raises for a certificate that it cannot read.
UNREADABLE = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def of_certificate(certificate: x509.Certificate) -> str:
    """Return the identity, 64 hexadecimal digits: SHA-256 of the SubjectPublicKeyInfo as the certificate has it."""
    return hashlib.sha256(public_key_info(certificate.tbs_certificate_bytes)).hexdigest()


def of_public_key(key: Ed25519PublicKey) -> str:
    """Return the identity of whoever holds the private half of key."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def of_peer(certificates: tuple[bytes, ...]) -> str:
    """Return the identity of a TLS client; certificates are DER, the leaf (whose key the handshake proved) first.

    Raises NoCertificate when there is none or the leaf is a CA's, ManyCertificates when another one is not a CA's.
    """
    if not certificates:
        raise NoCertificate("no client certificate")
    try:
        leaf, *others = map(x509.load_der_x509_certificate, certificates)
        if is_authority(leaf):
            raise NoCertificate("the client's certificate is a CA's")
        if not all(map(is_authority, others)):
            raise ManyCertificates(f"{len(certificates)} certificates")
        return of_certificate(leaf)
    except UNREADABLE as error:
        raise NoCertificate(f"client certificate: {error}") from error


def is_authority(certificate: x509.Certificate) -> bool:
    """Say whether the certificate's BasicConstraints call it a CA's."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def public_key_info(tbs: bytes) -> bytes:
    """Cut the SubjectPublicKeyInfo out of a TBSCertificate (RFC 5280, 4.1), byte for byte as it stands there.

    Encoding a parsed key again could give other bytes than the certificate has, and so another identity.
    """
    start, stop = _element(tbs, 0)[:2]
    position, skip = start, 5  # serialNumber, signature, issuer, validity, subject
    if tbs[position] == 0xA0:  # [0] version is optional
        skip += 1
    for _ in range(skip):
        position = _element(tbs, position)[1]
        if position >= stop:
            raise Malformed("certificate without a public key")
    return tbs[position : _element(tbs, position)[1]]


def _element(data: bytes, position: int) -> tuple[int, int]:
    """Return where the content of the DER element at position starts and where it ends."""
    try:
        length, start = data[position + 1], position + 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[start : start + count])
            start += count
    except IndexError as error:
        raise Malformed("certificate cut short") from error
    return start, start + length
