"""What an operator sees of requests: counters under the original's metric names, audit lines, traces.

Metrics: docs/reference/s3.md. Audit: auditing.py. Traces: handlers/admin/streams.py.
"""

import asyncio
import os
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from strongroom import __version__
from strongroom.messages import Body, Request, Response, Windows
from strongroom.observe.metrics import CONTENT_TYPE, Family, Sample, exposition
from strongroom.s3 import metrics_v3
from strongroom.s3.auditing import Auditor
from strongroom.s3.domain.ports import ObjectStore
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Box, Call
from strongroom.s3.handlers.hub import Hub
from strongroom.s3.outside.counted_keys import CountedKeys
from strongroom.s3.outside.kes_service import KesService
from strongroom.s3.outside.static_key import StaticKey
from strongroom.s3.spans import Spans
from strongroom.s3.trace_records import trace
from strongroom.s3.wire import bearer

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds; the original's buckets for the time to first byte
PATHS = frozenset(
    {"/minio/v2/metrics/cluster", "/minio/v2/metrics/node", "/minio/v2/metrics/bucket", "/minio/prometheus/metrics"}
)
STATUS_SECONDS = 2.0  # that a scrape waits for the key service


class _Counts:
    """Numbers of one operation: answers, those of class 4xx and 5xx, and how many took up to each bound, or longer."""

    __slots__ = ("by_class", "spread", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_class = {4: 0, 5: 0}
        self.spread = [0] * (len(BOUNDS) + 1)

    def numbers(self) -> list[int]:
        """Return all numbers in one row."""
        return [self.total, *self.by_class.values(), *self.spread]

    def add(self, numbers: Sequence[int]) -> None:
        """Add such a row."""
        self.total += numbers[0]
        self.by_class[4] += numbers[1]
        self.by_class[5] += numbers[2]
        self.spread = [a + b for a, b in zip(self.spread, numbers[3:], strict=True)]

    def samples(self, name: str) -> list[Sample]:
        """Return the cumulative buckets."""
        bounds, total, samples = [*map(str, BOUNDS), "+Inf"], 0, []
        for bound, count in zip(bounds, self.spread, strict=True):
            total += count
            samples.append(Sample(total, {"api": name, "le": bound}))
        return samples


class Telemetry:
    """Counts requests and writes their audit lines. A `Special` for the metrics paths. public: without a token."""

    def __init__(self, store: ObjectStore, audit: Auditor, *, public: bool = False) -> None:
        self.audit = audit
        self.traces: Hub[dict[str, Any]] = Hub()
        self.keys: CountedKeys | None = None  # set when there is a key service
        self.service: KesService | StaticKey | None = None
        self.spans: Spans | None = None  # set when a collector is named
        self._store = store
        self._public = public
        self._counts: dict[str, _Counts] = {}
        self._received = self._sent = 0
        self.inflight = 0
        self.others: Callable[[], list[dict[str, object]]] | None = None  # counters of the other processes
        self._started = time.time()

    def note(
        self, request: Request, request_id: str, call: Call | None, body: Body, response: Response, seconds: float
    ) -> Callable[[], None] | None:
        """Count a request that was answered; what it carries is counted as announced. Returns what `before` has."""
        operation = call.operation if call is not None else "Other"
        counts = self._counts.get(operation)
        if counts is None:
            counts = self._counts[operation] = _Counts()
        counts.total += 1
        kind = response.status // 100
        if kind >= 4:
            counts.by_class[kind] += 1
        counts.spread[bisect_left(BOUNDS, seconds)] += 1
        self._received += body.length or 0
        sent = (
            response.body.length
            if isinstance(response.body, Windows)
            else len(response.body)
            if isinstance(response.body, bytes)
            else 0
        )
        if request.method != "HEAD":
            self._sent += sent
        if self.spans is not None:
            self.spans.note(request, request_id, call, response, seconds)
        if self.traces.wanted:
            self.traces.put(trace(request, request_id, call, body, response, seconds, sent))
        if call is None:
            return None
        return self.audit.request(request, request_id, call, response.status, seconds, sent)

    def __call__(self, box: Box, request: Request, body: Body, request_id: str) -> Awaitable[Response] | None:
        """Answer the metrics paths; None for other paths."""
        if not request.path.startswith("/minio/") or request.method != "GET":
            return None
        groups = metrics_v3.wanted(request.path)
        return self._answer(box, request, groups) if groups or request.path in PATHS else None

    async def _answer(self, box: Box, request: Request, groups: list[str]) -> Response:
        if not self._public:
            credential = bearer.verify(request.headers.get("authorization", ""), box.verifier.directory, box.now())
            if not credential.root:
                raise Refused("AccessDenied")
        if groups:
            text = exposition(metrics_v3.families(groups, await self._facts()))
            return Response(200, [("Content-Type", CONTENT_TYPE)], text)
        families = self._requests() + self._process()
        if request.path.rpartition("/")[2] in ("cluster", "bucket", "metrics"):
            families += await self._usage() + await self._keys()
        return Response(200, [("Content-Type", CONTENT_TYPE)], exposition(families))

    def snapshot(self) -> dict[str, object]:
        """Return this process's counters, for the process that answers scrapers."""
        rows = {name: counts.numbers() for name, counts in self._counts.items()}
        return {"operations": rows, "received": self._received, "sent": self._sent, "inflight": self.inflight}

    def _merged(self) -> tuple[dict[str, _Counts], list[int]]:
        """Return the counters of all processes: by operation; received, sent, in flight."""
        merged: dict[str, _Counts] = {}
        sums = [0, 0, 0]
        for one in [self.snapshot(), *(self.others() if self.others is not None else [])]:
            for name, numbers in one["operations"].items():  # type: ignore[attr-defined]
                merged.setdefault(name, _Counts()).add(numbers)
            for place, name in enumerate(("received", "sent", "inflight")):
                sums[place] += int(one[name])  # type: ignore[call-overload]
        return merged, sums

    def _requests(self) -> list[Family]:
        merged, (received, sent_bytes, inflight) = self._merged()
        total = [Sample(counts.total, {"api": name.lower()}) for name, counts in merged.items()]
        failed = {
            kind: [Sample(counts.by_class[kind], {"api": name.lower()}) for name, counts in merged.items()]
            for kind in (4, 5)
        }
        both = [Sample(sum(counts.by_class.values()), {"api": name.lower()}) for name, counts in merged.items()]
        spread = [sample for name, counts in merged.items() for sample in counts.samples(name.lower())]
        return [
            Family("minio_s3_requests_total", "counter", "Total number of S3 requests", total),
            Family("minio_s3_requests_errors_total", "counter", "S3 requests with (4xx and 5xx) errors", both),
            Family("minio_s3_requests_4xx_errors_total", "counter", "S3 requests with 4xx errors", failed[4]),
            Family("minio_s3_requests_5xx_errors_total", "counter", "S3 requests with 5xx errors", failed[5]),
            Family("minio_s3_requests_inflight_total", "gauge", "S3 requests in flight", [Sample(inflight)]),
            Family("minio_s3_traffic_received_bytes", "counter", "Bytes received", [Sample(received)]),
            Family("minio_s3_traffic_sent_bytes", "counter", "Bytes sent", [Sample(sent_bytes)]),
            Family("minio_s3_requests_ttfb_seconds_distribution", "gauge", "Time to the first byte", spread),
        ]

    def _process(self) -> list[Family]:
        resident, files = _own()
        return [
            Family(
                "minio_software_version_info", "gauge", "The version that runs", [Sample(1, {"version": __version__})]
            ),
            Family(
                "minio_node_process_uptime_seconds", "gauge", "Since the start", [Sample(time.time() - self._started)]
            ),
            Family(
                "minio_node_process_resident_memory_bytes",
                "gauge",
                "Resident memory",
                [Sample(resident)],
            ),
            Family("minio_node_file_descriptor_open_total", "gauge", "Open file descriptors", [Sample(files)]),
        ]

    async def _facts(self) -> metrics_v3.Facts:
        """Return what the third set of metrics is made of."""
        merged, (received, sent, inflight) = self._merged()
        operations = [
            metrics_v3.Operation(
                name,
                one.total,
                one.by_class[4],
                one.by_class[5],
                [(s.labels["le"], int(s.value)) for s in one.samples(name)],
            )
            for name, one in merged.items()
        ]
        resident, files = _own()
        online = await self._online() if self.service is not None else None
        usage = await metrics_v3.usage_of(self._store)
        uptime = time.time() - self._started
        return metrics_v3.Facts(operations, received, sent, inflight, uptime, resident, files, online, usage)

    async def _online(self) -> bool:
        assert self.service is not None
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                return "online" in (await self.service.endpoints()).values()
        except TimeoutError:
            return False

    async def _usage(self) -> list[Family]:
        sizes, objects, versions = [], [], []
        total = 0
        for record in await self._store.buckets():
            usage = await self._store.usage(record.name)
            total += usage.size
            sizes.append(Sample(usage.size, {"bucket": record.name}))
            objects.append(Sample(usage.objects, {"bucket": record.name}))
            versions.append(Sample(usage.versions, {"bucket": record.name}))
        return [
            Family("minio_bucket_usage_total_bytes", "gauge", "Bytes of all versions in a bucket", sizes),
            Family("minio_bucket_usage_object_total", "gauge", "Objects in a bucket", objects),
            Family("minio_bucket_usage_version_total", "gauge", "Versions in a bucket", versions),
            Family("minio_cluster_usage_total_bytes", "gauge", "Bytes of all versions", [Sample(total)]),
            Family("minio_cluster_bucket_total", "gauge", "Buckets", [Sample(len(sizes))]),
            Family("minio_cluster_health_status", "gauge", "1 while the server works", [Sample(1)]),
        ]

    async def _keys(self) -> list[Family]:
        """Return the key service's metrics; none without one. Unlike the original's, `online` tells the truth."""
        if self.keys is None or self.service is None:
            return []
        online = await self._online()
        uses = (
            ("success", "that succeeded", self.keys.success),
            ("error", "refused for the key's or the caller's reason", self.keys.error),
            ("failure", "that failed for the key service's reason", self.keys.failure),
        )
        families = [
            Family(f"minio_cluster_kms_request_{end}", "counter", f"Uses of data keys {text}", [Sample(count)])
            for end, text, count in uses
        ]
        families.append(Family("minio_cluster_kms_online", "gauge", "1 while a key server answers", [Sample(online)]))
        if isinstance(self.service, KesService):
            live = Sample(self.service.events.live)
            help_text = "1 while a key server tells of locks at once; else they are seen by time alone"
            families.append(Family("strongroom_key_events_live", "gauge", help_text, [live]))
            locked = Sample(len(self.service.direct.denied))
            families.append(Family("strongroom_keys_locked", "gauge", "Keys known to be locked", [locked]))
        return families

    def close(self) -> None:
        """Write the rest of the audit log, and send the rest of the spans."""
        self.audit.close()
        if self.spans is not None:
            self.spans.close()


def _own() -> tuple[int, int]:
    """Return this process's resident bytes and open descriptors."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))
