"""What a kms server is told: frozen settings, made of a configuration file (config/hcl.py), flags, environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strongroom.kms.domain.lockouts import LockoutRule

HOURS_768 = 768 * 3600
REQUEST_BYTES = 32 * 1024 * 1024
REQUEST_SECONDS = 90.0
JSON_STRINGS = 10_000  # names and texts of a body; OpenBao allows 1,000, which refuses a batch of 500
JSON_MEMORY = 32 * 1024 * 1024 + 512 * 1024  # bytes, as OpenBao


@dataclass(frozen=True, slots=True)
class Listener:
    """One `listener` block; times in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = 8200
    tls_disable: bool = False
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_min_version: str = "1.2"
    tls_max_version: str = "1.3"
    tls_cipher_suites: str = ""  # for TLS 1.2, in OpenSSL's words
    tls_client_ca_file: str = ""
    require_client_cert: bool = False
    disable_client_certs: bool = False
    max_request_size: int = REQUEST_BYTES
    max_request_duration: float = REQUEST_SECONDS
    max_json_strings: int = JSON_STRINGS  # below zero: no limit
    max_json_memory: int = JSON_MEMORY  # bytes; below zero: no limit
    http_idle_timeout: float = 300
    http_read_header_timeout: float = 10
    http_read_timeout: float = 30
    http_write_timeout: float = 0
    unauthenticated_metrics: bool = False
    disable_unauthed_rekey: bool = False
    disable_unauthed_generate_root: bool = False
    forwarded_from: tuple[str, ...] = ()  # proxies, as address blocks, whose X-Forwarded-For is believed
    forwarded_skips: int = 0
    forwarded_required: bool = False
    forwarded_strict: bool = False
    response_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by `default`, `4xx`, `404`
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditStanza:
    """An `audit` block: a device that the configuration keeps."""

    type: str
    path: str
    options: Mapping[str, str]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a kms server needs; TTLs in seconds."""

    storage: str = "inmem"
    storage_options: Mapping[str, str] = field(default_factory=dict)
    listeners: tuple[Listener, ...] = ()
    seal: str = "shamir"
    seal_options: Mapping[str, str] = field(default_factory=dict)
    old_seal: str = ""
    old_seal_options: Mapping[str, str] = field(default_factory=dict)
    api_addr: str = ""
    cluster_addr: str = ""
    cluster_name: str = ""
    default_lease_ttl: int = HOURS_768
    max_lease_ttl: int = HOURS_768
    ui: bool = False
    disable_mlock: bool = False
    log_level: str = "info"
    log_format: str = "standard"
    log_file: str = ""
    log_rotate_bytes: int = 0  # a longer file is put aside
    log_rotate_duration: float = 0  # seconds after which it is
    log_rotate_max_files: int = 0  # how many put aside are kept; 0: all, below zero: none
    pid_file: str = ""
    raw_storage_endpoint: bool = False
    allow_api_audit: bool = True
    audits: tuple[AuditStanza, ...] = ()
    prometheus_retention: float = 24 * 3600
    user_lockout: Mapping[str, LockoutRule] = field(default_factory=dict)  # by auth method, or `all`
    dev: bool = False
    dev_root_token: str = ""
    dev_authority: str = ""  # the file of the authority that a development server over TLS made for itself
    warnings: tuple[str, ...] = ()
    source: str = ""

    def __repr__(self) -> str:
        return f"Settings({self.source or 'defaults'}, storage {self.storage})"
