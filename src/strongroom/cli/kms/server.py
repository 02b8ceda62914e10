"""`server`: run a kms server (vault.md 10.4)."""

import os
import secrets
import string
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.flags import Flag, Kind, Parsed, parse
from strongroom.errors import BadSettings

if TYPE_CHECKING:
    from strongroom.kms.settings import Settings

FLAGS = (
    Flag("config", "configuration file, or a folder of them; may be repeated", Kind.WORDS),
    Flag("log-level", "trace, debug, info, warn or error (VAULT_LOG_LEVEL)"),
    Flag("log-format", "standard or json (VAULT_LOG_FORMAT)"),
    Flag("recovery", "not supported", Kind.SWITCH),
    Flag("exit-on-core-shutdown", "accepted for compatibility", Kind.SWITCH),
    Flag("dev", "a server for development: in memory, unsealed, plain HTTP", Kind.SWITCH),
    Flag("dev-root-token-id", "root token of the development server (VAULT_DEV_ROOT_TOKEN_ID)"),
    Flag("dev-listen-address", "where the development server listens (VAULT_DEV_LISTEN_ADDRESS)"),
    Flag("dev-tls", "serve the development server over TLS, with certificates made for it", Kind.SWITCH),
    Flag("dev-tls-cert-dir", "where those certificates go; a temporary folder without"),
    Flag("dev-no-store-token", "do not write the root token to the token file", Kind.SWITCH),
)


USAGE = """Usage: {program} server [flags]

Runs a kms server in the foreground until SIGTERM; SIGHUP reads certificates again and opens audit files anew.

Flags:
{flags}

Example:
  {program} server -config kms.hcl

Exit codes: 0 stopped as asked, 1 the configuration cannot be used.
"""


def main(words: list[str], name: str) -> int:
    """Run a server as the words say; return its exit code. `name` is what the program was called as."""
    from strongroom.config.kms import kms_settings
    from strongroom.kms.app import serve

    if any(word in ("-h", "-help", "--help") for word in words):
        lines = "\n".join(f"  -{flag.name:<22} {flag.about}" for flag in FLAGS)
        print(USAGE.format(program=name, flags=lines), end="")
        return 0
    try:
        given = parse(words, FLAGS)
        if given.arguments:
            raise Fault(f"Too many arguments (expected 0, got {len(given.arguments)})")
        if given.values["recovery"]:
            raise Fault(
                "-recovery is not supported; a quorum of recovery shares makes a root token: operator generate-root"
            )
        if given.values["dev"] or given.values["dev-tls"]:
            return serve(_dev_settings(given))
        paths = given.values["config"]
        if not paths:
            raise BadSettings("Must specify at least one config path using -config")

        def read() -> "Settings":
            return kms_settings(list(paths), os.environ, **flags)

        flags = {key: given.values[f"log-{key[4:]}"] for key in ("log_level", "log_format")}
        return serve(read(), read)
    except (BadSettings, Fault) as error:
        print(error)
        return 1


def _dev_settings(given: Parsed) -> "Settings":
    from strongroom.kms.settings import Listener, Settings

    values = given.values
    address = values["dev-listen-address"] or _variable("DEV_LISTEN_ADDRESS") or "127.0.0.1:8200"
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise BadSettings(f"-dev-listen-address {address!r}: write HOST:PORT")
    token = values["dev-root-token-id"] or _variable("DEV_ROOT_TOKEN_ID") or ""
    if not token:
        token = "s." + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))
    if not values["dev-no-store-token"]:
        _store_token(token)
    place: dict[str, Any] = {"host": host or "127.0.0.1", "port": int(port)}
    more = {name: values[f"log-{name[4:]}"] for name in ("log_level", "log_format") if values[f"log-{name[4:]}"]}
    if values["dev-tls"]:
        folder = Path(values["dev-tls-cert-dir"] or tempfile.mkdtemp(prefix="vault-tls"))
        authority, pair = _certificates(folder, place["host"])
        listener = Listener(**place, tls_cert_file=str(pair[0]), tls_key_file=str(pair[1]))
        more["dev_authority"] = str(authority)
    else:
        listener = Listener(**place, tls_disable=True)
    return Settings(listeners=(listener,), dev=True, dev_root_token=token, disable_mlock=True, **more)


def _certificates(folder: Path, host: str) -> tuple[Path, tuple[Path, Path]]:
    """Make an authority and a server's certificate in folder; return the authority's file, certificate and key."""
    from strongroom.chain.certificates import Pair, make_authority, make_server

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = Pair(folder / "vault-ca.pem", folder / "vault-ca-key.pem")
        server = Pair(folder / "vault-cert.pem", folder / "vault-key.pem")
        make_authority(authority)
        make_server(authority, server, list(dict.fromkeys(["localhost", "127.0.0.1", "::1", host])))
    except OSError as error:
        raise BadSettings(f"-dev-tls-cert-dir {folder}: {error.strerror}") from error
    return authority.certificate, (server.certificate, server.key)


def _variable(name: str) -> str:
    return os.environ.get(f"BAO_{name}") or os.environ.get(f"VAULT_{name}") or ""


def _store_token(token: str) -> None:
    path = Path(os.environ.get("VAULT_TOKEN_PATH") or Path.home() / ".vault-token")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token)
    except OSError as error:
        print(f"the token could not be stored at {path}: {error.strerror}", file=sys.stderr)
