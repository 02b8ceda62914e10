"""sys/audit, sys/audit-hash, sys/config/auditing (vault.md 2.14)."""

import asyncio
from typing import TYPE_CHECKING, Any

from strongroom.errors import Tampered
from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.fields import convert
from strongroom.kms.handlers.audit import TABLE, Chained
from strongroom.kms.handlers.call import Call, Reply, Route, route

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

FIELDS = {"type": "text", "description": "text", "options": "map", "local": "bool"}
HEADERS = "config/auditing/request-headers"


class Audits:
    """The audit routes."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    def routes(self) -> list[Route]:
        """Return the routes."""
        up, read, delete = acl.UPDATE, acl.READ, acl.DELETE
        header = {read: self.header, up: self.set_header, delete: self.delete_header}
        return [
            route("audit", {read: self.list_names}, sudo=True),
            route("audit/(?P<path>.+)", {up: self.enable, delete: self.disable}, fields=FIELDS, sudo=True),
            route("audit-hash/(?P<path>.+)", {up: self.hash}, fields={"input": "text"}),
            route("audit-verify/(?P<path>.+)", {up: self.verify, read: self.verify}, sudo=True),
            route(HEADERS, {read: self.headers}, sudo=True),
            route(HEADERS + "/(?P<header>.+)", header, fields={"hmac": "bool"}, sudo=True),
        ]

    def list_names(self, call: Call) -> Reply:
        """Return the enabled devices."""
        found: dict[str, Any] = {}
        for device in self.core.audit.devices:
            record = device.record
            shown = {"path": record.path, "type": record.type, "description": record.description}
            found[record.path] = shown | {"options": record.options, "local": record.local}
        return Reply(data=found, hoist=True)

    def _path(self, call: Call) -> str:
        return call.captures["path"].strip("/") + "/"

    def enable(self, call: Call) -> None:
        """Enable a device."""
        if not self.core.settings.allow_api_audit:
            raise Refused(
                "cannot enable audit device via API; use declarative, config-based audit device management instead"
            )
        options = {key: convert(key, "text", value) for key, value in (call.get("options") or {}).items()}
        kind, description = call.get("type"), call.get("description")
        self.core.audit.enable(call, self._path(call), kind, description, options, call.get("local"))

    def disable(self, call: Call) -> None:
        """Disable a device, if it is there."""
        self.core.audit.disable(call, self._path(call))

    def hash(self, call: Call) -> Reply:
        """Return a device's hash of a text."""
        text = call.get("input")
        if not text:
            raise Refused('the "input" parameter is empty')
        return Reply(data={"hash": self.core.audit.find(self._path(call)).hash(text)}, hoist=True)

    async def verify(self, call: Call) -> Reply:
        """Tell whether the lines of a file device are those that were written (a route of our own)."""
        device = self.core.audit.find(self._path(call))
        if not isinstance(device.sink, Chained):
            raise Refused("this audit device has no chain")
        try:
            proven, after = await asyncio.to_thread(device.sink.verify)
        except (Tampered, OSError) as error:
            return Reply(data={"valid": False, "error": str(error)})
        return Reply(data={"valid": True, "bytes": proven, "bytes_after": after})

    def headers(self, call: Call) -> Reply:
        """Return the audited request headers."""
        found = {name: {"hmac": hashed} for name, hashed in self.core.audit.table.headers.items()}
        return Reply(data={"headers": found}, hoist=True)

    def header(self, call: Call) -> Reply:
        """Return one audited header."""
        name = call.captures["header"]
        known = {key.lower(): value for key, value in self.core.audit.table.headers.items()}
        if name.lower() not in known:
            raise Refused("Could not find header in config")
        return Reply(data={name: {"hmac": known[name.lower()]}}, hoist=True)

    def _forget(self, header: str) -> None:
        headers = self.core.audit.table.headers
        for name in [name for name in headers if name.lower() == header.lower()]:
            del headers[name]

    def set_header(self, call: Call) -> None:
        """Audit a request header, hashed or in clear."""
        self._forget(call.captures["header"])
        self.core.audit.table.headers[call.captures["header"].lower()] = call.get("hmac")
        call.work.store(TABLE, self.core.audit.table)

    def delete_header(self, call: Call) -> None:
        """Audit a request header no longer."""
        self._forget(call.captures["header"])
        call.work.store(TABLE, self.core.audit.table)


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Audits(core).routes()
