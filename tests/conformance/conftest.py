"""Other projects' own tests, run against a chain of ours. They are fetched from the Go proxy and from PyPI."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

from chain_process import PROGRAM, ChainProcess


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """The environment of a client of a chain that runs for this session."""
    folder = tmp_path_factory.mktemp("chain") / "data"
    chain = ChainProcess.on_free_ports(folder).start()
    shown = subprocess.run([*PROGRAM, "env", str(folder), "--json"], check=True, capture_output=True)
    yield os.environ | {name: value for name, value in json.loads(shown.stdout).items() if isinstance(value, str)}
    chain.stop()


class Modules:
    """Go modules, copied to where their tests can be built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, module: str, version: str) -> Path:
        """Return a writable copy of a module."""
        made = subprocess.run(
            ["go", "mod", "download", "-json", f"{module}@{version}"],
            check=True,
            capture_output=True,
            cwd=self.folder,
            env=os.environ | {"GOFLAGS": "-modcacherw"},
        )
        target = self.folder / module.rpartition("/")[2]
        subprocess.run(["cp", "-r", json.loads(made.stdout)["Dir"], str(target)], check=True)
        return target


@pytest.fixture(scope="session")
def modules(tmp_path_factory):
    if subprocess.run(["sh", "-c", "command -v go"], capture_output=True).returncode:
        pytest.skip("go is not installed; https://go.dev/dl has it")
    return Modules(tmp_path_factory.mktemp("modules"))
