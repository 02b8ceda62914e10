"""Where the server is and how to speak to it: flags over environment over defaults (vault.md 9.4)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.cli.kms import durations
from strongroom.cli.kms.brand import Brand
from strongroom.cli.kms.faults import REMOTE, Fault
from strongroom.cli.kms.flags import boolean

DEFAULT_ADDRESS = "https://127.0.0.1:8200"
DEFAULT_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a request needs besides its path and body. `token` stays out of the repr."""

    address: str = DEFAULT_ADDRESS
    token: str = field(default="", repr=False)
    namespace: str = ""
    ca_cert: str = ""
    ca_text: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    server_name: str = ""
    skip_verify: bool = False
    wrap_ttl: str = ""  # as sent, such as 5m0s
    headers: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    retries: int = 0
    follow_redirect: bool = True
    proxy: str = ""
    show: str = ""  # "curl" or "policy": print the request instead of sending it


class Environment:
    """The variables of one brand: BAO_X before VAULT_X for bao, VAULT_X alone for vault."""

    def __init__(self, variables: Mapping[str, str], brand: Brand) -> None:
        self._variables = variables
        self._brand = brand

    def get(self, name: str) -> str:
        """Return the first non-empty value of the brand's variables of that name, or an empty text."""
        return next(filter(None, (self._variables.get(f"{p}_{name}", "") for p in self._brand.prefixes)), "")

    def has(self, name: str) -> bool:
        """Say whether the variable is set to anything."""
        return bool(self.get(name))

    def boolean(self, name: str) -> bool:
        """Return a boolean variable, False when unset; raise Fault when it is no boolean."""
        text = self.get(name)
        try:
            return boolean(text) if text else False
        except ValueError:
            raise self.fault(f"could not parse {self._brand.variable}_{name}") from None

    def fault(self, text: str) -> Fault:
        """Return the fault that a bad variable ends with."""
        return Fault(f"failed to read environment: {text}")

    def home(self) -> Path:
        """Return the folder of the token file."""
        return Path(self._variables.get("HOME") or os.path.expanduser("~"))


def read_settings(flags: Mapping[str, Any], given: set[str], environment: Environment, token: str) -> Settings:
    """Return the settings of one call.

    Raises Fault: 1 for a variable that cannot be parsed or a file that is not there, 2 for a forbidden header.
    """

    def choose(flag: str, variable: str) -> str:
        return str(flags[flag]) if flag in given else environment.get(variable)

    settings = Settings(
        address=_address(flags, given, environment),
        token=token,
        namespace=_namespace(choose("namespace", "NAMESPACE")),
        ca_cert=choose("ca-cert", "CACERT"),
        ca_text=environment.get("CACERT_BYTES"),
        ca_path=choose("ca-path", "CAPATH"),
        client_cert=choose("client-cert", "CLIENT_CERT"),
        client_key=choose("client-key", "CLIENT_KEY"),
        server_name=choose("tls-server-name", "TLS_SERVER_NAME"),
        skip_verify=_switch("tls-skip-verify", "SKIP_VERIFY", flags, given, environment),
        wrap_ttl=_wrap_ttl(flags, given, environment),
        headers=_headers(flags, environment),
        timeout_seconds=_timeout(environment),
        retries=_retries(environment),
        follow_redirect=not _switch("disable-redirects", "DISABLE_REDIRECTS", flags, given, environment),
        proxy=environment.get("HTTP_PROXY"),
        show="curl" if flags["output-curl-string"] else "policy" if flags["output-policy"] else "",
    )
    _check_files(settings, environment)
    return settings


def _address(flags: Mapping[str, Any], given: set[str], environment: Environment) -> str:
    agent = flags["agent-address"] or environment.get("AGENT_ADDR") or environment.get("PROXY_ADDR")
    plain = flags["address"] if "address" in given else environment.get("ADDR") or DEFAULT_ADDRESS
    return str(plain if "address" in given else agent or plain).rstrip("/")


def _switch(flag: str, variable: str, flags: Mapping[str, Any], given: set[str], environment: Environment) -> bool:
    from_environment = environment.boolean(variable)
    return bool(flags[flag]) if flag in given else from_environment


def _namespace(text: str) -> str:
    name = text.strip("/")
    return f"{name}/" if name and name != "root" else ""


def _wrap_ttl(flags: Mapping[str, Any], given: set[str], environment: Environment) -> str:
    if "wrap-ttl" in given:
        return durations.write(flags["wrap-ttl"])
    return environment.get("WRAP_TTL")


def _headers(flags: Mapping[str, Any], environment: Environment) -> tuple[tuple[str, str], ...]:
    own = dict(flags["header"] or {})
    for name in own:
        if name.lower().startswith("x-vault-"):
            raise Fault(f"Header {name}: names that begin with X-Vault- belong to the client itself", REMOTE)
    mfa = flags["mfa"] or tuple(filter(None, [environment.get("MFA")]))
    headers = [*own.items(), *(("X-Vault-MFA", text) for text in mfa)]
    if flags["policy-override"]:
        headers.append(("X-Vault-Policy-Override", "true"))
    return tuple(headers)


def _timeout(environment: Environment) -> float:
    text = environment.get("CLIENT_TIMEOUT")
    try:
        return durations.parse(text) / durations.SECOND if text else DEFAULT_TIMEOUT_SECONDS
    except ValueError:
        raise environment.fault("could not parse CLIENT_TIMEOUT as a duration, such as 60s") from None


def _retries(environment: Environment) -> int:
    text = environment.get("MAX_RETRIES")
    if text and not text.isdigit():
        raise environment.fault("could not parse MAX_RETRIES as a number")
    return int(text or 0)


def _check_files(settings: Settings, environment: Environment) -> None:
    for kind, name in (("CA File", settings.ca_cert), ("client certificate", settings.client_cert)):
        if name and not Path(name).is_file():
            raise environment.fault(f"Error loading {kind}: open {name}: no such file or directory")
    if bool(settings.client_cert) != bool(settings.client_key):
        raise environment.fault("a client certificate and its key must be given together")
