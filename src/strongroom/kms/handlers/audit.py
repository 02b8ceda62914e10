"""Audit lines: what was asked, by whom, with what result, strings hashed (vault.md 11).

A request line is written before the operation runs, a response line before the answer leaves. With devices enabled,
at least one must take a line, or the request fails.
"""

import hashlib
import hmac
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from strongroom.errors import Error, Unavailable
from strongroom.kms.domain import acl
from strongroom.kms.domain.entries import Work
from strongroom.kms.domain.errors import Forbidden, Refused, UnsupportedPath
from strongroom.kms.domain.records import AuditDevice, AuditTable, Mount, Token
from strongroom.kms.domain.values import rfc3339, rfc3339_seconds
from strongroom.kms.handlers.call import NAMES, Call, Reply
from strongroom.kms.settings import AuditStanza
from strongroom.kms.wire import gojson
from strongroom.kms.wire.policies import one_error

TABLE = "core/audit"
VERSION = "v2.7.2+builtin.bao"
CACHED = 4096
NOBODY, OPEN = b'{"token_type":"default"}', b'{"policy_results":{"allowed":true},"token_type":"default"}'
BLOCK = 64  # bytes that SHA-256 takes at a time


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
        self._heads: dict[tuple[int, str, int], tuple[Token, str, bytes]] = {}
        self._mounts: dict[str, tuple[Mount, bytes]] = {}
        self._asked: tuple[Call, bytes] | None = None
        self.waiting: list[bytes] = []
        self._names: dict[str, bytes] = {}
        padded = (self.salt if len(self.salt) <= BLOCK else hashlib.sha256(self.salt).digest()).ljust(BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def digest(self, text: str) -> str:
        """Return hexadecimal HMAC-SHA-256 of a text under the salt.

        From kept states of its two hashes: half the time of `hmac.digest` (0.6 µs against 1.4).
        """
        inner = self._inner.copy()
        inner.update(text.encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()

    def hash(self, text: str) -> str:
        """Return the hash of a text under this device's salt."""
        return "hmac-sha256:" + self.digest(text)

    def shown(self, value: Any, clear: Iterable[str] = ()) -> bytes:
        """Return a value as JSON with every text hashed, members named in clear excepted."""
        if self.raw:
            return gojson.encode(value)
        kind = type(value)
        if kind is str:
            return b'"hmac-sha256:%b"' % self.digest(value).encode()
        if kind is dict:
            names = self._names
            parts = []
            for name in sorted(value) if len(value) > 1 else value:
                part = value[name]
                head = names.get(name) or self._name(name)
                if type(part) is str and not clear:  # by far the most members: no further call
                    parts.append(b'%b"hmac-sha256:%b"' % (head, self.digest(part).encode()))
                else:
                    parts.append(head + (gojson.encode(part) if name in clear else self.shown(part)))
            return b"{%b}" % b",".join(parts)
        if kind is list or kind is tuple:
            return b"[%b]" % b",".join([self.shown(part) for part in value])
        return _encode(value)

    def _name(self, name: str) -> bytes:
        """Return a member's name as JSON with its colon; kept, for names repeat."""
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= CACHED:
                self._names.clear()
            known = self._names[name] = _quoted(name) + b":"
        return known

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
            return OPEN if call.route is not None and call.route.open else NOBODY
        key = (id(token), id(call.granted))
        known = self._auth.get(key)
        if known is not None and known[0] is token and known[1] is call.granted and token.num_uses == 0:
            return known[2]
        names = ["root"] if "root" in token.policies else list(call.granted.names) if call.granted else []
        results: dict[str, Any] = {"allowed": bool(names)}
        if names:
            results["granting_policies"] = [{"name": name, "namespace_id": "root", "type": "acl"} for name in names]
        found = gojson.escape(_encode(self.token(token, call.token_text, results)))
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
        if results is not None:
            found["token_issue_time"] = rfc3339_seconds(token.issued // 1_000_000_000)
        return found

    def request(self, call: Call, headers: Mapping[str, bool]) -> bytes:
        """Return the `request` member as JSON; the same bytes serve both lines of a call."""
        if self._asked is not None and self._asked[0] is call:
            return self._asked[1]
        mount, peer = call.mount, call.peer
        middle = b""
        if call.data:
            clear = mount.config.audit_non_hmac_request_keys
            middle += b',"data":' + self.shown(call.data, clear)
        if call.wrap_ttl:
            middle += b',"wrap_ttl":%d' % int(call.wrap_ttl)
        if headers:
            middle += self._headers(call, headers)
        found = b'{"id":"%b",%b%b%b,"remote_address":%b,"remote_port":%d}' % (
            call.request_id.encode(),
            self._head(call),
            _quoted(call.full),
            middle,
            _quoted(peer.address),
            peer.port,
        )
        self._asked = (call, found)
        return found

    def _head(self, call: Call) -> bytes:
        """Return the members between id and path: the same for all requests of a token to a mount; cached."""
        token, mount = call.token, call.mount
        key = (id(token), mount.uuid, call.operation)
        known = self._heads.get(key)
        if known is not None and token is not None and known[0] is token and known[1] == call.token_text:
            return known[2]
        found: dict[str, Any] = {}
        if token is not None:
            client = b64encode(hmac.digest(b"client", token.hash.encode(), "sha256")).decode()
            found["client_id"] = token.entity_id or client
        found["operation"] = NAMES[call.operation]
        if mount.path:
            found |= {"mount_point": mount.path, "mount_type": mount.type, "mount_accessor": mount.accessor}
            found |= {"mount_running_version": VERSION, "mount_class": _kind(mount.path)}
        if call.token_text:
            found["client_token"] = self.secret(call.token_text)
        if token is not None and token.accessor:
            found["client_token_accessor"] = self.accessor(token.accessor)
        head = _members(found | {"namespace": {"id": "root"}}) + b',"path":'
        if token is not None:
            if len(self._heads) >= CACHED:
                self._heads.clear()
            self._heads[key] = (token, call.token_text, head)
        return head

    def _headers(self, call: Call, headers: Mapping[str, bool]) -> bytes:
        given = {name: [call.headers[name.lower()]] for name in headers if name.lower() in call.headers}
        if not given:
            return b""
        shown = {
            name.lower(): [self.hash(v) for v in value] if headers[name] else value for name, value in given.items()
        }
        return b',"headers":' + gojson.encode(shown)

    def response(self, call: Call, reply: Reply | None) -> bytes:
        """Return the `response` member as JSON."""
        mount = call.mount
        parts = []
        if reply is not None and reply.auth is not None:
            parts.append(b'"auth":' + _encode(self.token(reply.auth.token, reply.auth.client_token)))
        if mount.path:
            parts.append(self._mount(mount))
        if reply is not None:
            parts += self._outcome(call, reply)
        return b"{%b}" % b",".join(parts)

    def _mount(self, mount: Mount) -> bytes:
        known = self._mounts.get(mount.path)
        if known is not None and known[0] is mount:
            return known[1]
        found = {"mount_point": mount.path, "mount_type": mount.type, "mount_accessor": mount.accessor}
        text = _members(found | {"mount_running_plugin_version": VERSION, "mount_class": _kind(mount.path)})
        self._mounts[mount.path] = (mount, text)
        return text

    def _outcome(self, call: Call, reply: Reply) -> list[bytes]:
        parts = []
        if reply.lease_duration:
            parts.append(b'"secret":' + (_encode({"lease_id": reply.lease_id}) if reply.lease_id else b"{}"))
        data = _data(reply)
        if data:
            if self.elide and call.operation & (acl.LIST | acl.SCAN) and isinstance(data.get("keys"), list):
                shown = gojson.encode({n: len(v) if isinstance(v, list | dict) else v for n, v in data.items()})
            else:
                shown = self.shown(data, call.mount.config.audit_non_hmac_response_keys)
            parts.append(b'"data":' + shown)
        if reply.wrap is not None:
            info = reply.wrap.render()
            info |= {"token": self.secret(reply.wrap.token), "accessor": self.accessor(reply.wrap.accessor)}
            parts.append(b'"wrap_info":' + _encode(info))
        if reply.warnings:
            parts.append(b'"warnings":' + _encode(reply.warnings))
        return parts


_encode = msgspec.json.Encoder().encode  # keeps the order of members, as the original's lines have it


def _members(found: dict[str, Any]) -> bytes:
    """Return an object's JSON without its braces."""
    return gojson.escape(_encode(found)[1:-1])


def _quoted(text: str) -> bytes:
    return gojson.escape(_encode(text))


def _kind(path: str) -> str:
    return "auth" if path.startswith("auth/") else "secret"


def _data(reply: Reply) -> dict[str, Any]:
    if reply.raw is not None:
        return gojson.decode_own(reply.raw)
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
        self._second = (0, b"")

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

    def request(self, call: Call, error: str | None, *, hold: bool = False) -> None:
        """Write the request line; raise Unavailable when no device takes it.

        hold: the operation stores nothing, so that the line may go out in one write with the response line.
        """
        tail = b"" if error is None else b',"error":' + gojson.encode(error)
        time = self._time(call.core.clock())

        def line(device: Device) -> bytes:
            request = device.request(call, self.table.headers)
            return b'{"time":"%b","type":"request","auth":%b,"request":%b%b}' % (time, device.auth(call), request, tail)

        self._all(line, hold=hold)

    def response(self, call: Call, reply: Reply | None, error: str | None = None) -> None:
        """Write the response line; raise Unavailable when no device takes it."""
        tail = b"" if error is None else b',"error":' + gojson.encode(error)
        time = self._time(call.core.clock())

        def line(device: Device) -> bytes:
            request, response = device.request(call, self.table.headers), device.response(call, reply)
            made = reply.auth if reply is not None and call.token is None else None
            auth = device.auth(call) if made is None else _encode(device.token(made.token, made.client_token))
            parts = (time, auth, request, response, tail)
            return b'{"time":"%b","type":"response","auth":%b,"request":%b,"response":%b%b}' % parts

        self._all(line)

    def _time(self, now: int) -> bytes:
        """Return a time's text; the part up to the second is kept."""
        seconds, fraction = divmod(now, 1_000_000_000)
        if seconds != self._second[0]:
            self._second = (seconds, rfc3339_seconds(seconds)[:-1].encode())
        return b"%b.%09dZ" % (self._second[1], fraction)

    def refused(self, call: Call, error: Error) -> None:
        """Write the lines of a request that failed: of one without a valid token or grant, both."""
        text = one_error(str(error))
        if isinstance(error, Forbidden) or (call.token is not None and call.granted is None and not _root(call)):
            if not (call.route is not None and call.route.open):  # an open route's line is written already
                self.request(call, str(error) if isinstance(error, Forbidden) else text)
            self.response(call, Reply(data={"error": str(error)}), text)
        elif isinstance(error, Refused):
            self.response(call, Reply(data={"error": str(error)}))
        else:
            self.response(call, None, one_error(str(error)) if not isinstance(error, UnsupportedPath) else text)

    def _all(self, line: Callable[[Device], bytes], *, hold: bool = False) -> None:
        taken = False
        for device in self.devices:
            try:
                device.waiting.append(device.prefix + line(device) + b"\n")
                if not hold:
                    self._flush(device)
                taken = True
            except OSError:
                self.failures += 1
        if not taken:
            raise Unavailable("no audit device could log the request")

    def _flush(self, device: Device) -> None:
        waiting, device.waiting = device.waiting, []
        device.sink.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))

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
