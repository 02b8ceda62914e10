"""mc mb and mc rb: make and remove buckets (mc.md 9.1, 9.2)."""

import re
import shutil

from strongroom.cli.mc.failures import Failed, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Local, Remote, Shell
from strongroom.errors import AlreadyExists, Error
from strongroom.sdk.s3 import BATCH, Client
from strongroom.sdk.s3_body import Bytes
from strongroom.sdk.s3_errors import NoSuchBucket, S3Error

_LEGAL = re.compile(r"[a-z0-9.-]+")


def check_bucket(name: str) -> None:
    """Raise Failed for a name that no bucket may have, before anything is sent."""
    if not name:
        raise Failed("Bucket name cannot be empty.")
    if not _LEGAL.fullmatch(name):
        raise Failed("Bucket name contains invalid characters")
    if len(name) < 3 or len(name) > 63:
        raise Failed(f"Bucket name cannot be {'shorter than 3' if len(name) < 3 else 'longer than 63'} characters")


def mb(shell: Shell, line: Line) -> None:
    """mc mb TARGET..."""
    for word in line.args:
        target = shell.located(word)
        try:
            if isinstance(target, Local):
                target.path.mkdir(parents=True, exist_ok=True)
            else:
                _make(target, line)
        except (Error, OSError) as error:
            if isinstance(target, Remote) and not target.bucket:
                hint = f"{target.alias.name}/your-bucket-name"
                shell.console.error(f"Unable to make bucket, please use `mc mb {hint}`.", error)
            else:
                shell.console.error(f"Unable to make bucket `{word}`.", error)
            continue
        shell.console.say({"status": "success", "bucket": word, "region": ""},
                          f"Bucket created successfully `{word}`.", "good")  # fmt: skip


def _make(target: Remote, line: Line) -> None:
    check_bucket(target.bucket)
    client, region, lock = target.client, line.text("region"), line.on("with-lock")
    if target.key:
        _make_folder(target, line)
        return
    try:
        client.make_bucket(target.bucket, region if region != "us-east-1" else "", lock=lock)
    except AlreadyExists:
        if not line.on("ignore-existing"):
            raise
    if line.on("with-versioning"):
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        client.put_config(target.bucket, "versioning", body)


def _make_folder(target: Remote, line: Line) -> None:
    key = target.key.rstrip("/") + "/"
    headers = [("Content-Type", "application/octet-stream"), ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")]
    try:
        target.client.put(target.bucket, key, Bytes(b""), headers)
    except NoSuchBucket:
        target.client.make_bucket(target.bucket, line.text("region"), lock=line.on("with-lock"))
        target.client.put(target.bucket, key, Bytes(b""), headers)


def rb(shell: Shell, line: Line) -> None:
    """mc rb TARGET..."""
    force, dangerous = line.on("force"), line.on("dangerous")
    for word in line.args:
        target = shell.located(word)
        if isinstance(target, Local):
            _remove_local(shell, target, force)
            continue
        if not target.bucket:
            if not (force and dangerous):
                raise Fatal("This operation results in **site-wide** removal of buckets. If you are really sure, "
                            "retry this command with ‘--force’ and ‘--dangerous’ flags.")  # fmt: skip
            for found in target.client.buckets():
                _remove(shell, target.client, found.key, f"{target.alias.name}/{found.key}")
            continue
        if target.key:
            advice = f"Use `{shell.program} rm --recursive --force {word}` for what lies below a prefix."
            shell.console.error(f"`{word}` is not a bucket.", advice)
            continue
        _remove_named(shell, target, word, force)


def _remove_named(shell: Shell, target: Remote, word: str, force: bool) -> None:
    client, bucket = target.client, target.bucket
    try:
        client.head_bucket(bucket)
    except Error as error:
        if force and isinstance(error, NoSuchBucket):
            return
        shell.console.error(f"Unable to validate target `{word}`.", target.failure(error))
        return
    if not force and next(client.versions(bucket), None) is not None:
        raise Fatal(f"`{word}` is not empty. Retry this command with ‘--force’ flag if you want to remove `{word}` "
                    "and all its contents")  # fmt: skip
    _remove(shell, client, bucket, word)


def _remove(shell: Shell, client: Client, bucket: str, name: str) -> None:
    """Delete every version and unfinished upload, then the bucket."""
    try:
        empty(client, bucket)
        try:
            client.remove_bucket(bucket)
        except S3Error as error:
            if error.code != "BucketNotEmpty":
                raise
            client.remove_bucket(bucket, force=True)
    except Error as error:
        shell.console.error(f"Failed to remove `{name}`.", error)
        return
    shell.console.say({"status": "success", "bucket": name}, f"Removed `{name}` successfully.", "good")


def empty(client: Client, bucket: str) -> None:
    """Delete all versions and markers of a bucket."""
    batch: list[tuple[str, str]] = []
    for found in client.versions(bucket):
        batch.append((found.key, found.version_id))
        if len(batch) == BATCH:
            client.delete(bucket, batch)
            batch = []
    if batch:
        client.delete(bucket, batch)


def _remove_local(shell: Shell, target: Local, force: bool) -> None:
    path = target.path
    try:
        if not path.is_dir():
            raise FileNotFoundError(2, "No such file or directory", str(path))
        if any(path.iterdir()):
            if not force:
                raise Fatal(f"`{target.text}` is not empty. Retry this command with ‘--force’ flag if you want to "
                            f"remove `{target.text}` and all its contents")  # fmt: skip
            shutil.rmtree(path)
        else:
            path.rmdir()
    except OSError as error:
        shell.console.error(f"Unable to validate target `{target.text}`.", error)
        return
    shell.console.say({"status": "success", "bucket": target.text}, f"Removed `{target.text}` successfully.", "good")
