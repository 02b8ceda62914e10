"""Lifecycle configurations: checked, stored as they came, and read by whoever runs them (s3.md 8.6)."""

import secrets
from dataclasses import replace
from functools import lru_cache

from strongroom.s3.domain.lifecycle import DAY, Rule
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml
from strongroom.s3.wire.lock_xml import parse_time

ROOTS = ("LifecycleConfiguration", "BucketLifecycleConfiguration")
MAX_RULES = 1000
MAX_ID = 255


@lru_cache(maxsize=1024)
def stored(document: bytes) -> tuple[Rule, ...]:
    """Return the rules of a stored configuration."""
    return parse(document)


def named(body: bytes) -> bytes:
    """Check a new configuration and return it as it is stored: as it came, with an ID for each rule that has none."""
    rules = parse(body)
    if any(rule.abort_days and not rule.of_uploads for rule in rules):
        text = "AbortIncompleteMultipartUpload cannot be specified with tags or object sizes."
        raise Refused("InvalidRequest", text)
    if all(rule.name for rule in rules):
        return body
    node = xml.parse(body, ROOTS)
    children = tuple([_with_name(child) if child.name == "Rule" else child for child in node.children])
    return xml.HEAD.encode() + xml.dump(replace(node, children=children), namespace=True).encode()


def _with_name(rule: xml.Node) -> xml.Node:
    if rule.value("ID"):
        return rule
    others = tuple([child for child in rule.children if child.name != "ID"])
    return replace(rule, children=(xml.Node("ID", secrets.token_hex(10)), *others))


def parse(body: bytes) -> tuple[Rule, ...]:
    """Return the rules of a configuration; raise Refused."""
    node = xml.parse(body, ROOTS)
    nodes = list(node.all("Rule"))
    if not 1 <= len(nodes) <= MAX_RULES:
        raise Refused("MalformedXML")
    rules = tuple([_rule(one) for one in nodes])
    named = [rule.name for rule in rules if rule.name]
    if len(set(named)) < len(named):
        raise Refused("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    return rules


def _rule(node: xml.Node) -> Rule:
    if node.has("DelMarkerExpiration") or node.has("AllVersionsExpiration"):
        raise Refused("NotImplemented")  # what the original's rules know beyond those of AWS
    xml.only(node, (*_ACTIONS, *_ONCE), once=_ONCE)
    name = node.value("ID")
    if len(name) > MAX_ID:
        raise Refused("InvalidArgument", "ID length should not exceed allowed limit of 255")
    status = node.value("Status")
    if status not in ("Enabled", "Disabled"):
        raise Refused("MalformedXML")
    if node.has("Prefix") and node.has("Filter"):
        raise Refused("MalformedXML")
    if not any(node.has(action) for action in _ACTIONS):
        raise Refused("MalformedXML")
    if node.has("Transition") or node.has("NoncurrentVersionTransition"):
        raise Refused("NotImplemented", "Transitions need a second tier of storage, which this server does not have.")
    fields: dict[str, object] = {**_filter(node), **_actions(node)}
    return Rule(name, status == "Enabled", **fields)  # type: ignore[arg-type]


_ACTIONS = (
    "Expiration",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
    "Transition",
    "NoncurrentVersionTransition",
)


_ONCE = ("ID", "Status", "Prefix", "Filter", "Expiration", "NoncurrentVersionExpiration")
_EXPIRATIONS = ("Days", "Date", "ExpiredObjectDeleteMarker")
_FILTERS = ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan")


def _filter(node: xml.Node) -> dict[str, object]:
    found = node.first("Filter")
    if found is None:
        return {"prefix": node.value("Prefix")}
    inner = found.first("And") or found
    if inner is not found:
        xml.only(found, ("And",), once=("And",))
    xml.only(inner, (*_FILTERS, "Tag"), once=_FILTERS)
    for tag in inner.all("Tag"):
        xml.only(tag, ("Key", "Value"), once=("Key", "Value"))
        if not tag.value("Key") or not tag.has("Value"):
            raise Refused("MalformedXML")
    tags = [(tag.value("Key"), tag.value("Value")) for tag in inner.all("Tag")]
    if len({name for name, _ in tags}) < len(tags):
        raise Refused("InvalidRequest", "Duplicate Tag Keys are not allowed")
    fields: dict[str, object] = {"prefix": inner.value("Prefix"), "tags": dict(tags)}
    for name, target in (("ObjectSizeGreaterThan", "larger"), ("ObjectSizeLessThan", "smaller")):
        if inner.has(name):
            fields[target] = _number(inner, name)
    return fields


def _number(node: xml.Node, name: str) -> int:
    text = node.value(name).strip()
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Refused("MalformedXML")
    return int(text)


def _days(node: xml.Node, name: str) -> int:
    days = _number(node, name)
    if days < 1:
        raise Refused("InvalidArgument", f"'{name}' must be a positive integer")
    return days


def _actions(node: xml.Node) -> dict[str, object]:
    fields: dict[str, object] = {}
    expiration = node.first("Expiration")
    if expiration is not None:
        if expiration.value("ExpiredObjectAllVersions", "false").strip().lower() != "false":
            raise Refused("NotImplemented")
        xml.only(expiration, (*_EXPIRATIONS, "ExpiredObjectAllVersions"), once=_EXPIRATIONS)
        given = [name for name in _EXPIRATIONS if expiration.has(name)]
        if len(given) != 1:
            raise Refused("MalformedXML")
        if given[0] == "Days":
            fields["days"] = _days(expiration, "Days")
        elif given[0] == "Date":
            fields["date"] = _date(expiration.value("Date").strip())
        else:
            fields["delete_marker"] = expiration.value("ExpiredObjectDeleteMarker").strip().lower() == "true"
    noncurrent = node.first("NoncurrentVersionExpiration")
    if noncurrent is not None:
        xml.only(noncurrent, ("NoncurrentDays", "NewerNoncurrentVersions"))
        fields["noncurrent_days"] = _days(noncurrent, "NoncurrentDays") if noncurrent.has("NoncurrentDays") else 0
        if noncurrent.has("NewerNoncurrentVersions"):
            fields["newer_noncurrent"] = _days(noncurrent, "NewerNoncurrentVersions")
    abort = node.first("AbortIncompleteMultipartUpload")
    if abort is not None:
        fields["abort_days"] = _days(abort, "DaysAfterInitiation")
    return fields


def _date(text: str) -> int:
    when = parse_time(text) if "-" in text else None
    if when is None:
        raise Refused("MalformedXML")
    if when % DAY:
        raise Refused("InvalidArgument", "'Date' must be at midnight GMT")
    return when
