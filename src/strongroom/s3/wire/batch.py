"""Batch jobs on the admin wire: the original's YAML in, JSON and YAML out (sse.md 15)."""

import datetime
import io
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from strongroom.s3.domain.encryption import Kind, strip_arn
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.rewrap import Filter, Job, Order
from strongroom.s3.wire.admin import refused, rfc3339
from strongroom.s3.wire.sse_headers import parse_context

KIND = "keyrotate"
MAX_BODY = 4 * 1024 * 1024  # bytes
_KINDS = {"sse-s3": Kind.S3, "sse-kms": Kind.KMS}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h|d)")
LONGEST = 64  # characters of a duration that are looked at: in many digits the pattern is lost for hours
_REDACTED = "*redacted*"


def parse(body: bytes) -> Order:
    """Return a job's order; raise Refused: what is no YAML or no duration with the line's fault in its text."""
    document = _load(body)
    if not document:
        raise refused("XMinioAdminInvalidArgument")
    if set(document) != {KIND}:
        _fault(f"only {KIND} jobs can be run, not {', '.join(sorted(map(str, document)))}")
    job = _mapping(document, KIND)
    _known(job, {"apiVersion", "bucket", "prefix", "encryption", "flags"}, KIND)
    encryption, flags = _mapping(job, "encryption"), _mapping(job, "flags")
    _known(encryption, {"type", "key", "context"}, "encryption")
    _known(flags, {"filter", "notify", "retry", "plaintextOnly", "perSecond"}, "flags")
    kind = _KINDS.get(_text(encryption, "type"))
    if job.get("apiVersion") != "v1" or not _text(job, "bucket") or kind is None:
        raise refused("XMinioAdminInvalidArgument")
    notify, retry = _mapping(flags, "notify"), _mapping(flags, "retry")
    return Order(
        bucket=_text(job, "bucket"),
        kind=str(kind),
        prefix=_text(job, "prefix"),
        key_name=strip_arn(_text(encryption, "key")) if kind is Kind.KMS else "",
        context=_context(_text(encryption, "context")),
        filter=_filter(_mapping(flags, "filter")),
        attempts=_attempts(retry),
        delay=_seconds(retry, "delay", 0.025) or 0.0,
        notify=_text(notify, "endpoint"),
        token=_text(notify, "token"),
        plain=_switch(flags, "plaintextOnly"),
        per_second=_rate(flags, "perSecond"),
    )


def _load(body: bytes) -> dict[str, Any]:
    try:
        document = YAML(typ="safe", pure=True).load(body.decode())
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        _fault(f"yaml: {' '.join(str(error).split())}")
    if document is None:
        return {}
    if not isinstance(document, dict):
        _fault("yaml: a job is a mapping")
    return document


def _filter(found: Mapping[str, Any]) -> Filter:
    _known(found, {"newerThan", "olderThan", "createdAfter", "createdBefore", "tags", "metadata", "kmskey"}, "filter")
    return Filter(
        newer_than=_seconds(found, "newerThan", None),
        older_than=_seconds(found, "olderThan", None),
        after=_moment(found, "createdAfter"),
        before=_moment(found, "createdBefore"),
        tags=_pairs(found, "tags"),
        metadata=_pairs(found, "metadata"),
        key=_text(found, "kmskey"),
    )


def _known(found: Mapping[str, Any], names: set[str], where: str) -> None:
    """Refuse a member that nothing reads: a misspelt filter would select everything."""
    unknown = sorted(set(map(str, found)) - names)
    if unknown:
        _fault(f"unknown member {unknown[0]!r} in {where}")


def _mapping(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        _fault(f"{name} is not a mapping")
    return value


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if value is None:
        return ""
    if isinstance(value, dict | list):
        _fault(f"{name} is not a text")
    return str(value)


def _attempts(found: Mapping[str, Any]) -> int:
    value = found.get("attempts", 3)
    if not isinstance(value, int) or not 0 < value <= 1000:
        _fault("attempts is not a number from 1 to 1000")
    return value


def _switch(found: Mapping[str, Any], name: str) -> bool:
    value = found.get(name, False)
    if not isinstance(value, bool):
        _fault(f"{name} is neither true nor false")
    return value


def _rate(found: Mapping[str, Any], name: str) -> float:
    value = found.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
        _fault(f"{name} is not a number of objects")
    return float(value)


def _seconds(found: Mapping[str, Any], name: str, default: float | None) -> float | None:
    text = _text(found, name)
    if not text:
        return default
    parts = _PART.findall(text[:LONGEST])
    if not parts or "".join(number + unit for number, unit in parts) != text:
        _fault(f"{name}: {text!r} is not a duration such as 24h, 7d or 500ms")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _moment(found: Mapping[str, Any], name: str) -> float | None:
    value = found.get(name)
    if value in (None, ""):
        return None
    try:
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
        moment = moment.replace(tzinfo=moment.tzinfo or datetime.UTC).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        _fault(f"{name}: {str(value)!r} is not a time such as 2026-01-31T00:00:00Z")
    return moment.timestamp()


def _pairs(found: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...]:
    items = found.get(name) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        _fault(f"{name} is not a list of key and value")
    return tuple((_text(item, "key"), _text(item, "value")) for item in items)


def _context(text: str) -> dict[str, str]:
    try:
        return parse_context(text) if text else {}
    except ValueError as error:
        _fault(str(error))


def _fault(text: str) -> NoReturn:
    raise refused("XMinioAdminInvalidArgument", f"Invalid arguments specified. ({text})")


# ---- out
def started(job: Job) -> dict[str, Any]:
    """Return what the start of a job answers."""
    progress = job.progress
    return {"id": progress.id, "type": KIND, "user": progress.user, "started": rfc3339(progress.started)}


def listed(job: Job, now: float) -> dict[str, Any]:
    """Return a job in a list; elapsed is in nanoseconds."""
    end = job.progress.updated if job.progress.complete or job.progress.cancelled else now
    return {**started(job), "elapsed": int((end - job.progress.started) * 1e9)}


def status(job: Job) -> dict[str, Any]:
    """Return a job's state."""
    progress = job.progress
    failed = progress.cancelled or bool(progress.complete and progress.failed)
    metric: dict[str, Any] = {
        "jobID": progress.id,
        "jobType": KIND,
        "startTime": rfc3339(progress.started),
        "lastUpdate": rfc3339(progress.updated),
        "retryAttempts": job.order.attempts,
        "complete": progress.complete and not failed,  # a job is one of both, as recorded
        "failed": failed,
        "rotation": {
            "lastBucket": job.order.bucket,
            "lastObject": progress.last,
            "objects": progress.objects,
            "objectsFailed": progress.failed,
        },
    }
    if progress.error:  # ours: what a job that is not done waits for, or why it ended
        metric["error"] = progress.error
    return {"LastMetric": metric}


def described(job: Job) -> bytes:
    """Return a job as YAML, without its secret."""
    order = job.order
    encryption = {"type": "sse-s3" if order.kind == Kind.S3 else "sse-kms"}
    encryption |= {"key": order.key_name} if order.key_name else {}
    document: dict[str, Any] = {"apiVersion": "v1", "bucket": order.bucket, "prefix": order.prefix}
    document |= {"encryption": encryption, "flags": _flags(order)}
    out = io.BytesIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump({KIND: document}, out)
    return out.getvalue()


def _flags(order: Order) -> dict[str, Any]:
    wanted = order.filter
    found: dict[str, Any] = {
        "newerThan": _duration(wanted.newer_than),
        "olderThan": _duration(wanted.older_than),
        "createdAfter": rfc3339(wanted.after) if wanted.after is not None else None,
        "createdBefore": rfc3339(wanted.before) if wanted.before is not None else None,
        "tags": [{"key": name, "value": value} for name, value in wanted.tags],
        "metadata": [{"key": name, "value": value} for name, value in wanted.metadata],
        "kmskey": wanted.key,
    }
    flags: dict[str, Any] = {"filter": {name: value for name, value in found.items() if value}}
    if order.notify:
        flags["notify"] = {"endpoint": order.notify, "token": _REDACTED if order.token else ""}
    if order.plain:
        flags["plaintextOnly"] = True
    if order.per_second:
        flags["perSecond"] = order.per_second
    flags["retry"] = {"attempts": order.attempts, "delay": _duration(order.delay)}
    return flags


def _duration(seconds: float | None) -> str:
    if not seconds:
        return ""
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def unknown_job() -> Refused:
    """Return the refusal of a job id that is not known."""
    return refused("XMinioAdminNoSuchJob")
