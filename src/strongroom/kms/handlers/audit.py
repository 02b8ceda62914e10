"""Audit lines: what was asked, by whom, with what result, strings hashed (vault.md 11).

A request line is written before the operation runs, a response line before the answer leaves. With devices enabled,
at least one must take a line, or the request fails.
"""

import hmac
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from strongroom.errors import Error, Unavailable
from strongroom.kms.domain.entries import Work
from strongroom.kms.domain.errors import Forbidden, Refused, UnsupportedPath
from strongroom.kms.domain.records import AuditDevice, AuditTable, Token
from strongroom.kms.domain.values import rfc3339, rfc3339_seconds
from strongroom.kms.handlers.call import NAMES, Call, Reply
from strongroom.kms.settings import AuditStanza
from strongroom.kms.wire import gojson
from strongroom.kms.wire.policies import one_error

TABLE = "core/audit"
VERSION = "v2.7.2+builtin.bao"
CACHED = 4096


class Sink(Protocol):
    """Where lines go. write raises OSError when the line was not taken."""

    def write(self, line: bytes) -> None:
        """Take one line, newline included."""

    def reopen(self) -> None:
        """Open the file again under its name (after rotation)."""

    def close(self) -> None:
        """Let go of it."""


OpenSink = Callable[[str, Mapping[str, str]], Sink]
"""Opens a device of a type with options; raises Refused with the protocol's text."""


class Device:
    """One enabled device: its record, its sink, its hashes."""

    def __init__(self, record: AuditDevice, sink: Sink) -> None:
        options = record.options
        self.record, self.sink = record, sink
        self.salt = record.salt.encode()
        self.raw = options.get("log_raw") in ("true", "1")
        self.hide_accessor = options.get("hmac_accessor", "true") not in ("false", "0")
        self.elide = options.get("elide_list_responses") in ("true", "1")
        self.prefix = options.get("prefix", "").encode()
        self._auth: dict[tuple[int, int], tuple[Token, Any, bytes]] = {}

    def hash(self, text: str) -> str:
        """Return the hash of a text under this device's salt."""
        return "hmac-sha256:" + hmac.digest(self.salt, text.encode(), "sha256").hex()

    def shown(self, value: Any, clear: Iterable[str] = ()) -> Any:
        """Return a value with every text hashed, members named in clear excepted."""
        if self.raw:
            return value
        if isinstance(value, str):
            return self.hash(value)
        if isinstance(value, dict):
            return {k: v if k in clear else self.shown(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.shown(part) for part in value]
        return value

    def secret(self, text: str) -> str:
        """Return a token's text as lines carry it."""
        return text if self.raw else self.hash(text)

    def accessor(self, text: str) -> str:
        """Return an accessor as lines carry it."""
        return text if self.raw or not self.hide_accessor else self.hash(text)

    def auth(self, call: Call) -> bytes:
        """Return the `auth` member as JSON; cached, for it is the same in most lines of one token."""
        token = call.token
        if token is None:
            return b'{"token_type":"default"}'
        key = (id(token), id(call.granted))
        known = self._auth.get(key)
        if known is not None and known[0] is token and known[1] is call.granted and token.num_uses == 0:
            return known[2]
        names = ["root"] if "root" in token.policies else list(call.granted.names) if call.granted else []
        results: dict[str, Any] = {"allowed": bool(names)}
        if names:
            results["granting_policies"] = [{"name": name, "namespace_id": "root", "type": "acl"} for name in names]
        found = gojson.encode(self.token(token, call.token_text, results))
        if len(self._auth) >= CACHED:
            self._auth.clear()
        self._auth[key] = (token, call.granted, found)
        return found

    def token(self, token: Token, text: str, results: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a token as lines show it."""
        found: dict[str, Any] = {"client_token": self.secret(text)}
        if token.accessor:
            found["accessor"] = self.accessor(token.accessor)
        found |= {"display_name": token.display_name, "policies": token.policies, "token_policies": token.policies}
        if results is not None:
            found["policy_results"] = results
        if token.meta:
            found["metadata"] = token.meta
        if token.num_uses > 0:
            found["num_uses"] = token.num_uses
        if token.entity_id:
            found["entity_id"] = token.entity_id
        found["token_type"] = token.kind
        if token.ttl:
            found["token_ttl"] = token.ttl
        return found | {"token_issue_time": rfc3339_seconds(token.issued // 1_000_000_000)}

    def request(self, call: Call, headers: Mapping[str, bool]) -> dict[str, Any]:
        """Return the `request` member."""
        mount, token = call.mount, call.token
        found: dict[str, Any] = {"id": call.request_id}
        if token is not None:
            found["client_id"] = (
                token.entity_id or b64encode(hmac.digest(b"client", token.hash.encode(), "sha256")).decode()
            )
        found["operation"] = NAMES[call.operation]
        if mount.path:
            found |= {"mount_point": mount.path, "mount_type": mount.type, "mount_accessor": mount.accessor}
            found |= {"mount_running_version": VERSION, "mount_class": _kind(mount.path)}
        if call.token_text:
            found["client_token"] = self.secret(call.token_text)
        if token is not None and token.accessor:
            found["client_token_accessor"] = self.accessor(token.accessor)
        found |= {"namespace": {"id": "root"}, "path": call.full}
        if call.data:
            found["data"] = self.shown(call.data, mount.config.audit_non_hmac_request_keys)
        if call.wrap_ttl:
            found["wrap_ttl"] = int(call.wrap_ttl)
        shown = {name: [call.headers[name.lower()]] for name in headers if name.lower() in call.headers}
        if shown:
            found["headers"] = {n.lower(): self.shown(v) if headers[n] else v for n, v in shown.items()}
        return found | {"remote_address": call.peer.address, "remote_port": call.peer.port}

    def response(self, call: Call, reply: Reply | None) -> dict[str, Any]:
        """Return the `response` member."""
        mount = call.mount
        found: dict[str, Any] = {}
        if reply is not None and reply.auth is not None:
            found["auth"] = self.token(reply.auth.token, reply.auth.client_token)
        if mount.path:
            found |= {"mount_point": mount.path, "mount_type": mount.type, "mount_accessor": mount.accessor}
            found |= {"mount_running_plugin_version": VERSION, "mount_class": _kind(mount.path)}
        if reply is None:
            return found
        if reply.lease_duration:
            found["secret"] = {"lease_id": reply.lease_id} if reply.lease_id else {}
        data = _data(reply)
        if data:
            if self.elide and call.operation == 16 and isinstance(data.get("keys"), list):
                found["data"] = {
                    name: len(value) if isinstance(value, list | dict) else value for name, value in data.items()
                }
            else:
                found["data"] = self.shown(data, mount.config.audit_non_hmac_response_keys)
        if reply.wrap is not None:
            info = reply.wrap.render()
            info |= {"token": self.secret(reply.wrap.token), "accessor": self.accessor(reply.wrap.accessor)}
            found["wrap_info"] = info
        if reply.warnings:
            found["warnings"] = reply.warnings
        return found


def _kind(path: str) -> str:
    return "auth" if path.startswith("auth/") else "secret"


def _data(reply: Reply) -> dict[str, Any]:
    if reply.raw is not None:
        return gojson.decode(reply.raw)
    if reply.bare is not None:
        return gojson.decode(reply.bare) if not reply.content_type else {}
    return dict(reply.data or {})


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
        return self.open_sink(record.type, record.options)

    def enable(self, call: Call, path: str, kind: str, description: str, options: dict[str, str], local: bool) -> None:
        """Add a device, after a test line; raise Refused."""
        if any(device.record.path == path for device in self.devices):
            raise Refused("path already in use")
        record = _record(path, kind, description, options, local)
        device = Device(record, self._open(record))
        if options.get("skip_test") not in ("true", "1"):
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

    def request(self, call: Call, error: str | None) -> None:
        """Write the request line; raise Unavailable when no device takes it."""
        tail = b"" if error is None else b',"error":' + gojson.encode(error)
        time = rfc3339(call.core.clock()).encode()

        def line(device: Device) -> bytes:
            request = gojson.encode(device.request(call, self.table.headers))
            return b'{"time":"%b","type":"request","auth":%b,"request":%b%b}' % (time, device.auth(call), request, tail)

        self._all(line)

    def response(self, call: Call, reply: Reply | None, error: str | None = None) -> None:
        """Write the response line; raise Unavailable when no device takes it."""
        tail = b"" if error is None else b',"error":' + gojson.encode(error)
        time = rfc3339(call.core.clock()).encode()

        def line(device: Device) -> bytes:
            request = gojson.encode(device.request(call, self.table.headers))
            response = gojson.encode(device.response(call, reply))
            parts = (time, device.auth(call), request, response, tail)
            return b'{"time":"%b","type":"response","auth":%b,"request":%b,"response":%b%b}' % parts

        self._all(line)

    def refused(self, call: Call, error: Error) -> None:
        """Write the lines of a request that failed: of one without a valid token or grant, both."""
        text = one_error(str(error))
        if isinstance(error, Forbidden) or (call.token is not None and call.granted is None and not _root(call)):
            self.request(call, str(error) if isinstance(error, Forbidden) else text)
            self.response(call, Reply(data={"error": str(error)}), text)
        elif isinstance(error, Refused):
            self.response(call, Reply(data={"error": str(error)}))
        else:
            self.response(call, None, one_error(str(error)) if not isinstance(error, UnsupportedPath) else text)

    def _all(self, line: Callable[[Device], bytes]) -> None:
        taken = False
        for device in self.devices:
            try:
                self._write(device, line(device))
                taken = True
            except OSError:
                self.failures += 1
        if not taken:
            raise Unavailable("no audit device could log the request")

    def _write(self, device: Device, line: bytes) -> None:
        device.sink.write(device.prefix + line + b"\n")

    def reopen(self) -> None:
        """Open files again (SIGHUP after log rotation)."""
        for device in self.devices:
            device.sink.reopen()

    def close(self) -> None:
        """Close every device (seal)."""
        for device in self.devices:
            device.sink.close()
        self.devices, self.active = [], False


def _root(call: Call) -> bool:
    return call.rules is not None and call.rules.root


def _record(path: str, kind: str, description: str, options: dict[str, str], local: bool = False) -> AuditDevice:
    return AuditDevice(path, kind, description, options, local, str(uuid.uuid4()), str(uuid.uuid4()))
