"""What `strongroom mc` reaches against our own server over TLS: start-up, listings, one large file, many small ones.

    python benchmarks/mc.py [--quick] [--plain] [--many N] [--folder DIR]

Prints one line per measure with its goal (issue 7). The server and the client share the machine's cores.
"""

import argparse
import json
import os
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from strongroom.chain.certificates import Pair, make_authority, make_server

MC = [sys.executable, "-m", "strongroom.cli.main", "mc"]
MIB = 1024 * 1024


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Bench:
    """A server on one folder, and a client's configuration."""

    def __init__(self, folder, encrypted):
        self.folder = folder
        certs = folder / "certs"
        certs.mkdir()
        authority = Pair(folder / "ca.crt", folder / "ca.key")
        make_authority(authority)
        make_server(authority, Pair(certs / "public.crt", certs / "private.key"), ["127.0.0.1"])
        port = free_port()
        environ = {**os.environ, "MINIO_ROOT_USER": "minio", "MINIO_ROOT_PASSWORD": "minio123"}
        if encrypted:
            environ["MINIO_KMS_SECRET_KEY"] = "my-key:OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw="
            environ["MINIO_KMS_AUTO_ENCRYPTION"] = "on"
        words = ["s3", "server", str(folder / "data"), "--address", f"127.0.0.1:{port}", "--certs-dir", str(certs)]
        self.server = subprocess.Popen([sys.executable, "-m", "strongroom.cli.main", *words], env=environ,
                                       stdout=subprocess.DEVNULL)  # fmt: skip
        self.environ = {**os.environ, "MC_HOST_b": f"https://minio:minio123@127.0.0.1:{port}",
                        "MC_CONFIG_DIR": str(folder / "mc"), "MC_CA": str(authority.certificate)}  # fmt: skip
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)

    def server_cpu(self):
        """Return the CPU seconds of the server's processes."""
        found = subprocess.run(["pgrep", "-f", str(self.folder / "data")], capture_output=True, text=True, check=False)
        total = 0
        for pid in found.stdout.split():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def mc(self, *words):
        """Run mc; return seconds and peak memory of it in MiB."""
        started, before = time.perf_counter(), self.server_cpu()
        done = subprocess.Popen([*MC, *words], env=self.environ, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(done.pid, 0)
        if status:
            raise SystemExit(f"mc {' '.join(words)} failed")
        seconds = time.perf_counter() - started
        # On a busy machine the work done says more than the time taken.
        print(f"    (cpu of the client {usage.ru_utime + usage.ru_stime:.2f} s, of the server "
              f"{self.server_cpu() - before:.2f} s, in {seconds:.2f} s)", file=sys.stderr)  # fmt: skip
        return seconds, usage.ru_maxrss / 1024

    def stop(self):
        """End the server."""
        self.server.terminate()
        self.server.wait(20)


def show(name, value, unit, goal):
    """Print one measure."""
    print(f"{name:<44} {value:10.2f} {unit:<8} goal {goal}", flush=True)


def best(times, action):
    """Return the shortest of several runs."""
    return min(action()[0] for _ in range(times))


def measure(bench, quick, count):
    """Run all measures."""
    folder = bench.folder
    bench.mc("mb", "b/ten", "b/big", "b/many")
    ten = folder / "ten"
    ten.mkdir()
    for number in range(10):
        (ten / f"{number}.txt").write_text("x")
    bench.mc("cp", "-r", f"{ten}/", "b/ten/")
    show("mc --help", best(5, lambda: bench.mc("--help")), "s", "<= 0.2")
    show("mc ls of 10 objects", best(5, lambda: bench.mc("ls", "b/ten")), "s", "<= 0.35")
    size = (256 if quick else 1024) * MIB
    big = folder / "big.bin"
    with big.open("wb") as out:
        block = secrets.token_bytes(MIB)
        for _ in range(size // MIB):
            out.write(block)
    show("cp of one large file, up", size / 1e6 / bench.mc("cp", str(big), "b/big/")[0], "MB/s", ">= 300")
    seconds, memory = bench.mc("cp", "b/big/big.bin", str(folder / "down.bin"))
    show("cp of one large file, down", size / 1e6 / seconds, "MB/s", ">= 500")
    show("  memory", memory, "MiB", "")
    assert subprocess.run(["cmp", str(big), str(folder / "down.bin")], check=False).returncode == 0
    many = folder / "many"
    for number in range(count):
        path = many / f"{number % 100:02}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(secrets.token_bytes(4096))
    show("cp -r of 4 KiB files, up", count / bench.mc("cp", "-r", f"{many}/", "b/many/")[0], "1/s", ">= 1500")
    show("cp -r of 4 KiB files, down", count / bench.mc("cp", "-r", "b/many/", str(folder / "back"))[0], "1/s", "")
    show("mirror again, nothing to do", bench.mc("mirror", str(many), "b/many")[0], "s", "")
    seconds, memory = bench.mc("ls", "-r", "b/many")
    show(f"ls -r of {count} objects", seconds, "s", "<= 6 for 100,000")
    show("  memory", memory, "MiB", "<= 100")


def main():
    """Run; keep nothing."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="smaller amounts")
    options.add_argument("--plain", action="store_true", help="a server without encryption")
    options.add_argument("--many", type=int, default=0, help="how many small files (10,000)")
    options.add_argument("--folder", help="where to work (a temporary folder)")
    flags = options.parse_args()
    folder = Path(tempfile.mkdtemp(dir=flags.folder, prefix="mc-bench-"))
    bench = Bench(folder, not flags.plain)
    try:
        measure(bench, flags.quick, flags.many or (2_000 if flags.quick else 10_000))
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"cpu_seconds_of_children": round(usage.ru_utime + usage.ru_stime, 1)}))


if __name__ == "__main__":
    main()
