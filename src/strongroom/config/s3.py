"""An S3 server's settings: options over environment (docs/reference/s3.md, sse.md 9)."""

import os
from dataclasses import dataclass
from pathlib import Path

from strongroom.config.environment import Environment, root_credentials, switch
from strongroom.config.kms_environment import kms_settings
from strongroom.config.webhooks import webhooks
from strongroom.errors import BadSettings
from strongroom.s3.domain.key_service import LOCK_WITHIN
from strongroom.s3.settings import Settings

_COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
MOST_WORKERS = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; an empty one leaves it to the environment. memory: keep no folder."""

    folders: tuple[str, ...] = ()
    address: str = ""
    certs_dir: str = ""
    memory: bool = False


def s3_settings(options: Options, environment: Environment) -> Settings:
    """Return the settings of a server; raise BadSettings with one line that names the variable or option."""
    host, port = _address(options.address or environment.get("MINIO_ADDRESS", "") or ":9000")
    root = root_credentials(environment)
    folder = None if options.memory else _folder(options.folders, environment)
    return Settings(
        root=root,
        folder=folder,
        host=host,
        port=port,
        certs=Path(options.certs_dir) if options.certs_dir else Path.home() / ".minio" / "certs",
        kms=kms_settings(environment, old_credentials=root.old),
        region=_first(environment, "MINIO_SITE_REGION", "MINIO_REGION", "MINIO_REGION_NAME"),
        domains=_words(environment, "MINIO_DOMAIN"),
        trusted_proxies=_words(environment, "STRONGROOM_TRUSTED_PROXIES"),
        sigv2=switch(environment, "STRONGROOM_SIGV2", True),
        day_seconds=_seconds(environment, "STRONGROOM_LIFECYCLE_DAY_SECONDS", 86400.0),
        audit=_audit(environment, folder),
        public_metrics=environment.get("MINIO_PROMETHEUS_AUTH_TYPE", "jwt") == "public",
        webhooks=webhooks(environment),
        cut_running_reads=switch(environment, "STRONGROOM_CUT_RUNNING_READS", False),
        spans=_spans(environment),
        checksum=_checksum(environment),
        lock_within=_seconds(environment, "STRONGROOM_LOCK_WITHIN_SECONDS", LOCK_WITHIN),
    )


def worker_count(environment: Environment) -> int:
    """Return how many processes serve: as the environment says, else one for each core; raise BadSettings."""
    text = environment.get("STRONGROOM_S3_WORKERS", "")
    if not text:
        return len(os.sched_getaffinity(0))
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise BadSettings(f"STRONGROOM_S3_WORKERS: {text!r} is no number from 1 to {MOST_WORKERS}")
    return int(text)


def _address(text: str) -> tuple[str, int]:
    """Split HOST:PORT; an empty host is every address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise BadSettings(f"--address {text}: expected HOST:PORT")
    return host.strip("[]"), int(port)


def _folder(folders: tuple[str, ...], environment: Environment) -> Path:
    given = folders or tuple(environment.get("MINIO_VOLUMES", "").split())
    if not given:
        raise BadSettings("no folder: name one, or set MINIO_VOLUMES")
    if len(given) > 1 or "..." in given[0] or "://" in given[0]:
        raise BadSettings(f"{' '.join(given)}: one local folder is supported; use a RAID or file system below it")
    return Path(os.path.expanduser(given[0]))


def _audit(environment: Environment, folder: Path | None) -> str:
    """Return where audit lines go: STRONGROOM_S3_AUDIT, else `audit.log` beside the data folder's own files."""
    named = environment.get("STRONGROOM_S3_AUDIT")
    if named is not None or folder is None:
        return named or ""
    return str(folder / "audit.log")


def _seconds(environment: Environment, name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        seconds = float(text) if text else default
    except ValueError as error:
        raise BadSettings(f"{name}: {text!r} is no number of seconds") from error
    if not 0 < seconds < float("inf"):
        raise BadSettings(f"{name}: {text!r} is no number of seconds above 0")
    return seconds


def _spans(environment: Environment) -> bool:
    """Say whether the environment names a collector of traces, and does not switch it off."""
    off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not off and any(environment.get(name) for name in _COLLECTORS)


def _checksum(environment: Environment) -> str:
    text = environment.get("STRONGROOM_S3_DEFAULT_CHECKSUM", "").upper() or "OFF"
    if text not in ("OFF", "CRC64NVME"):
        raise BadSettings(f"STRONGROOM_S3_DEFAULT_CHECKSUM: {text!r} is neither off nor crc64nvme")
    return "" if text == "OFF" else text


def _words(environment: Environment, name: str) -> tuple[str, ...]:
    return tuple([word.strip() for word in environment.get(name, "").split(",") if word.strip()])


def _first(environment: Environment, *names: str) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")
