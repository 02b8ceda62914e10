"""Key holders' work on real servers: rekey with and without verification, a new root token, rotation, typed shares."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import peers
from kms_shell import Shell, free_port, wait_for

OURS = (sys.executable, "-m", "strongroom.cli.main", "kms", "server")
CONFIG = """
storage "inmem" {{}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
  disable_unauthed_rekey_endpoints = false
  disable_unauthed_generate_root_endpoints = false
}}
"""


@pytest.fixture(params=["OpenBao", "ours"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    program = (peers.find("bao"), "server") if request.param == "OpenBao" else OURS
    port = free_port()
    (tmp_path / "server.hcl").write_text(CONFIG.format(port=port))
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen([*program, f"-config={tmp_path}/server.hcl"], stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield Shell(f"http://127.0.0.1:{port}", tmp_path)
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def initialised(shell: Shell) -> list[str]:
    shown = shell.json("operator", "init", "-n=3", "-t=2")
    keys: list[str] = shown["unseal_keys_b64"]
    shell.environment["VAULT_TOKEN"] = shown["root_token"]
    for key in keys[:2]:
        shell("operator", "unseal", key)
    return keys


def test_rekey(server: Shell) -> None:
    keys = initialised(server)
    nonce = server.json("operator", "rekey", "-init", "-n=2", "-t=2")["nonce"]
    assert "Progress                 1/2\n" in server("operator", "rekey", f"-nonce={nonce}", keys[0])
    shown = server("operator", "rekey", f"-nonce={nonce}", "-", stdin=keys[1] + "\n")
    fresh = re.findall(r"^Key \d: (\S+)$", shown, re.MULTILINE)
    assert len(fresh) == 2
    server("operator", "seal")
    server("operator", "unseal", fresh[0])
    assert "Sealed          false" in server("operator", "unseal", fresh[1])


def test_rekey_with_verification(server: Shell) -> None:
    keys = initialised(server)
    nonce = server.json("operator", "rekey", "-init", "-verify", "-n=2", "-t=2")["nonce"]
    server("operator", "rekey", f"-nonce={nonce}", keys[0])
    shown = server("operator", "rekey", f"-nonce={nonce}", keys[1])
    assert "NOT valid yet" in shown
    fresh = re.findall(r"^Key \d: (\S+)$", shown, re.MULTILINE)
    again = re.search(r"^Verification Nonce +(\S+)$", shown, re.MULTILINE)
    assert again is not None
    assert "Verification Progress    0/2" in server("operator", "rekey", "-verify", "-status")
    server("operator", "rekey", "-verify", f"-nonce={again[1]}", fresh[0])
    assert "verification successful" in server("operator", "rekey", "-verify", f"-nonce={again[1]}", fresh[1])
    server("operator", "seal")
    server("operator", "unseal", fresh[0])
    assert "Sealed          false" in server("operator", "unseal", fresh[1])


@pytest.mark.parametrize("name", ["vault", "bao"])
def test_a_new_root_token(server: Shell, name: str) -> None:
    server.name = name
    keys = initialised(server)
    started = server.json("operator", "generate-root", "-init")
    server("operator", "generate-root", f"-nonce={started['nonce']}", keys[0])
    done = server.json("operator", "generate-root", f"-nonce={started['nonce']}", keys[2])
    token = server("operator", "generate-root", f"-decode={done['encoded_token']}", f"-otp={started['otp']}")
    server.environment["VAULT_TOKEN"] = token
    assert server("token", "lookup", "-field=policies") == "[root]"
    assert "Started       false" in server("operator", "generate-root", "-status")


def test_rotation(server: Shell) -> None:
    initialised(server)
    assert server.json("operator", "key-status")["term"] == 1
    assert "Key Term            2\n" in server("operator", "rotate")


def typed(words: list[str], environment: dict[str, str], text: str) -> str:
    """Run a program on a terminal of its own, type the text when it asks, return what the terminal showed."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve(words[0], words, environment)
    shown, sent, until = b"", False, time.monotonic() + 20
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if b"hidden): " in shown and not sent:
            os.write(terminal, text.encode() + b"\n")
            sent = True
    os.waitpid(process, 0)
    os.close(terminal)
    return shown.decode()


def test_shares_and_tokens_are_typed_unseen(server: Shell) -> None:
    shown = server.json("operator", "init", "-n=1", "-t=1")
    key, root = shown["unseal_keys_b64"][0], shown["root_token"]
    environment = {"VAULT_ADDR": server.address, "HOME": str(server.home), "PATH": os.environ["PATH"]}
    program = [sys.executable, "-m", "strongroom.cli.main", "kms"]
    unsealed = typed([*program, "operator", "unseal"], environment, key)
    assert "Unseal Key (will be hidden): " in unsealed
    assert key not in unsealed
    assert "Sealed          false" in unsealed
    logged_in = typed([*program, "login", "-no-print"], environment, root)
    assert root not in logged_in
    assert (server.home / ".vault-token").read_text() == root


def test_a_key_of_ones_own(server: Shell) -> None:
    import base64

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    initialised(server)
    server("secrets", "enable", "transit")
    first, second = os.urandom(32), os.urandom(32)
    (server.home / "key").write_text(base64.b64encode(first).decode())
    name = "transit/keys/mine"
    server("transit", "import", name, f"@{server.home}/key", "allow_rotation=true")
    server("transit", "import-version", name, "-", stdin=base64.b64encode(second).decode())
    plaintext = base64.b64encode(b"hello").decode()
    for version, key in ((1, first), (2, second)):
        sealed = server(
            "write", "-field=ciphertext", "transit/encrypt/mine", f"plaintext={plaintext}", f"key_version={version}"
        )
        data = base64.b64decode(sealed.removeprefix(f"vault:v{version}:"))
        assert AESGCM(key).decrypt(data[:12], data[12:], None) == b"hello"


def test_a_private_key_from_pem(server: Shell) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    initialised(server)
    server("secrets", "enable", "transit")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    server("transit", "import", "transit/keys/signer", "-", "type=ecdsa-p256", stdin=pem.decode())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    assert public.decode().strip() in server("read", "-format=raw", "transit/keys/signer").replace("\\n", "\n")
    server("transit", "import", "transit/keys/bad", "not base64!", code=1)
    server("transit", "import", "nokeys", "AAAA", code=1)
