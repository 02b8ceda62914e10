"""`kes server`: runs a key server in the foreground (kes.md 10.2, and 10.3 for the flags of 2020)."""

import dataclasses
import datetime
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.cli.kes.flags import Command, Failed, Flag, Parsed

if TYPE_CHECKING:
    from strongroom.kes.app import Settings


def server(parsed: Parsed) -> int:
    """Run until SIGTERM, or check a configuration with --check."""
    from strongroom.config.kes import Flags, load
    from strongroom.kes.app import serve
    from strongroom.kes.check import check, warnings

    parsed.at_most(0)
    if parsed.on("dev"):
        if parsed["config"]:
            raise Failed("'--config' flag is not supported in development mode")
        return _develop(parsed)
    flags = Flags(parsed["addr"], parsed["root"], parsed["auth"] or parsed["mtls-auth"], parsed["key"], parsed["cert"])
    flags = dataclasses.replace(flags, auth={"verify": "on", "ignore": "off"}.get(flags.auth, flags.auth))
    settings = load(parsed["config"], flags=flags)
    if parsed.on("check"):
        return check(settings)
    _warn_of_old_flags(parsed, settings)
    if parsed.on("strict") and (found := warnings(settings)):
        raise Failed("\n".join(found))
    locked = _lock(demanded=parsed.on("mlock"))

    def again() -> "Settings":
        return load(parsed["config"], flags=flags)

    return serve(settings, again, ready=lambda used, port: _announce(used, port, locked=locked))


def _announce(settings: "Settings", port: int, *, locked: bool, api_key: str = "") -> None:
    import strongroom
    from strongroom.kes.banner import banner, describe

    store = describe(settings.store)
    text = banner(settings, store, port, strongroom.__version__, tty=sys.stdout.isatty(), locked=locked,
                  api_key=api_key)  # fmt: skip
    print(text + "\n", flush=True)


def _warn_of_old_flags(parsed: Parsed, settings: "Settings") -> None:
    """Old flags count in front of an old file; with a current one they are ignored, as the original says."""
    if settings.old:
        return
    words = {"key": "private key", "cert": "certificate ", "auth": "client certificate verification"}
    for name, what in words.items():
        if name in parsed.given:
            print(
                f"WARNING: '--{name}' flag is deprecated and no longer honored. Specify the {what} in the config file",
                file=sys.stderr,
            )


def _lock(*, demanded: bool) -> bool:
    """Keep the process out of swap when it may; never fatal."""
    from strongroom.config.memory import lock_memory

    problem = lock_memory()
    if problem and demanded:
        print(f"Warning: memory is not locked: {problem}", file=sys.stderr)
    return not problem


def _develop(parsed: Parsed) -> int:
    """Run with keys in memory, a throw-away certificate and a random API key as admin."""
    from strongroom.config.kes import parse_address
    from strongroom.kes.app import development, serve
    from strongroom.kes.wire.apikey import ApiKey

    host, port = parse_address(parsed["addr"] or "0.0.0.0:7373")
    key = ApiKey.generate()
    with tempfile.TemporaryDirectory(prefix="kes-dev-") as folder:
        cert_file, key_file = _throw_away(Path(folder))
        settings = development(host, port, key.identity, cert_file, key_file)
        return serve(settings, ready=lambda used, real: _announce(used, real, locked=False, api_key=key.text()))


def _throw_away(folder: Path) -> tuple[str, str]:
    """Make a P-256 certificate for localhost and this machine's addresses; return its and its key's path."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    from strongroom.kes.banner import own_addresses

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, socket.gethostname()[:64] or "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(one)) for one in own_addresses())]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "public.crt", folder / "private.key"
    cert_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    with open(os.open(key_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(cert_file), str(key_file)


SERVER = Command(
    "[OPTIONS]",
    "Start a key server. SIGHUP, or a change of the file, reads the configuration again.",
    (
        Flag("addr", help="Address to listen on: [IP]:PORT"),
        Flag("config", help="The configuration file, of today or of any year since 2019"),
        Flag("dev", switch=True, help="Keys in memory, a throw-away certificate, a new API key"),
        Flag("check", switch=True, help="Verify the configuration and everything it names, then exit"),
        Flag("strict", switch=True, help="Refuse unknown members in the configuration"),
        Flag("root", help="The admin identity, or `disabled`"),
        Flag("mlock", switch=True, help="Say so when memory cannot be locked"),
        Flag("auth", help="With an old configuration file: on or off"),
        Flag("mtls-auth", help="As --auth: verify or ignore"),
        Flag("key", help="With an old configuration file: the private key"),
        Flag("cert", help="With an old configuration file: the certificate"),
    ),
    server,
)
