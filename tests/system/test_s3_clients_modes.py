"""Command-line clients, restic, s3fs and minio-py in SSE-S3, SSE-KMS and SSE-C, over TLS against a whole chain."""

import base64
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import boto3
import client_shell
import minio
import minio.commonconfig
import minio.sse
import peers
import pytest
import urllib3
from client_shell import SIZES, plant, same

KEY = "strongroom-default"
CUSTOMER = os.urandom(32)
TEXT = base64.b64encode(CUSTOMER).decode()
WANTED = {
    "sse-s3": ("ServerSideEncryption", "AES256"),
    "sse-kms": ("ServerSideEncryption", "aws:kms"),
    "sse-c": ("SSECustomerAlgorithm", "AES256"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def environment(chain):
    return chain.environment()


@pytest.fixture
def run(environment, tmp_path):
    return lambda *words, **more: client_shell.run(words, {**environment, **more}, cwd=tmp_path)


@pytest.fixture(scope="module")
def s3(environment):
    """A boto3 client that looks at what the programs stored."""
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        verify=environment["AWS_CA_BUNDLE"],
    )


@pytest.fixture
def stored_as(s3):
    """Return a check: every object of a bucket is sealed in a mode."""

    def check(bucket, mode):
        more = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER} if mode == "sse-c" else {}
        header, value = WANTED[mode]
        found = s3.list_objects_v2(Bucket=bucket)["Contents"]
        assert found
        for one in found:
            assert s3.head_object(Bucket=bucket, Key=one["Key"], **more).get(header) == value, one["Key"]

    return check


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "customer.key"
    path.write_bytes(CUSTOMER)
    return path


def test_awscli(run, tree, tmp_path, stored_as, key_file):
    aws = peers.find("aws")
    words = {
        "sse-s3": ["--sse", "AES256"],
        "sse-kms": ["--sse", "aws:kms", "--sse-kms-key-id", KEY],
        "sse-c": ["--sse-c", "AES256", "--sse-c-key", f"fileb://{key_file}"],
    }
    for mode, options in words.items():
        read = options if mode == "sse-c" else []
        source = ["--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", f"fileb://{key_file}"] if read else []
        run(aws, "s3", "mb", f"s3://aws-{mode}")
        run(aws, "s3", "cp", "--recursive", tree, f"s3://aws-{mode}/t", *options)
        run(aws, "s3", "cp", f"s3://aws-{mode}/t/large.bin", f"s3://aws-{mode}/t/copied", *options, *source)
        stored_as(f"aws-{mode}", mode)
        run(aws, "s3", "cp", "--recursive", f"s3://aws-{mode}/t", tmp_path / mode, *read)
        assert (tmp_path / mode / "copied").read_bytes() == (tree / "large.bin").read_bytes()
        (tmp_path / mode / "copied").unlink()
        same(tree, tmp_path / mode)
        run(aws, "s3", "rb", "--force", f"s3://aws-{mode}")


def test_rclone(run, tree, tmp_path, stored_as):
    rclone = peers.find("rclone")
    options = {
        "sse-s3": {"RCLONE_S3_SERVER_SIDE_ENCRYPTION": "AES256"},
        "sse-kms": {"RCLONE_S3_SERVER_SIDE_ENCRYPTION": "aws:kms", "RCLONE_S3_SSE_KMS_KEY_ID": KEY},
        "sse-c": {"RCLONE_S3_SSE_CUSTOMER_ALGORITHM": "AES256", "RCLONE_S3_SSE_CUSTOMER_KEY_BASE64": TEXT},
    }
    for mode, more in options.items():
        remote = f":s3,provider=Minio,env_auth=true,upload_cutoff=5M,chunk_size=5M:rclone-{mode}"
        run(rclone, "mkdir", remote)
        run(rclone, "sync", tree, f"{remote}/t", **more)
        stored_as(f"rclone-{mode}", mode)
        run(rclone, "moveto", f"{remote}/t/large.bin", f"{remote}/t/moved", **more)
        run(rclone, "moveto", f"{remote}/t/moved", f"{remote}/t/large.bin", **more)
        run(rclone, "check", "--download", tree, f"{remote}/t", **more)
        run(rclone, "purge", remote, **more)


def test_s3cmd(run, tree, tmp_path, stored_as, environment):
    host = environment["AWS_ENDPOINT_URL"].removeprefix("https://")
    base = [peers.find("s3cmd"), "--host", host, "--host-bucket", host, "--ca-certs", environment["AWS_CA_BUNDLE"]]
    base += ["--access_key", environment["AWS_ACCESS_KEY_ID"], "--secret_key", environment["AWS_SECRET_ACCESS_KEY"]]
    words = {
        "sse-s3": ["--server-side-encryption"],
        "sse-kms": ["--server-side-encryption", "--server-side-encryption-kms-id", KEY],
    }
    for mode, options in words.items():
        (tmp_path / mode).mkdir()
        run(*base, "mb", f"s3://s3cmd-{mode}")
        run(*base, *options, "--multipart-chunk-size-mb", 5, "put", "--recursive", f"{tree}/", f"s3://s3cmd-{mode}/t/")
        run(*base, *options, "cp", f"s3://s3cmd-{mode}/t/large.bin", f"s3://s3cmd-{mode}/t/copied")
        run(*base, *options, "mv", f"s3://s3cmd-{mode}/t/copied", f"s3://s3cmd-{mode}/t/large.bin")
        stored_as(f"s3cmd-{mode}", mode)
        run(*base, "get", "--recursive", f"s3://s3cmd-{mode}/t/", f"{tmp_path}/{mode}/")
        same(tree, tmp_path / mode)


def test_s5cmd(run, tree, tmp_path, stored_as):
    s5cmd = peers.find("s5cmd")
    words = {"sse-s3": ["--sse", "AES256"], "sse-kms": ["--sse", "aws:kms", "--sse-kms-key-id", KEY]}
    for mode, options in words.items():
        run(s5cmd, "mb", f"s3://s5cmd-{mode}")
        run(s5cmd, "cp", *options, "--part-size", 5, f"{tree}/", f"s3://s5cmd-{mode}/t/")
        run(s5cmd, "mv", *options, f"s3://s5cmd-{mode}/t/large.bin", f"s3://s5cmd-{mode}/t/moved")
        run(s5cmd, "mv", *options, f"s3://s5cmd-{mode}/t/moved", f"s3://s5cmd-{mode}/t/large.bin")
        stored_as(f"s5cmd-{mode}", mode)
        run(s5cmd, "cp", f"s3://s5cmd-{mode}/t/*", f"{tmp_path}/{mode}/")
        same(tree, tmp_path / mode)


@pytest.mark.parametrize("mode", ["sse-s3", "sse-kms"])
def test_restic(run, tree, tmp_path, stored_as, environment, s3, mode):
    """restic sends no encryption headers: the bucket's default decides."""
    rule = {"sse-s3": {"SSEAlgorithm": "AES256"}, "sse-kms": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}[mode]
    s3.create_bucket(Bucket=f"restic-{mode}")
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}
    s3.put_bucket_encryption(Bucket=f"restic-{mode}", ServerSideEncryptionConfiguration=rules)
    restic = [peers.find("restic"), "--no-cache", "--cacert", environment["AWS_CA_BUNDLE"]]
    more = {
        "RESTIC_REPOSITORY": f"s3:{environment['AWS_ENDPOINT_URL']}/restic-{mode}",
        "RESTIC_PASSWORD": "not a secret",
    }
    run(*restic, "init", **more)
    client_shell.run([*restic, "backup", "."], {**environment, **more}, cwd=tree)
    run(*restic, "check", "--read-data", **more)
    stored_as(f"restic-{mode}", mode)
    run(*restic, "restore", "latest", "--target", tmp_path / "back", **more)
    same(tree, tmp_path / "back")
    run(*restic, "forget", "--keep-last", 1, "--prune", **more)
    run(*restic, "check", **more)


@pytest.fixture
def mounted(environment, tmp_path, s3):
    """Return a function that mounts a bucket; all are unmounted at the end."""
    program, folder = peers.find("s3fs"), tmp_path / "mounted"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("the kernel lets us mount nothing: /dev/fuse is not ours to open")
    running = []

    def mount(bucket, options):
        s3.create_bucket(Bucket=bucket)
        folder.mkdir(exist_ok=True)
        address = f"url={environment['AWS_ENDPOINT_URL']},use_path_request_style"
        words = [program, bucket, folder, "-f", "-o", f"{address},nomixupload,{options}"]
        secrets = {"CURL_CA_BUNDLE": environment["AWS_CA_BUNDLE"], "HOME": str(tmp_path)}
        running.append(subprocess.Popen(list(map(str, words)), env={**environment, **secrets}))
        end = time.monotonic() + 20
        while not folder.is_mount():
            if running[-1].poll() is not None:
                pytest.skip("the kernel lets us mount nothing")
            assert time.monotonic() < end, "s3fs does not mount"
            time.sleep(0.05)
        return folder

    yield mount
    for process in running:
        subprocess.run([peers.find("fusermount3"), "-u", str(folder)], check=False)
        process.wait(20)


@pytest.mark.parametrize("mode", WANTED)
def test_s3fs(mounted, tree, stored_as, tmp_path, mode):
    """A program that knows files only. s3fs 1.90 names no mode for uploads that mix new and copied parts: none here."""
    keys = tmp_path / "keys"
    keys.touch(0o600)
    keys.write_text(TEXT + "\n")
    option = {"sse-s3": "use_sse=1", "sse-kms": f"use_sse=kmsid:{KEY}", "sse-c": f"use_sse=custom:{keys}"}
    folder: Path = mounted(f"s3fs-{mode}", option[mode])
    shutil.copytree(tree, folder / "t")
    same(tree, folder / "t", keep=True)
    stored_as(f"s3fs-{mode}", mode)
    (folder / "t" / "large.bin").rename(folder / "t" / "moved")
    with (folder / "t" / "moved").open("r+b") as file:
        file.seek(9_000_000)
        file.write(b"changed")
    found = (folder / "t" / "moved").read_bytes()
    whole = (tree / "large.bin").read_bytes()
    assert hashlib.sha256(found).digest() == hashlib.sha256(whole[:9_000_000] + b"changed" + whole[9_000_007:]).digest()
    stored_as(f"s3fs-{mode}", mode)
    shutil.rmtree(folder / "t")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", WANTED)
def test_minio_py(environment, tree, tmp_path, stored_as, mode):
    client = minio.Minio(
        environment["AWS_ENDPOINT_URL"].removeprefix("https://"),
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        http_client=urllib3.PoolManager(ca_certs=environment["AWS_CA_BUNDLE"]),
    )
    kinds = {
        "sse-s3": minio.sse.SseS3(),
        "sse-kms": minio.sse.SseKMS(KEY, {}),
        "sse-c": minio.sse.SseCustomerKey(CUSTOMER),
    }
    write, bucket = kinds[mode], f"minio-py-{mode}"
    read = write if mode == "sse-c" else None
    client.make_bucket(bucket)
    for name in SIZES:
        client.fput_object(bucket, f"t/{name}", str(tree / name), part_size=5 * 1024 * 1024, sse=write)
    source = minio.commonconfig.CopySource(bucket, "t/large.bin", ssec=read)
    client.copy_object(bucket, "t/copied", source, sse=write)
    stored_as(bucket, mode)
    client.fget_object(bucket, "t/copied", str(tmp_path / "copied"), ssec=read)
    assert (tmp_path / "copied").read_bytes() == (tree / "large.bin").read_bytes()
    for name in SIZES:
        client.fget_object(bucket, f"t/{name}", str(tmp_path / "back" / name), ssec=read)
    same(tree, tmp_path / "back")
