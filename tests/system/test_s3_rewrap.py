"""Rotation and re-wrapping through a running S3 server with objects in a folder and our key server behind it."""

import asyncio
import hashlib
import time

import boto3
import pytest
from botocore.config import Config
from system.test_s3_keys import Chain

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KesSettings, KmsSettings
from strongroom.crypto.secret import Secret
from strongroom.s3 import app
from strongroom.s3.domain.object_record import unpack_meta
from strongroom.s3.domain.rewrap import Order

SIZES = {"empty": 0, "small": 5, "large": 3 * 1024 * 1024 + 7}


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "keys").mkdir()
    return Chain(tmp_path)


def settings(chain, port):
    client, ca = chain.pair("s3"), str(chain.pair("authority").certificate)
    endpoint = f"https://127.0.0.1:{port}"
    kes = KesSettings((endpoint,), "minio-key-1", "", str(client.key), str(client.certificate), "", ca)
    root = RootCredentials("minio", Secret(b"minio123"))
    return app.Settings(root, chain.folder / "data", "127.0.0.1", 0, kms=KmsSettings(kes=kes))


def client(running):
    return boto3.client(
        "s3",
        endpoint_url=running.url,
        aws_access_key_id="minio",
        aws_secret_access_key="minio123",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, request_checksum_calculation="when_required"),
    )


def body(name):
    return hashlib.shake_128(name.encode()).digest(SIZES[name])


def fill(s3):
    s3.create_bucket(Bucket="bucket")
    for name in SIZES:
        for kind, extra in {"s3": {}, "kms": {"SSEKMSKeyId": "minio-key-1"}}.items():
            method = "AES256" if kind == "s3" else "aws:kms"
            s3.put_object(
                Bucket="bucket",
                Key=f"{kind}/{name}",
                Body=body(name),
                ServerSideEncryption=method,
                Metadata={"a": "b"},
                **extra,
            )


def read(s3):
    found = {}
    for kind in ("s3", "kms"):
        for name in SIZES:
            answer = s3.get_object(Bucket="bucket", Key=f"{kind}/{name}")
            assert answer["Body"].read() == body(name)
            found[f"{kind}/{name}"] = (answer["ETag"], answer["LastModified"], answer.get("SSEKMSKeyId"))
    return found


async def finish(job):
    end = time.monotonic() + 20
    while not job.progress.complete:
        assert time.monotonic() < end, job.progress
        await asyncio.sleep(0.02)
    assert job.progress.failed == 0


async def test_objects_move_to_a_new_version_and_to_another_key(chain):
    async with chain.kes() as kes:
        running = await app.start(settings(chain, kes.port))
        try:
            s3 = client(running)
            await asyncio.to_thread(fill, s3)
            before = await asyncio.to_thread(read, s3)
            await running.service.change("rotate", "minio-key-1")
            await finish(await running.jobs.start(Order("bucket", "AES256", "s3/"), "minio"))
            versions = {v.key: unpack_meta(v.meta).seal async for v in running.store.walk("bucket")}
            for key, seal in versions.items():
                assert seal["X-Strongroom-Internal-Key-Version"] == ("2" if key.startswith("s3/") else "1")
            await running.service.create("other")
            await finish(await running.jobs.start(Order("bucket", "aws:kms", "kms/", "other"), "minio"))
            after = await asyncio.to_thread(read, s3)
            for key, (etag, modified, key_id) in after.items():
                assert (etag, modified) == before[key][:2]
                assert key_id == ("arn:aws:kms:other" if key.startswith("kms/") else None)
        finally:
            await running.stop(0.1)


async def test_a_lock_is_seen_by_clients_and_lifted(chain):
    async with chain.kes() as kes:
        running = await app.start(settings(chain, kes.port))
        try:
            s3 = client(running)
            await asyncio.to_thread(fill, s3)
            await running.service.change("disable", "minio-key-1")
            for call in (
                lambda: s3.get_object(Bucket="bucket", Key="s3/small"),
                lambda: s3.put_object(Bucket="bucket", Key="x", Body=b"", ServerSideEncryption="AES256"),
                lambda: s3.copy_object(Bucket="bucket", Key="y", CopySource="bucket/kms/small"),
            ):
                with pytest.raises(s3.exceptions.ClientError) as refused:
                    await asyncio.to_thread(call)
                assert refused.value.response["Error"]["Code"] == "KMS.DisabledException"
            head = await asyncio.to_thread(lambda: s3.head_object(Bucket="bucket", Key="s3/small"))
            assert head["ETag"].strip('"') == hashlib.md5(body("small")).hexdigest()
            listed = await asyncio.to_thread(lambda: s3.list_objects_v2(Bucket="bucket"))
            assert len(listed["Contents"]) == 6
            await running.service.change("enable", "minio-key-1")
            await asyncio.sleep(0.1)
            await asyncio.to_thread(read, s3)
        finally:
            await running.stop(0.1)


async def test_no_plaintext_reaches_the_disk(chain):
    async with chain.kes() as kes:
        running = await app.start(settings(chain, kes.port))
        s3 = client(running)
        await asyncio.to_thread(fill, s3)
        await running.stop(0.1)
        windows = {body("large")[at : at + 32] for at in range(0, SIZES["large"] - 32, 4096)}
        for file in (chain.folder / "data").rglob("*"):
            data = file.read_bytes() if file.is_file() else b""
            assert not any(window in data for window in list(windows)[:50]), file
            assert hashlib.md5(body("small")).hexdigest().encode() not in data, file
