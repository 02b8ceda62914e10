"""What an operator does to a server's folder from the command line: check it and copy it."""

from pathlib import Path

from strongroom.errors import BadSettings
from strongroom.s3.storage.backup import Copied, backup
from strongroom.s3.storage.fsck import Report, check_folder

__all__ = ["Copied", "Report", "check", "copy"]


def check(folder: Path, *, deep: bool = False, repair: bool = False) -> Report:
    """Compare rows, totals and files; see storage/fsck.py. Raise BadSettings for a folder that is no server's."""
    _ours(folder)
    return check_folder(folder, deep=deep, repair=repair)


def copy(folder: Path, target: Path, *, bodies: bool = True) -> Copied:
    """Copy a folder, also of a running server; see storage/backup.py. Raise BadSettings, AlreadyExists, Unavailable."""
    _ours(folder)
    return backup(folder, target, bodies=bodies)


def _ours(folder: Path) -> None:
    if not (folder / "system.db").is_file():
        raise BadSettings(f"{folder} is not the folder of a strongroom s3 server")
