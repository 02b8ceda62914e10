"""A bucket's notification configuration (s3.md 8.7)."""

import secrets
from collections.abc import Collection
from functools import lru_cache

from strongroom.s3.domain.events import PATTERNS, Subscription, overlap
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml

NAME = "notification"  # the bucket's document
ROOT = "NotificationConfiguration"
_KINDS = {"QueueConfiguration": "Queue", "TopicConfiguration": "Topic", "CloudFunctionConfiguration": "CloudFunction"}


@lru_cache(maxsize=1024)
def stored(document: bytes) -> tuple[Subscription, ...]:
    """Return the subscriptions of a stored configuration."""
    return _subscriptions(xml.read(document))


def check(body: bytes, arns: Collection[str]) -> bytes:
    """Return a configuration as it is stored; raise Refused. arns: the targets that this server has."""
    if not body.strip():
        raise Refused("MissingContentLength")
    node = xml.parse(body, ROOT, detail=False)
    if any(child.name not in _KINDS for child in node.children):
        raise Refused("NotImplemented")
    subscriptions = _subscriptions(node)
    for one in subscriptions:
        if one.arn not in arns:
            raise Refused("InvalidArgument", "A specified destination ARN does not exist or is not well-formed.")
        if not one.patterns or any(pattern not in PATTERNS for pattern in one.patterns):
            raise Refused("InvalidArgument", "A specified event is not supported for notifications.")
    if overlap(subscriptions):
        text = "An object key name filtering rule defined with overlapping prefixes, overlapping suffixes, or both."
        raise Refused("InvalidArgument", text)
    return render(subscriptions)


def _subscriptions(node: xml.Node) -> tuple[Subscription, ...]:
    return tuple([_subscription(child) for child in node.children if child.name in _KINDS])


def _subscription(node: xml.Node) -> Subscription:
    rules = {}
    filtered = node.first("Filter")
    key = filtered.first("S3Key") if filtered is not None else None
    for rule in key.all("FilterRule") if key is not None else ():
        name = rule.value("Name").lower()
        if name not in ("prefix", "suffix") or name in rules:
            text = "filter rule name must be either prefix or suffix"
            raise Refused("InvalidArgument", text)
        rules[name] = rule.value("Value")
    patterns = tuple([event.text.strip() for event in node.all("Event")])
    name = node.value("Id") or secrets.token_hex(8)
    arn = node.value(_KINDS[node.name]).strip()
    return Subscription(name, arn, patterns, rules.get("prefix", ""), rules.get("suffix", ""))


def render(subscriptions: tuple[Subscription, ...]) -> bytes:
    """Return the document of subscriptions."""
    items: list[xml.Item] = []
    for one in subscriptions:
        rules: list[xml.Item] = [
            ("FilterRule", [("Name", name), ("Value", value)])
            for name, value in (("prefix", one.prefix), ("suffix", one.suffix))
            if value
        ]
        content: list[xml.Item] = [("Id", one.name)]
        content += [("Filter", [("S3Key", rules)])] if rules else []
        content += [("Event", pattern) for pattern in one.patterns]
        items.append(("QueueConfiguration", [*content, ("Queue", one.arn)]))
    return xml.document(ROOT, items)
