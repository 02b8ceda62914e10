"""`kes identity`, `kes identity new|of`: API keys, certificates, identities; no server is asked (kes.md 10.2)."""

import datetime
import getpass
import ipaddress
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.cli.kes.connect import terminal
from strongroom.cli.kes.flags import JSON, Command, Failed, Flag, Parsed
from strongroom.errors import BadSettings, Malformed

if TYPE_CHECKING:
    from cryptography import x509

    from strongroom.kes.wire.apikey import ApiKey


def new(parsed: Parsed) -> int:
    """Make an API key, and if wanted the same identity as key and certificate files."""
    from strongroom.kes.wire.apikey import ApiKey

    parsed.at_most(1)
    key_file, cert_file = parsed["key"], parsed["cert"]
    if key_file and not cert_file:
        raise Failed("private key file specified but no certificate file. Set the '--cert' flag")
    if cert_file and not key_file:
        raise Failed("certificate file specified but no private key file. Set the '--key' flag")
    names, expiry = alternative_names(parsed), validity(parsed, "expiry")
    key = ApiKey.generate()
    if key_file:
        _write_pair(parsed, key, names, expiry)
    if parsed.on("json"):
        print_json(api_key=key.text(), identity=key.identity)
    else:
        _announce(key, key_file, cert_file)
    return 0


def print_json(**members: str) -> None:
    """Print one object."""
    print(json.dumps(members, separators=(",", ":")))


def alternative_names(parsed: Parsed) -> "tuple[x509.GeneralName, ...]":
    """Return what --dns and --ip name."""
    from cryptography import x509

    names: list[x509.GeneralName] = []
    for one in filter(None, parsed.lists["dns"]):
        if not one.isascii():
            raise parsed.usage(f'invalid argument "{one}" for "--dns" flag: write it as DNS does, as in xn--...')
        names.append(x509.DNSName(one))
    for one in filter(None, parsed.lists["ip"]):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(one.strip())))
        except ValueError:
            problem = f'invalid argument "{parsed["ip"]}" for "--ip" flag: '
            raise parsed.usage(f"{problem}invalid string being converted to IP address: {one}") from None
    return tuple(names)


def validity(parsed: Parsed, flag: str) -> datetime.timedelta:
    """Return how long a certificate shall be valid; raise Usage when it never would."""
    from strongroom.config.yaml import duration

    seconds, problem = duration(parsed[flag]), f'invalid argument "{parsed[flag]}" for "--{flag}" flag: '
    if seconds is None:
        raise parsed.usage(f'{problem}time: invalid duration "{parsed[flag]}"')
    if seconds < 0:
        raise parsed.usage(f"{problem}the certificate would never be valid")
    return datetime.timedelta(seconds=seconds)


def _write_pair(
    parsed: Parsed, key: "ApiKey", names: "tuple[x509.GeneralName, ...]", expiry: datetime.timedelta
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from strongroom.kes.wire.apikey import self_signed
    from strongroom.kes.wire.pem import encrypt_key

    if not parsed.on("force"):
        for file, what in ((parsed["key"], "private key"), (parsed["cert"], "certificate")):
            if os.path.lexists(file):
                raise Failed(f"{what} already exists. Use --force to overwrite it")
    subject = parsed.words[0] if parsed.words else key.identity
    usages = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
    now = datetime.datetime.now(datetime.UTC)
    certificate = self_signed(key.private_key, subject, now, expiry, usages, names)
    private = key.private_key
    if parsed.on("encrypt"):
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        pem = encrypt_key(der, _new_password())
    else:
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_file(parsed["key"], pem, 0o600)
    write_file(parsed["cert"], certificate, 0o644)


def write_file(file: str, data: bytes, mode: int) -> None:
    """Write a file with exactly this mode, in one step: nobody sees half a key, nor one that is too open."""
    path = Path(file)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as out:
            os.fchmod(out.fileno(), mode)
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Failed(f"open {file}: {(error.strerror or str(error)).lower()}") from error


def _new_password() -> bytes:
    first = getpass.getpass("Enter password for private key:", sys.stderr)
    print(file=sys.stderr)
    second = getpass.getpass("Confirm password for private key:", sys.stderr)
    print(file=sys.stderr)
    if first != second:
        raise Failed("passwords do not match")
    return first.encode()


def _announce(key: "ApiKey", key_file: str, cert_file: str) -> None:
    lines = [
        f"Your API key:\n\n   {key.text()}\n",
        "This is the only time it is shown. Keep it secret and secure!\n",
        f"Your Identity:\n\n   {key.identity}\n",
        "The identity is not a secret. It can be shared. Any peer",
        "needs this identity in order to verify your API key.\n",
    ]
    if key_file:
        lines += [
            f"The generated TLS private key is stored at: {key_file}",
            f"The generated TLS certificate is stored at: {cert_file}\n",
        ]
    lines += ["The identity can be computed again via:\n", f"    kes identity of {key.text()}"]
    lines.append(f"    kes identity of {cert_file}" if cert_file else "")
    print("\n".join(lines))


def of(parsed: Parsed) -> int:
    """Print the identity of an API key or a certificate file."""
    from strongroom.kes.wire.apikey import PREFIX, ApiKey

    word = parsed.one("API key or certificate")
    identity = ApiKey.parse(word).identity if word.startswith(PREFIX) else of_file(word)
    if parsed.on("json"):
        print_json(identity=identity)
    elif terminal():
        print(f"Identity:\n\n   {identity}")
    else:
        print(identity, end="")
    return 0


def of_file(file: str) -> str:
    """Return the identity of a file's first certificate, a CA's or not (kes.md 10.2)."""
    from strongroom.kes.wire.identity import of_certificate
    from strongroom.net.pem import certificates, read_pem

    try:
        pem = read_pem(file)
    except BadSettings as error:
        raise Failed(str(error)) from error
    try:
        return of_certificate(certificates(pem)[0])
    except BadSettings as error:
        raise Failed(f"failed to parse certificate in '{file}': {error}") from error


def identity(parsed: Parsed) -> int:
    """Without an argument make an API key; else tell what the argument is."""
    from strongroom.kes.wire.apikey import ApiKey

    parsed.at_most(1)
    if not parsed.words:
        key = ApiKey.generate()
        if parsed.on("json"):
            print_json(api_key=key.text(), identity=key.identity)
        elif terminal():
            print(f"\n API key:\n\n    {key.text()}\n\n Identity:\n\n    {key.identity}\n")
            print(" The API key is secret and shown only now. The identity can be shared.")
            print(f" It can be computed again via: kes identity {key.text()}\n")
        else:
            print(key.text(), end="")
        return 0
    word = parsed.words[0]
    try:
        text = ApiKey.parse(word).identity
    except Malformed:
        text = _of_any_file(word)
    if parsed.on("json"):
        print_json(**{"api_key" if text.startswith("kes:v1:") else "identity": text})
    elif terminal() and not text.startswith("kes:v1:"):
        _frame(text)
    else:
        print(text, end="")
    return 0


def _frame(identity_text: str) -> None:
    words = ("An identity is a fingerprint of your API key", "or certificate and can be shared securely.", "")
    for line in ("", "Identity:", "", f"   {identity_text}", "", *words):
        print(f" {line:<68}")


def _of_any_file(file: str) -> str:
    """Return the identity of a certificate, or the API key that a private key is."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from strongroom.kes.wire.apikey import ApiKey
    from strongroom.net.pem import private_key, read_pem

    try:
        pem = read_pem(file)
        if b"PRIVATE KEY-----" not in pem:
            return of_file(file)
        key = private_key(pem)
    except BadSettings as error:
        raise Failed(str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Failed(f"'{file}' contains unsupported private key. Only ed25519 private keys are supported")
    return ApiKey(key).text()


IDENTITY = Command("[API KEY | FILE]", "Make an API key, or tell the identity of one.", (JSON,), identity)
NEW = Command(
    "[SUBJECT]",
    "Make an API key, and its identity as key and certificate files.",
    (
        Flag("key", help="Where the private key goes"),
        Flag("cert", help="Where the certificate goes"),
        Flag("ip", many=True, help="IP addresses for the certificate, separated by commas"),
        Flag("dns", many=True, help="Host names for the certificate, separated by commas"),
        Flag("expiry", default="720h", help="How long the certificate is valid"),
        Flag("encrypt", switch=True, help="Protect the private key with a password"),
        JSON,
        Flag("force", "f", switch=True, help="Overwrite files"),
    ),
    new,
)
OF = Command("API_KEY | CERT_FILE", "Print the identity of an API key or a certificate.", (JSON,), of)
