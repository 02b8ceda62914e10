"""What the kms reaches on one core over TLS with a file audit device, and OpenBao beside it in the same run.

    python benchmarks/kms.py [--seconds 3] [--connections 16] [--no-peer]

The server runs on the first core, the load on the second. OpenBao (when installed in .peers) runs with audit off and
raft storage. "per core" divides by the server's own CPU time, which the load does not limit.
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parent))
from load import insecure_tls, request, run_load

TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parent.parent
TEXT = "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28="
POLICY = "".join(
    f'path "{path}/*" {{ capabilities = ["create", "read", "update", "delete", "list"] }}\n'
    for path in ("kv", "transit")
)


class Server:
    """A server under test: ours, or OpenBao."""

    def __init__(self, name: str, words: list[str], port: int) -> None:
        self.name, self.port = name, port
        log = Path(tempfile.gettempdir()) / f"bench-{name}.log"
        self.process = subprocess.Popen(words, stdout=log.open("wb"), stderr=subprocess.STDOUT)
        with contextlib.suppress(OSError):
            os.sched_setaffinity(self.process.pid, {0})
        self.token = self.root = ""

    def ask(self, method: str, path: str, body: object = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"https://127.0.0.1:{self.port}/v1/{path}", data, method=method)
        asked.add_header("X-Vault-Token", self.token)
        with urllib.request.urlopen(asked, timeout=20, context=insecure_tls()) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def set_up(self) -> float:
        """Wait, initialise, unseal, mount; return the seconds from the start to unsealed."""
        began = time.perf_counter()
        while True:
            try:
                self.ask("GET", "sys/seal-status")
                break
            except OSError:
                time.sleep(0.02)
        made = self.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.ask("PUT", "sys/unseal", {"key": made["keys"][0]})
        seconds = time.perf_counter() - began
        self.token = self.root = made["root_token"]
        for _ in range(100):  # a raft leader takes a moment
            with contextlib.suppress(OSError):
                self.ask("POST", "sys/mounts/kv", {"type": "kv"})
                break
            time.sleep(0.1)
        self.ask("POST", "sys/mounts/transit", {"type": "transit"})
        self.ask("PUT", "sys/policies/acl/bench", {"policy": POLICY})
        self.token = self.ask("POST", "auth/token/create", {"policies": ["bench"]})["auth"]["client_token"]
        for number in range(64):
            self.ask("PUT", f"kv/r/{number}", {"value": "x" * 64})
        self.ask("POST", "transit/keys/k", {})
        return seconds

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def cases(server: Server) -> dict[str, Callable[[int], Iterator[bytes]]]:
    """Return what each connection asks, by the case's name."""
    token = (f"X-Vault-Token: {server.token}",)
    ciphertext = server.ask("PUT", "transit/encrypt/k", {"plaintext": TEXT})["data"]["ciphertext"]

    def fixed(method: str, path: str, body: object = None) -> Callable[[int], Iterator[bytes]]:
        raw = request(method, f"/v1/{path}", b"" if body is None else json.dumps(body).encode(), token)
        return lambda _: itertools.repeat(raw)

    def reads(connection: int) -> Iterator[bytes]:
        return (request("GET", f"/v1/kv/r/{n % 64}", b"", token) for n in itertools.count(connection))

    def writes(connection: int) -> Iterator[bytes]:
        body = json.dumps({"value": "x" * 64}).encode()
        return (request("PUT", f"/v1/kv/w/{connection}/{n}", body, token) for n in itertools.count())

    return {
        "kv read": reads,
        "kv write (durable)": writes,
        "transit encrypt": fixed("PUT", "transit/encrypt/k", {"plaintext": TEXT}),
        "transit decrypt": fixed("PUT", "transit/decrypt/k", {"ciphertext": ciphertext}),
        "transit datakey": fixed("PUT", "transit/datakey/plaintext/k", {}),
    }


def measure(server: Server, seconds: float, connections: int) -> dict[str, tuple[float, float, float]]:
    """Return case → (per second, per second of the server's CPU, p99 in ms)."""
    found = {}
    for name, requests in cases(server).items():
        before = server.cpu()
        result = uvloop.run(
            run_load("127.0.0.1", server.port, requests, connections=connections, seconds=seconds, tls=insecure_tls())
        )
        used = server.cpu() - before
        if result.failures:
            print(f"{server.name}: {name}: {result.failures} failures", file=sys.stderr)
        found[name] = (result.rate, result.answers / used if used else 0.0, result.percentile(0.99))
    return found


def certificate(folder: Path) -> tuple[str, str]:
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
    pair = folder / "public.crt", folder / "private.key"
    words += ["-out", str(pair[0]), "-keyout", str(pair[1]), "-subj", "/CN=localhost"]
    subprocess.run(words, check=True, capture_output=True)
    return str(pair[0]), str(pair[1])


def config(folder: Path, port: int, storage: dict, **more: object) -> str:
    cert, key = certificate(folder)
    listener = {"address": f"127.0.0.1:{port}", "tls_cert_file": cert, "tls_key_file": key}
    found = {"storage": storage, "listener": {"tcp": listener}, "disable_mlock": True} | more
    path = folder / "config.json"
    path.write_text(json.dumps(found))
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--no-peer", action="store_true", help="do not run OpenBao")
    words = parser.parse_args()
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {1})
    folder = Path(tempfile.mkdtemp(prefix="kms-bench-"))
    try:
        run(folder, words)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, words: argparse.Namespace) -> None:
    ours_folder, theirs_folder = folder / "ours", folder / "theirs"
    for made in (ours_folder, theirs_folder):
        made.mkdir()
    path = config(ours_folder, 18290, {"sqlite": {"path": str(ours_folder / "data")}})
    ours = Server("strongroom", [sys.executable, "-m", "strongroom.cli.main", "kms", "server", "-config", path], 18290)
    try:
        print(f"start to unsealed: {ours.set_up():.2f} s")
        found = measure_with_audit(ours, ours_folder, words)
    finally:
        ours.stop()
    bao = shutil.which("bao", path=f"{ROOT}/.peers/bin:{os.environ['PATH']}")
    theirs = {}
    if bao and not words.no_peer:
        (theirs_folder / "raft").mkdir()
        raft = {"raft": {"path": str(theirs_folder / "raft"), "node_id": "a"}}
        address = {"api_addr": "https://127.0.0.1:18292", "cluster_addr": "https://127.0.0.1:18293"}
        peer = Server("openbao", [bao, "server", "-config", config(theirs_folder, 18292, raft, **address)], 18292)
        try:
            peer.set_up()
            theirs = measure(peer, words.seconds, words.connections)
        finally:
            peer.stop()
    print(f"{'':20}{'per second':>12}{'per core':>12}{'p99 ms':>9}{'OpenBao':>10}{'ratio':>8}")
    for name, (rate, per_core, late) in found.items():
        other = theirs.get(name, (0.0, 0.0, 0.0))[0]
        ratio = f"{rate / other:8.1f}" if other else f"{'-':>8}"
        print(f"{name:20}{rate:12,.0f}{per_core:12,.0f}{late:9.1f}{other:10,.0f}{ratio}")


def measure_with_audit(server: Server, folder: Path, words: argparse.Namespace) -> dict:
    """Enable a file audit device, then measure."""
    options = {"type": "file", "options": {"file_path": str(folder / "audit.log")}}
    limited, server.token = server.token, server.root
    server.ask("PUT", "sys/audit/file", options)
    server.token = limited
    return measure(server, words.seconds, words.connections)


if __name__ == "__main__":
    main()
