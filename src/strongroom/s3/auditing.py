"""The S3 server's audit log: one line for every request, admin call and key that a job seals anew.

Lines are chained (docs/formats/audit-log.md); those of one turn of the event loop are written together, and reach the
file before the answers leave.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from strongroom.audit.log import AuditLog, FileSink, Sink, StreamSink
from strongroom.audit.times import microseconds_text
from strongroom.messages import Request
from strongroom.s3.domain.seal_metadata import SealInfo
from strongroom.s3.handlers.call import Call, log

CHECKPOINT_SECONDS = 1.0
_encode = msgspec.json.Encoder().encode


def audit_log(where: str) -> AuditLog | None:
    """Return the log that a setting names: a file, `-` for standard output, "" or `off` for none."""
    if where in ("", "off"):
        return None
    sink: Sink = StreamSink() if where == "-" else FileSink(Path(where), rotate_bytes=256 * 1024 * 1024, keep=16)
    return AuditLog(sink, refuse_when_full=False, warn=log.error)


class Auditor:
    """Writes the lines; without a log it does nothing."""

    def __init__(self, audit: AuditLog | None) -> None:
        self.log = audit

    def request(
        self, request: Request, request_id: str, call: Call, status: int, seconds: float, sent: int
    ) -> Callable[[], None] | None:
        """Note who did what to which object, under which key, with what result; return what the answer calls first."""
        if self.log is None:
            return None
        return self.log.later(_request, request, request_id, call, status, seconds, sent, time.time_ns())

    def admin(self, request: Request, request_id: str, who: str, query: Mapping[str, str], status: int) -> None:
        """Note a call of the admin API with its arguments; secrets travel in bodies, which are not noted."""
        operation = request.path.removeprefix("/minio/").partition("?")[0].rstrip("/")
        arguments = {_text(name): _text(value) for name, value in query.items()}
        self._add(
            {
                "time": now(),
                "request_id": request_id,
                "operation": f"{request.method} {operation}",
                "arguments": arguments,
                "status": status,
                "who": who,
                "from": request.peer.address,
            }
        )

    def resealed(self, job: str, who: str, bucket: str, key: str, version: str, old: SealInfo, new: SealInfo) -> None:
        """Note that a job sealed an object's key anew."""
        self._add(
            {
                "time": now(),
                "operation": "keyrotate",
                "job": job,
                "bucket": bucket,
                "key": _text(key),
                "version": version,
                "who": who,
                "encryption": _key(new),
                "source": {"encryption": _key(old)} if old.kind is not None else {},
            }
        )

    def _add(self, event: dict[str, object]) -> None:
        if self.log is not None:
            self.log.add(_members(event))

    async def checkpoints(self) -> None:
        """Seal the log once a second, for ever."""
        while self.log is not None:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            self.log.checkpoint(now())

    def close(self) -> None:
        """Write the rest."""
        if self.log is not None:
            self.log.close()


def _members(event: dict[str, object]) -> str:
    return _encode(event)[:-1].decode()


def now() -> str:
    """Return the time, RFC 3339 with microseconds."""
    return microseconds_text(time.time_ns())


def _key(info: SealInfo) -> dict[str, object]:
    return {"kind": str(info.kind), "key": info.key_name, "key_version": info.key_version}


def _text(text: str) -> str:
    """Return text without what UTF-8 cannot write."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _request(request: Request, request_id: str, call: Call, status: int, seconds: float, sent: int, at: int) -> str:
    """Return the members of a request's line."""
    event: dict[str, object] = {
        "time": microseconds_text(at),
        "request_id": request_id,
        "operation": call.operation,
        "bucket": _text(call.bucket),
        "key": _text(call.key),
        "status": status,
        "who": _text(call.principal.name),
        "from": request.peer.address,
        "seconds": round(seconds, 6),
        "bytes": sent,
    }
    if version := call.args.get("versionId"):
        event["version"] = _text(version)
    if call.used is not None and call.used.kind is not None:
        event["encryption"] = _key(call.used)
    if call.source is not None:
        source = call.source
        sealed = {"encryption": _key(source.info)} if source.info.kind is not None else {}
        event["source"] = {"bucket": _text(source.bucket), "key": _text(source.key), **sealed}
    return _members(event)
