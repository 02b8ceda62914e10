"""Object lock documents: a bucket's configuration, a version's retention and legal hold (s3.md 8.2)."""

import re
from datetime import UTC, datetime

from strongroom.s3.domain.object_record import Lock
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
MODES = ("GOVERNANCE", "COMPLIANCE")
DAY = 24 * 3600 * 1_000_000_000  # nanoseconds
YEAR = 365 * DAY
MAX_DAYS, MAX_YEARS = 36500, 100
LATEST = 2**64 - 1  # nanoseconds since the epoch: in July 2554 (AWS: 100 years from now)


def parse_time(text: str) -> int | None:
    """Return nanoseconds since the epoch of an ISO 8601 time, None when it is none that can be written in UTC."""
    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: its year is 0 or 10000 in UTC
        return None
    return int(when.timestamp() * 1000) * 1_000_000


def check_until(when: int) -> None:
    """Raise Refused for a time, in nanoseconds, that a version's record cannot hold."""
    if when > LATEST:
        raise Refused("InvalidArgument", "the retain until date must lie before the year 2554")


def check_configuration(body: bytes) -> xml.Node:
    """Return an ObjectLockConfiguration; raise Refused."""
    try:
        node = xml.read(body)
        if node.name != "ObjectLockConfiguration":
            raise xml.NotXml(f"expected element type <ObjectLockConfiguration> but have <{node.name}>")
    except xml.NotXml as error:
        raise Refused("InvalidArgument", str(error)) from error
    if node.value("ObjectLockEnabled") != "Enabled":
        raise Refused("MalformedXML")
    rule = node.first("Rule")
    if rule is not None:
        _check_rule(rule)
    return node


def _check_rule(rule: xml.Node) -> None:
    default = rule.first("DefaultRetention")
    if default is None or default.value("Mode") not in MODES:
        raise Refused("MalformedXML")
    days, years = default.first("Days"), default.first("Years")
    if days is not None and years is not None:
        raise Refused("InvalidArgument", "either Days or Years must be specified, not both")
    unit = days or years
    if unit is None:
        raise Refused("InvalidArgument", "either Days or Years must be specified")
    if not _NUMBER.fullmatch(unit.text) or int(unit.text) < 1:
        text = f"Default retention period must be a positive integer value for '{unit.name}'"
        raise Refused("InvalidArgument", text)
    if int(unit.text) > (MAX_DAYS if unit is days else MAX_YEARS):
        raise Refused("InvalidArgument", f"Default retention period too large for '{unit.name}' {unit.text}")


def default_retention(configuration: bytes, now: int) -> Lock:
    """Return the lock that a bucket's stored configuration gives a version written now (nanoseconds)."""
    if not configuration:
        return Lock()
    rule = xml.read(configuration).first("Rule")
    default = rule.first("DefaultRetention") if rule is not None else None
    if default is None:
        return Lock()
    length = int(default.value("Days", "0")) * DAY + int(default.value("Years", "0")) * YEAR
    return Lock(default.value("Mode"), now + length)


def render_configuration(node: xml.Node) -> bytes:
    """Return a checked configuration as it is stored and answered."""
    items: list[xml.Item] = [("ObjectLockEnabled", "Enabled")]
    rule = node.first("Rule")
    default = rule.first("DefaultRetention") if rule is not None else None
    if default is not None:
        unit = "Days" if default.has("Days") else "Years"
        items.append(("Rule", [("DefaultRetention", [("Mode", default.value("Mode")), (unit, default.value(unit))])]))
    return xml.document("ObjectLockConfiguration", items)


def parse_retention(body: bytes, now: int) -> Lock:
    """Return the retention of a PutObjectRetention body; an empty one removes it. now: nanoseconds."""
    node = xml.parse(body, ("Retention", "ObjectLockRetention"))
    mode, until = node.value("Mode"), node.value("RetainUntilDate")
    if not mode and not until:
        return Lock()
    when = parse_time(until.strip())
    if mode not in MODES or when is None:
        raise Refused("MalformedXML")
    if when <= now:
        raise Refused("MalformedXML", "the retain until date must be in the future")
    check_until(when)
    return Lock(mode, when)
