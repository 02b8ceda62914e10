"""TLS of the key server's listener (kes.md 2.2)."""

import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from strongroom.errors import BadSettings
from strongroom.kes.domain.errors import Unverified
from strongroom.kes.domain.settings import Settings
from strongroom.kes.handlers.routes import configured
from strongroom.kes.wire.identity import UNREADABLE
from strongroom.net.channel import TlsContext
from strongroom.net.pem import certificates, read_pem
from strongroom.net.tls_openssl import any_client_tls


def listener_tls(settings: Settings) -> TlsContext:
    """Return the TLS that the settings ask for; raise BadSettings with the original's text.

    Clients need no certificate in the handshake as soon as one route is served without (kes.md 2.2).
    """
    tls, known = settings.tls, configured({})
    try:
        context = any_client_tls(
            tls.cert,
            tls.key,
            password=tls.password.encode() or None,
            require_certificate=not any(one.skip_auth for path, one in settings.routes.items() if path in known),
            client_ca=(tls.ca or True) if tls.verify_clients else None,
        )
    except BadSettings as error:
        raise BadSettings(f"failed to read TLS certificate: {error}") from error
    check_names(tls.cert)
    if tls.ca:
        check_authorities(Path(tls.ca))
    return context


def forwarded_verifier(settings: Settings) -> Callable[[bytes], None] | None:
    """Return what judges certificates that TLS proxies forward: None unless `auth: on`. It raises Unverified."""
    tls = settings.tls
    if not tls.proxies or not tls.verify_clients:
        return None
    store = crypto.X509Store()
    if not tls.ca:
        store.load_locations(None, ssl.get_default_verify_paths().openssl_capath)
    for certificate in _authorities(Path(tls.ca)) if tls.ca else []:
        store.add_cert(crypto.X509.from_cryptography(certificate))

    def verify(der: bytes) -> None:
        certificate = x509.load_der_x509_certificate(der)
        try:
            crypto.X509StoreContext(store, crypto.X509.from_cryptography(certificate)).verify_certificate()
        except crypto.X509StoreContextError as error:
            raise Unverified(f"forwarded certificate: {error}") from error
        _check_usage(certificate)

    return verify


def _check_usage(certificate: x509.Certificate) -> None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return  # without the extension every use is allowed
    except UNREADABLE as error:
        raise Unverified(f"forwarded certificate: {error}") from error
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage:
        raise Unverified("forwarded certificate: not for clients")


def check_authorities(ca: Path) -> None:
    """Raise BadSettings unless ca is a file of PEM certificates or a folder of such files."""
    try:
        _authorities(ca)
    except (BadSettings, OSError) as error:
        raise BadSettings(f"failed to read TLS CA certificates: {error}") from error


def _authorities(ca: Path) -> list[x509.Certificate]:
    if not ca.exists():
        raise BadSettings(f"stat {ca}: no such file or directory")
    files = sorted(one for one in ca.iterdir() if one.is_file()) if ca.is_dir() else [ca]
    return [certificate for file in files for certificate in certificates(read_pem(file))]


def check_names(cert: str) -> None:
    """Raise BadSettings when the server's certificate names neither a host nor an address."""
    leaf = certificates(read_pem(cert))[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    if not names.get_values_for_type(x509.DNSName) and not names.get_values_for_type(x509.IPAddress):
        raise BadSettings("invalid TLS certificate: certificate does not contain any DNS or IP address as SAN")
