"""Lifecycle configurations: checked, stored as they came, and read by whoever runs them (s3.md 8.6)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml
from strongroom.s3.wire.lock_xml import parse_time

ROOTS = ("LifecycleConfiguration", "BucketLifecycleConfiguration")
MAX_RULES = 1000
MAX_ID = 255
DAY = 24 * 3600 * 1_000_000_000  # nanoseconds


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is run. Days 0 and None: that action is not in the rule. Sizes in bytes, dates in nanoseconds."""

    name: str
    enabled: bool
    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger: int = -1
    smaller: int = -1
    days: int = 0
    date: int = 0
    delete_marker: bool = False
    noncurrent_days: int = 0
    newer_noncurrent: int = 0
    abort_days: int = 0

    def covers(self, key: str, tags: Mapping[str, str], size: int) -> bool:
        """Say whether an object is the rule's business."""
        if not self.enabled or not key.startswith(self.prefix):
            return False
        if self.larger >= 0 and size <= self.larger:
            return False
        if self.smaller >= 0 and size >= self.smaller:
            return False
        return all(tags.get(name) == value for name, value in self.tags.items())


def parse(body: bytes) -> tuple[Rule, ...]:
    """Return the rules of a configuration; raise Refused."""
    node = xml.parse(body, ROOTS)
    nodes = list(node.all("Rule"))
    if not 1 <= len(nodes) <= MAX_RULES:
        raise Refused("MalformedXML")
    rules = tuple([_rule(one) for one in nodes])
    if len({rule.name for rule in rules}) < len(rules):
        raise Refused("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    return rules


def _rule(node: xml.Node) -> Rule:
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
    return Rule(name or secrets.token_hex(10), status == "Enabled", **fields)  # type: ignore[arg-type]


_ACTIONS = (
    "Expiration",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
    "Transition",
    "NoncurrentVersionTransition",
)


def _filter(node: xml.Node) -> dict[str, object]:
    found = node.first("Filter")
    if found is None:
        return {"prefix": node.value("Prefix")}
    inner = found.first("And") or found
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
        given = [name for name in ("Days", "Date", "ExpiredObjectDeleteMarker") if expiration.has(name)]
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
