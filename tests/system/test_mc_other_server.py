"""mc against a server that is not ours and no MinIO either: moto's."""

import json
import logging

import pytest
from mc_shell import MIB, McShell, big_file
from moto.server import ThreadedMotoServer


class _Servers:
    """What McShell asks for: moto in the places of ours."""

    def __init__(self, port, authority):
        self.ports, self.authority = dict.fromkeys(("my", "kes", "tls"), port), authority


class _Nobody:
    certificate = ""


@pytest.fixture(scope="module")
def mc_servers():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    yield _Servers(running.get_host_and_port()[1], _Nobody)
    running.stop()


@pytest.fixture
def shell(mc_servers, tmp_path):
    made = McShell(tmp_path, mc_servers)
    del made.environ["MC_CA"]
    return made


def test_objects_come_back(shell):
    data = big_file(shell.folder / "big", 20 * MIB).read_bytes()
    (shell.folder / "d" / "e").mkdir(parents=True)
    (shell.folder / "d" / "e" / "ü +x%41").write_text("x")
    shell.run("mb", "my/box")
    shell.run("cp", "--attr", "x=y", "--tags", "a=1", "big", "my/box/")
    shell.run("cp", "my/box/big", "my/box/copy")
    shell.run("cp", "my/box/copy", "back")
    assert (shell.folder / "back").read_bytes() == data
    assert json.loads(shell.run("--json", "stat", "my/box/copy"))["metadata"]["X-Amz-Meta-X"] == "y"
    assert "a" in shell.run("tag", "list", "my/box/big")
    assert " -> " in shell.run("mirror", "d", "my/box/d")
    assert " -> " not in shell.run("mirror", "d", "my/box/d")
    assert shell.run("find", "my/box/d") == "my/box/d/e/ü +x%41\n"
    shell.run("rm", "-r", "--force", "my/box")
    shell.run("rb", "my/box")


def test_encryption_is_asked_for_and_shown(shell):
    (shell.folder / "f").write_text("f")
    shell.run("mb", "my/sealed")
    shell.run("cp", "--enc-kms", "my/sealed=key1", "f", "my/sealed/f")
    assert "Encryption: SSE-KMS (key1)" in shell.run("stat", "my/sealed/f")
    shell.run("encrypt", "set", "sse-s3", "my/sealed")
    assert "sse-s3" in shell.run("encrypt", "info", "my/sealed")


def test_versions_are_undone_in_their_order(shell):
    shell.run("mb", "--with-versioning", "my/vers")
    for text in ("one", "two"):
        shell.run("pipe", "my/vers/k", stdin=text.encode())
    shell.run("rm", "my/vers/k")
    shell.run("undo", "my/vers/k")
    assert shell.run("cat", "my/vers/k") == "two"
    shell.run("rb", "--force", "my/vers")
    assert "does not exist" in shell.run("ls", "my/vers", code=1)
