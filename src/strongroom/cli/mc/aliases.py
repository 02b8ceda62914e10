"""Aliases: names for servers, kept where the original keeps them (mc.md 3). Format: docs/formats/mc-config.md."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from strongroom.cli.mc.failures import INVALID, Failed, Fatal

VERSION = "10"
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")
PLACEHOLDERS = {"accessKey": "YOUR-ACCESS-KEY-HERE", "secretKey": "YOUR-SECRET-KEY-HERE"}
BUILT_IN: dict[str, dict[str, str]] = {
    "gcs": {"url": "https://storage.googleapis.com", **PLACEHOLDERS, "api": "S3v2", "path": "dns"},
    "local": {"url": "http://localhost:9000", "accessKey": "", "secretKey": "", "api": "", "path": "auto"},
    "play": {"url": "https://play.min.io", "accessKey": "Q3AM3UQ867SPQQA43P2F",
             "secretKey": "zuf+tfteSlswRu7BJ86wekitnifILbZam1KYY3TG", "api": "S3v4", "path": "auto"},  # public demo
    "s3": {"url": "https://s3.amazonaws.com", **PLACEHOLDERS, "api": "S3v4", "path": "dns"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alias:
    """A server and who we are there. source: the file or `env`."""

    name: str
    url: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    api: str = ""
    path: str = "auto"
    source: str = ""

    def stored(self) -> dict[str, str]:
        """Return the members as config.json has them."""
        record = {"url": self.url, "accessKey": self.access_key, "secretKey": self.secret_key}
        if self.token:
            record["sessionToken"] = self.token
        return {**record, "api": self.api, "path": self.path}

    def shown(self) -> dict[str, object]:
        """Return the members as `alias list --json` shows them; empty ones are left out."""
        members = {"accessKey": self.access_key, "secretKey": self.secret_key, "sessionToken": self.token,
                   "api": self.api, "path": self.path, "src": self.source}  # fmt: skip
        return {"status": "success", "alias": self.name, "URL": self.url, **{k: v for k, v in members.items() if v}}


def check_name(name: str) -> None:
    """Raise Fatal for a name that no alias may have."""
    if not NAME.fullmatch(name):
        text = (f"Alias `{name}` should have alphanumeric characters such as [helloWorld0, hello_World0, ...]"
                " and begin with a letter")  # fmt: skip
        raise Fatal("Invalid alias.", text)


def check_url(url: str) -> str:
    """Return url without a trailing slash; raise Fatal unless it is scheme://host[:port]/."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"} or parts.query:
        text = f"URL `{url}` for MinIO Client should be of the form scheme://host[:port]/ without resource component."
        raise Fatal("Invalid URL.", text)
    return f"{parts.scheme}://{parts.netloc}"


def check_keys(access_key: str, secret_key: str) -> None:
    """Raise Fatal for keys that are too short; both may be empty."""
    if access_key and len(access_key) < 3:
        raise Fatal(f"Invalid access key `{access_key}`.", INVALID)
    if secret_key and len(secret_key) < 8:
        raise Fatal("Invalid secret key.", INVALID)  # which is not repeated


def from_variable(name: str, value: str) -> Alias:
    """Read `scheme://[AK:SK[:TOKEN]@]host[:port]`; nothing is percent-decoded (mc.md 3.3). Raise Failed."""
    scheme, _, rest = value.partition("://")
    who, at, host = rest.rpartition("@")
    host = host if at else rest
    if scheme not in {"http", "https"} or not host or "/" in host.rstrip("/") or "?" in host:
        raise Failed(INVALID)
    access, secret, token = ([*who.split(":", 2), "", ""])[:3] if at else ("", "", "")
    return Alias(name, f"{scheme}://{host.rstrip('/')}", access, secret, token, "S3v4", "auto", "env")


class Store:
    """The configuration folder and the environment."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder, self.environ = folder, os.environ if environ is None else environ
        self.file = folder / "config.json"
        self._aliases: dict[str, dict[str, str]] | None = None
        self.news: list[str] = []  # what the first run made, for people

    def prepare(self, program: str = "mc") -> None:
        """Make what a fresh folder lacks (mc.md 3.1)."""
        if not self.file.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone():
                self._begin(program)
        share = self.folder / "share"
        if not share.exists():
            share.mkdir(mode=0o700, exist_ok=True)  # two first runs at once
            self.news.append(f"{program}: Successfully created `{share}`.")
        for name in ("uploads", "downloads"):
            file = share / f"{name}.json"
            if not file.exists():
                write_private(file, '{\n\t"version": "1",\n\t"shares": {}\n}')
                self.news.append(f"{program}: Initialized share {name} `{file}` file.")
        (self.folder / "certs" / "CAs").mkdir(mode=0o700, parents=True, exist_ok=True)

    def _begin(self, program: str) -> None:
        if self.file.exists():  # another first run was faster
            return
        self._aliases = {name: dict(members) for name, members in BUILT_IN.items()}
        self._write()
        self.news.append(f"{program}: Configuration written to `{self.file}`. Please update your access credentials.")

    def _load(self) -> dict[str, dict[str, str]]:
        if self._aliases is None:
            try:
                data = json.loads(self.file.read_text("utf-8"))
            except FileNotFoundError:
                data = {"version": VERSION, "aliases": BUILT_IN}
            except ValueError as error:
                raise Fatal(f"Unable to read `{self.file}`.", f"It is not JSON: {error}") from error
            self._aliases = _aliases_of(data, self.file)
        return self._aliases

    def _write(self) -> None:
        text = json.dumps({"version": VERSION, "aliases": self._load()}, indent="\t", ensure_ascii=False)
        write_private(self.file, text)

    def _stored(self, name: str, members: Mapping[str, str]) -> Alias:
        get = members.get
        return Alias(name, get("url", ""), get("accessKey", ""), get("secretKey", ""), get("sessionToken", ""),
                     get("api", ""), get("path", "auto"), str(self.file))  # fmt: skip

    def _variables(self) -> dict[str, str]:
        """Return MC_HOST_ values by alias: the environment's over those of MC_CONFIG_ENV_FILE."""
        found: dict[str, str] = {}
        extra = self.environ.get("MC_CONFIG_ENV_FILE")
        if extra:
            for line in Path(extra).read_text("utf-8").splitlines():
                name, equals, value = line.strip().partition("=")
                if equals and not name.startswith("#"):
                    found[name.strip().removeprefix("MC_HOST_")] = value.strip().strip("\"'")
        prefix = "MC_HOST_"
        found.update({name[len(prefix) :]: value for name, value in self.environ.items() if name.startswith(prefix)})
        return found

    def all(self) -> list[Alias]:
        """Return every alias, sorted by name."""
        found = {name: self._stored(name, members) for name, members in self._load().items()}
        found.update({name: from_variable(name, value) for name, value in self._variables().items()})
        return [found[name] for name in sorted(found)]

    def find(self, name: str) -> Alias | None:
        """Return an alias, None when there is none of that name; raise Failed for a variable that cannot be read."""
        value = self._variables().get(name)
        if value is not None:
            return from_variable(name, value)
        members = self._load().get(name)
        return None if members is None else self._stored(name, members)

    def put(self, alias: Alias) -> Alias:
        """Keep an alias in config.json, in place of one of the same name."""
        with self._alone():
            self._load()[alias.name] = alias.stored()
            self._aliases = dict(sorted(self._load().items()))
            self._write()
        return replace(alias, source=str(self.file))

    def remove(self, name: str) -> bool:
        """Forget an alias; return False when config.json has none of that name."""
        with self._alone():
            if self._load().pop(name, None) is None:
                return False
            self._write()
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the file between our reading it, anew, and our writing it."""
        if os.name != "posix":
            yield
            return
        import fcntl

        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._aliases = None
            yield
        finally:
            os.close(descriptor)


def _aliases_of(data: object, file: Path) -> dict[str, dict[str, str]]:
    """Read the document; versions 8 and 9 had `hosts` and `lookup` (mc.md 3.2)."""
    if not isinstance(data, dict):
        raise Fatal(f"Unable to read `{file}`.", "It is not a JSON object.")
    version = data.get("version")
    if version not in {VERSION, "8", "9"}:
        raise Fatal(f"Unable to read `{file}`.", f"Its version is `{version}`, this program reads version `{VERSION}`.")
    members = data.get("aliases", data.get("hosts", {}))
    found: dict[str, dict[str, str]] = {}
    for name, each in members.items() if isinstance(members, dict) else ():
        if isinstance(each, dict):
            kept = {str(key): str(value) for key, value in each.items() if value is not None}
            if "lookup" in kept:
                kept["path"] = kept.pop("lookup")
            found[str(name)] = kept
    return found


def write_private(file: Path, text: str) -> None:
    """Replace a file, mode 0600, so that a reader sees the old or the new one, after a power failure too.

    A link stays: what it points at is replaced.
    """
    file = Path(os.path.realpath(file))
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # of a process that had our number and was killed: whatever its mode
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
