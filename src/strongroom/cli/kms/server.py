"""`server`: run a kms server (vault.md 10.4)."""

import os
import sys
from pathlib import Path

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.errors import BadSettings

FLAGS = (
    Flag("config", "configuration file, or a folder of them; may be repeated", Kind.WORDS),
    Flag("log-level", "trace, debug, info, warn or error (VAULT_LOG_LEVEL)"),
    Flag("log-format", "standard or json (VAULT_LOG_FORMAT)"),
    Flag("recovery", "not supported: unseal with the recovery shares is not needed here", Kind.SWITCH),
    Flag("exit-on-core-shutdown", "accepted for compatibility", Kind.SWITCH),
    Flag("dev", "a server for development: in memory, unsealed, plain HTTP", Kind.SWITCH),
    Flag("dev-root-token-id", "root token of the development server (VAULT_DEV_ROOT_TOKEN_ID)"),
    Flag("dev-listen-address", "where the development server listens (VAULT_DEV_LISTEN_ADDRESS)"),
    Flag("dev-no-store-token", "do not write the root token to the token file", Kind.SWITCH),
)


def run(call: Call) -> int:
    """Run a server until it is told to stop."""
    from strongroom.config.kms import kms_settings
    from strongroom.kms.app import serve

    paths = call.flag("config") or []
    try:
        if call.flag("dev"):
            return serve(_dev_settings(call))
        if not paths:
            print("Must specify at least one config path using -config")
            return 1
        flags = {"log_level": call.flag("log-level"), "log_format": call.flag("log-format")}
        return serve(kms_settings(paths, os.environ, **flags))
    except BadSettings as error:
        print(error)
        return 1


def _dev_settings(call: Call):  # type: ignore[no-untyped-def]
    from strongroom.kms.settings import Listener, Settings

    environment = os.environ
    address = call.flag("dev-listen-address") or environment.get("VAULT_DEV_LISTEN_ADDRESS") or "127.0.0.1:8200"
    host, _, port = address.rpartition(":")
    token = call.flag("dev-root-token-id") or environment.get("VAULT_DEV_ROOT_TOKEN_ID") or ""
    if token and not call.flag("dev-no-store-token"):
        _store_token(token)
    listener = Listener(host=host or "127.0.0.1", port=int(port), tls_disable=True)
    return Settings(listeners=(listener,), dev=True, dev_root_token=token, disable_mlock=True)


def _store_token(token: str) -> None:
    path = Path(os.environ.get("VAULT_TOKEN_PATH") or Path.home() / ".vault-token")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token)
    except OSError as error:
        print(f"the token could not be stored at {path}: {error.strerror}", file=sys.stderr)


COMMANDS = {
    "server": Command(
        run,
        "[flags]",
        "Runs a kms server in the foreground until SIGTERM; SIGHUP reloads certificates and audit files.",
        "PROGRAM server -config kms.hcl",
        flags=FLAGS,
        network=False,
        format=False,
        exits="Exit codes: 0 stopped as asked, 1 the configuration cannot be used.",
    )
}
