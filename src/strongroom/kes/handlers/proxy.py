"""Identities behind a TLS proxy (kes.md 2.5): the proxy forwards its client's certificate in a header."""

import ipaddress
from urllib.parse import unquote_plus

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.errors import Malformed
from strongroom.kes.domain.errors import BadForwarding
from strongroom.kes.domain.settings import TlsSettings
from strongroom.kes.wire.identity import UNREADABLE
from strongroom.messages import Request


def forwarded(request: Request, tls: TlsSettings) -> bytes:
    """Return the certificate that a proxy forwards, in DER; raise BadForwarding with the recorded text."""
    name = tls.proxy_header.lower().encode()
    values = [value for header, value in request.raw if header.lower() == name]
    if not values:
        raise BadForwarding("no client certificate is present")
    if len(values) > 1:
        raise BadForwarding("too many client certificates are present")
    try:
        return _one_certificate(values[0])
    except (*UNREADABLE, Malformed) as error:
        raise BadForwarding("invalid client certificate") from error


def forwarded_address(request: Request) -> str:
    """Return the first address of X-Forwarded-For, "" if there is none that is an address.

    The client writes it, and audit lines show it: a scope (`fe80::1%...`), which may be any text, is left out.
    """
    first = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    try:
        return str(ipaddress.ip_address(first.partition("%")[0]))
    except ValueError:
        return ""


def _one_certificate(value: bytes) -> bytes:
    text = value.decode("ascii")
    for part in text.split("%")[1:]:
        int(part[:2], 16)
        if len(part) < 2:
            raise Malformed("bad escape")
    pem = unquote_plus(text, errors="strict") if "%" in text else text
    certificates = x509.load_pem_x509_certificates(pem.encode())
    if len(certificates) != 1:
        raise Malformed("not one certificate")
    return certificates[0].public_bytes(Encoding.DER)
