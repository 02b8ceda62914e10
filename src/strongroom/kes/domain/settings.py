"""What a key server is told by its configuration, as frozen values. `config/kes.py` makes them of a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from strongroom.kes.domain.policy import Policy

INFO, OFF = 0, 9  # log levels, as observe/log.py has them


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The listener's TLS. verify_clients is `auth: on`; ca is a file or a folder."""

    key: str = ""
    cert: str = ""
    password: str = field(default="", repr=False)
    verify_clients: bool = False
    ca: str = ""
    proxies: tuple[str, ...] = ()  # identities of TLS proxies
    proxy_header: str = ""  # the header that carries the client's certificate, lower case


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Seconds; 0 switches a timer off."""

    any: float = 300.0
    unused: float = 30.0
    offline: float = 0.0


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What the configuration changes about one route. timeout in seconds, None for the default, 0 too."""

    skip_auth: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Where audit lines go. file "" with console False keeps no log (the stream still works)."""

    console: bool = True
    file: str = ""
    rotate_bytes: int = 0
    keep: int = 0
    key_file: str = ""  # 32 bytes that seal checkpoints; made if missing; default `<file>.key`
    context: bool = False  # note bucket and object of the request's context
    refuse_when_full: bool = True


@dataclass(frozen=True, slots=True)
class LockSettings:
    """How fast a disabled key is refused on every server of the store.

    strict: refuse keys whose state could not be read for `within` seconds, even while the store is away.
    """

    within: float = 5.0
    strict: bool = False


@dataclass(frozen=True, slots=True)
class FsSettings:
    """Keys as files."""

    path: str


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """Keys until the process ends."""


@dataclass(frozen=True, slots=True)
class VaultLogin:
    """AppRole (id, secret) or Kubernetes (role, jwt: the token or its file). namespace "/" is the root."""

    method: str  # approle | kubernetes
    engine: str
    namespace: str = ""
    id: str = ""
    secret: str = field(default="", repr=False)
    role: str = ""
    jwt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """A Vault, an OpenBao or our kms. version is v1 or v2."""

    endpoint: str
    login: VaultLogin
    engine: str = "kv"
    version: str = "v1"
    namespace: str = ""
    prefix: str = ""
    transit_engine: str = "transit"
    transit_key: str = ""  # "" for no transit
    key: str = ""
    cert: str = ""
    ca: str = ""
    ping: float = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """AWS Secrets Manager; empty credentials mean the default chain."""

    endpoint: str
    region: str
    kms_key: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class GcpSettings:
    """GCP Secret Manager; empty credentials mean the ambient ones."""

    project: str
    endpoint: str = ""
    scopes: tuple[str, ...] = ()
    client_email: str = ""
    client_id: str = ""
    private_key_id: str = ""
    private_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """Azure Key Vault: a client secret, a managed identity, or the default chain."""

    endpoint: str
    tenant: str = ""
    client: str = ""
    secret: str = field(default="", repr=False)
    managed_identity: str = ""


@dataclass(frozen=True, slots=True)
class KesSettings:
    """Another KES as key store."""

    endpoints: tuple[str, ...]
    key: str = ""
    cert: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class ForeignSettings:
    """A store that we only know by name: starting fails, naming the way out."""

    kind: str


StoreSettings = (
    FsSettings
    | MemorySettings
    | VaultSettings
    | AwsSettings
    | GcpSettings
    | AzureSettings
    | KesSettings
    | ForeignSettings
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything. Times are in seconds."""

    host: str = "0.0.0.0"
    port: int = 7373
    admin: str = ""
    tls: TlsSettings = TlsSettings()
    policies: tuple[Policy, ...] = ()
    routes: Mapping[str, RouteSettings] = field(default_factory=dict)
    cache: CacheSettings = CacheSettings()
    error_level: int = INFO
    audit_level: int = INFO
    audit: AuditSettings = AuditSettings()
    lock: LockSettings = LockSettings()
    keys: tuple[str, ...] = ()  # created at start if absent
    store: StoreSettings = MemorySettings()
    warnings: tuple[str, ...] = ()  # for the operator, from reading the file
    old: bool = False  # the file was of an older schema
    files: tuple[str, ...] = ()  # what a change of which asks for a reload

    @property
    def audit_on(self) -> bool:
        """Whether audit lines are kept at all."""
        return self.audit_level < OFF and (self.audit.console or bool(self.audit.file))
