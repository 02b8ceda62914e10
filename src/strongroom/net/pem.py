"""Certificates and private keys from PEM text, the old encrypted forms included (RFC 1421, 1423; kes.md 2.3)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..errors import BadSettings

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:  # before cryptography 43
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
MAX_FILE: Final = 1024 * 1024  # bytes of a PEM file
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*\n(.*?)-----END \1-----", re.DOTALL)
_KEY_BYTES = {b"AES-128-CBC": 16, b"AES-192-CBC": 24, b"AES-256-CBC": 32, b"DES-EDE3-CBC": 24, b"DES-CBC": 8}


def read_pem(source: str | Path | bytes) -> bytes:
    """Return the PEM text of a file, or source itself when it is bytes. Raises BadSettings."""
    if isinstance(source, bytes):
        return source
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise BadSettings(f"open {source}: {(error.strerror or str(error)).lower()}") from error
    if len(data) > MAX_FILE:
        raise BadSettings(f"{source}: too large for a PEM file")
    return data


def certificates(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a file, the leaf first. Raises BadSettings for any other block, and for none."""
    found = []
    for kind, body in _blocks(pem):
        if kind != b"CERTIFICATE":
            raise BadSettings("https: unsupported PEM data block")
        try:
            found.append(x509.load_der_x509_certificate(_der(body)))
        except ValueError as error:
            raise BadSettings(f"x509: malformed certificate: {error}") from error
    if not found or _trailing(pem):
        raise BadSettings("https: no valid PEM data")
    return found


def _trailing(pem: bytes) -> bool:
    """Say whether something other than white space follows the last block."""
    *_, last = _BLOCK.finditer(pem.replace(b"\r\n", b"\n"))
    return bool(last.string[last.end() :].strip())


def private_key(pem: bytes, password: bytes | None = None) -> PrivateKey:
    """Return the first private key of a file. A password given for a key that is not encrypted is ignored.

    Raises BadSettings: no key, no password for an encrypted one, a wrong one, an unknown form.
    """
    for kind, body in _blocks(pem):
        if kind == b"ENCRYPTED PRIVATE KEY":
            if not password:
                raise BadSettings("https: private key is encrypted: password required")
            return _load(_der(body), password)
        if kind == b"PRIVATE KEY" or kind.endswith(b" PRIVATE KEY"):
            if b"ENCRYPTED" not in body.split(b"\n\n")[0]:
                return _load(_der(body), None)
            if not password:
                raise BadSettings("https: private key is encrypted: password required")
            return _load(_decrypt(body, password), None)
        if kind not in {b"CERTIFICATE", b"EC PARAMETERS"}:
            break
    raise BadSettings("https: no PEM-encoded private key found")


def _blocks(pem: bytes) -> Iterator[tuple[bytes, bytes]]:
    for match in _BLOCK.finditer(pem.replace(b"\r\n", b"\n")):
        yield match[1], match[2]


def _der(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise BadSettings(f"malformed PEM: {error}") from error


def _load(der: bytes, password: bytes | None) -> PrivateKey:
    try:
        key = serialization.load_der_private_key(der, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadSettings("tls: failed to parse private key") from error
    if not isinstance(key, PrivateKey):
        raise BadSettings("tls: found unknown private key type")
    return key


def _decrypt(body: bytes, password: bytes) -> bytes:
    """Undo RFC 1423: key = EVP_BytesToKey(MD5, one round), salt = the first 8 bytes of the IV."""
    headers, _, text = body.partition(b"\n\n")
    info = re.search(rb"DEK-Info:\s*([A-Z0-9-]+),([0-9A-Fa-f]+)", headers)
    size = _KEY_BYTES.get(info[1]) if info is not None else None
    if info is None or size is None:
        raise BadSettings("https: the private key is encrypted in an unknown form")
    iv = bytes.fromhex(info[2].decode())
    key = digest = b""
    while len(key) < size:
        digest = hashlib.md5(digest + password + iv[:8], usedforsecurity=False).digest()
        key += digest
    block = 16 if info[1].startswith(b"AES") else 8
    if len(iv) != block:
        raise BadSettings("https: the private key's DEK-Info is malformed")
    # one DES is three with the same key
    algorithm = algorithms.AES(key[:size]) if block == 16 else TripleDES(key[:size] * (3 if size == 8 else 1))
    try:
        decryptor = Cipher(algorithm, modes.CBC(iv)).decryptor()
        plain = decryptor.update(_der(text)) + decryptor.finalize()
    except ValueError as error:
        raise BadSettings("tls: failed to parse private key") from error
    pad = plain[-1] if plain else 0
    if not 1 <= pad <= block or plain[-pad:] != bytes([pad]) * pad:
        raise BadSettings("tls: failed to parse private key")
    return plain[:-pad]
