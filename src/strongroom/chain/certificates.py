"""The chain's own certificate authority, server certificates (P-256) and client identities (Ed25519)."""

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.chain.folder import write_file

CA_DAYS = 3650
SERVER_DAYS = 825  # what clients of today still accept from a private authority
CLIENT_DAYS = 3650
RENEW_DAYS = 400  # a server certificate with less left is made anew, at a start or once a day while the chain runs

_Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a certificate and its private key lie."""

    certificate: Path
    key: Path

    def exists(self) -> bool:
        return self.certificate.exists() and self.key.exists()

    def load(self) -> x509.Certificate:
        """Return the certificate."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())

    def matches(self) -> bool:
        """Say whether both are there and belong together: a renewal may have been cut off between its two files."""
        if not self.exists():
            return False
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        return self.load().public_key() == key.public_key()

    def save(self, certificate: x509.Certificate, key: _Key) -> None:
        """Write both as PEM, the key (PKCS#8) readable by its owner alone, and first."""
        pem = serialization.Encoding.PEM
        plain = serialization.NoEncryption()
        write_file(self.key, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        write_file(self.certificate, certificate.public_bytes(pem), mode=0o644)


def make_authority(pair: Pair) -> None:
    """Make the chain's certificate authority; one that is there keeps its key, so that all it signed stays trusted."""
    key = _authority_key(pair) if pair.exists() else ec.generate_private_key(ec.SECP256R1())
    name = _name("Strongroom chain authority")
    builder = _builder(name, name, key, CA_DAYS).add_extension(x509.BasicConstraints(True, 0), critical=True)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    ).add_extension(_usage(sign_certificates=True), critical=True)
    pair.save(builder.sign(key, hashes.SHA256()), key)


def make_server(authority: Pair, pair: Pair, hosts: list[str]) -> None:
    """Make a server certificate for host names and addresses, signed by the authority."""
    issuer, issuer_key = authority.load(), _authority_key(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    builder = (
        _builder(_name(hosts[0]), issuer.subject, key, SERVER_DAYS)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    pair.save(builder.sign(issuer_key, hashes.SHA256()), key)


def certifies(authority: Pair) -> bool:
    """Say whether an authority is there with its key and outlives the server certificates that it signs from now on."""
    return authority.matches() and _days_left(authority.load()) > SERVER_DAYS


def serves(authority: Pair, pair: Pair, hosts: list[str]) -> bool:
    """Say whether the authority signed a server certificate that is there with its key, names all hosts and lasts on.

    It lasts on with RENEW_DAYS or more left.
    """
    if not pair.matches():
        return False
    certificate = pair.load()
    try:
        certificate.verify_directly_issued_by(authority.load())
    except (ValueError, InvalidSignature):
        return False  # the authority was made anew
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return _days_left(certificate) >= RENEW_DAYS and all(_general_name(host) in list(names) for host in hosts)


def _authority_key(authority: Pair) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _days_left(certificate: x509.Certificate) -> int:
    return (certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days


def make_identity(pair: Pair, name: str) -> str:
    """Make a self-signed client certificate, as `kes identity new` does; return its identity."""
    key = ed25519.Ed25519PrivateKey.generate()
    builder = _builder(_name(name), _name(name), key, CLIENT_DAYS)
    builder = (
        builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    pair.save(builder.sign(key, None), key)
    return identity_of(pair.certificate)


def identity_of(certificate: Path) -> str:
    """Return a certificate's identity: hex SHA-256 of its public key info (kes.md 2.3)."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    public = loaded.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(public).hexdigest()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))  # clocks differ a little
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(sign_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
