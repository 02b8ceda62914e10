"""hvac and the `bao` client drive a kms server as they drive the original."""

import json
import os
import subprocess
import sys
from pathlib import Path

import hvac
import peers
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kms_server import KmsProcess

POLICY = 'path "kv/minio/*" {\n  capabilities = [ "create", "read", "delete" ]\n}\n'


@pytest.fixture
def kms(tmp_path):
    with KmsProcess(tmp_path, "file") as server:
        yield server


def test_hvac_walks_through_the_guide(kms):
    client = hvac.Client(kms.url)
    assert client.sys.is_initialized() is False
    assert client.sys.read_health_status(method="GET").status_code == 501
    made = client.sys.initialize(5, 3)
    assert client.sys.is_sealed()
    client.sys.submit_unseal_keys(made["keys_base64"][1:4])
    client.token = made["root_token"]
    assert client.is_authenticated()
    client.sys.enable_secrets_engine("kv", path="kv")
    client.sys.enable_auth_method("approle")
    client.sys.create_or_update_policy("minio", POLICY)
    client.auth.approle.create_or_update_approle("kes-role", token_policies=["minio"], token_period="5m")
    role_id = client.auth.approle.read_role_id("kes-role")["data"]["role_id"]
    secret_id = client.auth.approle.generate_secret_id("kes-role")["data"]["secret_id"]
    kes = hvac.Client(kms.url)
    login = kes.auth.approle.login(role_id, secret_id)
    assert login["auth"]["lease_duration"] == 300
    kes.secrets.kv.v1.create_or_update_secret("minio/k", {"k": "v"}, method="POST", mount_point="kv")
    with pytest.raises(hvac.exceptions.Forbidden):
        kes.secrets.kv.v1.create_or_update_secret("minio/k", {"k": "w"}, method="POST", mount_point="kv")
    assert kes.secrets.kv.v1.read_secret("minio/k", mount_point="kv")["data"] == {"k": "v"}
    with pytest.raises(hvac.exceptions.Forbidden):
        kes.secrets.kv.v1.list_secrets("minio", mount_point="kv")
    assert kes.auth.token.renew_self()["auth"]["client_token"] == kes.token
    kes.secrets.kv.v1.delete_secret("minio/k", mount_point="kv")
    with pytest.raises(hvac.exceptions.InvalidPath):
        kes.secrets.kv.v1.read_secret("minio/k", mount_point="kv")
    client.sys.seal()
    assert client.sys.is_sealed()
    with pytest.raises(hvac.exceptions.VaultDown):
        kes.secrets.kv.v1.read_secret("minio/k", mount_point="kv")


def test_bao_cli_walks_through_the_guide(kms, tmp_path):
    bao = peers.find("bao")
    environment = os.environ | {"BAO_ADDR": kms.url, "HOME": str(tmp_path), "VAULT_ADDR": kms.url}

    def run(*words, code=0, **more):
        found = subprocess.run([bao, *words], capture_output=True, text=True, env=environment | more, timeout=30)
        assert found.returncode == code, (words, found.stdout, found.stderr)
        return found.stdout

    made = json.loads(run("operator", "init", "-n", "3", "-t", "2", "-format=json"))
    for key in made["unseal_keys_b64"][:2]:
        run("operator", "unseal", key)
    environment["BAO_TOKEN"] = made["root_token"]
    assert "Sealed" in run("status")
    run("secrets", "enable", "kv")
    run("auth", "enable", "approle")
    (tmp_path / "p.hcl").write_text(POLICY)
    run("policy", "write", "minio", str(tmp_path / "p.hcl"))
    assert "minio" in run("policy", "list")
    run("write", "auth/approle/role/kes", "token_num_uses=0", "secret_id_num_uses=0", "period=5m")
    run("write", "auth/approle/role/kes", "policies=minio")
    role = json.loads(run("read", "-format=json", "auth/approle/role/kes"))["data"]
    assert (role["period"], role["policies"]) == (300, ["minio"])
    assert len(run("read", "-field=role_id", "auth/approle/role/kes/role-id")) == 36
    assert len(run("write", "-f", "-field=secret_id", "auth/approle/role/kes/secret-id")) == 36
    run("kv", "put", "kv/minio/a", "x=1")
    assert run("kv", "get", "-field=x", "kv/minio/a") == "1"
    run("secrets", "enable", "-path=kv2", "-version=2", "kv")
    run("kv", "put", "kv2/a", "x=1")
    run("kv", "put", "kv2/a", "x=2")
    assert run("kv", "get", "-field=x", "-version=1", "kv2/a") == "1"
    run("kv", "delete", "kv2/a")
    run("kv", "undelete", "-versions=2", "kv2/a")
    run("operator", "seal")
    run("status", code=2)


def test_a_restart_keeps_what_was_acknowledged(tmp_path):
    with KmsProcess(tmp_path) as kms:
        keys, root = kms.set_up(3, 2)
        assert kms.ask("POST", "sys/mounts/kv", {"type": "kv"}, root)[0] == 204
        for number in range(50):
            assert kms.ask("PUT", f"kv/a/{number}", {"n": number}, root)[0] == 204
        kms.kill()
        kms.start()
        assert kms.ask("GET", "kv/a/7", token=root)[0] == 503
        kms.unseal(keys[:2])
        assert kms.ask("GET", "kv/a/7", token=root)[1]["data"] == {"n": 7}
        assert len(kms.ask("LIST", "kv/a", token=root)[1]["data"]["keys"]) == 50
        stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
        assert root.encode() not in stored


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    with KmsProcess(tmp_path) as kms:
        other = KmsProcess(tmp_path)
        with pytest.raises(RuntimeError, match="in use by another server"):
            other.start()
        assert kms.process.poll() is None


def test_the_log_and_the_pid_are_where_the_configuration_says(tmp_path):
    pid, log = tmp_path / "kms.pid", tmp_path / "kms.log"
    with KmsProcess(tmp_path, log_file=str(log), pid_file=str(pid)) as kms:
        keys, root = kms.set_up()
        assert int(pid.read_text()) == kms.process.pid
        assert kms.ask("PUT", "sys/seal", {}, root)[0] == 204
        kms.process.terminate()
        assert kms.process.wait(10) == 0
    assert not pid.exists()
    said = [line.split(" msg=")[1].split()[0] for line in log.read_text().splitlines()]
    assert said.index("unsealed") < said.index("sealed")
    assert keys[0] not in log.read_text()
    assert root not in log.read_text()
