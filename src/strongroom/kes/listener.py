"""TLS of the key server's listener (kes.md 2.2)."""

import ssl

import certifi
from cryptography import x509

from strongroom.errors import BadSettings
from strongroom.kes.domain.settings import Settings
from strongroom.kes.handlers.routes import configured
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
            client_ca=(tls.ca or _system_roots()) if tls.verify_clients else None,
        )
        check_names(tls.cert)
    except BadSettings as error:
        raise BadSettings(f"failed to read TLS certificate: {error}") from error
    return context


def _system_roots() -> str:
    return ssl.get_default_verify_paths().cafile or certifi.where()


def check_names(cert: str) -> None:
    """Raise BadSettings when the server's certificate names neither a host nor an address."""
    leaf = certificates(read_pem(cert))[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    if not names.get_values_for_type(x509.DNSName) and not names.get_values_for_type(x509.IPAddress):
        raise BadSettings("invalid TLS certificate: certificate does not contain any DNS or IP address as SAN")
