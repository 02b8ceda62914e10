"""`kms import` between two real servers: what was in the first is in the second, and a second run changes nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import peers
from kms_shell import Shell, free_port

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "move-from-vault.md"
OURS = (sys.executable, "-m", "strongroom.cli.main", "kms")


def start(program: tuple[str, ...], home: Path) -> tuple[subprocess.Popen[bytes], Shell]:
    for _ in range(5):  # the cluster port is the next one and may be taken
        port = free_port()
        home.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [*program, "server", "-dev", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(home)},
        )
        shell = Shell(f"http://127.0.0.1:{port}", home, {"VAULT_TOKEN": "root"})
        for _ in range(200):
            if process.poll() is not None:
                break
            try:
                if "Sealed             false" in shell("status") or "Sealed          false" in shell("status"):
                    return process, shell
            except AssertionError:
                time.sleep(0.05)
    raise RuntimeError("the server does not start")


@pytest.fixture(scope="module", params=["from OpenBao", "between two of ours"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, Shell]]:
    program = (peers.find("bao"),) if request.param == "from OpenBao" else OURS
    folder = tmp_path_factory.mktemp("import")
    old, source = start(program, folder / "old")
    new, target = start(OURS, folder / "new")
    yield source, target
    for process in (old, new):
        process.terminate()
        process.wait(20)


def fill(source: Shell) -> None:
    source("secrets", "enable", "-default-lease-ttl=1h", "-description=keys", "kv")
    source("write", "kv/minio/a", "-", stdin='{"n":1.10,"big":12345678901234567890,"l":[1]}')
    source("write", "kv/minio/a/b", "x=1")
    source("write", "kv/ sp ace/é", "x=<&>")
    for number in range(1, 5):
        source("kv", "put", "secret/app/db", f"password=p{number}")
    source("kv", "metadata", "put", "-max-versions=7", "-custom-metadata=owner=ops", "secret/app/db")
    source("kv", "destroy", "-versions=2", "secret/app/db")
    source("kv", "delete", "-versions=3", "secret/app/db")
    for number in range(12):
        source("kv", "put", "secret/many", f"n={number}")
    source("policy", "write", "minio", "-", stdin='path "kv/minio/*" { capabilities = ["read"] }\n')
    source("auth", "enable", "approle")
    source("write", "auth/approle/role/kes-role", "period=5m", "policies=minio", "token_num_uses=0")
    source("secrets", "enable", "transit")


def narrow_token(source: Shell) -> str:
    """Return a token that has the guide's policy and nothing else."""
    text = GUIDE.read_text()
    policy = text[text.index("```hcl") + 6 :].partition("```")[0]
    source("policy", "write", "copier", "-", stdin=policy + policy.replace('"kv/*"', '"secret/*"'))
    return source("token", "create", "-policy=copier", "-no-default-policy", "-field=token")


def test_import(servers: tuple[Shell, Shell]) -> None:
    source, target = servers
    fill(source)
    run_import = ("import", f"-from={source.address}")
    token = {"VAULT_FROM_TOKEN": narrow_token(source)}

    compared = target(*run_import, "-dry-run", code=2, **token)
    assert "missing: secret kv/minio/a\n" in compared
    assert "not copied: secrets engine transit/ (transit: " in compared
    assert "kv/" not in target("secrets", "list").split()

    target(*run_import, **token)
    assert json.loads(target("read", "-format=json", "kv/minio/a"))["data"] == {
        "n": 1.1,
        "big": 12345678901234567890,
        "l": [1],
    }
    assert '"n": 1.10\n' in target("read", "-format=json", "kv/minio/a")
    assert target("read", "-field=x", "kv/minio/a/b") == "1"
    assert target("read", "-field=x", "kv/ sp ace/é") == "<&>"
    assert target("kv", "get", "-version=1", "-field=password", "secret/app/db") == "p1"
    assert target("kv", "get", "-field=password", "secret/app/db") == "p4"
    metadata = json.loads(target("kv", "metadata", "get", "-format=json", "secret/app/db"))["data"]
    assert metadata["current_version"] == 4
    assert metadata["versions"]["2"]["destroyed"] is True
    assert metadata["versions"]["3"]["deletion_time"] != ""
    assert metadata["custom_metadata"] == {"owner": "ops"}
    assert metadata["max_versions"] == 7
    many = json.loads(target("kv", "metadata", "get", "-format=json", "secret/many"))["data"]
    assert many["current_version"] == 12
    assert target("policy", "read", "minio") == source("policy", "read", "minio")
    place = "auth/approle/role/kes-role"
    assert target("read", "-field=role_id", f"{place}/role-id") == source("read", "-field=role_id", f"{place}/role-id")
    assert target("read", "-field=token_period", place) == "300"

    proven = target(*run_import, "-dry-run", **token)
    assert "missing" not in proven
    assert "differs" not in proven


def test_import_keeps_what_differs_unless_told(servers: tuple[Shell, Shell]) -> None:
    source, target = servers
    target("write", "kv/minio/a", "n=mine")
    run_import = ("import", f"-from={source.address}", "-only=kv", "-mount=kv")
    assert "differs: secret kv/minio/a" in target(*run_import, code=2, VAULT_FROM_TOKEN="root")
    assert target("read", "-field=n", "kv/minio/a") == "mine"
    target(*run_import, "-overwrite", VAULT_FROM_TOKEN="root")
    assert target("read", "-field=n", "kv/minio/a") == "1.10"


def test_import_goes_on_where_it_stopped(servers: tuple[Shell, Shell]) -> None:
    source, target = servers
    source("kv", "put", "secret/app/db", "password=p5")
    shown = target("import", f"-from={source.address}", "-only=kv", "-verbose", VAULT_FROM_TOKEN="root")
    assert "copied: secret secret/app/db (went on behind version 4)" in shown
    assert target("kv", "get", "-field=password", "secret/app/db") == "p5"


def test_import_wants_the_sources_token_out_of_sight(servers: tuple[Shell, Shell]) -> None:
    _, target = servers
    assert target("import", "-from=http://127.0.0.1:1", code=1) == ""
    assert target("import", f"-from={target.address}", code=1, VAULT_FROM_TOKEN="root") == ""
    assert target("import", "-from=http://127.0.0.1:1", code=2, VAULT_FROM_TOKEN="root") == ""
