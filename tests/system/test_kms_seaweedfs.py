"""SeaweedFS keeps its SSE-KMS keys in our transit engine and reads back through it."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import peers
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, str(Path(__file__).parent))
from kms_server import KmsProcess


def free_ports(count):
    """Return ports that are free and whose gRPC ports, 10000 higher, are too."""
    found = []
    while len(found) < count:
        port = random.randint(12000, 29000)
        with socket.socket() as a, socket.socket() as b:
            try:
                a.bind(("127.0.0.1", port))
                b.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
        found.append(port)
    return found


@pytest.fixture
def kms(tmp_path):
    (tmp_path / "kms").mkdir()
    with KmsProcess(tmp_path / "kms") as server:
        yield server


def seaweed(folder, kms, token):
    provider = {"type": "openbao", "address": kms.url, "token": token, "transit_path": "transit"}
    identity = {"name": "a", "credentials": [{"accessKey": "user", "secretKey": "password"}], "actions": ["Admin"]}
    settings = {"identities": [identity], "kms": {"default_provider": "ours", "providers": {"ours": provider}}}
    path = folder / "s3.json"
    path.write_text(json.dumps(settings))
    master, volume, filer, s3 = free_ports(4)
    data = folder / "data"
    data.mkdir()
    words = [peers.find("weed"), "server", f"-dir={data}", "-ip=127.0.0.1", "-s3", f"-s3.config={path}"]
    words += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
    words += ["-volume.max=20", "-master.volumeSizeLimitMB=64"]
    log = (folder / "weed.log").open("wb")
    return subprocess.Popen(words, stdout=log, stderr=log, cwd=folder), s3


def test_sse_kms_of_seaweedfs(kms, tmp_path):
    _, root = kms.set_up()
    kms.ask("POST", "sys/mounts/transit", {"type": "transit"}, root)
    kms.ask("POST", "transit/keys/object-key", {}, root)
    log = tmp_path / "audit.log"
    kms.ask("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}}, root)
    words = ("encrypt", "decrypt", "datakey/plaintext", "datakey/wrapped")
    text = "".join(f'path "transit/{word}/*" {{ capabilities = ["create", "update"] }}\n' for word in words)
    text += 'path "transit/keys/*" { capabilities = ["read"] }\n'
    kms.ask("PUT", "sys/policies/acl/weed", {"policy": text}, root)
    token = kms.ask("POST", "auth/token/create", {"policies": ["weed"]}, root)[1]["auth"]["client_token"]
    process, port = seaweed(tmp_path, kms, token)
    try:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="user",
            aws_secret_access_key="password",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        wait_for_bucket(client, process, tmp_path)
        body = os.urandom(300_000)
        client.put_object(Bucket="bucket", Key="k", Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId="object-key")
        read = client.get_object(Bucket="bucket", Key="k")
        assert read["Body"].read() == body
        assert read["ServerSideEncryption"] == "aws:kms"
        stored = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
        assert body[1000:1064] not in stored
        paths = {json.loads(line)["request"]["path"] for line in log.read_text().splitlines()}
        assert any(path.endswith("/object-key") and path.startswith("transit/") for path in paths), paths
        kms.ask("PUT", "sys/seal", token=root)
        with pytest.raises((ClientError, BotoCoreError)):
            client.put_object(
                Bucket="bucket", Key="k2", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="object-key"
            )
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_bucket(client, process, folder):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "weed.log").read_text()[-2000:]
        try:
            client.create_bucket(Bucket="bucket")
            client.put_object(Bucket="bucket", Key="plain", Body=b"x")
            return
        except (ClientError, BotoCoreError):
            time.sleep(0.3)
    raise AssertionError((folder / "weed.log").read_text()[-2000:])
