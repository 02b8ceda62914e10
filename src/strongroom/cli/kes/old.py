"""Commands of 2020 (kes.md 10.3): `kes tool identity new|of`, `kes tool migrate`, `kes key derive`, and those gone."""

import datetime
import hashlib
import os
import sys

from strongroom.cli.kes.flags import INSECURE, JSON, Command, Failed, Flag, Parsed
from strongroom.cli.kes.identity import alternative_names, print_json, validity, write_file
from strongroom.cli.kes.keys import DEK
from strongroom.cli.kes.migrate import MIGRATE as TODAYS_MIGRATE
from strongroom.errors import BadSettings, NotSupported

_HASHES = ("SHA256", "SHA384", "SHA512")


def identity_new(parsed: Parsed) -> int:
    """Write an Ed25519 key and its certificate, both of mode 0600, without a word."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from strongroom.kes.wire.apikey import ApiKey, self_signed

    parsed.at_most(1)
    valid_for = validity(parsed, "time")
    if not parsed.on("force"):
        for file, what in ((parsed["key"], "private key"), (parsed["cert"], "certificate")):
            if os.path.lexists(file):
                raise Failed(f"{file} already exists: Use --force to overwrite the {what}")
    key = ApiKey.generate()
    name = parsed.words[0] if parsed.words else key.identity
    now = datetime.datetime.now(datetime.UTC)
    usages = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    certificate = self_signed(key.private_key, name, now, valid_for, usages, alternative_names(parsed))
    private = key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_file(parsed["key"], private, 0o600)
    write_file(parsed["cert"], certificate, 0o600)
    return 0


def identity_of(parsed: Parsed) -> int:
    """Print a certificate's identity; other hashes than SHA256 name nobody to today's servers."""
    from strongroom.kes.wire.identity import public_key_info
    from strongroom.net.pem import certificates, read_pem

    file = parsed.one("certificate")
    if parsed["hash"] not in _HASHES:
        raise Failed(f"Invalid hash function: {parsed['hash']}")
    try:
        leaf = certificates(read_pem(file))[0]
    except BadSettings as error:
        raise Failed(str(error)) from error
    identity = hashlib.new(parsed["hash"].lower(), public_key_info(leaf.tbs_certificate_bytes)).hexdigest()
    if parsed.on("json"):
        print_json(identity=identity)
    else:
        print(f"\n  Identity:  {identity}" if sys.stdout.isatty() else identity)
    return 0


def gone(parsed: Parsed) -> int:
    """Say where policies are written today; raise NotSupported."""
    raise NotSupported(
        f"{parsed.command} is not supported: policies, and the identities that have them, are written in the server's "
        "configuration file (`policy:`); the server reads it again when it changes, and at SIGHUP"
    )


IDENTITY_NEW = Command(
    "[NAME]",
    "Make a private key and certificate; today `kes identity new`.",
    (
        Flag("key", default="./private.key", help="Where the private key goes"),
        Flag("cert", default="./public.cert", help="Where the certificate goes"),
        Flag("time", "t", default="720h", help="How long the certificate is valid"),
        Flag("ip", many=True, help="IP addresses for the certificate"),
        Flag("dns", many=True, help="Host names for the certificate"),
        Flag("force", "f", switch=True, help="Overwrite files"),
    ),
    identity_new,
)
IDENTITY_OF = Command(
    "CERT",
    "Print a certificate's identity.",
    (JSON, Flag("hash", default="SHA256", help="SHA256, SHA384, SHA512")),
    identity_of,
)
MIGRATE = TODAYS_MIGRATE
DERIVE = Command("NAME [CONTEXT]", "Make a data key; today `kes key dek`.", (INSECURE, *DEK.flags[1:]), DEK.run)
GONE = Command("[ARGUMENTS]", "Not supported: policies are in the configuration file.", (INSECURE, JSON), gone)
