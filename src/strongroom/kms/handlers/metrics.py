"""Metrics under the names that dashboards of the original read, counted where things happen (vault.md 2.15)."""

import time
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers.call import NAMES, Call
from strongroom.observe.metrics import CONTENT_TYPE, Family, Sample, exposition

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

__all__ = ["CONTENT_TYPE", "Metrics"]


class Metrics:
    """Counts of one server since its start. Durations are kept in seconds and shown in milliseconds, as there."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._calls: dict[tuple[str, int, str], list[float]] = {}
        self.refused = 0
        self.logins = 0

    def count(self, call: Call, seconds: float) -> None:
        """Count an answered call."""
        mount = call.mount
        key = (mount.type, call.operation, mount.path)
        found = self._calls.get(key)
        if found is None:
            found = self._calls[key] = [0, 0.0]
        found[0] += 1
        found[1] += seconds

    def families(self, core: "Core") -> list[Family]:
        """Return everything as it is now."""
        live = core.unsealed
        calls, logins = self._totals()
        found = [
            _gauge("vault_core_unsealed", "1 when unsealed", float(live is not None)),
            _gauge("vault_core_active", "1 when active", float(live is not None and not core.standby)),
            _summary("vault_core_handle_request", "requests, milliseconds", calls),
            _summary("vault_core_handle_login_request", "logins, milliseconds", logins),
            Family("vault_route", "summary", "requests by mount and operation, milliseconds", self._routes()),
            _counter("vault_core_refused_requests", "requests answered with an error", self.refused),
            _counter("vault_audit_log_request_failure", "audit lines that a device did not take", core.audit.failures),
            _gauge("vault_runtime_uptime_seconds", "seconds since the start", time.monotonic() - self.started),
            _gauge("vault_core_locked_users", "login aliases that are locked", len(core.lockouts.all())),
        ]
        if live is not None:
            term = live.entries.keyring.newest
            found += [
                _gauge("vault_barrier_term", "newest term of the keyring", term.number),
                _counter("vault_barrier_estimated_encryptions", "seals under the newest term", term.encryptions),
                _gauge("vault_core_mount_table_num_entries", "mounts", len(live.mounts.table.mounts)),
                _gauge("vault_storage_pending", "writes on their way to the disk", len(live.entries.pending())),
            ]
        return found

    def _totals(self) -> tuple[list[float], list[float]]:
        calls, logins = [0.0, 0.0], [0.0, 0.0]
        for (kind, _, path), (count, seconds) in self._calls.items():
            into = logins if path.startswith("auth/") and kind != "token" else calls
            into[0] += count
            into[1] += seconds
        return calls, logins

    def _routes(self) -> list[Sample]:
        found = []
        for (kind, operation, path), (count, seconds) in sorted(self._calls.items()):
            labels = {"operation": NAMES[operation], "mount_point": path or "none", "type": kind or "none"}
            found += [Sample(seconds * 1000, labels, "_sum"), Sample(count, labels, "_count")]
        return found

    def text(self, core: "Core") -> bytes:
        """Return the text for Prometheus."""
        return exposition(self.families(core))

    def json(self, core: "Core") -> bytes:
        """Return the shape of go-metrics."""
        groups: dict[str, list[dict[str, Any]]] = {"gauge": [], "counter": [], "summary": []}
        for family in self.families(core):
            name = family.name.replace("_", ".")
            for sample in family.samples:
                labels = dict(sample.labels)
                shown = {"Name": name + sample.suffix.replace("_", "."), "Labels": labels}
                value = {"Value": sample.value} if family.kind == "gauge" else {"Count": 1, "Sum": sample.value}
                groups[family.kind].append(shown | value)
        found = {"Timestamp": rfc3339(core.clock()), "Gauges": groups["gauge"], "Points": []}
        return msgspec.json.encode(found | {"Counters": groups["counter"], "Samples": groups["summary"]})


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(name, "gauge", text, [Sample(value)])


def _counter(name: str, text: str, value: float) -> Family:
    return Family(name, "counter", text, [Sample(value)])


def _summary(name: str, text: str, totals: list[float]) -> Family:
    return Family(name, "summary", text, [Sample(totals[1] * 1000, {}, "_sum"), Sample(totals[0], {}, "_count")])
