"""Audit lines: what was asked, by whom, with what result, strings hashed (vault.md 11).

A request line is written before the operation runs, a response line before the answer leaves. With devices enabled,
at least one must take a line, or the request fails.
"""

import hmac
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from strongroom.audit.times import nanoseconds_text
from strongroom.errors import Error, Tampered, Unavailable
from strongroom.kms.domain.entries import Work
from strongroom.kms.domain.errors import Forbidden, Nothing, Refused, UnsupportedPath
from strongroom.kms.domain.fields import to_bool
from strongroom.kms.domain.records import AuditDevice, AuditTable
from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers.audit_device import Device, Sink
from strongroom.kms.handlers.call import Call, Reply
from strongroom.kms.settings import AuditStanza
from strongroom.kms.wire import gojson
from strongroom.kms.wire.policies import one_error

TABLE = "core/audit"
SWITCHES = ("hmac_accessor", "log_raw", "elide_list_responses", "skip_test")
INVALID = one_error("invalid request")  # what lines say of every request that its handler refuses; the text is hashed
UNLOGGED = "no audit device could log the request"
OpenSink = Callable[[str, Mapping[str, str], bytes], Sink]
"""Opens a device of a type with options; raises Refused with the protocol's text."""


@runtime_checkable
class Chained(Protocol):
    """A sink with a chain beside it."""

    def seal(self) -> None:
        """Append what the chain has gathered; raise OSError."""

    def verify(self) -> tuple[int, int]:
        """Return (bytes proven, bytes after them); raise Tampered."""


class Audit:
    """The enabled devices of a server."""

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.table = AuditTable()
        self.open_sink: OpenSink | None = None
        self.failures = 0
        self.active = False

    def load(self, work: Work, stanzas: Iterable[AuditStanza] = ()) -> None:
        """Open the stored devices and those of the configuration (after unseal)."""
        self.table = work.load(TABLE, AuditTable) or AuditTable()
        for stanza in stanzas:
            path = stanza.path.strip("/") + "/"
            if all(device.path != path for device in self.table.devices):
                self.table.devices.append(_record(path, stanza.type, stanza.description, dict(stanza.options)))
                work.store(TABLE, self.table)
        work.commit()
        self.devices = [Device(record, self._open(record)) for record in self.table.devices]
        self.active = bool(self.devices)

    def _open(self, record: AuditDevice) -> Sink:
        if self.open_sink is None:
            raise Unavailable("no way to open audit devices")
        return self.open_sink(record.type, record.options, hmac.digest(record.salt.encode(), b"chain", "sha256"))

    def enable(self, call: Call, path: str, kind: str, description: str, options: dict[str, str], local: bool) -> None:
        """Add a device, after a test line; raise Refused."""
        known = [device.record.path for device in self.devices]
        if any(path.startswith(other) or other.startswith(path) for other in known):
            raise Refused("path already in use")
        check_options(options)
        record = _record(path, kind, description, options, local)
        device = Device(record, self._open(record))
        if not to_bool(options.get("skip_test", "")):
            test = {"time": rfc3339(call.now), "type": "request", "auth": {"token_type": "default"}}
            test["request"] = {"id": str(uuid.uuid4()), "operation": "update", "namespace": {"id": "root"}}
            test["request"]["path"] = "sys/audit/test"  # type: ignore[index]
            self._write(device, gojson.encode(test))
        self.devices.append(device)
        self.table.devices.append(record)
        self.active = True
        call.work.store(TABLE, self.table)

    def disable(self, call: Call, path: str) -> None:
        """Remove a device, if there is one."""
        for device in [found for found in self.devices if found.record.path == path]:
            device.sink.close()
            self.devices.remove(device)
            self.table.devices.remove(device.record)
        self.active = bool(self.devices)
        call.work.store(TABLE, self.table)

    def find(self, path: str) -> Device:
        """Return a device; raise Refused."""
        for device in self.devices:
            if device.record.path == path:
                return device
        raise Refused(f'unknown audit backend "{path}"')

    def request(self, call: Call, error: str | None, *, hold: bool = False) -> None:
        """Write the request line; raise Unavailable when no device takes it.

        hold: the operation stores nothing, so that the line may go out in one write with the response line.
        """
        time, tail, headers = nanoseconds_text(call.core.clock()).encode(), _tail(error), self.table.headers
        call.noted = True
        self._each(lambda device: device.request_line(call, time, tail, headers), flush=not hold)

    def response(self, call: Call, reply: Reply | None, error: str | None = None) -> None:
        """Write the response line; raise Unavailable when no device takes it."""
        time, tail, headers = nanoseconds_text(call.core.clock()).encode(), _tail(error), self.table.headers
        self._each(lambda device: device.response_line(call, reply, time, tail, headers), flush=True)

    def _each(self, line: Callable[[Device], bytes], *, flush: bool) -> None:
        """Give every device its line; raise Unavailable when none takes it."""
        taken = False
        for device in self.devices:
            try:
                device.waiting.append(line(device))
                if flush:
                    device.flush()
                taken = True
            except OSError:
                self.failures += 1
        if not taken:
            raise Unavailable(UNLOGGED)

    def refused(self, call: Call, error: Error) -> None:
        """Write the lines of a request that failed: both, where its own is not written yet."""
        text = one_error(str(error))
        refused = not call.noted or isinstance(error, Forbidden)
        if not call.noted:
            self.request(call, str(error) if isinstance(error, Forbidden) else text)
        if refused:
            self.response(call, Reply(data={"error": str(error)}), text)
        elif isinstance(error, Refused):
            self.response(call, Reply(data={"error": str(error)}), INVALID)
        elif isinstance(error, Nothing):
            self.response(call, None)
        else:
            self.response(call, None, one_error(str(error)) if not isinstance(error, UnsupportedPath) else text)

    def _write(self, device: Device, line: bytes) -> None:
        device.sink.write(device.prefix + line + b"\n")

    def seal(self) -> None:
        """Let the chains of files take what came (about once a second)."""
        for device in self.devices:
            if isinstance(device.sink, Chained):
                try:
                    device.sink.seal()
                except OSError:
                    self.failures += 1

    def reopen(self) -> list[str]:
        """Open files again (SIGHUP after log rotation); return what kept a device with its old one."""
        problems = []
        for device in self.devices:
            try:
                device.sink.reopen()
            except (OSError, Tampered) as error:
                problems.append(f"audit device {device.record.path} goes on with its old file: {error}")
        return problems

    def close(self) -> None:
        """Close every device (seal)."""
        for device in self.devices:
            device.sink.close()
        self.devices, self.active = [], False


def _tail(error: str | None) -> bytes:
    return b"" if error is None else b',"error":' + gojson.encode(error)


def check_options(options: Mapping[str, str]) -> None:
    """Raise Refused for a switch of a device that is no boolean."""
    for name in SWITCHES:
        try:
            to_bool(options.get(name, ""))
        except ValueError as error:
            raise Refused(f'strconv.ParseBool: parsing "{options[name]}": invalid syntax') from error


def _record(path: str, kind: str, description: str, options: dict[str, str], local: bool = False) -> AuditDevice:
    return AuditDevice(path, kind, description, options, local, str(uuid.uuid4()), str(uuid.uuid4()))
