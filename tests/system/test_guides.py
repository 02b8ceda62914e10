"""Both guides from the first line to the last, typed as they stand: names by `strongroom link`, servers of their own.

Only ports are others (free ones), servers listen on the loopback address, and values that a person copies from one
output to the next are copied by the test.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import peers
import pytest
from chain_process import PROGRAM, free_port
from guide_text import KES_CERTIFICATE, KES_CONFIG, VAULT_CERTIFICATE, VAULT_CONFIG, VAULT_IDS, VAULT_SET_UP

PASSWORD = "minio123"
KES_CLIENT = "export KES_CLIENT_TLS_KEY_FILE=minio.key\nexport KES_CLIENT_TLS_CERT_FILE=minio.cert\n"
STORE = """
export MINIO_KMS_KES_ENDPOINT=https://localhost:7373
export MINIO_KMS_KES_KEY_FILE=minio.key
export MINIO_KMS_KES_CERT_FILE=minio.cert
export MINIO_KMS_KES_KEY_NAME=minio-key-1
export {ca}=kes-tls.crt
export MINIO_KMS_AUTO_ENCRYPTION=on
export MINIO_ACCESS_KEY=minio
export MINIO_SECRET_KEY=minio123
exec minio server ~/export
"""


class Desk:
    """A folder, three ports, and shells that know the names of the programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"8200": free_port(), "7373": free_port(), "9000": free_port()}
        self.servers: list[subprocess.Popen] = []
        binaries = folder / "bin"
        binaries.mkdir()
        subprocess.run([*PROGRAM, "link", str(binaries)], check=True, stdout=subprocess.DEVNULL)
        self.environment = {
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "VAULT_ADDR": self.text("https://127.0.0.1:8200"),
            "VAULT_SKIP_VERIFY": "true",
            "KES_SERVER": self.text("https://127.0.0.1:7373"),
            "MINIO_ADDRESS": self.text("127.0.0.1:9000"),
            "MC_HOST_myminio": self.text(f"http://minio:{PASSWORD}@127.0.0.1:9000"),
        }

    def text(self, script: str) -> str:
        for port, free in self.ports.items():
            script = script.replace(f":{port}", f":{free}")
        return script.replace("0.0.0.0", "127.0.0.1")

    def type(self, script: str, code: int = 0) -> str:
        """Run a script to its end; return what it printed."""
        done = subprocess.run(
            ["bash", "-ec", self.text(script)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, (script, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def serve(self, script: str, port: str) -> subprocess.Popen:
        """Start a server in another terminal; wait until it listens."""
        words = ["bash", "-ec", self.text(script)]
        server = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=sys.stderr)
        self.servers.append(server)
        end = time.monotonic() + 30
        check = f"exec 3<>/dev/tcp/127.0.0.1/{self.ports[port]}"
        while subprocess.run(["bash", "-c", check], capture_output=True).returncode != 0:
            assert server.poll() is None, f"{script} ended"
            assert time.monotonic() < end
            time.sleep(0.05)
        return server

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.terminate()
            server.wait(15)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    peers.find("openssl")
    found = Desk(tmp_path_factory.mktemp("guide"))
    yield found
    found.stop()


def start_vault(desk: Desk) -> tuple[str, str]:
    """Type chapters 2 and 3; return role id and secret id."""
    desk.type(VAULT_CERTIFICATE + KES_CERTIFICATE + VAULT_CONFIG)
    desk.serve("exec vault server -config vault-config.json", "8200")
    shown = desk.type("vault operator init")
    keys = re.findall(r"^Unseal Key \d: (\S{44})$", shown, re.MULTILINE)
    desk.environment["VAULT_TOKEN"] = re.search(r"^Initial Root Token: (\S+)$", shown, re.MULTILINE)[1]
    assert len(keys) == 5
    desk.type("; ".join(f"vault operator unseal {key}" for key in keys[:3]))
    shown = desk.type(VAULT_SET_UP + VAULT_IDS)
    return re.search(r"^role_id\s+(\S+)$", shown, re.MULTILINE)[1], re.search(r"^secret_id\s+(\S+)$", shown, re.M)[1]


def start_kes(desk: Desk, role: str, secret: str) -> None:
    """Type chapter 4."""
    desk.type("kes tool identity new MinIO --key=minio.key --cert=minio.cert --time=8760h")
    identity = re.search(r"([0-9a-f]{64})", desk.type("kes tool identity of minio.cert"))[1]
    desk.type(KES_CONFIG.replace("{identity}", identity).replace("{role}", role).replace("{secret}", secret))
    desk.serve("exec kes server --config=kes-config.yaml --mlock --root=disabled --auth=off", "7373")


def test_the_first_guide(desk):
    start_kes(desk, *start_vault(desk))
    desk.type(KES_CLIENT + "kes key create minio-key-1 -k")
    refused = desk.type(KES_CLIENT + "kes key create my-key-1 -k", code=1)
    assert "not authorized" in refused  # "prohibited by policy" until 2021
    assert "minio-key-1" in desk.type("vault list kv/minio")

    desk.serve(STORE.replace("{ca}", "MINIO_KMS_KES_CA_PATH"), "9000")
    desk.type("mc mb myminio/crypt; echo test > test.file")
    desk.type("mc cp test.file myminio/crypt/")
    shown = desk.type("mc stat myminio/crypt/test.file")
    assert re.search(r"^Name\s+: test.file", shown, re.MULTILINE)
    assert re.search(r"X-Amz-Server-Side-Encryption\s*: AES256", shown)
    assert desk.type("mc cat myminio/crypt/test.file") == "test\n"


def test_the_second_guide(desk):
    """Its own identity and keys; the policy of the first guide allows names that begin with minio-."""
    desk.type(KES_CLIENT + "kes key create minio-sse-kms-key -k")
    desk.type("mc mb myminio/mybucket; mc encrypt set sse-kms minio-sse-kms-key myminio/mybucket")
    desk.type("mc admin service restart myminio --wait")
    desk.type("mc cp test.file myminio/mybucket/; mc cp test.file myminio/mybucket/second")
    shown = desk.type("mc stat myminio/mybucket/test.file")
    assert "arn:aws:kms:minio-sse-kms-key" in shown
    assert "SSE-KMS" in shown
    assert desk.type("mc cat myminio/mybucket/second") == "test\n"
    assert "minio-sse-kms-key" in desk.type("mc encrypt info myminio/mybucket")


def test_a_master_key_from_the_environment(tmp_path):
    desk = Desk(tmp_path)
    key = "6368616e676520746869732070617373776f726420746f206120736563726574"
    try:
        script = f"export MINIO_KMS_MASTER_KEY=minio-demo-key:{key}\nexport MINIO_KMS_AUTO_ENCRYPTION=on\n"
        script += f"export MINIO_ACCESS_KEY=minio MINIO_SECRET_KEY={PASSWORD}\nexec minio server ~/export"
        desk.serve(script, "9000")
        desk.type("echo test > test.file; mc mb myminio/crypt; mc cp test.file myminio/crypt/")
        assert "AES256" in desk.type("mc stat myminio/crypt/test.file")
    finally:
        desk.stop()
