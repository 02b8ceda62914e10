"""Links named as the programs we stand in for: what `strongroom link DIR` writes."""

import os
import shutil
import sys
from pathlib import Path

from strongroom.errors import BadSettings

NAMES = ("vault", "bao", "kes", "minio", "mc")


def executable() -> Path:
    """Return the path of the strongroom executable that this process runs."""
    here = Path(sys.argv[0]).resolve()
    beside = Path(sys.executable).parent / "strongroom"
    found = here if here.name == "strongroom" else beside if beside.exists() else None
    if found is None and (path := shutil.which("strongroom")):
        found = Path(path).resolve()
    if found is None:
        raise BadSettings("the strongroom executable is not on PATH; install the package first")
    return found


def write(folder: Path, names: tuple[str, ...], target: Path) -> list[Path]:
    """Link each name to target; raise BadSettings, changing nothing, when one is another program."""
    if not folder.is_dir():
        raise BadSettings(f"{folder} is not a folder; make it first: mkdir -p {folder}")
    links = [folder / name for name in names]
    for link in links:
        if os.path.lexists(link) and not _ours(link, target):
            raise BadSettings(f"{link} is another program; remove it, name another folder, or leave it out with --only")
    for link in links:
        if not os.path.lexists(link):
            link.symlink_to(target)
    return links


def remove(folder: Path, names: tuple[str, ...], target: Path) -> list[Path]:
    """Remove the links that are ours; leave everything else alone."""
    ours = [folder / name for name in names if _ours(folder / name, target)]
    for link in ours:
        link.unlink()
    return ours


def _ours(link: Path, target: Path) -> bool:
    return link.is_symlink() and (link.resolve() == target or link.resolve().name == "strongroom")
