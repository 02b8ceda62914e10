"""`transit import, import-version`: bring a key of one's own into a transit engine (vault.md 6.1).

The key is wrapped for the server before it leaves: an AES key that exists only here wraps it (RFC 5649), and the
server's RSA key wraps that one (OAEP with SHA-256).
"""

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Any

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.values import parse_values, read_stdin

_PATH = re.compile(r"(.+)/keys/([^/]+)")
_WRAPPER_BYTES = 32


def import_key(call: Call) -> int:
    """Import a key under a new name."""
    return _import(call, "import")


def import_version(call: Call) -> int:
    """Import a further version of an imported key."""
    return _import(call, "import_version")


def _import(call: Call, verb: str) -> int:
    path = call.words[0].strip("/")
    found = _PATH.fullmatch(path)
    if found is None:
        raise Fault("expected transit path and key name in the form :path:/keys/:name:")
    key = _key(call, call.words[1])
    options = parse_values(call, call.words[2:])
    try:
        wrapped = _wrapped(key, _wrapping_key(call, found[1]))
        body = {**options, "ciphertext": wrapped, "hash_function": "SHA256"}
        call.client.request("POST", f"{path}/{verb}", body)
    except ServerFault as fault:
        raise fault.under(f"Error importing {path}") from None
    return call.success(f"Imported {found[2]} into {found[1]}/")


def _key(call: Call, word: str) -> bytes:
    """Return the key's bytes, from base64 or PEM in a file (@name), on standard input (-) or in the word itself."""
    try:
        text = read_stdin(call) if word == "-" else Path(word[1:]).read_text("ascii") if word[:1] == "@" else word
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"error reading the key: {error}") from None
    if "-----BEGIN" in text:
        return _from_pem(text)
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise Fault("the key has to be base64, or PEM of a private key") from None


def _from_pem(text: str) -> bytes:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Fault(f"error reading the private key: {error}") from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip


def _wrapping_key(call: Call, mount: str) -> str:
    secret = call.client.read(f"{mount}/wrapping_key")
    key = ((secret.data if secret else None) or {}).get("public_key")
    if not key:
        raise ServerFault(f"no wrapping key at {mount}/wrapping_key")
    return str(key)


def _wrapped(key: bytes, public: str) -> str:
    """Return the wrapped key as the server wants it: RSA part, then the wrapped key, in base64."""
    from cryptography.hazmat.primitives import hashes, keywrap, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    server: Any = serialization.load_pem_public_key(public.encode())
    if not isinstance(server, rsa.RSAPublicKey):
        raise ServerFault("the server's wrapping key is not RSA")
    wrapper = os.urandom(_WRAPPER_BYTES)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return base64.b64encode(server.encrypt(wrapper, oaep) + keywrap.aes_key_wrap_with_padding(wrapper, key)).decode()


_ABOUT = (
    " KEY is base64 of the bytes (of PKCS #8 DER for a private key) or PEM: `@file`, or - for standard input, keep "
    "it off the command line. K=V arguments go with the request."
)

COMMANDS = {
    "transit import": Command(
        import_key,
        "[flags] PATH KEY [K=V ...]",
        "Brings a key into a transit engine, wrapped for the server on its way." + _ABOUT,
        "PROGRAM transit import transit/keys/mine @key.b64 type=aes256-gcm96",
        (2, None),
        format=False,
    ),
    "transit import-version": Command(
        import_version,
        "[flags] PATH KEY [K=V ...]",
        "Brings a further version of an imported key into a transit engine." + _ABOUT,
        "PROGRAM transit import-version transit/keys/mine @key2.b64",
        (2, None),
        format=False,
    ),
}
