"""Ordinary clients, each storing a small tree and reading it back, empty and large files included."""

import client_shell
import minio
import peers
import pytest
import urllib3
from chain_process import PROGRAM, ChainProcess
from client_shell import files_of, plant, same
from openbao_chain import OpenBaoChain


@pytest.fixture(scope="module", params=["kms", "openbao"])
def chain(request, tmp_path_factory):
    """The whole chain over TLS: with our kms, then with OpenBao in its place."""
    folder = tmp_path_factory.mktemp(request.param) / "data"
    running = ChainProcess.on_free_ports(folder) if request.param == "kms" else OpenBaoChain(folder)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def run(chain, tmp_path):
    return lambda *words: client_shell.run(words, chain.environment(), cwd=tmp_path)


def test_awscli(run, tree, tmp_path):
    aws = peers.find("aws")
    run(aws, "s3", "mb", "s3://by-aws")
    run(aws, "s3", "sync", tree, "s3://by-aws/t")
    run(aws, "s3", "sync", "s3://by-aws/t", tmp_path / "back")
    same(tree, tmp_path / "back")
    assert '"ServerSideEncryption": "AES256"' in run(
        aws, "s3api", "head-object", "--bucket", "by-aws", "--key", "t/large.bin"
    )
    assert run(aws, "s3", "sync", tree, "s3://by-aws/t") == ""


def test_s5cmd(run, tree, tmp_path):
    s5cmd = peers.find("s5cmd")
    run(s5cmd, "mb", "s3://by-s5cmd")
    run(s5cmd, "cp", f"{tree}/", "s3://by-s5cmd/t/")
    run(s5cmd, "cp", "s3://by-s5cmd/t/*", f"{tmp_path}/back/")
    same(tree, tmp_path / "back")


def test_rclone(run, tree, tmp_path):
    rclone = peers.find("rclone")
    remote = ":s3,provider=Minio,env_auth=true"
    run(rclone, "mkdir", f"{remote}:by-rclone")
    run(rclone, "sync", tree, f"{remote}:by-rclone/t")
    run(rclone, "check", "--download", tree, f"{remote}:by-rclone/t")
    run(rclone, "copy", f"{remote}:by-rclone/t", tmp_path / "back")
    same(tree, tmp_path / "back")


def test_s3cmd(run, tree, tmp_path, chain):
    s3cmd, environment = peers.find("s3cmd"), chain.environment()
    host = environment["AWS_ENDPOINT_URL"].removeprefix("https://")
    base = [s3cmd, "--host", host, "--host-bucket", host, "--ca-certs", environment["AWS_CA_BUNDLE"]]
    base += ["--access_key", environment["AWS_ACCESS_KEY_ID"], "--secret_key", environment["AWS_SECRET_ACCESS_KEY"]]
    (tmp_path / "back").mkdir()
    run(*base, "mb", "s3://by-s3cmd")
    run(*base, "sync", f"{tree}/", "s3://by-s3cmd/t/")
    run(*base, "sync", "s3://by-s3cmd/t/", f"{tmp_path}/back/")
    same(tree, tmp_path / "back")


def test_minio_py(chain, tree, tmp_path):
    environment = chain.environment()
    pool = urllib3.PoolManager(ca_certs=environment["AWS_CA_BUNDLE"])
    client = minio.Minio(
        environment["AWS_ENDPOINT_URL"].removeprefix("https://"),
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        http_client=pool,
    )
    client.make_bucket("by-minio-py")
    for name in files_of(tree):
        client.fput_object("by-minio-py", f"t/{name}", str(tree / name), part_size=5 * 1024 * 1024)
    for found in client.list_objects("by-minio-py", "t/", recursive=True):
        client.fget_object("by-minio-py", found.object_name, str(tmp_path / "back" / found.object_name[2:]))
    same(tree, tmp_path / "back")


def test_strongroom_mc(run, tree, tmp_path):
    mc = PROGRAM + ["mc"]
    run(*mc, "mb", "local/by-mc")
    run(*mc, "cp", "-r", f"{tree}/", "local/by-mc/t/")
    (tmp_path / "back").mkdir()
    run(*mc, "cp", "-r", "local/by-mc/t/", f"{tmp_path}/back/")
    same(tree, tmp_path / "back")
    assert "dir/" in run(*mc, "ls", "local/by-mc/t/")
    assert "AES256" in run(*mc, "stat", "local/by-mc/t/large.bin")
