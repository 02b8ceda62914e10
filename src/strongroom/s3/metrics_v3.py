"""Metrics under the original's third set of names, where they mean the same: `GET /minio/metrics/v3[/GROUP]`.

A group's path answers all groups below it, as `…/v3/cluster` does for usage. Names: docs/reference/s3.md.
"""

import asyncio
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from strongroom.observe.metrics import Family, Sample
from strongroom.s3.domain.ports import ObjectStore
from strongroom.s3.domain.records import QUOTA, BucketRecord, BucketUsage

PATH = "/minio/metrics/v3"


@dataclass(frozen=True, slots=True)
class Operation:
    """Counts of one S3 operation. spread: (upper bound in seconds as text, answers up to it)."""

    name: str
    total: int
    errors_4xx: int
    errors_5xx: int
    spread: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What all groups are made of: counters of all processes, this process, and usage by bucket. Sizes in bytes."""

    operations: list[Operation]
    received: int
    sent: int
    inflight: int
    uptime: float  # seconds
    resident: int
    descriptors: int
    online: bool | None  # the key service; None without one
    usage: list[tuple[BucketRecord, BucketUsage]]


Make: TypeAlias = Callable[[Facts], list[Family]]


def wanted(path: str) -> list[str]:
    """Return the groups that a path asks for; none for a path that is not of this set."""
    if path != PATH and not path.startswith(PATH + "/"):
        return []
    below = path.removeprefix(PATH).rstrip("/")
    return [group for group in GROUPS if not below or group == below or group.startswith(below + "/")]


async def usage_of(store: ObjectStore) -> list[tuple[BucketRecord, BucketUsage]]:
    """Return what each bucket holds."""
    records = await store.buckets()
    return list(zip(records, await asyncio.gather(*(store.usage(one.name) for one in records)), strict=True))


def families(groups: list[str], facts: Facts) -> list[Family]:
    """Return the metrics of these groups."""
    return [family for group in groups for family in GROUPS[group](facts)]


def _requests(facts: Facts) -> list[Family]:
    def counted(end: str, text: str, value: Callable[[Operation], int]) -> Family:
        samples = [Sample(value(one), {"name": one.name, "type": "s3"}) for one in facts.operations]
        return Family(f"minio_api_requests_{end}", "counter", text, samples)

    spread = [
        Sample(count, {"name": one.name, "type": "s3", "le": bound})
        for one in facts.operations
        for bound, count in one.spread
    ]
    return [
        counted("total", "Requests", lambda one: one.total),
        counted("errors_total", "Requests with (4xx and 5xx) errors", lambda one: one.errors_4xx + one.errors_5xx),
        counted("4xx_errors_total", "Requests with 4xx errors", lambda one: one.errors_4xx),
        counted("5xx_errors_total", "Requests with 5xx errors", lambda one: one.errors_5xx),
        _one("minio_api_requests_inflight_total", "Requests in flight", facts.inflight, {"type": "s3"}),
        Family("minio_api_requests_ttfb_seconds_distribution", "counter", "Time to the first byte", spread),
        _one("minio_api_requests_traffic_sent_bytes", "Bytes sent", facts.sent, {"type": "s3"}, "counter"),
        _one("minio_api_requests_traffic_received_bytes", "Bytes received", facts.received, {"type": "s3"}, "counter"),
    ]


def _process(facts: Facts) -> list[Family]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return [
        _one("minio_system_process_uptime_seconds", "Since the start", facts.uptime),
        _one("minio_system_process_resident_memory_bytes", "Resident memory", facts.resident),
        _one("minio_system_process_file_descriptor_open_total", "Open file descriptors", facts.descriptors),
        _one("minio_system_process_file_descriptor_limit_total", "File descriptors that may be open", limit),
    ]


def _health(facts: Facts) -> list[Family]:
    return [
        _one("minio_cluster_health_nodes_online_count", "Servers that answer", 1),
        _one("minio_cluster_health_nodes_offline_count", "Servers that do not", 0),
    ]


def _objects(facts: Facts) -> list[Family]:
    def total(end: str, text: str, value: Callable[[BucketUsage], int]) -> Family:
        return _one(f"minio_cluster_usage_objects_{end}", text, sum(value(usage) for _, usage in facts.usage))

    return [
        total("total_bytes", "Bytes of all versions", lambda usage: usage.size),
        total("count", "Objects", lambda usage: usage.objects),
        total("versions_count", "Versions", lambda usage: usage.versions),
        total("delete_markers_count", "Delete markers", lambda usage: usage.markers),
        _one("minio_cluster_usage_objects_buckets_count", "Buckets", len(facts.usage)),
    ]


def _buckets(facts: Facts) -> list[Family]:
    def each(end: str, text: str, value: Callable[[BucketRecord, BucketUsage], int]) -> Family:
        samples = [Sample(value(*one), {"bucket": one[0].name}) for one in facts.usage]
        return Family(f"minio_cluster_usage_buckets_{end}", "gauge", text, samples)

    return [
        each("total_bytes", "Bytes of all versions in a bucket", lambda _, usage: usage.size),
        each("objects_count", "Objects in a bucket", lambda _, usage: usage.objects),
        each("versions_count", "Versions in a bucket", lambda _, usage: usage.versions),
        each("delete_markers_count", "Delete markers in a bucket", lambda _, usage: usage.markers),
        each("quota_total_bytes", "What a bucket may hold, 0: no limit", lambda one, _: int(one.config.get(QUOTA, 0))),
    ]


def _keys(facts: Facts) -> list[Family]:
    if facts.online is None:
        return []
    return [_one("strongroom_kms_online", "1 while a key server answers", facts.online)]


def _one(name: str, text: str, value: float, labels: dict[str, str] | None = None, kind: str = "gauge") -> Family:
    return Family(name, kind, text, [Sample(value, labels or {})])


GROUPS: dict[str, Make] = {
    "/api/requests": _requests,
    "/cluster/health": _health,
    "/cluster/usage/buckets": _buckets,
    "/cluster/usage/objects": _objects,
    "/strongroom/keys": _keys,
    "/system/process": _process,
}
