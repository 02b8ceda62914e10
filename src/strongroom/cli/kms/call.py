"""One call of one command: its words, its flags, the streams it speaks to, and the client it may need."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import IO, Any

from strongroom.cli.kms import paragraphs, table
from strongroom.cli.kms.brand import Brand
from strongroom.cli.kms.client import Client
from strongroom.cli.kms.command import FORMATS, Command
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.flags import Parsed
from strongroom.cli.kms.jsontext import dumps, ordered
from strongroom.cli.kms.secret import Secret
from strongroom.cli.kms.settings import Environment, Settings, read_settings
from strongroom.cli.kms.tokens import TokenStore

INDENT = "  "
_AUTH_ORDER = (
    "client_token", "accessor", "policies", "token_policies", "identity_policies", "metadata", "orphan", "entity_id",
    "lease_duration", "renewable", "mfa_requirement",
)  # fmt: skip
_WRAP_ORDER = ("token", "accessor", "ttl", "creation_time", "creation_path", "wrapped_accessor")
_AUTH_FIELDS = {"token": "client_token", "token_accessor": "accessor", "token_duration": "lease_duration",
                "token_renewable": "renewable"}  # fmt: skip


class Call:
    """What a command's function works with. Results go to `out`, everything else to `err`."""

    def __init__(
        self, command: Command, parsed: Parsed, brand: Brand, environment: Mapping[str, str],
        streams: tuple[IO[str], IO[str], IO[str]], shape: str,
    ) -> None:  # fmt: skip
        self.command = command
        self.words = parsed.arguments
        self.brand = brand
        self.environment = Environment(environment, brand)
        self.stdin, self.out, self.err = streams
        self.format = shape
        self.stdin_used = False
        self._flags = parsed.values
        self.given = parsed.given

    def flag(self, name: str) -> Any:
        """Return a flag's value, its default when it was not given."""
        return self._flags[name]

    @cached_property
    def tokens(self) -> TokenStore:
        """Where the token lies between calls."""
        return TokenStore(self.environment, self.brand)

    @cached_property
    def token(self) -> str:
        """The token to use: the variable, else the kept one; empty when there is none."""
        return self.environment.get("TOKEN") or self.tokens.load()

    @cached_property
    def settings(self) -> Settings:
        """The connection's settings; raises Fault as read_settings does."""
        return read_settings(self._flags, self.given, self.environment, self.token)

    @cached_property
    def client(self) -> Client:
        """The client of this call."""
        return Client(self.settings, self.brand.program)

    @property
    def plain(self) -> bool:
        """Whether output is the table form, the only one with words for people."""
        return self.format == "table"

    @property
    def detailed(self) -> bool:
        """Whether a list shall tell all that is known; raises Fault for a variable that is no boolean."""
        return bool(self.flag("detailed")) if "detailed" in self.given else self.environment.boolean("DETAILED")

    def say(self, text: str) -> None:
        """Print a line of the result."""
        self.out.write(text + "\n")

    def note(self, text: str) -> None:
        """Print a line beside the result."""
        self.err.write(text + "\n")

    def success(self, text: str) -> int:
        """Print a line of success where output is for people; return exit code 0."""
        if self.plain:
            self.say(f"Success! {text}")
        return 0

    def structure(self, value: Any) -> None:
        """Print a value in the structured format asked for, members in the order given (yaml sorts)."""
        if self.format == "yaml":
            from strongroom.cli.kms.yamltext import dumps_yaml

            self.out.write(dumps_yaml(value))
        else:
            self.say(dumps(value, indent=INDENT))

    def show(self, value: Any, table_text: str) -> None:
        """Print a value: the table for people, else its structure."""
        if self.plain:
            self.out.write(table_text)
        else:
            self.structure(value)

    def warn(self, texts: Sequence[str]) -> None:
        """Print a server's warnings."""
        if texts:
            self.err.write(paragraphs.warning(self.brand.product, tuple(texts)))

    def print_field(self, value: Any) -> int:
        """Print one value alone; a newline follows on a terminal and in yaml."""
        if self.format == "yaml":
            self.structure(value)
            return 0
        self.out.write(dumps(ordered(value), indent=INDENT) if self.format in ("json", "pretty") else table.text(value))
        if self.out.isatty():
            self.out.write("\n")
        return 0

    def secret(self, secret: Secret) -> int:
        """Print an answer in the form asked for: one field, a table, or the structure of vault.md 10.2."""
        field = self._flags.get("field")
        if self.plain or field:
            self.warn(secret.warnings)
        if field:
            return self.print_field(field_of(secret, field))
        if self.format == "raw":
            self.out.write(secret.raw.decode("utf-8", "replace") + "\n")
        elif not self.plain:
            self.structure(structure_of(secret))
        elif rows := table.secret_rows(secret):
            self.out.write(table.pairs(rows))
        return 0

    def keys(self, keys: Sequence[Any]) -> int:
        """Print the names that a list found."""
        self.show(list(keys), table.headed(("Keys",), [(str(key),) for key in keys]))
        return 0


def choose_format(text: str, command: Command) -> str:
    """Return the output format's name; raise Fault when there is no such format or the command has not got it."""
    shape = text.lower() or "table"
    if shape not in FORMATS:
        raise Fault(f"Invalid output format: {text}")
    if shape == "raw" and not command.raw:
        raise Fault("This command does not support the -format=raw option.")
    return shape


def field_of(secret: Secret, field: str) -> Any:
    """Return one member of an answer; raise Fault (exit code 1) when it is not there or null."""
    value = _fields(secret).get(field)
    if value is None:
        raise Fault(f'Field "{field}" not present in secret')
    return value


def _fields(secret: Secret) -> dict[str, Any]:
    if info := secret.wrap_info:
        names = {
            name: f"wrapping_{name.replace('creation', 'token_creation').replace('ttl', 'token_ttl')}" for name in info
        }
        return {names[name]: info[name] for name in info} | {"wrapped_accessor": info.get("wrapped_accessor")}
    if auth := secret.auth:
        lists = {name: auth.get(name) or [] for name in ("policies", "token_policies", "identity_policies")}
        return auth | lists | {name: auth.get(member) for name, member in _AUTH_FIELDS.items()}
    lease = {"lease_id": secret.lease_id, "lease_duration": secret.lease_duration, "lease_renewable": secret.renewable}
    return (lease if secret.lease_id else {"refresh_interval": secret.lease_duration or None}) | (secret.data or {})


def structure_of(secret: Secret) -> dict[str, Any]:
    """Return the structured form of an answer, members in their order."""
    shown: dict[str, Any] = {
        "request_id": secret.request_id,
        "lease_id": secret.lease_id,
        "lease_duration": secret.lease_duration,
        "renewable": secret.renewable,
        "data": ordered(secret.data),
        "warnings": list(secret.warnings) or None,
    }
    if secret.auth:
        shown["auth"] = {name: ordered(secret.auth.get(name)) for name in _AUTH_ORDER}
    if secret.wrap_info:
        shown["wrap_info"] = {name: secret.wrap_info.get(name, "") for name in _WRAP_ORDER}
    return shown
