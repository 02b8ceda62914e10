"""What a command has at hand: the console, the aliases, clients for servers, and addresses made of words."""

import os
import re
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from strongroom.cli.mc.aliases import Alias, Store
from strongroom.cli.mc.console import Console
from strongroom.cli.mc.failures import INVALID, Failed, Fatal, no_alias, typed
from strongroom.cli.mc.formats import parse_size
from strongroom.errors import Error
from strongroom.net.dialling import Dialling, Throttle
from strongroom.sdk.s3 import Client, Credentials, Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Local:
    """A path on this machine. text: as it was given."""

    text: str

    @cached_property
    def path(self) -> Path:
        """The absolute path, `.` and `..` taken out, links kept."""
        return Path(os.path.abspath(self.text))  # normalises without following links

    @property
    def name(self) -> str:
        """What people see."""
        return self.text


@dataclass(frozen=True, slots=True)
class Remote:
    """An address on a server. bucket and key may be empty; key keeps its trailing slash."""

    alias: Alias
    client: Client = field(repr=False)
    bucket: str = ""
    key: str = ""
    text: str = ""

    @property
    def name(self) -> str:
        """alias/bucket/key."""
        return "/".join(part for part in (self.alias.name, self.bucket, self.key) if part)

    @property
    def url(self) -> str:
        """The address in the server's own terms, not encoded."""
        return f"{self.alias.url}/{self.bucket}{'/' + self.key if self.bucket and self.key else ''}"

    def at(self, key: str) -> "Remote":
        """Return another key of the same bucket."""
        return Remote(self.alias, self.client, self.bucket, key, "")

    def failure(self, error: Exception) -> Exception:
        """Return the typed failure for a refusal at this address."""
        return typed(error, bucket=self.bucket, url=self.url)

    def tried(self, action: Callable[[], T]) -> T:
        """Do action; what the server refuses is raised as the typed failure for this address."""
        try:
            return action()
        except Error as error:
            failure = self.failure(error)
            if failure is error:
                raise
            raise failure from error


Target = Local | Remote


@dataclass(slots=True)
class Globals:
    """The global flags (mc.md 2.2)."""

    insecure: bool = False
    debug: bool = False
    ca: tuple[str, ...] = ()
    resolve: tuple[str, ...] = ()
    limit_up: str = ""
    limit_down: str = ""
    headers: tuple[str, ...] = ()


class Shell:
    """One run of the program."""

    def __init__(self, console: Console, store: Store, flags: Globals, *, program: str = "mc") -> None:
        self.console, self.store, self.flags, self.program = console, store, flags, program
        self._clients: dict[str, Client] = {}
        self._dialling: Dialling | None = None

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    # ---- addresses ----

    def target(self, word: str) -> Target:
        """Return the address that word means: remote when it begins with an alias (mc.md 3.3). Raise Failed."""
        if word.startswith(("http://", "https://")):
            raise Failed(no_alias(word))
        name, _, rest = word.replace("\\", "/").partition("/") if os.name == "nt" else word.partition("/")
        alias = self.store.find(name) if name and name not in {".", ".."} else None
        if alias is None:
            return Local(word)
        bucket, _, key = rest.lstrip("/").partition("/")
        return Remote(alias, self.client(alias), bucket, key, word)

    def located(self, word: str, message: str = "Unable to initialize target `{}`.") -> Target:
        """As target; what is wrong with the word ends the run with message."""
        try:
            return self.target(word)
        except Failed as error:
            raise Fatal(message.format(word), error) from error

    def remote(self, word: str, message: str, operation: str, *, whole: bool = False) -> Remote:
        """As located, for commands that make no sense on local files, nor (without whole) on a server as a whole."""
        found = self.located(word, message)
        if isinstance(found, Remote) and not found.bucket and not whole:
            raise Fatal(message.format(word), Failed("Bucket name cannot be empty."))
        if isinstance(found, Local):
            text = f"`{operation}` is not supported for `filesystem`."
            raise Fatal(message.format(word), Failed(text, {"API": operation, "APIType": "filesystem"}))
        return found

    def admin_alias(self, word: str) -> Alias:
        """Return the alias that an admin command is for; raise Fatal."""
        name = word.rstrip("/\\").partition("/")[0]
        try:
            alias = self.store.find(name)
        except Failed as error:
            raise Fatal(f"Unable to initialize target `{word}`.", error) from error
        if alias is None:
            text = f"No valid configuration found for '{name}' host alias"
            raise Fatal("Unable to initialize admin connection.", text)
        return alias

    # ---- clients ----

    def client(self, alias: Alias) -> Client:
        """Return the client for an alias; one per run."""
        found = self._clients.get(alias.name)
        if found is None:
            found = self._clients[alias.name] = Client(self.settings(alias))
        return found

    def settings(self, alias: Alias) -> Settings:
        """Return how an alias's server is spoken to."""
        environ = self.store.environ
        extra = tuple(_header(each) for each in self.flags.headers)
        style = {"on": True, "off": False, "dns": False}.get(alias.path)
        return Settings(
            url=alias.url,
            credentials=Credentials(alias.access_key, alias.secret_key, alias.token),
            api=alias.api or "S3v4",
            path_style=None if alias.path == "dns" else style,
            region=environ.get("MC_REGION") or environ.get("AWS_REGION", ""),
            dialling=self.dialling(alias.url.startswith("https:")),
            extra=extra,
            trace=self._trace if self.flags.debug else None,
        )

    def dialling(self, tls: bool) -> Dialling:
        """Return how connections are made; the trust store is read only when TLS is used."""
        if self._dialling is None or (tls and self._dialling.tls is None):
            flags = self.flags
            resolve = dict(_resolution(each) for each in flags.resolve)
            self._dialling = Dialling(tls=self.trust() if tls else None, resolve=resolve,
                                      up=_brake(flags.limit_up), down=_brake(flags.limit_down))  # fmt: skip
        return self._dialling

    def reread_trust(self) -> None:
        """Read the trust store again with the next client."""
        self._dialling = None

    def trust(self) -> ssl.SSLContext:
        """Return the TLS settings: the system's roots, certs/CAs and --ca, leaves too (mc.md 4)."""
        context = ssl.create_default_context()
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.flags.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        folder = self.store.folder / "certs" / "CAs"
        files = [*(sorted(folder.iterdir()) if folder.is_dir() else ()), *map(Path, self.flags.ca)]
        for file in files:
            try:
                context.load_verify_locations(cafile=str(file))
            except (OSError, ssl.SSLError) as error:
                raise Fatal(f"Unable to read the CA certificates in `{file}`.", error) from error
        return context

    def _trace(self, method: str, url: str, sent: dict[str, str], status: int, got: dict[str, str]) -> None:
        lines = [f"{self.program}: <DEBUG> {method} {url}"]
        lines += [f"  > {name}: {_open(name, value)}" for name, value in sent.items()]
        lines += [f"  < {status}", *(f"  < {name}: {_open(name, value)}" for name, value in got.items())]
        self.console.note("\n".join(lines))

    # ---- asking people ----

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Ask on the terminal, or read a line from a pipe."""
        if sys.stdin.isatty():
            if secret:
                import getpass

                return getpass.getpass(prompt)
            print(prompt, end="", flush=True)
        return sys.stdin.readline().rstrip("\r\n")


_SECRET = re.compile("authorization|cookie|token|secret|password|api-?key|customer-key$", re.IGNORECASE)


def _open(name: str, value: str) -> str:
    return "*REDACTED*" if _SECRET.search(name) else value


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Fatal(f"Invalid custom header `{text}`.", INVALID)
    return name.strip(), value.strip()


def _resolution(text: str) -> tuple[str, str]:
    host, equals, address = text.partition("=")
    if not equals or not host or not address:
        raise Fatal(f"Invalid --resolve value `{text}`, expected HOST[:PORT]=IP.", INVALID)
    return host, address


def _brake(rate: str) -> Throttle | None:
    if not rate:
        return None
    try:
        count = parse_size(rate.removesuffix("/s"))
    except ValueError as error:
        raise Fatal(f"Invalid rate `{rate}`.", str(error)) from error
    return Throttle(count) if count else None
