"""Which certificates a trusted one vouches for, and what it must say (the `cert` auth method)."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID, NameOID

from strongroom.kms.domain.errors import Refused

MAX_CHAIN = 8


def load(pem: str) -> list[x509.Certificate]:
    """Return the certificates of PEM text; raise Refused."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise Refused("failed to parse certificate") from error


def parse(ders: Iterable[bytes]) -> list[x509.Certificate]:
    """Return what a client presented, the leaf first, without what does not parse; nothing when the leaf does not."""
    found = []
    for number, der in enumerate(ders):
        try:
            found.append(x509.load_der_x509_certificate(der))
        except ValueError:
            if number == 0:
                return []
    return found


def is_authority(certificate: x509.Certificate) -> bool:
    """Say whether a certificate may sign others."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.ca


def current(certificate: x509.Certificate, now: int) -> bool:
    """Say whether a certificate is valid at `now`, seconds."""
    return certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp()


def issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Say whether parent signed child."""
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def trusted(presented: list[x509.Certificate], anchors: list[x509.Certificate], now: int) -> bool:
    """Say whether the leaf is one of the anchors, or a chain of presented certificates leads from it to one."""
    if not presented or not current(presented[0], now):
        return False
    if any(anchor == presented[0] for anchor in anchors):
        return True
    link, left = presented[0], presented[1:]
    for _ in range(MAX_CHAIN):
        if any(is_authority(a) and current(a, now) and issued(link, a) for a in anchors):
            return True
        parent = next((c for c in left if is_authority(c) and current(c, now) and issued(link, c)), None)
        if parent is None:
            return False
        left = [certificate for certificate in left if certificate is not parent]
        link = parent
    return False


def names(leaf: x509.Certificate) -> dict[str, list[str]]:
    """Return a certificate's names by kind: cn, dns, email, uri, ou."""
    subject = leaf.subject
    found = {
        "cn": [str(a.value) for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)],
        "ou": [str(a.value) for a in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)],
        "dns": [],
        "email": [],
        "uri": [],
    }
    try:
        sans = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, ValueError):
        return found
    if isinstance(sans, x509.SubjectAlternativeName):
        found["dns"] = sans.get_values_for_type(x509.DNSName)
        found["email"] = sans.get_values_for_type(x509.RFC822Name)
        found["uri"] = sans.get_values_for_type(x509.UniformResourceIdentifier)
    return found


def any_matches(patterns: list[str], values: Iterable[str]) -> bool:
    """Say whether a value matches one of the glob patterns; no patterns, no demand."""
    return not patterns or any(fnmatchcase(value, pattern) for value in values for pattern in patterns)
