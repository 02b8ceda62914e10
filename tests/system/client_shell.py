"""What tests of command-line clients share: running a program, and a tree of files with awkward names and sizes.

CLIENT_TREE=large adds Python's standard library (more than 1,000 files, empty ones among them) and a file of 1 GiB:
`CLIENT_TREE=large pytest tests/system/test_chain_clients.py --timeout=3600`.
"""

import filecmp
import os
import secrets
import shutil
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
LARGE = os.environ.get("CLIENT_TREE") == "large"
GIB = 1 << 30


def run(words, environment, seconds=1200 if LARGE else 120, **options) -> str:
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
    if LARGE:
        library = Path(os.__file__).parent
        shutil.copytree(
            library, root / "lib", ignore=shutil.ignore_patterns("__pycache__", "site-packages"), symlinks=True
        )
        with (root / "gib.bin").open("wb") as file:
            for _ in range(64):
                file.write(secrets.token_bytes(GIB // 64))
    return root


def files_of(tree: Path) -> list[str]:
    """Return the names of a tree's files, relative to it."""
    return sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())


def same(tree: Path, back: Path, *, keep: bool = False) -> None:
    """Compare two trees: the same files with the same bytes. The second one is removed unless it is to be kept."""
    files = files_of(tree)
    assert files == files_of(back)
    match, mismatch, errors = filecmp.cmpfiles(tree, back, files, shallow=False)
    assert (mismatch, errors) == ([], [])
    print(f"{len(files)} files are the same, {sum((tree / name).stat().st_size == 0 for name in files)} of them empty")
    if not keep:
        shutil.rmtree(back)  # a large one should not wait for pytest to tidy up
