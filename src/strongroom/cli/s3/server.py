"""`s3 server DIR`: options over environment, then the server until SIGTERM."""

import sys
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
def server(
    folders: tuple[str, ...], address: str, certs_dir: str, console_address: str, workers: int | None, **others: Any
) -> int:
    """Start the object server on DIR.

    Root credentials come from MINIO_ROOT_USER and MINIO_ROOT_PASSWORD (or their _FILE forms), the key service from
    MINIO_KMS_SECRET_KEY or MINIO_KMS_KES_ENDPOINT and its companions.

    \b
    Example:
      MINIO_ROOT_USER=admin MINIO_ROOT_PASSWORD_FILE=pw strongroom s3 server ./data --address :9000

    Exit code 1 when the server cannot start.
    """
    from strongroom.config.environment import process_environment
    from strongroom.config.s3 import Options, s3_settings, worker_count
    from strongroom.net.workers import is_worker

    try:
        environment = process_environment()
        for name in UNSUPPORTED:
            if others[name]:
                raise BadSettings(f"--{name}: this server speaks S3 only; use a gateway such as rclone serve {name}")
        settings = s3_settings(Options(folders, address, certs_dir, others["memory"]), environment)
        count = workers or worker_count(environment)
    except BadSettings as error:
        print(f"FATAL {error}", file=sys.stderr)
        return 1
    if console_address and not is_worker():
        print("WARNING: --console-address: this server has no console", file=sys.stderr)
    if count > 1 and settings.folder is not None and not is_worker():
        from strongroom.s3.parent import supervise

        tls = settings.certs is not None and (settings.certs / "public.crt").exists()
        return supervise(settings.folder, settings.host, settings.port, count, tls=tls)
    from strongroom.s3.app import serve

    return serve(settings)


def main(words: list[str], name: str) -> int:
    """Run the command; return its exit code."""
    try:
        return int(server.main(words, name, standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2
