"""Client TLS contexts for the sdk: whom to trust, and the certificate to show."""

import datetime
import os
import ssl
from pathlib import Path

from strongroom.errors import BadSettings
from strongroom.kes.wire.apikey import ApiKey


def client_tls(
    *,
    ca: str | Path | None = None,
    cert: str | Path | None = None,
    key: str | Path | None = None,
    password: str | None = None,
    insecure: bool = False,
    api_key: ApiKey | None = None,
) -> ssl.SSLContext:
    """Return a context that trusts the system's roots and ca (a PEM file or a folder of them).

    cert and key are PEM files; api_key stands in for both. insecure trusts any server. Raises BadSettings.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A server's own certificate may be the trust anchor, and need not be a CA's (guide 1 makes such ones).
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    if ca:
        trust(context, Path(ca))
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if api_key is not None:
        load_api_key(context, api_key)
    elif cert and key:
        try:
            context.load_cert_chain(cert, key, password)
        except (OSError, ValueError) as error:
            raise BadSettings(f"client certificate {cert} and key {key}: {error}") from error
    return context


def trust(context: ssl.SSLContext, ca: Path) -> None:
    """Add the certificates of a PEM file, or of every file of a folder. Raises BadSettings."""
    files = sorted(entry for entry in ca.iterdir() if entry.is_file()) if ca.is_dir() else [ca]
    for file in files:
        try:
            context.load_verify_locations(cafile=str(file))
        except (OSError, ValueError) as error:
            raise BadSettings(f"CA certificates in {file}: {error}") from error


def load_api_key(context: ssl.SSLContext, api_key: ApiKey) -> None:
    """Show a certificate made from api_key."""
    load_pair(context, *api_key.certificate(datetime.datetime.now(datetime.UTC)))


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Show a certificate given as PEM bytes, which never touch a disk."""
    descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
