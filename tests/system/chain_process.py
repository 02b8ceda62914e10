"""A real `strongroom up` in a child process, on free ports, for tests."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = [sys.executable, "-m", "strongroom.cli.main"]


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ChainProcess:
    """Runs `strongroom up FOLDER`; start() returns once it said ready."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen | None = None
        self.events: list[dict] = []
        self._rest = b""

    @classmethod
    def on_free_ports(cls, folder: Path, *options: str) -> "ChainProcess":
        addresses = [word for box in ("s3", "kes", "kms") for word in (f"--{box}", f"127.0.0.1:{free_port()}")]
        return cls(folder, *addresses, *options)

    def start(self, seconds: float = 60) -> "ChainProcess":
        self.process = subprocess.Popen(
            [*PROGRAM, "up", str(self.folder), "--json", *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.wait_for(lambda event: event.get("ready"), seconds)
        return self

    def wait_for(self, wanted, seconds: float = 60) -> dict:
        """Return the next event that wanted accepts."""
        end = time.monotonic() + seconds
        selector = selectors.DefaultSelector()
        selector.register(self.process.stdout, selectors.EVENT_READ)
        while time.monotonic() < end:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                event = json.loads(line) if line.startswith(b"{") else {"text": line.decode()}
                self.events.append(event)
                if wanted(event):
                    return event
            if selector.select(0.2):
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, f"up ended: {self.events} {self._rest!r}"
                self._rest += data
        raise AssertionError(f"not within {seconds} s; events: {self.events}")

    def environment(self, admin: bool = False) -> dict[str, str]:
        """Return what `strongroom env` exports, over this process's environment."""
        words = [*PROGRAM, "env", str(self.folder), "--json", *(["--admin"] if admin else [])]
        found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        return {**os.environ, **found}

    def children(self) -> dict[str, int]:
        """Return box → process id."""
        found = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if len(words) > 3:
                    found[words[3].decode()] = int(pid)
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; return the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(10)
        finally:
            self.process.stdout.close()
            self.process = None
