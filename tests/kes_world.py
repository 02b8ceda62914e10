"""Certificates, identities and servers that the recorded kes transcripts name (tests/vectors/kes/README.md)."""

import datetime
import functools
import hashlib
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.kes.wire.apikey import ApiKey
from strongroom.kes.wire.identity import of_certificate

VECTORS = Path(__file__).parent / "vectors" / "kes"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def load(name: str) -> Any:
    """Return a vector file's content."""
    return json.loads((VECTORS / name).read_text())


def overrides() -> dict[str, Any]:
    """Return what we answer differently on purpose: case name → reason and our answer."""
    return json.loads((VECTORS.parent / "overrides" / "kes.json").read_text())


@dataclass(frozen=True)
class Credential:
    """A client's key and certificate chain, PEM."""

    name: str
    key: bytes
    cert: bytes
    identity: str

    def write(self, folder: Path) -> None:
        """Write NAME.key and NAME.crt."""
        (folder / f"{self.name}.key").write_bytes(self.key)
        (folder / f"{self.name}.crt").write_bytes(self.cert)


def _pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate(
    key: Any,
    name: str,
    *,
    ca: bool | None = False,
    days: tuple[int, int] = (0, 3650),
    names: tuple[x509.GeneralName, ...] = (),
) -> x509.Certificate:
    """Make a self-signed certificate; ca None leaves BasicConstraints out."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
        .not_valid_before(START + datetime.timedelta(days=days[0]))
        .not_valid_after(START + datetime.timedelta(days=days[1]))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())


def seed(name: str) -> bytes:
    """Return the Ed25519 seed of a recorded client."""
    return hashlib.sha256(f"client {name}".encode()).digest()


def _credential(name: str, key: Any, leaf: x509.Certificate, *behind: "Credential") -> Credential:
    pem = leaf.public_bytes(Encoding.PEM) + b"".join(one.cert for one in behind)
    return Credential(name, _pem(key), pem, of_certificate(leaf))


@functools.cache
def clients() -> dict[str, Credential]:
    """Return every client of the recordings by name."""
    made: dict[str, Credential] = {}
    for name in ("admin", "app", "mon", "glob", "empty", "nopolicy", "proxy"):
        key = Ed25519PrivateKey.from_private_bytes(seed(name))
        made[name] = _credential(name, key, certificate(key, name))
    key = Ed25519PrivateKey.from_private_bytes(seed("expired"))
    made["expired"] = _credential("expired", key, certificate(key, "expired", days=(-20, -10)))
    key = Ed25519PrivateKey.from_private_bytes(seed("ca"))
    made["ca"] = _credential("ca", key, certificate(key, "ca", ca=True))
    key = Ed25519PrivateKey.from_private_bytes(seed("nobc"))
    made["nobc"] = _credential("nobc", key, certificate(key, "nobc", ca=None))
    admin = Ed25519PrivateKey.from_private_bytes(seed("admin"))
    leaf = certificate(admin, "admin")
    made["two"] = _credential("two", admin, leaf, made["app"])
    made["withca"] = _credential("withca", admin, leaf, made["ca"])
    ec_key = ec.generate_private_key(ec.SECP256R1())
    made["p256"] = _credential("p256", ec_key, certificate(ec_key, "p256"))
    p384 = ec.generate_private_key(ec.SECP384R1())
    made["p384"] = _credential("p384", p384, certificate(p384, "p384"))
    rsa_key = rsa.generate_private_key(65537, 2048)
    made["rsa2048"] = _credential("rsa2048", rsa_key, certificate(rsa_key, "rsa2048"))
    return made


def api_key(name: str) -> str:
    """Return a recorded client's API key."""
    return ApiKey(Ed25519PrivateKey.from_private_bytes(seed(name))).text()


@functools.cache
def server() -> Credential:
    """Return the server's P-256 key and certificate for localhost and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    return _credential("kes", key, certificate(key, "localhost", names=names))


def fill(text: str) -> str:
    """Put real identities and API keys in the place of a recording's `<identity:NAME>` and `<api-key:NAME>`."""
    for name, one in clients().items():
        text = text.replace(f"<identity:{name}>", one.identity)
        if f"<api-key:{name}>" in text:
            text = text.replace(f"<api-key:{name}>", api_key(name))
    return text


def hide(text: str) -> str:
    """The other way: identities become `<identity:NAME>`."""
    for name, one in clients().items():
        if name not in {"two", "withca"}:
            text = text.replace(one.identity, f"<identity:{name}>")
    return text
