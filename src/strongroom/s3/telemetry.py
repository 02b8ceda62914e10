"""What an operator sees of requests: counters under the original's metric names, and one audit line for each.

Metrics: docs/reference/s3.md. Audit lines are chained (docs/reference/audit.md); those of one turn of the event loop
are written together, and reach the file before the turn ends.
"""

import asyncio
import os
import time
from collections.abc import Awaitable
from functools import lru_cache
from pathlib import Path

import msgspec

from strongroom import __version__
from strongroom.audit.log import AuditLog, FileSink, Sink, StreamSink
from strongroom.messages import Body, Request, Response, Windows
from strongroom.observe.metrics import CONTENT_TYPE, Family, Histogram, Sample, exposition
from strongroom.s3.domain.ports import ObjectStore
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Box, Call, log
from strongroom.s3.wire import bearer

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds; the original's buckets for the time to first byte
PATHS = frozenset(
    {"/minio/v2/metrics/cluster", "/minio/v2/metrics/node", "/minio/v2/metrics/bucket", "/minio/prometheus/metrics"}
)
CHECKPOINT_SECONDS = 1.0
_encode = msgspec.json.Encoder().encode


class TurnFile(FileSink):
    """An audit file that gathers what is written in one turn of the event loop, for one write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, rotate_bytes=256 * 1024 * 1024, keep=16)
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Take whole lines."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(data)

    def flush(self) -> None:
        """Write what is waiting; what cannot be written is gone, and the gap shows in the numbers of the lines."""
        if self._waiting:
            data, self._waiting = b"".join(self._waiting), []
            try:
                super().write(data)
            except OSError as error:
                log.error("audit file %s: %s", self.path, error.strerror)

    def close(self) -> None:
        """Write the rest and end."""
        self.flush()
        super().close()


def audit_log(where: str) -> AuditLog | None:
    """Return the log that a setting names: a file, `-` for standard output, "" or `off` for none."""
    if where in ("", "off"):
        return None
    sink: Sink = StreamSink() if where == "-" else TurnFile(Path(where))
    return AuditLog(sink)


class _Counts:
    """Numbers of one operation."""

    __slots__ = ("by_class", "seconds", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_class = {4: 0, 5: 0}
        self.seconds = Histogram(BOUNDS)


class Telemetry:
    """Counts requests and writes their audit lines. A `Special` for the metrics paths. public: without a token."""

    def __init__(self, store: ObjectStore, audit: AuditLog | None, *, public: bool = False) -> None:
        self.audit = audit
        self._store = store
        self._public = public
        self._counts: dict[str, _Counts] = {}
        self._received = self._sent = 0
        self.inflight = 0
        self._started = time.time()

    def note(
        self, request: Request, request_id: str, call: Call | None, body: Body, response: Response, seconds: float
    ) -> None:
        """Count a request that was answered; what it carries is counted as announced."""
        operation = call.operation if call is not None else "Other"
        counts = self._counts.get(operation)
        if counts is None:
            counts = self._counts[operation] = _Counts()
        counts.total += 1
        kind = response.status // 100
        if kind >= 4:
            counts.by_class[kind] += 1
        counts.seconds.observe(seconds)
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
        if self.audit is not None and call is not None:
            self.audit.add(_members(request, request_id, call, response.status, seconds, sent))

    def __call__(self, box: Box, request: Request, body: Body, request_id: str) -> Awaitable[Response] | None:
        """Answer the metrics paths; None for other paths."""
        if request.path not in PATHS or request.method != "GET":
            return None
        return self._answer(box, request)

    async def _answer(self, box: Box, request: Request) -> Response:
        if not self._public:
            credential = bearer.verify(request.headers.get("authorization", ""), box.verifier.directory, box.now())
            if not credential.root:
                raise Refused("AccessDenied")
        families = self._requests() + self._process()
        if request.path.rpartition("/")[2] in ("cluster", "bucket", "metrics"):
            families += await self._usage()
        return Response(200, [("Content-Type", CONTENT_TYPE)], exposition(families))

    def _requests(self) -> list[Family]:
        total = [Sample(counts.total, {"api": name.lower()}) for name, counts in self._counts.items()]
        failed = {
            kind: [Sample(counts.by_class[kind], {"api": name.lower()}) for name, counts in self._counts.items()]
            for kind in (4, 5)
        }
        both = [Sample(sum(counts.by_class.values()), {"api": name.lower()}) for name, counts in self._counts.items()]
        spread = [
            Sample(sample.value, {"api": name.lower(), **sample.labels}, sample.suffix)
            for name, counts in self._counts.items()
            for sample in counts.seconds.samples()
            if sample.suffix == "_bucket"
        ]
        return [
            Family("minio_s3_requests_total", "counter", "Total number of S3 requests", total),
            Family("minio_s3_requests_errors_total", "counter", "S3 requests with (4xx and 5xx) errors", both),
            Family("minio_s3_requests_4xx_errors_total", "counter", "S3 requests with 4xx errors", failed[4]),
            Family("minio_s3_requests_5xx_errors_total", "counter", "S3 requests with 5xx errors", failed[5]),
            Family("minio_s3_requests_inflight_total", "gauge", "S3 requests in flight", [Sample(self.inflight)]),
            Family("minio_s3_traffic_received_bytes", "counter", "Bytes received", [Sample(self._received)]),
            Family("minio_s3_traffic_sent_bytes", "counter", "Bytes sent", [Sample(self._sent)]),
            Family("minio_s3_requests_ttfb_seconds_distribution", "gauge", "Time to the first byte", spread),
        ]

    def _process(self) -> list[Family]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(os.listdir("/proc/self/fd"))
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
                [Sample(pages * os.sysconf("SC_PAGE_SIZE"))],
            ),
            Family("minio_node_file_descriptor_open_total", "gauge", "Open file descriptors", [Sample(files)]),
        ]

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

    async def checkpoints(self) -> None:
        """Seal the audit log once a second, for ever."""
        while self.audit is not None:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            self.audit.checkpoint(_now())

    def close(self) -> None:
        """Write the rest of the audit log."""
        if self.audit is not None:
            self.audit.close()


def _now() -> str:
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _members(request: Request, request_id: str, call: Call, status: int, seconds: float, sent: int) -> str:
    """Return an audit line's members: who did what to which object, under which key, with what result."""
    event: dict[str, object] = {
        "time": _now(),
        "request_id": request_id,
        "operation": call.operation,
        "bucket": call.bucket,
        "key": call.key.encode("utf-8", "replace").decode(),
        "status": status,
        "who": call.principal.name,
        "from": request.peer.address,
        "seconds": round(seconds, 6),
        "bytes": sent,
    }
    if version := call.args.get("versionId"):
        event["version"] = version.encode("utf-8", "replace").decode()
    used = call.used
    if used is not None and used.kind is not None:
        event["encryption"] = {"kind": str(used.kind), "key": used.key_name, "key_version": used.key_version}
    return _encode(event)[:-1].decode()
