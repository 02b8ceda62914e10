"""The rest of sys/: wrapping, tools, metrics, quotas, descriptions of the server (vault.md 2.15)."""

import os
import platform
from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Forbidden, Nothing, Refusal, Refused
from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers import tools, wrapping
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.metrics import CONTENT_TYPE
from strongroom.kms.handlers.quotas import PREFIX, Quota
from strongroom.kms.handlers.render import DENIED

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

TOKEN = {"token": "text"}
QUOTA = {
    "path": "text",
    "rate": "any",
    "interval": "seconds",
    "block_interval": "seconds",
    "role": "text",
    "type": "text",
    "inheritable": "bool",
}
TYPES = {"secret": ("kv", "transit", "cubbyhole"), "auth": ("approle", "token", "userpass", "cert", "kubernetes")}


class Misc:
    """The remaining routes."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    def routes(self) -> list[Route]:
        """Return the routes."""
        read, up, delete = acl.READ, acl.UPDATE, acl.DELETE
        both = {up: wrapping.lookup, read: wrapping.lookup}
        quota = {read: self.read_quota, up: self.write_quota, delete: self.delete_quota}
        return [
            route("wrapping/wrap", {up: wrapping.wrap_body}, free=True),
            route("wrapping/unwrap", {up: wrapping.unwrap}, fields=TOKEN, open=True, unless="token"),
            route("wrapping/rewrap", {up: wrapping.rewrap}, fields=TOKEN),
            route("wrapping/lookup", both, fields=TOKEN, open=True),
            *tools.routes("tools/"),
            route("ha-status", {read: self.ha_status}),
            route("host-info", {read: self.host_info}),
            route("version-history/?", {acl.LIST: self.versions}),
            route("step-down", {up: self.step_down}, sudo=True),
            route("config/state/sanitized", {read: self.configuration}),
            route("config/cors", {read: self.cors}, sudo=True),
            route("metrics", {read: self.metrics}, fields={"format": "text"}, open=True),
            route("namespaces/?", {acl.LIST: self.nothing}),
            route("plugins/catalog/(?P<kind>secret|auth|database)/(?P<name>.+)", {read: self.plugin}, sudo=True),
            route("plugins/catalog/?", {read: self.plugins}, sudo=True),
            route("quotas/rate-limit/?", {acl.LIST: self.quotas}),
            route("quotas/rate-limit/(?P<name>[^/]+)", quota, fields=QUOTA),
            route("quotas/config", {read: self.quota_config}),
            route("locked-users", {read: self.locked}),
        ]

    def nothing(self, call: Call) -> Reply:
        """There is none."""
        raise Nothing(call.full)

    def ha_status(self, call: Call) -> Reply:
        """Describe the servers that this one knows."""
        core = self.core
        node = {
            "hostname": core.hostname,
            "api_address": core.settings.api_addr,
            "cluster_address": core.settings.cluster_addr,
            "active_node": not core.standby,
            "last_echo": None,
            "version": "2.7.2",
        }
        return Reply(data={"nodes": [node]}, hoist=True)

    def host_info(self, call: Call) -> Reply:
        """Describe the machine."""
        uname = platform.uname()
        host: dict[str, Any] = {"hostname": uname.node, "os": uname.system.lower(), "kernelVersion": uname.release}
        host |= {"kernelArch": uname.machine, "procs": os.cpu_count()}
        return Reply(data={"timestamp": rfc3339(call.now), "host": host})

    def versions(self, call: Call) -> Reply:
        """Tell the versions that ran on this storage."""
        installed = rfc3339(self.core.live.cluster.install_time)
        info = {"commit_date": "2026-08-01T00:00:00Z", "previous_version": None, "timestamp_installed": installed}
        return Reply(data={"keys": ["2.7.2"], "key_info": {"2.7.2": info}})

    def step_down(self, call: Call) -> None:
        """Let another server take over, if there is one."""
        if self.core.on_step_down is not None:
            self.core.on_step_down()

    def configuration(self, call: Call) -> Reply:
        """Return the configuration without what is secret."""
        settings = self.core.settings
        listeners = [
            {
                "type": "tcp",
                "config": {
                    "address": f"{found.host}:{found.port}",
                    "tls_disable": found.tls_disable,
                    "tls_min_version": found.tls_min_version,
                },
            }
            for found in settings.listeners
        ]
        found = {
            "api_addr": settings.api_addr,
            "cluster_addr": settings.cluster_addr,
            "cluster_name": settings.cluster_name,
            "default_lease_ttl": settings.default_lease_ttl,
            "max_lease_ttl": settings.max_lease_ttl,
            "disable_mlock": settings.disable_mlock,
            "enable_ui": settings.ui,
            "log_level": settings.log_level,
            "log_format": settings.log_format,
            "raw_storage_endpoint": settings.raw_storage_endpoint,
            "listeners": listeners,
            "seals": [{"type": settings.seal, "disabled": False}],
            "storage": {"type": settings.storage, "cluster_addr": "", "redirect_addr": settings.api_addr},
        }
        return Reply(data=found)

    def cors(self, call: Call) -> Reply:
        """CORS is never enabled."""
        return Reply(data={"enabled": False}, hoist=True)

    def metrics(self, call: Call) -> Reply:
        """Return the metrics, as text for Prometheus or as JSON; where a listener says so, to anybody."""
        core = self.core
        if not call.listener.unauthenticated_metrics:
            self._authorise(call)
        if not core.settings.prometheus_retention:
            return Reply(status=400, bare=b"prometheus is not enabled", content_type="text/plain")
        if call.get("format") == "prometheus":
            return Reply(bare=core.metrics.text(core), content_type=CONTENT_TYPE)
        return Reply(bare=core.metrics.json(core))

    def _authorise(self, call: Call) -> None:
        """Do for an open route what the pipeline does for others; raise Forbidden or Refusal."""
        text = wrapping.header_token(call)
        token = self.core.live.tokens.find(call.work, text, call.seconds) if text else None
        if token is None:
            raise Forbidden(DENIED)
        call.token, call.token_text = token, text
        if not self.core.acl_of(call.work, token).allows(acl.Asked(acl.READ, call.full, call.data)):
            raise Refusal(DENIED)

    def plugin(self, call: Call) -> Reply:
        """Describe a built-in type."""
        kind, name = call.captures["kind"], call.captures["name"]
        if name not in TYPES.get(kind, ()):
            raise Nothing(name)
        found: dict[str, Any] = {"args": None, "builtin": True, "command": "", "declarative": False}
        found |= {"deprecation_status": "supported", "name": name, "oci": False, "sha256": ""}
        return Reply(data=found | {"version": "v2.7.2+builtin.bao"})

    def plugins(self, call: Call) -> Reply:
        """List the built-in types."""
        return Reply(data={kind: list(names) for kind, names in TYPES.items()})

    def quotas(self, call: Call) -> Reply:
        """List the rate-limit quotas."""
        if not self.core.quotas.rules:
            raise Nothing("quotas")
        return Reply(data={"keys": sorted(self.core.quotas.rules)})

    def read_quota(self, call: Call) -> Reply:
        """Return a quota."""
        rule = self.core.quotas.rules.get(call.captures["name"])
        if rule is None:
            raise Nothing("quota")
        found = {"name": rule.name, "path": rule.path, "rate": rule.rate, "interval": int(rule.interval)}
        found |= {"block_interval": int(rule.block_interval), "role": rule.role, "type": "rate-limit"}
        return Reply(data=found | {"inheritable": rule.inheritable})

    def write_quota(self, call: Call) -> None:
        """Make or change a quota."""
        try:
            rate = float(call.get("rate", "text") or 0)
        except ValueError as error:
            raise Refused("'rate' is not a number") from error
        if not 0 < rate < float("inf"):
            raise Refused("'rate' is invalid")
        path = call.get("path").removeprefix("/")
        if self.core.live.mounts.get(path + "/") is not None:
            path += "/"  # the mount, not all whose names begin alike
        if path and self.core.live.mounts.match(path) is None:
            raise Refused(f'invalid mount path "{path}"')
        name = call.captures["name"]
        rule = Quota(name, path, rate, call.get("interval") or 1, call.get("block_interval"), call.get("role"))
        self.core.quotas.put(rule)
        call.work.store(PREFIX + name, rule)

    def delete_quota(self, call: Call) -> None:
        """Forget a quota."""
        self.core.quotas.drop(call.captures["name"])
        call.work.delete(PREFIX + call.captures["name"])

    def quota_config(self, call: Call) -> Reply:
        """Return the quotas' settings, which cannot be changed."""
        found = {"enable_rate_limit_audit_logging": False, "enable_rate_limit_response_headers": False}
        return Reply(data=found | {"rate_limit_exempt_paths": []})

    def locked(self, call: Call) -> Reply:
        """List the locked login aliases."""
        found: dict[str, list[str]] = {}
        for accessor, alias in self.core.lockouts.all():
            found.setdefault(accessor, []).append(alias)
        by_mount = [{"mount_accessor": key, "counts": len(v), "alias_identifiers": v} for key, v in found.items()]
        return Reply(data={"total": sum(len(v) for v in found.values()), "by_mount_accessor": by_mount})


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Misc(core).routes()
