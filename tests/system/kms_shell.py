"""The kms command line against one server, in this process."""

import io
import json
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.cli.kms.brand import brand
from strongroom.cli.kms.main import run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server listens; raise RuntimeError when it has ended or takes too long."""
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server does not listen (exit code {process.poll()})")


@dataclass
class Shell:
    """Runs command lines; one that ends with another exit code than expected fails the test."""

    address: str
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    name: str = "vault"

    def __call__(self, *words: str, code: int = 0, stdin: str = "", **environment: str) -> str:
        out, err = io.StringIO(), io.StringIO()
        variables = {"VAULT_ADDR": self.address, "HOME": str(self.home), **self.environment, **environment}
        got = run(list(words), brand(self.name), variables, (io.StringIO(stdin), out, err))
        assert got == code, f"{words}: {out.getvalue()}{err.getvalue()}"
        return out.getvalue()

    def json(self, *words: str) -> Any:
        """Run with -format=json, before the first argument, and return the value."""
        at = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
        return json.loads(self(*words[:at], "-format=json", *words[at:]))
