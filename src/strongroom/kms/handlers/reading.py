"""What a request head and body say: operation, path, data, token (vault.md 1.1 to 1.3)."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from strongroom.kms.domain import acl
from strongroom.kms.domain.entries import Work
from strongroom.kms.domain.errors import (
    BadSwitch,
    Refused,
    UnknownVerb,
    UnsupportedMedia,
)
from strongroom.kms.domain.fields import to_bool
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.domain.values import parse_duration
from strongroom.kms.handlers.bare import no_texts
from strongroom.kms.handlers.call import HELP
from strongroom.kms.handlers.render import BODILESS
from strongroom.kms.wire import gojson
from strongroom.messages import Request, Response

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

OPERATIONS = {
    "GET": acl.READ,
    "LIST": acl.LIST,
    "SCAN": acl.SCAN,
    "POST": acl.UPDATE,
    "PUT": acl.UPDATE,
    "PATCH": acl.PATCH,
    "DELETE": acl.DELETE,
    "HELP": HELP,
}
WRITES = acl.UPDATE | acl.PATCH
LISTS = acl.LIST | acl.SCAN
DOTS = {".", ".."}
NOSNIFF = ("X-Content-Type-Options", "nosniff")
PLAIN_404 = Response(404, (*BODILESS, ("Content-Type", "text/plain; charset=utf-8"), NOSNIFF), b"404 page not found\n")


def parse(request: Request, path: str, body: bytes) -> tuple[int, str, dict[str, Any]]:
    """Return operation, path and data; raise Refused for a broken body, before all other checks."""
    method = request.method
    if method == "OPTIONS":
        raise Refused("cannot handle internal-only request operation")
    operation = OPERATIONS.get(method)
    if operation is None:
        raise UnknownVerb(method)
    data: dict[str, Any] = {}
    if operation & WRITES:
        if operation == acl.PATCH:
            check_patch(request)
        data = body_data(request, body)
        if path.endswith("/") and operation == acl.UPDATE:
            raise Refused("cannot write to a path ending in '/'")
    elif request.query:
        data = query_data(request.query)
        if operation == acl.READ:
            operation = list_or_read(data)
    if operation & LISTS and not path.endswith("/"):
        path += "/"
    return operation, path, data


def nowhere() -> Mount:
    """Return a mount that answers nothing."""
    return Mount("", "", "", "")


def token_text(request: Request) -> str:
    """Return the request's token; X-Vault-Token comes first."""
    text = request.headers.get("x-vault-token")
    if text is not None and text != "":
        return text
    bearer = request.headers.get("authorization", "")
    return bearer[7:] if bearer.startswith("Bearer ") else ""


def find_token(core: "Core", work: Work, text: str, now: int) -> Token | None:
    """Return the token that is good at now, nanoseconds since 1970; None if there is none."""
    return core.live.tokens.find(work, text, now // 1_000_000_000) if text else None


def echo(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the namespace header that every answer repeats."""
    namespace = request.headers.get("x-vault-namespace")
    return (("X-Vault-Namespace", namespace),) if namespace else ()


def outside(path: str) -> Response:
    """Answer a path outside /v1/."""
    if path in ("/", "/ui", "/robots.txt") or path.startswith("/ui/"):
        return PLAIN_404
    return no_texts(404)


def odd_path(request: Request) -> Response | None:
    """Return the redirect that a path with `//`, `.` or `..` gets (vault.md 1.1)."""
    parts: list[str] = []
    raw = request.path
    if "//" not in raw and DOTS.isdisjoint(raw.split("/")):
        return None
    for part in raw.split("/"):
        if part == "..":
            parts and parts.pop()
        elif part and part != ".":
            parts.append(part)
    clean = "/" + "/".join(parts) + ("/" if raw.endswith("/") and parts else "")
    text = f'<a href="{clean}">Temporary Redirect</a>.\n\n'
    kept = (("Cache-Control", "no-store"), ("Content-Type", "text/html; charset=utf-8"), ("Location", clean))
    more = (("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),)
    return Response(307, kept + more, text.encode())


def check_patch(request: Request) -> None:
    """Raise unless a PATCH has the merge patch content type."""
    kind = request.headers.get("content-type", "")
    if not kind:
        raise Refused("mime: no media type")
    if kind.partition(";")[0].strip() != "application/merge-patch+json":
        raise UnsupportedMedia(f"PATCH requires Content-Type of application/merge-patch+json, provided {kind}")


def body_data(request: Request, body: bytes) -> dict[str, Any]:
    """Return the body's members: JSON whatever the type says, a form where it is one."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/x-www-form-urlencoded") and body[:1] not in (b"{", b"["):
        found = query_data(body.decode("utf-8", "replace"))
        return {name: ",".join(value) if isinstance(value, list) else value for name, value in found.items()}
    return gojson.decode(body)


def query_data(query: str) -> dict[str, Any]:
    """Return the query as data; a repeated name makes a list."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        known = found.get(name)
        found[name] = value if known is None else [*known, value] if isinstance(known, list) else [known, value]
    return found


def list_or_read(data: dict[str, Any]) -> int:
    """Return the operation of a GET: `?list=true`, `?scan=true`, `?help=1` change it."""
    for name, operation in (("list", acl.LIST), ("scan", acl.SCAN), ("help", HELP)):
        if name in data:
            try:
                if to_bool(data[name]):
                    del data[name]
                    return operation
            except ValueError as error:
                raise BadSwitch(name) from error
    return acl.READ


def wrap_ttl(request: Request) -> float | None:
    """Return the wish to wrap the answer, seconds; raise Refused."""
    text = request.headers.get("x-vault-wrap-ttl")
    if not text:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise Refused(f"error parsing X-Vault-Wrap-TTL header: {error}") from error
    if seconds < 0:
        raise Refused("error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative")
    return seconds or None
