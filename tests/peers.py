"""Real programs that tests talk to. `.ci/peers` installs them; a missing one skips its test, or fails it in CI."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / ".peers" / "bin", ROOT / ".peers" / "debian" / "bin")


def find(program: str) -> str:
    """Return the path of a peer program; skip the test when it is not installed (fail where CI is set)."""
    path = os.pathsep.join([*map(str, FOLDERS), os.environ.get("PATH", "")])
    found = shutil.which(program, path=path)
    if found is None:
        missing(program)
    return str(found)


def missing(what: str) -> None:
    """Skip, naming the command that installs what is missing; in CI that is a failure."""
    message = f"{what} is not installed; `.ci/peers` installs it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
