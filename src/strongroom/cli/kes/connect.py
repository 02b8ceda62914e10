"""From the environment to a connected client (kes.md 10.1)."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from strongroom.cli.kes.flags import Failed

if TYPE_CHECKING:
    import ssl

    from strongroom.sdk.kes import KesClient

T = TypeVar("T")
SERVER = ("MINIO_KES_SERVER", "KES_SERVER", "MINIO_KMS_KES_ENDPOINT")
API_KEY = ("MINIO_KES_API_KEY", "KES_API_KEY", "MINIO_KMS_KES_API_KEY")
# The last names are those of 2020 (the first guide's).
KEY = ("MINIO_KES_KEY_FILE", "KES_CLIENT_KEY", "MINIO_KES_CLIENT_KEY", "KES_CLIENT_TLS_KEY_FILE")
CERT = ("MINIO_KES_CERT_FILE", "KES_CLIENT_CERT", "MINIO_KES_CLIENT_CERT", "KES_CLIENT_TLS_CERT_FILE")
CA = ("KES_CA",)  # ours: a file or folder of CA certificates, beside SSL_CERT_FILE


def first(names: Sequence[str], env: Mapping[str, str]) -> str | None:
    """Return the value of the first variable that is set, even if it is empty; None if none is."""
    return next((env[name] for name in names if name in env), None)


def endpoints(given: str = "") -> list[str]:
    """Return the servers to speak to."""
    text = given or first(SERVER, os.environ)
    return [one for one in (text if text is not None else "127.0.0.1:7373").split(",") if one] or [""]


def client(*, insecure: bool, server: str = "", api_key: str = "") -> "KesClient":
    """Return a client with the identity that the environment names; raise Failed with the original's text."""
    from strongroom.sdk.kes import KesClient

    return KesClient(endpoints(server), _tls(insecure=insecure, api_key=api_key))


def _tls(*, insecure: bool, api_key: str) -> "ssl.SSLContext":
    from strongroom.errors import Malformed
    from strongroom.kes.wire.apikey import ApiKey
    from strongroom.sdk.tls import client_tls

    env = os.environ
    text = api_key or first(API_KEY, env)
    key, cert = first(KEY, env), first(CERT, env)
    if text and not api_key:
        if key:
            raise Failed("API key and private key file cannot be used at the same time")
        if cert:
            raise Failed("API key and certificate file cannot be used at the same time")
    ca = first(CA, env)
    if text:
        try:
            parsed = ApiKey.parse(text)
        except Malformed as error:
            raise Failed(f"parsing API key: {str(error).removeprefix('kes: invalid API key: ')}") from error
        return client_tls(api_key=parsed, insecure=insecure, ca=ca)
    if text is None and cert and not key:
        raise Failed("no private key file specified. Consider setting MINIO_KES_KEY_FILE")
    if text is None and key and not cert:
        raise Failed("no certificate file specified. Consider setting MINIO_KES_CERT_FILE")
    if not key or not cert:
        raise Failed("no API key specified. Consider setting MINIO_KES_API_KEY")
    return _from_files(key, cert, insecure=insecure, ca=ca)


def _from_files(key: str, cert: str, *, insecure: bool, ca: str | None) -> "ssl.SSLContext":
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    from strongroom.errors import BadSettings
    from strongroom.net.pem import certificates, private_key
    from strongroom.sdk.tls import client_tls, load_pair

    certificate, secret = _read(cert, "certificate file"), _read(key, "private key file")
    password = b""
    if b"Proc-Type: 4,ENCRYPTED" in secret or b"ENCRYPTED PRIVATE KEY" in secret:
        password = getpass.getpass("Enter password for private key: ", sys.stderr).encode()
    try:
        chain, private = certificates(certificate), private_key(secret, password or None)
    except BadSettings as error:
        raise Failed("incorrect password" if password else str(error)) from error
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*spki) != chain[0].public_key().public_bytes(*spki):
        raise Failed("tls: private key does not match public key")
    context = client_tls(insecure=insecure, ca=ca)
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    load_pair(context, pem, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return context


def _read(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Failed(f"reading {what}: open {path}: {(error.strerror or str(error)).lower()}") from error


def run(work: Callable[["KesClient"], Awaitable[T]], *, insecure: bool, server: str = "", api_key: str = "") -> T:
    """Run work with a client and close it."""

    async def main() -> T:
        async with client(insecure=insecure, server=server, api_key=api_key) as kes:
            return await work(kes)

    return asyncio.run(main())


def terminal() -> bool:
    """Say whether a person is looking: standard output or standard error is a terminal."""
    return sys.stdout.isatty() or sys.stderr.isatty()
