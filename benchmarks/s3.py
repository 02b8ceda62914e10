"""What the S3 box reaches: requests or MiB a second, and the server's CPU for each, plain and encrypted.

    python benchmarks/s3.py [--seconds 3] [--only NAME] [--modes seaweedfs,plain,sse-s3,sse-kms] [--static]

The server is a process of its own, pinned to one core, in a folder on disk; the load comes from this process on the
other. Every request is signed (SigV4), bodies with UNSIGNED-PAYLOAD as clients send them over TLS. CPU is the
server's own, so that a busy machine disturbs it little. The keys come from a `strongroom kes` on the other core,
through Bucket Keys: one call in five minutes. `--static` uses a key in the server's settings instead, which knows
no Bucket Keys: each object has a data key of its own. The mode `seaweedfs` puts the same load
on SeaweedFS, plain, where it is installed (`.ci/peers`), for a ratio.
"""

import argparse
import contextlib
import datetime
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path

import uvloop
from load import run_load

from strongroom.cli.kes.server import _throw_away
from strongroom.kes.wire.apikey import ApiKey
from strongroom.s3.wire import sigv4

ACCESS, SECRET, REGION = "benchmark", "benchmark-secret", "us-east-1"
KMS_KEY = "my-key:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KES = """\
version: v1
address: 127.0.0.1:0
admin: {{ identity: {admin} }}
tls: {{ key: {folder}/private.key, cert: {folder}/public.crt }}
keys: [ {{ name: bench }} ]
keystore: {{ fs: {{ path: {folder}/keys }} }}
"""
KIB4, MIB, MIB64 = os.urandom(4096), os.urandom(1 << 20), os.urandom(1 << 20) * 64
MODES = {
    "seaweedfs": {},
    "plain": {},
    "sse-s3": {"x-amz-server-side-encryption": "AES256"},
    "sse-kms": {"x-amz-server-side-encryption": "aws:kms"},
}


class Signed:
    """Makes signed requests; they are good for fifteen minutes."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.date = datetime.datetime.now(datetime.UTC).strftime(sigv4.AMZ_DATE)
        self.key = sigv4.signing_key(SECRET, self.date[:8], REGION)

    def make(self, method: str, path: str, query: str = "", body: bytes = b"", headers: dict | None = None) -> bytes:
        signed = sigv4.sign(
            method,
            path,
            sigv4.parse_query(query),
            {"host": self.host, **(headers or {})},
            access_key=ACCESS,
            key=self.key,
            region=REGION,
            amz_date=self.date,
            payload_hash=sigv4.UNSIGNED_PAYLOAD,
        )
        target = f"{path}?{query}" if query else path
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in signed.items())]
        if method in ("PUT", "POST"):
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body


class Server:
    """A server process on one core."""

    def __init__(self, command: list[str], environment: dict[str, str], ready: str, core: int = 0) -> None:
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.sched_setaffinity(self.process.pid, {core})
        for line in self.process.stdout:
            found = re.search(ready, line)
            if found:
                self.port = int(found[1])
                return
        raise SystemExit("the server did not start")

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) // 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


async def measure(server: Server, requests, *, connections: int, seconds: float):
    before = server.cpu()
    result = await run_load("127.0.0.1", server.port, requests, connections=connections, seconds=seconds)
    return result, (server.cpu() - before) / max(result.answers, 1)


def puts(signed: Signed, prefix: str, body: bytes, headers: dict, distinct: int):
    numbers = count()
    made = [signed.make("PUT", f"/bench/{prefix}{n}", "", body, headers) for n in range(distinct)]

    def requests(_: int) -> Iterator[bytes]:
        while True:
            yield made[next(numbers) % distinct]

    return requests


def gets(signed: Signed, method: str, prefix: str, distinct: int, query: str = ""):
    made = [signed.make(method, f"/bench/{prefix}{n}" if prefix else "/bench", query) for n in range(distinct)]
    return lambda n: cycle(made[n % len(made) :] + made[: n % len(made)])


def report(mode: str, name: str, result, cpu: float, size: int) -> None:
    rate = f"{result.rate * size / 2**20:8.0f} MiB/s" if size >= 1 << 20 else f"{result.rate:8.0f} /s   "
    spread = f"p50 {result.percentile(0.5):7.2f} ms, p99 {result.percentile(0.99):7.2f} ms"
    failed = f", {result.failures} FAILED" if result.failures else ""
    print(f"{mode:10} {name:10} {rate}  CPU {cpu * 1e6:9.0f} us, {spread}{failed}", flush=True)


async def run(server: Server, mode: str, only: str, seconds: float) -> None:
    signed = Signed(server.port)
    headers = MODES[mode]
    once = lambda data: lambda n: iter([data])  # noqa: E731
    await run_load("127.0.0.1", server.port, once(signed.make("PUT", "/bench")), connections=1, seconds=1)
    sizes = (("4k", KIB4, 16, 2000), ("1m", MIB, 8, 32), ("64m", MIB64, 4, 4))
    for label, body, connections, distinct in sizes:
        prefix = f"{mode}/{label}/"
        if only and only not in f"put-{label} get-{label} head-{label} list":
            continue
        requests = puts(signed, prefix, body, headers, distinct)
        result, cpu = await measure(server, requests, connections=connections, seconds=seconds)
        report(mode, f"put-{label}", result, cpu, len(body))
        stored = min(distinct, result.answers)
        requests = gets(signed, "GET", prefix, stored)
        result, cpu = await measure(server, requests, connections=connections, seconds=seconds)
        report(mode, f"get-{label}", result, cpu, len(body))
        if label == "4k":
            result, cpu = await measure(server, gets(signed, "HEAD", prefix, stored), connections=16, seconds=seconds)
            report(mode, "head", result, cpu, 0)
            result, cpu = await measure(
                server, gets(signed, "GET", "", 1, "list-type=2"), connections=1, seconds=seconds
            )
            report(mode, "list-1000", result, cpu, 0)


PEERS = Path(__file__).resolve().parent.parent / ".peers" / "bin"
PROGRAM = str(Path(sys.executable).with_name("strongroom"))


def strongroom(folder: str, keys: dict[str, str]) -> Server:
    environment = {"MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET, **keys}
    command = [PROGRAM, "s3", "server", f"{folder}/data", "--address", "127.0.0.1:0"]
    return Server([*command, "--certs-dir", folder, "--workers", "1"], environment, r"API: http://\S*:(\d+)")


@contextlib.contextmanager
def key_server() -> Iterator[dict[str, str]]:
    """Run a key server on the load's core; yield the settings that lead to it."""
    with tempfile.TemporaryDirectory(prefix="bench-kes-") as name:
        folder = Path(name)
        _throw_away(folder)
        key = ApiKey.generate()
        (folder / "kes.yml").write_text(KES.format(admin=key.identity, folder=folder))
        command = [PROGRAM, "kes", "server", "--config", str(folder / "kes.yml")]
        server = Server(command, {}, r"listening on https://.*:(\d+)", core=max(os.sched_getaffinity(0)))
        try:
            yield {
                "MINIO_KMS_KES_ENDPOINT": f"https://127.0.0.1:{server.port}",
                "MINIO_KMS_KES_API_KEY": key.text(),
                "MINIO_KMS_KES_CAPATH": str(folder / "public.crt"),
                "MINIO_KMS_KES_KEY_NAME": "bench",
            }
        finally:
            server.stop()


def seaweedfs(folder: str, weed: str) -> Server:
    """Start SeaweedFS: master, volume, filer and S3 in one process, plain."""
    identity = {"name": "a", "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}], "actions": ["Admin"]}
    Path(folder, "s3.json").write_text(json.dumps({"identities": [identity]}))
    Path(folder, "data").mkdir()
    first = random.randrange(12000, 25000, 10)
    ports = [f"-{part}.port={first + place}" for place, part in enumerate(("master", "volume", "filer", "s3"))]
    words = [weed, "server", f"-dir={folder}/data", "-ip=127.0.0.1", "-s3", f"-s3.config={folder}/s3.json", *ports]
    words += ["-volume.max=200", "-master.volumeSizeLimitMB=64"]
    server = Server(words, {}, r"client .s3@127.0.0.1:(\d+)")
    server.port = first + 3  # what it has said is the port of its gRPC
    threading.Thread(target=server.process.stdout.read, daemon=True).start()  # it says more than a pipe holds
    time.sleep(5)  # until the volume server has told the master of itself
    return server


def server_for(mode: str, folder: str, keys: dict[str, str]) -> Server | None:
    """Start the server of a mode; None when it is not installed."""
    if mode != "seaweedfs":
        return strongroom(folder, keys)
    weed = shutil.which("weed", path=os.pathsep.join([str(PEERS), os.environ.get("PATH", "")]))
    if weed is None:
        print("seaweedfs  not installed: .ci/peers", flush=True)
        return None
    return seaweedfs(folder, weed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", default="", help="4k, 1m or 64m")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--folder", default=None, help="on the disk to measure; the default is the temporary folder")
    parser.add_argument("--static", action="store_true", help="a key in the settings instead of a key server")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    static = contextlib.nullcontext({"MINIO_KMS_SECRET_KEY": KMS_KEY})
    with static if arguments.static else key_server() as keys:
        for mode in arguments.modes.split(","):
            folder = tempfile.mkdtemp(prefix="bench-s3-", dir=arguments.folder)
            server = server_for(mode, folder, keys)
            if server is None:
                continue
            try:
                uvloop.run(run(server, mode, arguments.only, arguments.seconds))
                print(f"{mode:10} resident   {server.memory():8} MiB", flush=True)
            finally:
                server.stop()
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
