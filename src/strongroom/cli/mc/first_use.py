"""Trust on first use: `alias set` shows a host's public key and keeps its certificate when a person confirms it."""

import hashlib
import ssl
import sys
from urllib.parse import urlsplit

from strongroom.cli.mc.aliases import Alias, write_private
from strongroom.cli.mc.shell import Shell
from strongroom.net.dialling import Dialling, Origin, open_socket
from strongroom.sdk.s3_call import Lost


def offered(shell: Shell, alias: Alias, error: Exception) -> bool:
    """Tell whether error is an unknown certificate that the person at the terminal trusts, now kept in certs/CAs."""
    unknown = isinstance(error, Lost) and error.untrusted and "unknown authority" in error.reason
    if not unknown or shell.console.json or not (shell.console.terminal and sys.stdin.isatty()):
        return False
    certificate = _certificate(shell, alias)
    shell.console.line(f"Fingerprint of `{alias.name}` public key: {_fingerprint(certificate)}")
    if shell.ask("Confirm public key y/N: ").strip().lower() not in {"y", "yes"}:
        return False
    file = shell.store.folder / "certs" / "CAs" / f"{alias.name}.crt"
    write_private(file, ssl.DER_cert_to_PEM_cert(certificate))
    shell.reread_trust()
    return True


def _certificate(shell: Shell, alias: Alias) -> bytes:
    """Return what the host shows; nothing is said to it."""
    parts = urlsplit(alias.url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    how = Dialling(tls=context, resolve=shell.dialling(tls=True).resolve)
    with open_socket(Origin(parts.hostname or "", parts.port or 443, tls=True), how) as connection:
        shown = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
    return shown or b""


def _fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of the public key, as bytes in hex with colons."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509 import load_der_x509_certificate

    key = load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest().hex(":").upper()
