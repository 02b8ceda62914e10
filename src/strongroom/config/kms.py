"""A kms server's settings from its configuration files, flags and environment (vault.md 9)."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from strongroom.config.hcl import Block, Entry, blocks, read_files, to_switch, unknown, values
from strongroom.errors import BadSettings
from strongroom.kms.domain.fields import to_seconds
from strongroom.kms.settings import (
    JSON_MEMORY,
    JSON_STRINGS,
    REQUEST_BYTES,
    REQUEST_SECONDS,
    AuditStanza,
    Listener,
    Settings,
)

BLOCKS = {
    "storage", "backend", "ha_storage", "ha_backend", "listener", "seal", "hsm", "telemetry", "audit",
    "service_registration", "user_lockout", "entropy", "initialize", "plugin",
}  # fmt: skip
KNOWN = BLOCKS | {
    "api_addr", "cluster_addr", "cluster_name", "default_lease_ttl", "max_lease_ttl", "ui", "disable_mlock",
    "log_level", "log_format", "log_file", "log_rotate_bytes", "log_rotate_duration", "log_rotate_max_files",
    "pid_file", "cache_size", "disable_cache", "default_max_request_duration", "raw_storage_endpoint",
    "plugin_directory", "disable_sealwrap", "disable_clustering", "enable_response_header_hostname",
    "license_path", "unsafe_allow_api_audit_creation", "disable_printable_check", "enable_response_header_raft_node_id",
    "introspection_endpoint", "disable_indexing", "disable_performance_standby", "disable_standby_reads",
}  # fmt: skip
LISTENER = {
    "address", "cluster_address", "tls_disable", "tls_cert_file", "tls_key_file", "tls_min_version",
    "tls_max_version", "tls_cipher_suites", "tls_client_ca_file", "tls_require_and_verify_client_cert",
    "tls_disable_client_certs", "http_idle_timeout", "http_read_header_timeout", "http_read_timeout",
    "http_write_timeout", "max_request_size", "max_request_duration", "telemetry", "profiling",
    "custom_response_headers", "disable_unauthed_rekey_endpoints", "disable_unauthed_generate_root_endpoints",
    "x_forwarded_for_authorized_addrs", "x_forwarded_for_hop_skips", "x_forwarded_for_reject_not_present",
    "x_forwarded_for_reject_not_authorized", "proxy_protocol_behavior", "proxy_protocol_authorized_addrs",
    "tls_prefer_server_cipher_suites", "inflight_requests_logging", "max_request_json_memory",
    "max_request_json_strings",
}  # fmt: skip
FRAMING = {"content-length", "transfer-encoding", "connection", "date", "trailer", "upgrade"}
STORAGES = {"file", "sqlite", "inmem", "inmem_ha", "postgresql"}
SEALS = {"shamir", "transit", "pkcs11", "static"}
VERSIONS = {"tls10": "1.2", "tls11": "1.2", "tls12": "1.2", "tls13": "1.3"}


def kms_settings(paths: Sequence[str], environment: Mapping[str, str], **flags: Any) -> Settings:
    """Return the settings of a server; raise BadSettings with one line that names the place and the fix."""
    entries = read_files(paths)
    top = values([entry for entry in entries if entry.item.keys[0] not in BLOCKS])
    warnings = [unknown(entry.item.keys[0], KNOWN, entry.place) for entry in entries if entry.item.keys[0] not in KNOWN]
    storage = _storage(entries)
    duration = _time(top, "default_max_request_duration", REQUEST_SECONDS) or REQUEST_SECONDS
    listeners = tuple(_listener(block, warnings, duration) for block in blocks(entries, "listener"))
    seal, old = _seals(entries)
    telemetry = blocks_or_plain(entries, "telemetry")
    return Settings(
        storage=storage.kind,
        storage_options=_texts(storage),
        listeners=listeners,
        seal=seal.kind if seal else "shamir",
        seal_options=_texts(seal) if seal else {},
        old_seal=old.kind if old else "",
        old_seal_options=_texts(old) if old else {},
        api_addr=_env(environment, "API_ADDR") or _text(top, "api_addr"),
        cluster_addr=_env(environment, "CLUSTER_ADDR") or _text(top, "cluster_addr"),
        cluster_name=_text(top, "cluster_name"),
        default_lease_ttl=int(_time(top, "default_lease_ttl", 768 * 3600)),
        max_lease_ttl=int(_time(top, "max_lease_ttl", 768 * 3600)),
        ui=_switch(top, "ui"),
        disable_mlock=_switch(top, "disable_mlock"),
        log_level=flags.get("log_level") or _env(environment, "LOG_LEVEL") or _text(top, "log_level") or "info",
        log_format=flags.get("log_format") or _env(environment, "LOG_FORMAT") or _text(top, "log_format") or "standard",
        log_file=_text(top, "log_file"),
        pid_file=_text(top, "pid_file"),
        raw_storage_endpoint=_switch(top, "raw_storage_endpoint"),
        allow_api_audit=_switch(top, "unsafe_allow_api_audit_creation", default=True),
        audits=tuple(_audit(block) for block in blocks(entries, "audit")),
        prometheus_retention=_seconds(telemetry.get("prometheus_retention_time", "24h"), "prometheus_retention_time"),
        warnings=tuple(warnings),
        source=", ".join(paths),
    )


def blocks_or_plain(entries: list[Entry], name: str) -> dict[str, Any]:
    """Return the members of a block that has no type."""
    found: dict[str, Any] = {}
    for entry in entries:
        if entry.item.keys[0] == name:
            value = values([entry])[name][0]
            for part in value if isinstance(value, list) else [value]:
                found |= part if isinstance(part, dict) else {}
    return found


def _storage(entries: list[Entry]) -> Block:
    found = blocks(entries, "storage", "backend")
    if not found:
        raise BadSettings("a storage backend must be specified")
    if found[-1].kind not in STORAGES:
        names = ", ".join(sorted(STORAGES - {"inmem_ha"}))
        raise BadSettings(f"unknown storage type {found[-1].kind}; this server has {names}")
    if found[-1].kind in ("file", "sqlite") and not found[-1].text("path"):
        raise BadSettings(f"{found[-1].place}: storage {found[-1].kind} needs `path`, the folder of its database")
    return found[-1]


def _texts(block: Block) -> dict[str, str]:
    return {name: block.text(name) for name, value in block.members.items() if not isinstance(value, dict | list)}


def _seals(entries: list[Entry]) -> tuple[Block | None, Block | None]:
    """Return the seal in force and the one to migrate from (`disabled`)."""
    current = old = None
    for block in blocks(entries, "seal", "hsm"):
        if block.kind not in SEALS:
            names = ", ".join(sorted(SEALS))
            raise BadSettings(f"{block.place}: unknown seal type {block.kind}; this server has {names}")
        if block.switch("disabled"):
            old = block
        else:
            current = block
    return current, old


def _listener(block: Block, warnings: list[str], duration: float) -> Listener:
    if block.kind != "tcp":
        raise BadSettings(f"{block.place}: listener type {block.kind!r} is not supported; use `tcp`")
    warnings += [unknown(name, LISTENER, block.place) for name in block.members if name not in LISTENER]
    host, port = _address(block.text("address", "127.0.0.1:8200"), block.place)
    disabled = block.switch("tls_disable")
    version = block.text("tls_min_version", "tls12")
    if version not in VERSIONS:
        raise BadSettings(f"{block.place}: tls_min_version {version!r}: write tls12 or tls13")
    for name in ("tls_cert_file", "tls_key_file"):
        if not disabled and not block.text(name):
            raise BadSettings(f"{block.place}: the listener has no {name}; name one, or set tls_disable = true")
    if block.text("proxy_protocol_behavior"):
        raise BadSettings(
            f"{block.place}: proxy_protocol_behavior is not supported; let the proxy send X-Forwarded-For"
        )
    telemetry = block.members.get("telemetry") or {}
    skips = _whole(block, "x_forwarded_for_hop_skips", 0)
    if skips < 0:
        raise BadSettings(f"{block.place}: x_forwarded_for_hop_skips cannot be negative but set to {skips}")
    return Listener(
        host=host,
        port=port,
        tls_disable=disabled,
        tls_cert_file=block.text("tls_cert_file"),
        tls_key_file=block.text("tls_key_file"),
        tls_min_version=VERSIONS[version],
        tls_client_ca_file=block.text("tls_client_ca_file"),
        require_client_cert=block.switch("tls_require_and_verify_client_cert"),
        disable_client_certs=block.switch("tls_disable_client_certs"),
        max_request_size=_whole(block, "max_request_size", 0) or REQUEST_BYTES,
        max_request_duration=_span(block, "max_request_duration", 0) or duration,
        max_json_strings=_whole(block, "max_request_json_strings", 0) or JSON_STRINGS,
        max_json_memory=_whole(block, "max_request_json_memory", 0) or JSON_MEMORY,
        http_idle_timeout=_span(block, "http_idle_timeout", 300),
        http_read_header_timeout=_span(block, "http_read_header_timeout", 10),
        http_read_timeout=_span(block, "http_read_timeout", 30),
        unauthenticated_metrics=to_switch(
            telemetry.get("unauthenticated_metrics_access", False) if isinstance(telemetry, dict) else False,
            block.place,
        ),
        disable_unauthed_rekey=block.switch("disable_unauthed_rekey_endpoints"),
        disable_unauthed_generate_root=block.switch("disable_unauthed_generate_root_endpoints"),
        forwarded_from=_networks(block, "x_forwarded_for_authorized_addrs"),
        forwarded_skips=skips,
        forwarded_required=block.switch("x_forwarded_for_reject_not_present"),
        forwarded_strict=block.switch("x_forwarded_for_reject_not_authorized"),
        response_headers=_headers(block, warnings),
        raw=block.members,
    )


def _networks(block: Block, name: str) -> tuple[str, ...]:
    """Return address blocks, given as a list or as text with commas."""
    value = block.members.get(name) or []
    parts = [str(part).strip() for part in (value if isinstance(value, list) else str(value).split(","))]
    for part in parts:
        try:
            ipaddress.ip_network(part, strict=False)
        except ValueError as error:
            raise BadSettings(f"{block.place}: {name}: {part!r} is neither an address nor an address block") from error
    return tuple(parts)


def _headers(block: Block, warnings: list[str]) -> dict[str, dict[str, str]]:
    """Return custom_response_headers by `default`, `4xx` or `404`; a header's texts are joined."""
    found: dict[str, dict[str, str]] = {}
    for part in _maps(block.members.get("custom_response_headers") or {}, block.place):
        for status, headers in part.items():
            if not re.fullmatch(r"default|[1-5]xx|[1-5][0-9][0-9]", status):
                place = f"{block.place}: custom_response_headers {status!r}"
                raise BadSettings(f"{place}: write default, a class such as 4xx, or a status such as 404")
            for some in _maps(headers, block.place):
                found.setdefault(status, {}).update(_texts_of(some, block.place, warnings))
    return found


def _maps(value: Any, place: str) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(part, dict) for part in found):
        raise BadSettings(f'{place}: custom_response_headers: write blocks such as "4xx" = {{ NAME = [TEXT] }}')
    return found


def _texts_of(headers: Mapping[str, Any], place: str, warnings: list[str]) -> dict[str, str]:
    found = {}
    for name, value in headers.items():
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise BadSettings(f"{place}: custom_response_headers {name}: headers must be given in a list of strings")
        text = "; ".join(value)
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\t -~]*", text):
            raise BadSettings(f"{place}: custom_response_headers {name!r}: not a header of plain text")
        if name.lower().startswith("x-vault-") or name.lower() in FRAMING:
            warnings.append(f"{place}: custom_response_headers {name} is the server's own and stays as it is")
        else:
            found[name] = text
    return found


def _address(text: str, place: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        host, port = text, "8200"
    if not 0 <= int(port) < 65536:
        raise BadSettings(f"{place}: address {text!r}: the port is out of range")
    return host.strip("[]"), int(port)


def _audit(block: Block) -> AuditStanza:
    """Return a declared audit device: `audit "file" "name" { options { … } }` or `audit { type, path, options }`."""
    options = block.members.get("options") or {}
    options = options[-1] if isinstance(options, list) else options
    path = block.text("path") or (block.labels[0] if block.labels else block.kind)
    texts = {str(k): str(v).lower() if isinstance(v, bool) else str(v) for k, v in options.items()}
    return AuditStanza(block.kind, path, texts, block.text("description"))


def _env(environment: Mapping[str, str], name: str) -> str:
    return environment.get(f"BAO_{name}") or environment.get(f"VAULT_{name}") or ""


def _text(top: Mapping[str, tuple[Any, str]], name: str) -> str:
    return str(top[name][0]) if name in top else ""


def _switch(top: Mapping[str, tuple[Any, str]], name: str, default: bool = False) -> bool:
    value, place = top.get(name, (default, ""))
    return to_switch(value, f"{place}: {name}")


def _time(top: Mapping[str, tuple[Any, str]], name: str, default: float) -> float:
    value, place = top.get(name, (default, ""))
    return _seconds(value, f"{place}: {name}")


def _span(block: Block, name: str, default: float) -> float:
    return _seconds(block.members.get(name, default), f"{block.place}: {name}")


def _whole(block: Block, name: str, default: int) -> int:
    try:
        return int(block.members.get(name, default))
    except (TypeError, ValueError) as error:
        raise BadSettings(f"{block.place}: {name} is not a whole number") from error


def _seconds(value: Any, place: str) -> float:
    try:
        return to_seconds(int(value) if isinstance(value, float) else value)
    except ValueError as error:
        raise BadSettings(f"{place}: {error}; write seconds, or a duration such as 30m") from error
