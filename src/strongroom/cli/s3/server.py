"""`s3 server DIR`: options over environment, then the server until SIGTERM."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from strongroom.errors import BadSettings

UNSUPPORTED = ("ftp", "sftp")  # options of the original that name protocols we lack


@click.command()
@click.argument("folders", nargs=-1, metavar="DIR")
@click.option("--address", default="", help="Listen on HOST:PORT (default :9000, or MINIO_ADDRESS).")
@click.option("--certs-dir", "-S", default="", help="Folder with public.crt and private.key; TLS when both are there.")
@click.option("--console-address", default="", help="Accepted for compatibility: there is no console.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=None,
    help="Processes that serve (default STRONGROOM_S3_WORKERS, or one for each core).",
)
@click.option("--memory", is_flag=True, help="Keep everything in memory; for tests.")
@click.option("--ftp", multiple=True, hidden=True)
@click.option("--sftp", multiple=True, hidden=True)
@click.option("--quiet", "-q", is_flag=True, hidden=True)
@click.option("--anonymous", is_flag=True, hidden=True)
@click.option("--json", "as_json", is_flag=True, hidden=True)
@click.option("--no-compat", is_flag=True, hidden=True)
def server(folders: tuple[str, ...], address: str, certs_dir: str, console_address: str, **others: Any) -> int:
    """Start the object server on DIR.

    Root credentials come from MINIO_ROOT_USER and MINIO_ROOT_PASSWORD (or their _FILE forms), the key service from
    MINIO_KMS_SECRET_KEY or MINIO_KMS_KES_ENDPOINT and its companions. Exit code 1 when the server cannot start.
    """
    from strongroom.config.environment import process_environment, root_credentials
    from strongroom.config.kms_environment import kms_settings
    from strongroom.config.webhooks import webhooks
    from strongroom.net.workers import is_worker

    try:
        environment = process_environment()
        for name in UNSUPPORTED:
            if others[name]:
                raise BadSettings(f"--{name}: this server speaks S3 only; use a gateway such as rclone serve {name}")
        host, port = parse_address(address or environment.get("MINIO_ADDRESS", "") or ":9000")
        root = root_credentials(environment)
        folder = None if others["memory"] else _folder(folders, environment.get("MINIO_VOLUMES", ""))
        workers = others["workers"] or _workers(environment)
        settings: dict[str, Any] = {
            "root": root,
            "folder": folder,
            "host": host,
            "port": port,
            "certs": Path(certs_dir) if certs_dir else Path.home() / ".minio" / "certs",
            "kms": kms_settings(environment, old_credentials=root.old),
            "region": _first(environment, "MINIO_SITE_REGION", "MINIO_REGION", "MINIO_REGION_NAME"),
            "domains": tuple([name.strip() for name in environment.get("MINIO_DOMAIN", "").split(",") if name.strip()]),
            "trusted_proxies": tuple(_list(environment.get("STRONGROOM_TRUSTED_PROXIES", ""))),
            "audit": _audit(environment, folders, others["memory"]),
            "cut_running_reads": _switch(environment, "STRONGROOM_CUT_RUNNING_READS"),
            "checksum": _checksum(environment),
            "spans": _spans(environment),
            "lock_within": _seconds(environment, "STRONGROOM_LOCK_WITHIN_SECONDS", 5.0),
            "public_metrics": environment.get("MINIO_PROMETHEUS_AUTH_TYPE", "jwt") == "public",
            "webhooks": webhooks(environment),
            "day_seconds": _seconds(environment, "STRONGROOM_LIFECYCLE_DAY_SECONDS", 86400.0),
            "sigv2": environment.get("STRONGROOM_SIGV2", "on").lower() not in ("off", "false", "0"),
        }
    except BadSettings as error:
        print(f"FATAL {error}", file=sys.stderr)
        return 1
    if workers > 1 and folder is not None and not is_worker():
        from strongroom.s3.crew import supervise

        return supervise(folder, host, port, workers, tls=(settings["certs"] / "public.crt").exists())
    from strongroom.s3.app import Settings, serve

    if console_address:
        print("WARNING: --console-address: this server has no console", file=sys.stderr)
    return serve(Settings(**settings))


def _audit(environment: dict[str, str], folders: tuple[str, ...], memory: bool) -> str:
    """Return where audit lines go: STRONGROOM_S3_AUDIT, else `audit.log` beside the data folder's own files."""
    named = environment.get("STRONGROOM_S3_AUDIT")
    if named is not None or memory:
        return named or ""
    return str(_folder(folders, environment.get("MINIO_VOLUMES", "")) / "audit.log")


def _workers(environment: dict[str, str]) -> int:
    text = environment.get("STRONGROOM_S3_WORKERS", "")
    if not text:
        return len(os.sched_getaffinity(0))
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise BadSettings(f"STRONGROOM_S3_WORKERS: {text!r} is no number from 1 to 256")
    return int(text)


def _seconds(environment: dict[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        seconds = float(text) if text else default
    except ValueError as error:
        raise BadSettings(f"{name}: {text!r} is no number of seconds") from error
    if seconds <= 0:
        raise BadSettings(f"{name}: {text!r} is no number of seconds above 0")
    return seconds


def _switch(environment: dict[str, str], name: str) -> bool:
    text = environment.get(name, "").lower() or "off"
    if text not in ("on", "off"):
        raise BadSettings(f"{name}: {text!r} is neither on nor off")
    return text == "on"


def _spans(environment: dict[str, str]) -> bool:
    if not any(name.startswith("OTEL_") for name in environment):
        return False
    from strongroom.s3.spans import asked

    return asked(environment)


def _checksum(environment: dict[str, str]) -> str:
    text = environment.get("STRONGROOM_S3_DEFAULT_CHECKSUM", "").upper() or "OFF"
    if text not in ("OFF", "CRC64NVME"):
        raise BadSettings(f"STRONGROOM_S3_DEFAULT_CHECKSUM: {text!r} is neither off nor crc64nvme")
    return "" if text == "OFF" else text


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _first(environment: dict[str, str], *names: str) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def parse_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT; an empty host is every address. Raises BadSettings."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise BadSettings(f"--address {text}: expected HOST:PORT")
    return host.strip("[]"), int(port)


def _folder(folders: tuple[str, ...], volumes: str) -> Path:
    given = folders or tuple(volumes.split())
    if not given:
        raise BadSettings("no folder: name one, or set MINIO_VOLUMES")
    if len(given) > 1 or "..." in given[0] or "://" in given[0]:
        raise BadSettings(f"{' '.join(given)}: one local folder is supported; use a RAID or file system below it")
    return Path(os.path.expanduser(given[0]))


def main(words: list[str], name: str) -> int:
    """Run the command; return its exit code."""
    try:
        return int(server.main(words, name, standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2
