"""mc as a process of its own, with a configuration folder and aliases for servers."""

import hashlib
import json
import os
import pty
import select
import subprocess
import sys
import time

MC = [sys.executable, "-c", "import sys; from strongroom.cli.mc.main import main; sys.exit(main(sys.argv[1:], 'mc'))"]
MIB = 1024 * 1024


class McShell:
    """A folder with a configuration, and aliases for the servers."""

    def __init__(self, folder, servers):
        self.folder, self.ports = folder, servers.ports
        self.environ = {**os.environ, "MC_CONFIG_DIR": str(folder / "mc"), "HOME": str(folder), "TZ": "UTC",
                        "MC_CA": str(servers.authority.certificate)}  # fmt: skip
        for name in ("my", "kes", "tls"):
            scheme = "https" if name == "tls" else "http"
            self.environ[f"MC_HOST_{name}"] = f"{scheme}://minio:minio123@127.0.0.1:{self.ports[name]}"

    def run(self, *words, code=0, stdin=b""):
        """Run mc; return standard output."""
        done = subprocess.run([*MC, *words], env=self.environ, cwd=self.folder, input=stdin, capture_output=True,
                              check=False, timeout=60)  # fmt: skip
        assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode() + done.stderr.decode()

    def keys(self, bucket):
        """Return the names of all objects, sorted."""
        return sorted(json.loads(row)["key"] for row in self.run("--json", "ls", "-r", bucket).splitlines())

    def run_any(self, *words):
        """Run mc; return exit code and output."""
        done = subprocess.run([*MC, *words], env=self.environ, cwd=self.folder, capture_output=True, check=False)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def start(self, *words, **more):
        """Start mc."""
        return subprocess.Popen([*MC, *words], env=self.environ, cwd=self.folder, **more)

    def on_terminal(self, *words, columns=100, typed=b"", code=0):
        """Run mc on a pseudo terminal, typed lying there already; return what it wrote."""
        parent, child = pty.openpty()
        environ = {**self.environ, "COLUMNS": str(columns), "TERM": "xterm"}
        process = subprocess.Popen([*MC, *words], env=environ, cwd=self.folder, stdin=child, stdout=child, stderr=child)
        os.close(child)
        os.write(parent, typed)
        out = b""
        while True:
            ready, _, _ = select.select([parent], [], [], 30)
            assert ready, "nothing came for 30 seconds"
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            out += piece
        os.close(parent)
        assert process.wait(30) == code, out.decode()
        return out.decode()


def big_file(path, size):
    block = hashlib.sha256(str(path.name).encode()).digest() * (MIB // 32)
    with path.open("wb") as out:
        for number in range(size // MIB):
            out.write(number.to_bytes(4, "big") + block[4:])
    return path


def until(action, good, seconds=15):
    """Repeat action until good accepts what it returns, or time is up; return it."""
    limit = time.monotonic() + seconds
    while True:
        found = action()
        if good(found) or time.monotonic() > limit:
            return found
        time.sleep(0.2)
