"""Backups: taken while the server works, checked before they are taken back."""

import io
import subprocess
import sys
import tarfile
import threading
import urllib.request
from pathlib import Path

import peers
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kms_server import KmsProcess

ROUTE = "sys/storage/raft/snapshot"


def save(kms, token):
    request = urllib.request.Request(f"{kms.url}/v1/{ROUTE}", headers={"X-Vault-Token": token})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def restore(kms, token, data, force=False):
    url = f"{kms.url}/v1/{ROUTE}{'-force' if force else ''}"
    request = urllib.request.Request(url, data, {"X-Vault-Token": token}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def kms(tmp_path):
    with KmsProcess(tmp_path) as server:
        yield server


def test_a_backup_brings_everything_back(kms, tmp_path):
    keys, root = kms.set_up(3, 2)
    kms.ask("POST", "sys/mounts/kv", {"type": "kv"}, root)
    for number in range(200):
        kms.ask("PUT", f"kv/a/{number}", {"n": number}, root)
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            kms.ask("PUT", f"kv/b/{number}", {"n": number}, root)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    data = save(kms, root)
    stop.set()
    writer.join()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert names[-1] == "SHA256SUMS.sealed"
    kms.ask("DELETE", "kv/a/7", token=root)
    kms.ask("PUT", "kv/new", {"x": 1}, root)
    kms.ask("DELETE", "sys/mounts/kv", token=root)
    assert restore(kms, root, data)[0] == 204
    assert kms.ask("GET", "kv/a/7", token=root)[1]["data"] == {"n": 7}
    assert kms.ask("GET", "kv/new", token=root)[0] == 404
    kms.kill()
    kms.start()
    kms.unseal(keys[:2])
    assert len(kms.ask("LIST", "kv/a", token=root)[1]["data"]["keys"]) == 200


def test_a_changed_or_foreign_backup_is_refused(kms, tmp_path):
    _, root = kms.set_up()
    data = save(kms, root)
    assert restore(kms, root, data[: len(data) // 2])[0] == 400
    broken = bytearray(data)
    broken[len(broken) // 2] ^= 1
    assert restore(kms, root, bytes(broken))[0] == 400
    assert restore(kms, "nonsense", data)[0] == 403
    (tmp_path / "other").mkdir()
    with KmsProcess(tmp_path / "other") as other:
        keys, foreign = other.set_up()
        theirs = save(other, foreign)
    status, text = restore(kms, root, theirs)
    assert status == 400
    assert b"another root key" in text
    assert restore(kms, root, theirs, force=True)[0] == 204
    assert kms.ask("GET", "sys/health")[0] == 503
    kms.unseal(keys)
    assert kms.ask("GET", "auth/token/lookup-self", token=foreign)[0] == 200


def test_bao_takes_and_returns_a_backup(kms, tmp_path):
    bao = peers.find("bao")
    _, root = kms.set_up()
    kms.ask("POST", "sys/mounts/kv", {"type": "kv"}, root)
    kms.ask("PUT", "kv/a", {"x": 1}, root)
    environment = {"BAO_ADDR": kms.url, "BAO_TOKEN": root, "HOME": str(tmp_path), "PATH": "/usr/bin"}
    file = str(tmp_path / "backup")
    for words in (("save", file), ("restore", file)):
        found = subprocess.run(
            [bao, "operator", "raft", "snapshot", *words], env=environment, capture_output=True, text=True, timeout=30
        )
        assert found.returncode == 0, found.stderr
        kms.ask("DELETE", "kv/a", token=root)
    kms.ask("PUT", "kv/a", {"x": 2}, root)


def test_sighup_keeps_the_server_working(kms):
    import signal

    _, root = kms.set_up()
    kms.process.send_signal(signal.SIGHUP)
    assert kms.ask("GET", "auth/token/lookup-self", token=root)[0] == 200
