"""The S3 server's audit log: one line for every request, admin call and key that a job seals anew.

Lines are chained (docs/formats/audit-log.md); those of one turn of the event loop are written together, and reach the
file before the turn ends.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from strongroom.audit.log import AuditLog, FileSink, Sink, StreamSink
from strongroom.messages import Request
from strongroom.s3.domain.seal_metadata import SealInfo
from strongroom.s3.handlers.call import Call, log

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


class Auditor:
    """Writes the lines; without a log it does nothing."""

    def __init__(self, audit: AuditLog | None) -> None:
        self.log = audit

    def request(self, request: Request, request_id: str, call: Call, status: int, seconds: float, sent: int) -> None:
        """Note who did what to which object, under which key, with what result."""
        if self.log is None:
            return
        event: dict[str, object] = {
            "time": now(),
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
        self._add(event)

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
            self.log.add(_encode(event)[:-1].decode())

    async def checkpoints(self) -> None:
        """Seal the log once a second, for ever."""
        while self.log is not None:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            self.log.checkpoint(now())

    def close(self) -> None:
        """Write the rest."""
        if self.log is not None:
            self.log.close()


def now() -> str:
    """Return the time, RFC 3339 with microseconds."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _key(info: SealInfo) -> dict[str, object]:
    return {"kind": str(info.kind), "key": info.key_name, "key_version": info.key_version}


def _text(text: str) -> str:
    """Return text without what UTF-8 cannot write."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
