"""Records that the kms stores below the barrier, as MessagePack maps (docs/formats/kms-entries.md)."""

from typing import Any

import msgspec


class LockoutConfig(msgspec.Struct, omit_defaults=True):
    """What a mount's user lockout was tuned to; seconds, 0 for the server's value."""

    threshold: int = 0
    duration: int = 0
    reset: int = 0
    disable: bool = False


class MountConfig(msgspec.Struct, omit_defaults=True):
    """A mount's tuning; TTLs in seconds, 0 for the system's default."""

    default_lease_ttl: int = 0
    max_lease_ttl: int = 0
    force_no_cache: bool = False
    listing_visibility: str = ""
    audit_non_hmac_request_keys: list[str] = msgspec.field(default_factory=list)
    audit_non_hmac_response_keys: list[str] = msgspec.field(default_factory=list)
    passthrough_request_headers: list[str] = msgspec.field(default_factory=list)
    allowed_response_headers: list[str] = msgspec.field(default_factory=list)
    token_type: str = ""
    user_lockout: LockoutConfig | None = None


class Mount(msgspec.Struct):
    """An entry of the mount table. path: `kv/`, or `auth/approle/` for an auth method."""

    path: str
    type: str
    accessor: str
    uuid: str
    description: str = ""
    local: bool = False
    seal_wrap: bool = False
    external_entropy_access: bool = False
    options: dict[str, str] | None = None
    config: MountConfig = msgspec.field(default_factory=MountConfig)

    @property
    def prefix(self) -> str:
        """Where the mount's entries lie."""
        return f"logical/{self.uuid}/"


class MountTable(msgspec.Struct):
    """All mounts, at core/mounts."""

    mounts: list[Mount]


class Token(msgspec.Struct, omit_defaults=True):
    """A service token, stored under the hash of its text; the text itself is not stored.

    Times are seconds since 1970 (created, expires, renewed) or nanoseconds (issued); ttl and period are seconds.
    parent: hash of the parent's text, "" for an orphan. num_uses: 0 without limit, -1 when the last use is spent.
    granted: the TTL of the last renewal. source: the auth mount's path for tokens made by a login; internal: the role
    and what else a renewal needs. inherited: a child's traits, those of the token that made it.
    """

    hash: str
    accessor: str
    policies: list[str]
    path: str
    display_name: str
    created: int
    issued: int
    ttl: int = 0
    expires: int = 0
    parent: str = ""
    orphan: bool = False
    meta: dict[str, str] | None = None
    num_uses: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    kind: str = "service"
    entity_id: str = ""
    role: str = ""
    bound_cidrs: list[str] = msgspec.field(default_factory=list)
    renewable: bool = False
    renewed: int = 0
    granted: int = 0
    source: str = ""
    internal: dict[str, Any] = msgspec.field(default_factory=dict)
    inherited: dict[str, str] | None = None

    @property
    def traits(self) -> dict[str, str]:
        """What the login said about the caller, for policy templates; never what a caller wrote into `meta`."""
        return (self.meta if self.source else self.inherited) or {}

    def __repr__(self) -> str:
        return f"Token({self.display_name!r}, {self.policies})"


class PolicyRecord(msgspec.Struct):
    """A policy's text as uploaded; modified in nanoseconds."""

    text: str
    version: int = 1
    modified: int = 0
    cas_required: bool = False


class SealConfig(msgspec.Struct):
    """core/seal-config, in clear JSON: readable while sealed."""

    type: str
    secret_shares: int
    secret_threshold: int
    nonce: str = ""
    version: int = 1


class Cluster(msgspec.Struct):
    """core/cluster: the name and id that sys/health shows."""

    name: str
    id: str
    install_time: int = 0


class AuditDevice(msgspec.Struct):
    """An enabled audit device."""

    path: str
    type: str
    description: str
    options: dict[str, str]
    local: bool
    uuid: str
    salt: str


class AuditTable(msgspec.Struct):
    """All audit devices and audited request headers, at core/audit."""

    devices: list[AuditDevice] = msgspec.field(default_factory=list)
    headers: dict[str, bool] = msgspec.field(default_factory=dict)
