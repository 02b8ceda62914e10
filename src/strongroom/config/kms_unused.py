"""What a kms server's configuration may name although this server does nothing with it: each is a warning.

A name whose value asks for what is so anyway (no clustering, no indexing, no licence) is not worth one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

OFF = {"", "0", "false", "f", "off", "none", "[]", "{}"}
SETTINGS_UNUSED = {
    "ui": "there are no pages",
    "raw_storage_endpoint": "sys/raw is not there",
    "introspection_endpoint": "there is no such path",
    "cache_size": "up to 32,768 entries and 64 MiB are kept in memory",
    "disable_cache": "entries are kept in memory while unsealed",
    "disable_printable_check": "paths must be printable",
    "plugin_directory": "there are no plugins",
    "plugin": "there are no plugins",
    "ha_storage": "the storage itself elects the active server",
    "ha_backend": "the storage itself elects the active server",
    "service_registration": "register the server by other means",
    "entropy": "the system's random numbers are used",
    "initialize": "use `operator init`",
    "enable_response_header_hostname": "no such header is sent",
    "enable_response_header_raft_node_id": "no such header is sent",
}
LISTENER_UNUSED = {
    "cluster_address": "there is no port for other servers; standbys send clients to api_addr",
    "profiling": "sys/pprof is not there",
    "inflight_requests_logging": "requests are not logged; use an audit device",
}
TELEMETRY_USED = {"prometheus_retention_time", "disable_hostname", "unauthenticated_metrics_access"}
STORAGE_USED = {
    "file": {"path"},
    "sqlite": {"path"},
    "postgresql": {"connection_url", "table", "ha_enabled"},
}
SEAL_USED = {
    "static": {"current_key", "current_key_id", "previous_key", "previous_key_id"},
    "transit": {
        "address", "key_name", "mount_path", "token", "namespace", "tls_ca_cert", "tls_client_cert", "tls_client_key",
        "tls_skip_verify", "disable_renewal",
    },
    "pkcs11": {"lib", "slot", "token_label", "key_label", "pin", "generate_key"},
}  # fmt: skip


def asks(value: Any) -> bool:
    """Say whether a value wants something, rather than switching it off."""
    return str(value).lower() not in OFF


def unused(members: Mapping[str, Any], table: Mapping[str, str], place: str) -> list[str]:
    """Return a warning for each member that the table names."""
    return [
        f"{place}: {name} has no effect: {table[name]}" for name in members if name in table and asks(members[name])
    ]


def beyond(members: Mapping[str, Any], used: Iterable[str], what: str, place: str) -> list[str]:
    """Return a warning for each member that is not one of those used."""
    return [f"{place}: {what} {name} has no effect" for name in members if name not in used and asks(members[name])]
