"""What tests of command-line clients share: running a program, and a tree of files with awkward names and sizes."""

import filecmp
import secrets
import subprocess
from pathlib import Path

SIZES = {
    "empty": 0,
    "one byte": 1,
    "päckage": 65536,
    "inline+edge": 131072,
    "dir/sub/file.txt": 70000,
    "large.bin": 17_000_000,
}


def run(words, environment, seconds=120, **options) -> str:
    """Run a program that must succeed; return its standard output."""
    done = subprocess.run(
        list(map(str, words)), env=environment, capture_output=True, text=True, timeout=seconds, **options
    )
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


def plant(root: Path) -> Path:
    """Write the tree below root."""
    for name, size in SIZES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(secrets.token_bytes(size))
    return root


def same(tree: Path, back: Path) -> None:
    """Compare two trees: the same files with the same bytes."""
    files = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]
    assert sorted(files) == sorted(str(path.relative_to(back)) for path in back.rglob("*") if path.is_file())
    match, mismatch, errors = filecmp.cmpfiles(tree, back, files, shallow=False)
    assert (mismatch, errors) == ([], [])
