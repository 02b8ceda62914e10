"""What a command is made of: a table row with its flags, its help and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.flags import Flag, Kind

if TYPE_CHECKING:
    from strongroom.cli.kms.call import Call

FORMATS = ("table", "json", "yaml", "pretty", "raw")

HTTP_FLAGS = (
    Flag("address", "where the server is (VAULT_ADDR; default https://127.0.0.1:8200; unix:///path works too)"),
    Flag("agent-address", "an agent to go through (VAULT_AGENT_ADDR)"),
    Flag("ca-cert", "PEM file of the certificates to trust (VAULT_CACERT)"),
    Flag("ca-path", "folder of PEM files to trust (VAULT_CAPATH)"),
    Flag("client-cert", "PEM file of the client's own certificate (VAULT_CLIENT_CERT)"),
    Flag("client-key", "PEM file of its private key (VAULT_CLIENT_KEY)"),
    Flag("disable-redirects", "do not follow a redirect to the active server", Kind.SWITCH),
    Flag("header", "send this header as well; may be repeated", Kind.PAIRS),
    Flag("mfa", "value of the X-Vault-MFA header; may be repeated (VAULT_MFA)", Kind.WORDS),
    Flag("namespace", "namespace of the request (VAULT_NAMESPACE)", aliases=("ns",)),
    Flag("no-color", "print without colour, which is always so", Kind.SWITCH),
    Flag("non-interactive", "never ask for input on the terminal", Kind.SWITCH),
    Flag("output-curl-string", "print the request as a curl command instead of sending it", Kind.SWITCH),
    Flag("output-policy", "print the policy that the request needs instead of sending it", Kind.SWITCH),
    Flag("policy-override", "send X-Vault-Policy-Override", Kind.SWITCH),
    Flag("tls-server-name", "the name to expect in the server's certificate (VAULT_TLS_SERVER_NAME)"),
    Flag("tls-skip-verify", "accept any server certificate (VAULT_SKIP_VERIFY)", Kind.SWITCH),
    Flag("unlock-key", "key of a locked namespace; sent, and unused by this server"),
    Flag("wrap-ttl", "wrap the answer for this long and print the wrapping token (VAULT_WRAP_TTL)", Kind.SPAN),
)
FORMAT_FLAG = Flag("format", "table, json or yaml; for read also raw (VAULT_FORMAT)")
FIELD_FLAG = Flag("field", "print this member alone, without a newline unless on a terminal")


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `arguments` are the fewest and the most positional words; None is any number."""

    run: Callable[[Call], int]
    usage: str
    about: str
    example: str
    arguments: tuple[int, int | None] = (0, 0)
    flags: tuple[Flag, ...] = ()
    network: bool = True
    format: bool = True
    field: bool = False
    raw: bool = False
    expected: str = ""
    exits: str = "Exit codes: 0 done, 1 wrong usage or a local error, 2 refused by the server or nothing found."

    def all_flags(self) -> tuple[Flag, ...]:
        """Return the command's own flags and those it shares with others."""
        output = ((FORMAT_FLAG,) if self.format else ()) + ((FIELD_FLAG,) if self.field else ())
        return self.flags + output + (HTTP_FLAGS if self.network else ())

    def check_count(self, arguments: list[str]) -> None:
        """Raise Fault when there are too few or too many arguments."""
        low, high = self.arguments
        got = len(arguments)
        words = self.expected or (str(low) if high in (low, None) else f"{low}-{high}")
        if got < low:
            raise Fault(f"Not enough arguments (expected {words}, got {got})")
        if high is not None and got > high:
            raise Fault(f"Too many arguments (expected {words}, got {got})")
