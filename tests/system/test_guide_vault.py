"""The guide's Vault chapter, typed as it stands, against our server under the name `vault`."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from guide_text import VAULT_CERTIFICATE, VAULT_CONFIG, VAULT_SET_UP

ENVIRONMENT = "export VAULT_ADDR='https://127.0.0.1:8200'\nexport VAULT_SKIP_VERIFY=true\n"


@dataclass
class Terminal:
    """A shell in one folder; the guide's port becomes a free one."""

    folder: Path
    port: int
    path: str

    def words(self, script: str) -> list[str]:
        return ["bash", "-c", (ENVIRONMENT + script).replace(":8200", f":{self.port}")]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAULT_", "BAO_"))}
        return kept | {"PATH": self.path, "HOME": str(self.folder)}

    def __call__(self, script: str, code: int = 0) -> str:
        done = subprocess.run(
            self.words(script), cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=60
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + (done.stderr if code else "")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; `apt-get install openssl` installs it")
    folder = tmp_path_factory.mktemp("guide")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "vault").symlink_to(Path(sys.executable).with_name("strongroom"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    terminal = Terminal(folder, port, f"{programs}:{os.environ['PATH']}")
    terminal(VAULT_CERTIFICATE + VAULT_CONFIG)
    with (folder / "server.log").open("wb") as log:
        words = terminal.words("exec vault server -config vault-config.json")
        server = subprocess.Popen(words, cwd=folder, env=terminal.environment(), stdout=log, stderr=log)
    try:
        for _ in range(200):
            assert server.poll() is None, (folder / "server.log").read_text()
            if terminal_is_up(port):
                break
            time.sleep(0.05)
        yield terminal
    finally:
        server.terminate()
        server.wait(20)


def terminal_is_up(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_the_chapter_word_for_word(terminal: Terminal) -> None:
    shown = terminal("vault operator init")
    keys = re.findall(r"^Unseal Key \d: (.{44})$", shown, re.MULTILINE)
    root = re.search(r"^Initial Root Token: (\S+)$", shown, re.MULTILINE)
    assert len(keys) == 5
    assert root is not None
    login = f"export VAULT_TOKEN={root[1]}\n"

    assert "Vault is sealed" in terminal(login + "vault secrets list", 2)
    wrong = terminal(f"vault operator unseal -reset; vault operator unseal {keys[0][::-1]}=; true")
    assert "Sealed             true" in wrong
    terminal("vault operator unseal -reset")
    three = ";".join(f"vault operator unseal {key}" for key in keys[:3])
    assert re.search(r"^Sealed +false$", terminal(three), re.MULTILINE)

    assert terminal(login + VAULT_SET_UP) == (
        "Success! Enabled the kv secrets engine at: kv/\n"
        "Success! Enabled approle auth method at: approle/\n"
        "Success! Uploaded policy: minio-key-policy\n"
        "Success! Data written to: auth/approle/role/kes-role\n"
        "Success! Data written to: auth/approle/role/kes-role\n"
    )
    role = re.search(
        r"^role_id +(\S{36})$", terminal(login + "vault read auth/approle/role/kes-role/role-id"), re.MULTILINE
    )
    secret_shown = terminal(login + "vault write -f auth/approle/role/kes-role/secret-id")
    secret = re.search(r"^secret_id +(\S{36})$", secret_shown, re.MULTILINE)
    assert role is not None
    assert secret is not None

    kes = f"vault write -field=token auth/approle/login role_id={role[1]} secret_id={secret[1]}"
    as_kes = f"export VAULT_TOKEN=$({kes})\n"
    assert terminal(as_kes + "vault write kv/minio/my-key value=x") == "Success! Data written to: kv/minio/my-key\n"
    assert "permission denied" in terminal(as_kes + "vault write kv/minio/my-key value=y", 2)  # update is not granted
    assert "permission denied" in terminal(as_kes + "vault read kv/other", 2)
    assert "permission denied" in terminal(as_kes + "vault list kv/minio", 2)

    spent = terminal(login + "vault write auth/approle/role/kes-role secret_id_num_uses=1; "
                     "vault write -f -field=secret_id auth/approle/role/kes-role/secret-id")  # fmt: skip
    used = f"vault write auth/approle/login role_id={role[1]} secret_id={spent.splitlines()[-1]}"
    terminal(used)
    assert "invalid role or secret ID" in terminal(used, 2)

    assert terminal(login + "vault operator seal") == "Success! Vault is sealed.\n"
    assert "Vault is sealed" in terminal(as_kes.replace("$(", "$(true; ") + "vault read kv/minio/my-key", 2)
    assert "Sealed             true" in terminal("vault status", 2)


def test_a_wrong_quorum_is_refused_and_starts_over(terminal: Terminal) -> None:
    import base64

    shares = [base64.b64encode(bytes([at]) * 32 + bytes([at])).decode() for at in (1, 2, 3)]
    terminal(f"vault operator unseal {shares[0]}; vault operator unseal {shares[1]}")
    refused = terminal(f"vault operator unseal {shares[2]}", 2)
    assert "Code: 400. Errors:" in refused
    assert "Unseal Progress    0/3" in terminal("vault status", 2)


def test_setcap_has_a_regular_file_to_work_on(terminal: Terminal) -> None:
    resolved = Path(terminal("readlink -f $(which vault)").strip())
    assert resolved.is_file()
    assert not resolved.is_symlink()
