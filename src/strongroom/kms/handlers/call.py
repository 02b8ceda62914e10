"""One request on its way through a mount: what it asks (Call), what it gets (Reply), where it goes (Route, Router)."""

import re
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from strongroom.kms.domain import acl, fields
from strongroom.kms.domain.entries import View, Work
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.records import Mount, Token
from strongroom.messages import Peer, Windows

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core
    from strongroom.kms.settings import Listener

HELP = 0
NAMES = {
    acl.READ: "read",
    acl.LIST: "list",
    acl.SCAN: "scan",
    acl.CREATE: "create",
    acl.UPDATE: "update",
    acl.DELETE: "delete",
    acl.PATCH: "patch",
    HELP: "help",
}


@dataclass(slots=True)
class Auth:
    """The `auth` member of an answer: a token that was made, renewed or found."""

    client_token: str
    token: Token
    lease_duration: int
    renewable: bool

    def __repr__(self) -> str:
        return f"Auth({self.token!r})"

    def render(self) -> dict[str, Any]:
        """Return the member's value (vault.md 1.4)."""
        token = self.token
        found = {
            "client_token": self.client_token,
            "accessor": token.accessor,
            "policies": token.policies,
            "token_policies": token.policies,
            "metadata": token.meta,
            "lease_duration": self.lease_duration,
            "renewable": self.renewable,
            "entity_id": token.entity_id,
            "token_type": token.kind,
            "orphan": token.orphan,
            "mfa_requirement": None,
            "num_uses": max(token.num_uses, 0),
        }
        if not token.policies:
            del found["token_policies"]
        return found


@dataclass(slots=True)
class Wrapped:
    """The `wrap_info` member."""

    token: str
    accessor: str
    ttl: int
    creation_time: str
    creation_path: str
    wrapped_accessor: str = ""

    def __repr__(self) -> str:
        return f"Wrapped({self.creation_path!r})"

    def render(self) -> dict[str, Any]:
        """Return the member's value."""
        found = {
            "token": self.token,
            "accessor": self.accessor,
            "ttl": self.ttl,
            "creation_time": self.creation_time,
            "creation_path": self.creation_path,
        }
        return found | ({"wrapped_accessor": self.wrapped_accessor} if self.wrapped_accessor else {})


@dataclass(slots=True)
class Reply:
    """An answer before it is rendered.

    raw: `data` as JSON bytes, sent as they are; bare: the whole body; hoist: the members of data come at top level as
    well (vault.md 1.4).
    """

    data: Mapping[str, Any] | None = None
    raw: bytes | None = None
    auth: Auth | None = None
    wrap: Wrapped | None = None
    warnings: list[str] | None = None
    lease_duration: int = 0
    lease_id: str = ""
    renewable: bool = False
    status: int = 0
    hoist: bool = False
    bare: bytes | None = None
    content_type: str = ""
    wrap_ttl: float = 0  # the handler itself asks for wrapping (rewrap)
    wrap_path: str = ""
    windows: Windows | None = None  # a body in pieces, gzipped


Handler: TypeAlias = "Callable[[Call], Reply | Awaitable[Reply | None] | None]"


@dataclass(slots=True)
class Call:
    """A request routed to a mount. path is relative to the mount, full is the whole path without `/v1/`."""

    core: "Core"
    work: Work
    operation: int
    full: str
    path: str
    data: dict[str, Any]
    peer: Peer
    request_id: str
    headers: Mapping[str, str]
    mount: Mount
    now: int
    listener: "Listener"  # where it came in
    token: Token | None = None
    token_text: str = ""
    wrap_ttl: float | None = None
    route: "Route | None" = None
    captures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    rules: acl.Acl | None = None
    granted: acl.Rule | None = None
    upload: IO[bytes] | None = None  # a body that is no JSON
    noted: bool = False  # its request line stands in the audit log

    @property
    def view(self) -> View:
        """The entries of the mount."""
        return View(self.work, self.mount.prefix)

    @property
    def seconds(self) -> int:
        """Seconds since 1970."""
        return self.now // 1_000_000_000

    def has(self, name: str) -> bool:
        """Say whether a field was given; null counts as absent."""
        return self.captures.get(name) is not None or self.data.get(name) is not None

    def get(self, name: str, kind: str | None = None) -> Any:
        """Return a field, converted as its route says; the kind's default when absent. Raises Refused."""
        if name in self.captures:
            return self.captures[name]
        kind = kind or (self.route.fields.get(name, "any") if self.route is not None else "any")
        value = self.data.get(name)
        if value is None:
            default = fields.KINDS[kind][1]
            return list(default) if isinstance(default, tuple) else default
        return fields.convert(name, kind, value)

    def validate(self) -> None:
        """Convert every given field once; raise Refused with `Field validation failed` (vault.md 1.3)."""
        route = self.route
        if route is None or route.lazy or not self.data:
            return
        for name, value in self.data.items():
            kind = route.fields.get(name, "any")
            if kind == "any" or value is None or name in self.captures or (kind == "text" and type(value) is str):
                continue
            try:
                fields.convert(name, kind, value)
            except Refused as error:
                raise Refused(f"Field validation failed: {error}") from error

    def ignored(self) -> list[str]:
        """Return the warnings about parameters that the route does not know."""
        route = self.route
        if route is None or route.free:
            return []
        if self.captures.keys().isdisjoint(self.data) and route.fields.keys() >= self.data.keys():
            return []
        unknown = sorted(name for name in self.data if name not in route.fields and name not in self.captures)
        found = []
        if unknown:
            found.append(f"Endpoint ignored these unrecognized parameters: [{' '.join(unknown)}]")
        replaced = sorted(name for name in self.data if name in self.captures)
        if replaced:
            found.append(
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's "
                f"path: [{' '.join(replaced)}]"
            )
        return found

    def narrowed(self, names: Container[str]) -> "Call":
        """Return the call as if these parameters alone had come: who may set one field sets no other."""
        return replace(self, data={name: value for name, value in self.data.items() if name in names})

    def require_token(self) -> Token:
        """Return the caller's token; only routes that need one call this."""
        if self.token is None:
            raise Refused("missing client token")
        return self.token


@dataclass(frozen=True, slots=True)
class Route:
    """A path pattern of a mount. fields: name → kind (domain.fields); operations: acl bit → handler.

    exists decides create or update; open: no token needed; sudo: the `sudo` capability is needed as well; free: any
    parameter is welcome; unspent: a call is no use of a limited token; lazy: fields are converted when read, without
    the validation's text; pure: stores nothing unless it creates; unless: a parameter that closes an open route.
    """

    pattern: "re.Pattern[str]"
    operations: Mapping[int, Handler]
    fields: Mapping[str, str] = field(default_factory=dict)
    exists: "Callable[[Call], bool] | None" = None
    open: bool = False
    sudo: bool = False
    free: bool = False
    unspent: bool = False
    pure: bool = False
    lazy: bool = False
    unless: str = ""

    def opens(self, data: Mapping[str, Any]) -> bool:
        """Say whether a call with these parameters needs no token."""
        return self.open and not (self.unless and data.get(self.unless))


def route(pattern: str, operations: Mapping[int, Handler], **settings: Any) -> Route:
    """Make a Route from pattern text."""
    return Route(re.compile(pattern + r"\Z", re.DOTALL), operations, **settings)


class Router:
    """The routes of one mount type, found by the path's first segment, then by pattern in order."""

    def __init__(self, routes: list[Route]) -> None:
        self._by_head: dict[str, list[Route]] = {}
        self._rest: list[Route] = []
        for entry in routes:
            head = re.match(r"[\w-]+", entry.pattern.pattern)
            following = entry.pattern.pattern[head.end() :] if head else ""
            if head and (following.startswith("/") or following in (r"\Z", r"/?\Z")):
                self._by_head.setdefault(head.group(), []).append(entry)
            else:
                self._rest.append(entry)

    def find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route for a path and what its pattern captured."""
        for entry in self._by_head.get(path.partition("/")[0], ()):
            match = entry.pattern.match(path)
            if match is not None:
                return entry, match.groupdict()
        for entry in self._rest:
            match = entry.pattern.match(path)
            if match is not None:
                return entry, match.groupdict()
        return None


class Backend:
    """What a mounted engine or auth method offers; subclasses hold routes and perhaps caches."""

    kind = ""
    router: Router

    def __init__(self, mount: Mount) -> None:
        self.mount = mount

    def missing(self, call: Call) -> Reply | None:
        """Answer a path that no route matches; None for the standard 404."""
        return None

    def renewed(self, call: Call, token: Token) -> "Renewal | None":
        """Say how a token of this auth method may be renewed now; None: as it was issued. Raises Failed."""
        return None

    def tick(self, work: Work, now: int) -> None:
        """Do what time asks for (nanoseconds since 1970); called about once a second."""

    def forget(self) -> None:
        """Drop what is cached (the mount is gone, or the server seals)."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """An auth method's present rules for one of its tokens, seconds."""

    ttl: float
    max_ttl: float
    period: float
    explicit_max_ttl: float = 0
