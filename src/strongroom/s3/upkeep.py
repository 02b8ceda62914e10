"""What an operator does to a server's folder from the command line: check it and copy it."""

import asyncio
from pathlib import Path

import apsw

from strongroom.config.kms_environment import KmsSettings
from strongroom.errors import BadSettings, Error
from strongroom.s3.app import service_of
from strongroom.s3.domain.key_errors import ObjectTampered
from strongroom.s3.domain.object_record import unpack_meta
from strongroom.s3.handlers.list_keys import ListKeys, checked, open_list_keys, vouches
from strongroom.s3.storage import sides
from strongroom.s3.storage.backup import Copied, backup
from strongroom.s3.storage.fsck import Report, check_folder

__all__ = ["Copied", "Report", "check", "copy"]


def check(
    folder: Path,
    *,
    deep: bool = False,
    repair: bool = False,
    kms: KmsSettings | None = None,
    certs: Path | None = None,
) -> Report:
    """Compare rows, totals and files (storage/fsck.py), then tags and locks with what vouches for them.

    kms, certs: the key service that opens the list keys; without one, versions are counted as unchecked.
    Raise BadSettings for a folder that is no server's, or a key service that cannot be used.
    """
    _ours(folder)
    report = check_folder(folder, deep=deep, repair=repair)
    asyncio.run(_tags(folder, report, kms, certs))
    return report


async def _tags(folder: Path, report: Report, kms: KmsSettings | None, certs: Path | None) -> None:
    service = service_of(kms, certs) if kms is not None else None
    try:
        for bucket in sides.buckets(folder):
            _bucket(bucket, await open_list_keys(bucket.record, service.keys if service else None), report)
    except apsw.Error as error:  # the database's own trouble is in the report already
        report.problems.append(f"tags and locks were not checked to the end: {error}")
    finally:
        if service is not None:
            await service.close()


def _bucket(bucket: sides.BucketRows, keys: ListKeys, report: Report) -> None:
    name = bucket.record.name
    for version in bucket.versions():
        try:
            if not unpack_meta(version.meta).seal:
                continue
            if not vouches(version.etag):
                report.unsealed_tags += 1
            elif keys.has(version.etag) and not keys.opens(version.etag):
                report.unchecked_tags += 1
            else:
                report.checked_tags += 1
                checked(keys, version)
        except ObjectTampered as error:
            report.problems.append(f"{name}: {version.key} {version.version_id}: {error.detail}")
        except Error as error:
            report.problems.append(f"{name}: {version.key} {version.version_id}: {error}")


def copy(folder: Path, target: Path, *, bodies: bool = True) -> Copied:
    """Copy a folder, also of a running server; see storage/backup.py. Raise BadSettings, AlreadyExists, Unavailable."""
    _ours(folder)
    return backup(folder, target, bodies=bodies)


def _ours(folder: Path) -> None:
    if not (folder / "system.db").is_file():
        raise BadSettings(f"{folder} is not the folder of a strongroom s3 server")
