"""How to run the S3 server. config/s3.py makes it of options and environment."""

from dataclasses import dataclass, field
from pathlib import Path

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings
from strongroom.config.webhooks import Webhook
from strongroom.s3.domain.key_service import LOCK_WITHIN


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run the server.

    folder             where objects lie; None keeps them in memory
    certs              a folder with public.crt and private.key; TLS when both are there
    day_seconds        of lifecycle rules; less in tests
    audit              a file, `-` for standard output, "" or `off` for none
    public_metrics     without a token
    webhooks           targets of bucket notifications
    cut_running_reads  when their key is locked
    spans              traces for OpenTelemetry, where its variables say
    checksum           of objects whose writer names none
    lock_within        seconds: how long data keys live while no key server tells of locks
    """

    root: RootCredentials
    folder: Path | None = None
    host: str = ""
    port: int = 9000
    certs: Path | None = None
    kms: KmsSettings = field(default_factory=KmsSettings)
    region: str = ""
    domains: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    sigv2: bool = True
    day_seconds: float = 86400.0
    audit: str = ""
    public_metrics: bool = False
    webhooks: tuple[Webhook, ...] = ()
    cut_running_reads: bool = False
    spans: bool = False
    checksum: str = ""
    lock_within: float = LOCK_WITHIN
