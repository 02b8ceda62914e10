"""`kes server` as a process: banner, signals, reloads, the first guide's chapter as it stands."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bao_world
import kes_world
import pytest

from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls

CONFIG = """\
version: v1
address: 127.0.0.1:0
admin: {{ identity: "{admin}" }}
tls: {{ key: kes.key, cert: kes.crt }}
policy:
  monitor: {{ allow: [ /v1/status ], identities: [ "{mon}" ] }}
audit: {{ file: audit.log }}
keystore: {{ fs: {{ path: keys }} }}
"""
GUIDE = """\
# The TCP address (ip:port) for the KES server to listen on.
address: 127.0.0.1:0

tls:
  key:  kes-tls.key
  cert: kes-tls.crt

policy:
  minio:
    paths:
    - /v1/key/create/minio-*
    - /v1/key/generate/minio-*
    - /v1/key/decrypt/minio-*
    identities:
    - {identity}

cache:
  expiry:
    any:    5m0s
    unused: 20s

log:
  error: on
  audit: off

keys:
  vault:
    endpoint: {endpoint}
    prefix: minio
    approle:
      id:     "{id}"
      secret: "{secret}"
      retry:  15s
    status:
      ping: 10s
"""


class Process:
    """A `kes` process whose lines are collected as they come."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        env = {name: value for name, value in os.environ.items() if "KES" not in name}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys; from strongroom.cli.kes.main import main; sys.exit(main(sys.argv[1:], 'kes'))",
            ]
            + words,
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for stream, into in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=self._collect, args=(stream, into), daemon=True).start()

    @staticmethod
    def _collect(stream: Any, into: list[str]) -> None:
        into.extend(iter(stream.readline, ""))

    def wait_for(self, pattern: str, into: list[str] | None = None, seconds: float = 20) -> re.Match[str]:
        """Return the first match of pattern in the lines so far and to come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := re.search(pattern, "".join(self.out if into is None else into)):
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in {self.out} {self.err}")

    @property
    def port(self) -> int:
        return int(self.wait_for(r"listening on https://\S+:(\d+)")[1])


@contextlib.contextmanager
def kes(words: list[str], folder: Path) -> Iterator[Process]:
    """Run `kes` with words in folder; end it with SIGTERM."""
    one = Process(words, folder)
    try:
        yield one
    finally:
        one.process.terminate()
        one.process.wait(20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for one in (*kes_world.clients().values(), kes_world.server()):
        one.write(tmp_path)
    identities = {name: one.identity for name, one in kes_world.clients().items()}
    (tmp_path / "kes.yml").write_text(CONFIG.format(**identities))
    return tmp_path


def client(folder: Path, port: int, name: str) -> KesClient:
    tls = client_tls(cert=folder / f"{name}.crt", key=folder / f"{name}.key", ca=folder / "kes.crt")
    return KesClient([f"127.0.0.1:{port}"], tls)


async def _status(folder: Path, port: int, name: str) -> bool:
    from strongroom.errors import Denied

    async with client(folder, port, name) as one:
        try:
            await one.status()
        except Denied:
            return False
    return True


def test_banner_and_goodbye(folder: Path) -> None:
    with kes(["server", "--config", "kes.yml"], folder) as one:
        port = one.port
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == 0
        text = "".join(one.out)
    assert f"KMS{'':31}Filesystem: keys\n" in text
    assert f"API{'':31}· https://127.0.0.1:{port}\n" in text
    assert "=> Server is up and running...\n" in text
    assert text.endswith("=> Stopping server... Goodbye.\n")


def test_reloads(folder: Path) -> None:
    """By signal and by change of the file; a broken file keeps what runs, and a connection stays open over both."""
    with kes(["server", "--config", "kes.yml"], folder) as one:
        port, config = one.port, folder / "kes.yml"
        context = client_tls(cert=folder / "mon.crt", key=folder / "mon.key", ca=folder / "kes.crt")
        kept = context.wrap_socket(_connect(port), server_hostname="localhost")
        good = config.read_text()
        assert not asyncio.run(_status(folder, port, "nopolicy"))
        for bad, words in (("a: [", "did not find expected node content"), ("version: v1\n", "no admin identity")):
            one.err.clear()
            config.write_text(bad)
            one.process.send_signal(signal.SIGHUP)
            one.wait_for(rf"SIGHUP signal received.*\nFailed to reload server config: .*{words}", one.err)
        nopolicy = kes_world.clients()["nopolicy"].identity
        changed = good.replace("[ /v1/status ], identities: [", f"[ /v1/status ], identities: [ {nopolicy}, ")
        config.write_text(changed)
        one.wait_for("=> Reloading configuration after SIGHUP signal completed", seconds=15)  # by looking at the file
        assert asyncio.run(_status(folder, port, "nopolicy"))
        kept.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(100).startswith(b"HTTP/1.1 200")
        kept.close()


def _connect(port: int) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", port))


def test_a_new_certificate_is_used_after_a_reload(folder: Path) -> None:
    with kes(["server", "--config", "kes.yml"], folder) as one:
        before = _served(folder, one.port)
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = ec.generate_private_key(ec.SECP256R1())
        names = (kes_world.x509.DNSName("localhost"),)
        made = kes_world.certificate(key, "renewed", names=names)
        (folder / "kes.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "kes.crt").write_bytes(made.public_bytes(Encoding.PEM))
        one.process.send_signal(signal.SIGHUP)
        one.wait_for("=> Reloading configuration after SIGHUP signal completed")
        assert _served(folder, one.port) != before


def _served(folder: Path, port: int) -> bytes:
    context = client_tls(cert=folder / "mon.crt", key=folder / "mon.key", insecure=True)
    with context.wrap_socket(_connect(port)) as session:
        return session.getpeercert(binary_form=True) or b""


def test_check(folder: Path) -> None:
    with kes(["server", "--config", "kes.yml", "--check"], folder) as one:
        assert one.process.wait(20) == 0
        one.wait_for("certificate: kes.crt matches its key")
        one.wait_for(r"key store: Filesystem: keys answered")
    (folder / "kes.yml").write_text((folder / "kes.yml").read_text().replace("keystore:", "kystore: {}\nkeystore:"))
    with kes(["server", "--config", "kes.yml", "--check"], folder) as one:
        assert one.process.wait(20) == 1
        one.wait_for(r"line 8: unknown member 'kystore'; did you mean 'keystore'\?", one.err)


def test_routes_that_are_none_and_those_that_are_open_are_said(folder: Path) -> None:
    config = folder / "kes.yml"
    routes = ("/v1/redy", "/v1/ready", "/v1/key/decrypt/")
    api = "api: {" + ", ".join(f"{route}: {{ skip_auth: true }}" for route in routes) + "}\n"
    config.write_text(api + config.read_text())
    typo = r"there is no '/v1/redy', so this changes nothing; did you mean '/v1/ready'\?"
    with kes(["server", "--config", "kes.yml", "--check"], folder) as one:
        assert one.process.wait(20) == 1
        one.wait_for(typo, one.err)
        one.wait_for("anybody may call '/v1/key/decrypt/'", one.err)
        assert not any("anybody may call '/v1/ready'" in line for line in one.err)
    with kes(["server", "--config", "kes.yml", "--strict"], folder) as one:
        assert one.process.wait(20) == 1
        one.wait_for(typo, one.err)
    with kes(["server", "--config", "kes.yml"], folder) as one:
        one.wait_for(f"Warning: api: {typo}", one.err)


def test_development_mode(folder: Path) -> None:
    with kes(["server", "--dev", "--addr", "127.0.0.1:0"], folder) as one:
        port = one.port
        text = one.wait_for(r"API Key +(kes:v1:\S+)")[1]
        env = {"PATH": os.environ["PATH"], "KES_SERVER": f"127.0.0.1:{port}", "KES_API_KEY": text}
        program = [sys.executable, "-m", "strongroom.cli.main", "kes", "key"]
        assert subprocess.run([*program, "create", "-k", "mine"], env=env, timeout=30).returncode == 0
        listed = subprocess.run([*program, "ls", "-k"], env=env, capture_output=True, text=True, timeout=30)
        assert listed.stdout == "Key\nmine\n"


def test_a_taken_port_is_one_line(folder: Path) -> None:
    words = ["server", "--config", "kes.yml", "--addr"]
    with kes([*words, "127.0.0.1:0"], folder) as one, kes([*words, f"127.0.0.1:{one.port}"], folder) as two:
        assert two.process.wait(20) == 1
        two.wait_for("Error: .*address already in use", two.err)


def test_killed_servers_lose_no_audit_line(folder: Path) -> None:
    async def load(port: int) -> list[str]:
        answered = []
        async with client(folder, port, "admin") as admin:
            for number in range(40):
                await admin.create(f"key-{number}")
                answered.append(f"key-{number}")
        return answered

    with kes(["server", "--config", "kes.yml"], folder) as one:
        answered = asyncio.run(load(one.port))
        one.process.kill()
        one.process.wait(20)
    lines = (folder / "audit.log").read_text()
    assert all(f"/v1/key/create/{name}" in lines for name in answered)
    with kes(["server", "--config", "kes.yml"], folder) as one:
        assert one.port
    verified = subprocess.run(
        [sys.executable, "-m", "strongroom.cli.main", "kes", "audit", "verify", "audit.log"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert verified.returncode == 0, verified.stderr


def test_what_the_audit_notes_and_a_full_disk(folder: Path) -> None:
    config = (folder / "kes.yml").read_text()
    (folder / "kes.yml").write_text(config.replace("{ file: audit.log }", "{ file: audit.log, context: on }"))
    with kes(["server", "--config", "kes.yml"], folder) as one:
        asyncio.run(_use_one_key(folder, one.port))
    assert '"context":{"bucket": "b/o"}' in (folder / "audit.log").read_text()
    full = "{ file: /dev/full, key: audit.key, when_full: %s }"
    (folder / "kes.yml").write_text(config.replace("{ file: audit.log }", full % "refuse"))
    with kes(["server", "--config", "kes.yml"], folder) as one:
        assert one.process.wait(20) == 1
        one.wait_for("Error: audit log: No space left on device", one.err)
    (folder / "kes.yml").write_text(config.replace("{ file: audit.log }", full % "continue"))
    with kes(["server", "--config", "kes.yml"], folder) as one:
        asyncio.run(_use_one_key(folder, one.port, create=False))
        one.wait_for('msg="audit log: No space left on device"', one.err)


async def _use_one_key(folder: Path, port: int, *, create: bool = True) -> None:
    async with client(folder, port, "admin") as admin:
        if create:
            await admin.create("mine")
        await admin.generate("mine", b'{"bucket":"b/o"}')


async def test_the_first_guide(tmp_path: Path) -> None:
    """Guide 1, chapter 4, with OpenBao as its Vault and the guide's own policy for it."""
    server = kes_world.server()
    (tmp_path / "kes-tls.key").write_bytes(server.key)
    (tmp_path / "kes-tls.crt").write_bytes(server.cert)
    async with bao_world.bao(tmp_path) as bao:
        policy = 'path "kv/minio/*" {\n  capabilities = [ "create", "read", "delete" ]\n}\n'
        await bao.root.write("sys/policies/acl/kes", {"policy": policy})
        await asyncio.to_thread(_type_the_guide, tmp_path, bao)
        assert await bao.root.list("kv/minio") == ["minio-key-1"]


def _type_the_guide(folder: Path, bao: bao_world.Bao) -> None:
    program = [
        sys.executable,
        "-c",
        "import sys; from strongroom.cli.kes.main import main; sys.exit(main(sys.argv[1:], 'kes'))",
    ]

    def run(words: str, **env: str) -> subprocess.CompletedProcess[str]:
        full = {"PATH": os.environ["PATH"], **env}
        return subprocess.run(
            [*program, *words.split()], cwd=folder, env=full, capture_output=True, text=True, timeout=30
        )

    made = run("tool identity new MinIO --key=minio.key --cert=minio.cert --time=8760h")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    identity = run("tool identity of minio.cert").stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", identity)
    login = bao.settings.login
    text = GUIDE.format(identity=identity, endpoint=bao.settings.endpoint, id=login.id, secret=login.secret)
    (folder / "kes-config.yaml").write_text(text)
    words = ["server", "--config=kes-config.yaml", "--mlock", "--root=disabled", "--auth=off"]
    with kes(words, folder) as one:
        env = {
            "KES_SERVER": f"https://127.0.0.1:{one.port}",
            "KES_CLIENT_TLS_KEY_FILE": "minio.key",
            "KES_CLIENT_TLS_CERT_FILE": "minio.cert",
        }
        assert run("key create minio-key-1 -k", **env).returncode == 0
        refused = run("key create my-key-1 -k", **env)
        assert refused.returncode == 1
        assert "not authorized: insufficient permissions" in refused.stderr
        assert run("key derive minio-key-1 -k", **env).returncode == 0
        assert "written `admin:" not in "".join(one.err)
        one.wait_for("`paths` is written `allow` today", one.err)
