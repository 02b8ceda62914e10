"""A kms server's settings from its configuration files, flags and environment (vault.md 9)."""

from collections.abc import Mapping, Sequence
from typing import Any

from strongroom.config.hcl import Block, Entry, blocks, read_files, to_switch, unknown, values
from strongroom.config.kms_listener import listener_of
from strongroom.config.kms_spans import seconds, span, whole
from strongroom.config.kms_unused import SEAL_USED, SETTINGS_UNUSED, STORAGE_USED, TELEMETRY_USED, beyond, unused
from strongroom.errors import BadSettings
from strongroom.kms.domain.lockouts import TYPES, LockoutRule
from strongroom.kms.settings import REQUEST_SECONDS, AuditStanza, Settings
from strongroom.kms.wire.hcl import plain

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
STORAGES = {"file", "sqlite", "inmem", "inmem_ha", "postgresql"}
SEALS = {"shamir", "transit", "pkcs11", "static"}


def kms_settings(paths: Sequence[str], environment: Mapping[str, str], **flags: Any) -> Settings:
    """Return the settings of a server; raise BadSettings with one line that names the place and the fix."""
    entries = read_files(paths)
    top = values([entry for entry in entries if entry.item.keys[0] not in BLOCKS])
    warnings = [unknown(entry.item.keys[0], KNOWN, entry.place) for entry in entries if entry.item.keys[0] not in KNOWN]
    for entry in entries:
        warnings += unused({entry.item.keys[0]: plain(entry.item.value)}, SETTINGS_UNUSED, entry.place)
    storage = _storage(entries)
    warnings += beyond(storage.members, STORAGE_USED.get(storage.kind, ()), f"storage {storage.kind}:", storage.place)
    duration = _time(top, "default_max_request_duration", REQUEST_SECONDS) or REQUEST_SECONDS
    listeners = tuple(listener_of(block, warnings, duration) for block in blocks(entries, "listener"))
    if not listeners:
        warnings.append(f"{'; '.join(paths)}: no listener: nobody can reach this server")
    seal, old = _seals(entries)
    for block in filter(None, (seal, old)):
        used = SEAL_USED.get(block.kind, set()) | {"disabled"}
        warnings += beyond(block.members, used, f"seal {block.kind}:", block.place)
    telemetry = blocks_or_plain(entries, "telemetry")
    warnings += beyond(telemetry, TELEMETRY_USED, "telemetry", "; ".join(paths))
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
        log_rotate_bytes=_number(top, "log_rotate_bytes"),
        log_rotate_duration=_time(top, "log_rotate_duration", 0),
        log_rotate_max_files=_number(top, "log_rotate_max_files"),
        pid_file=_text(top, "pid_file"),
        raw_storage_endpoint=_switch(top, "raw_storage_endpoint"),
        allow_api_audit=_switch(top, "unsafe_allow_api_audit_creation", default=True),
        audits=tuple(_audit(block) for block in blocks(entries, "audit")),
        prometheus_retention=seconds(telemetry.get("prometheus_retention_time", "24h"), "prometheus_retention_time"),
        user_lockout=_lockouts(entries, environment),
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


def _lockouts(entries: list[Entry], environment: Mapping[str, str]) -> dict[str, LockoutRule]:
    """Return when failed logins lock, by auth method or `all` (vault.md 4.3)."""
    if to_switch(_env(environment, "DISABLE_USER_LOCKOUT") or False, "VAULT_DISABLE_USER_LOCKOUT"):
        return {"all": LockoutRule(disabled=True)}
    found: dict[str, LockoutRule] = {}
    for block in sorted(blocks(entries, "user_lockout"), key=lambda block: block.kind != "all"):
        if block.kind not in ("all", *TYPES):
            raise BadSettings(f"{block.place}: user_lockout {block.kind!r}: write all, {' or '.join(TYPES)}")
        known = found.get("all", LockoutRule())
        found[block.kind] = LockoutRule(
            whole(block, "lockout_threshold", known.threshold),
            int(span(block, "lockout_duration", known.duration)),
            int(span(block, "lockout_counter_reset", known.reset)),
            block.switch("disable_lockout", known.disabled),
        )
    return found


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
    return seconds(value, f"{place}: {name}")


def _number(top: Mapping[str, tuple[Any, str]], name: str) -> int:
    value, place = top.get(name, (0, ""))
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise BadSettings(f"{place}: {name} is not a whole number") from error
