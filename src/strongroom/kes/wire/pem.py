"""Writes password-protected private keys as `kes identity new --encrypt` does (kes.md 2.3); net/pem.py reads them."""

import base64
import hashlib
import os
import textwrap

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7


def encrypt_key(der: bytes, password: bytes) -> bytes:
    """Return PEM of type `PRIVATE KEY` around a PKCS#8 key, AES-256-CBC in the manner of RFC 1423.

    The key derivation, one round of MD5, is weak: the form is kept because MinIO's tools read nothing better.
    """
    iv = os.urandom(16)
    key = digest = b""
    while len(key) < 32:
        digest = hashlib.md5(digest + password + iv[:8], usedforsecurity=False).digest()
        key += digest
    padder = PKCS7(128).padder()
    padded = padder.update(der) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key[:32]), modes.CBC(iv)).encryptor()
    sealed = base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
    body = "\n".join(textwrap.wrap(sealed, 64))
    head = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{iv.hex()}\n\n"
    return f"-----BEGIN PRIVATE KEY-----\n{head}{body}\n-----END PRIVATE KEY-----\n".encode()
