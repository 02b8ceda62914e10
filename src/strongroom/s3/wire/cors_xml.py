"""CORS rules of a bucket, and what they say to a browser (s3.md 8.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # of a header, perhaps with a `*`; answers carry it
_AGE = re.compile(r"\d{0,9}", re.ASCII)  # seconds
METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})
MAX_RULES = 100
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; origins and headers may hold one `*` each."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: str = ""


@lru_cache(maxsize=1024)
def parse(body: bytes) -> tuple[Rule, ...]:
    """Return the rules of a configuration; raise Refused."""
    node = xml.parse(body, "CORSConfiguration", detail=False)
    nodes = list(node.all("CORSRule"))
    if not 1 <= len(nodes) <= MAX_RULES:
        raise Refused("MalformedXML")
    return tuple([_rule(one) for one in nodes])


def _rule(node: xml.Node) -> Rule:
    rule = Rule(
        tuple([one.text.strip() for one in node.all("AllowedOrigin")]),
        tuple([one.text.strip() for one in node.all("AllowedMethod")]),
        tuple([one.text.strip() for one in node.all("AllowedHeader")]),
        tuple([one.text.strip() for one in node.all("ExposeHeader")]),
        node.value("MaxAgeSeconds").strip(),
    )
    if not rule.origins or not rule.methods or any(text.count("*") > 1 for text in rule.origins + rule.headers):
        raise Refused("MalformedXML")
    if not all(_NAME.fullmatch(text) for text in rule.headers + rule.expose) or not _AGE.fullmatch(rule.max_age):
        raise Refused("MalformedXML")
    for method in rule.methods:
        if method not in METHODS:
            text = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            raise Refused("InvalidRequest", text)
    return rule


def _fits(pattern: str, text: str) -> bool:
    start, star, end = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)


def answer(rules: tuple[Rule, ...], origin: str, method: str, wanted: str) -> list[tuple[str, str]] | None:
    """Return the headers for a request from origin; None when no rule matches. wanted: the asked header names."""
    names = [name.strip().lower() for name in wanted.split(",") if name.strip()]
    for rule in rules:
        if method not in rule.methods or not any(_fits(pattern, origin) for pattern in rule.origins):
            continue
        if not all(any(_fits(pattern.lower(), name) for pattern in rule.headers) for name in names):
            continue
        return _headers(rule, origin, names)
    return None


def _headers(rule: Rule, origin: str, names: list[str]) -> list[tuple[str, str]]:
    anyone = "*" in rule.origins
    headers = [
        ("Access-Control-Allow-Origin", "*" if anyone else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
        ("Vary", VARY),
    ]
    if not anyone:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    if names:
        headers.append(("Access-Control-Allow-Headers", ", ".join(names)))
    if rule.expose:
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule.expose)))
    if rule.max_age:
        headers.append(("Access-Control-Max-Age", rule.max_age))
    return headers


EXPOSED = (
    "Date, Etag, Server, Connection, Accept-Ranges, Content-Range, Content-Encoding, Content-Length, Content-Type, "
    "Content-Disposition, Last-Modified, Content-Language, Cache-Control, Retry-After, X-Amz-Bucket-Region, Expires, "
    "X-Amz*, *"
)


def open_answer(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a bucket without rules: any origin, as the original allows."""
    answered = [
        ("Access-Control-Allow-Origin", headers["origin"]),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    ]
    method = headers.get("access-control-request-method")
    if method is None:
        return [*answered, ("Access-Control-Expose-Headers", EXPOSED)]
    answered.append(("Access-Control-Allow-Methods", method))
    if headers.get("access-control-request-headers"):
        answered.append(("Access-Control-Allow-Headers", headers["access-control-request-headers"]))
    return answered
