"""What a key protects, counted with every commit and asked through the admin API."""

import pytest
from system.keys_world import DEFAULT, admin, client, key, off, serving
from system.test_s3_keys import Chain
from system.test_s3_lost_default_key import add_alice
from system.test_s3_rewrap import finish

from strongroom.s3.domain.rewrap import Order


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "keys").mkdir()
    return Chain(tmp_path)


def fill(s3):
    for bucket in ("one", "two", "plain"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="one", VersioningConfiguration={"Status": "Enabled"})
    for size in (10, 20, 30):
        s3.put_object(Bucket="one", Key="k", Body=b"x" * size, ServerSideEncryption="aws:kms", SSEKMSKeyId="other")
    s3.put_object(Bucket="one", Key="s3", Body=b"12345", ServerSideEncryption="AES256")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "other"}}
    s3.put_bucket_encryption(Bucket="two", ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket="two", Key="default", Body=b"123")
    s3.put_object(Bucket="plain", Key="plain", Body=b"123")
    upload = s3.create_multipart_upload(Bucket="two", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="two", Key="parts", UploadId=upload, PartNumber=1, Body=b"y" * 100)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="two", Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.copy_object(Bucket="two", Key="copy", CopySource="one/k")


def counts(found):
    return found["objects"], found["versions"], found["bytes"]


async def test_usage_follows_writes_deletes_rotation_and_rewrapping(chain):
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        s3 = client(running)
        await running.service.create("other")
        await off(fill, s3)
        found = await key(running, "usage", "other")
        assert counts(found) == (4, 6, 60 + 133)
        assert [(b["name"], b["default"], *counts(b)) for b in found["buckets"]] == [
            ("one", False, 1, 3, 60),
            ("two", True, 3, 3, 133),
        ]
        assert counts(await key(running, "usage", DEFAULT)) == (1, 1, 5)
        await off(s3.delete_object, Bucket="one", Key="k")
        found = await key(running, "usage", "other")
        assert counts(found["buckets"][0]) == (0, 3, 60)

        await key(running, "rotate", "other")
        await finish(await running.jobs.start(Order("two", "aws:kms", key_name="other"), "minio"))
        found = await key(running, "usage", "other")
        assert [(v["version"], *counts(v)) for v in found["key-versions"]] == [(1, 0, 3, 60), (2, 3, 3, 133)]
        await finish(await running.jobs.start(Order("two", "aws:kms", key_name=DEFAULT), "minio"))
        assert counts((await key(running, "usage", "other"))["buckets"][1]) == (0, 0, 0)
        assert counts(await key(running, "usage", DEFAULT)) == (4, 4, 138)

        assert counts(await key(running, "usage", "no-such-key")) == (0, 0, 0)
        status, _ = await off(admin, running, "GET", "/minio/kms/v1/key/usage", user=("none", "wrong"), key_id="other")
        assert status == 403


async def test_usage_tells_what_the_server_keeps_under_a_key(chain):
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        s3 = client(running)
        await running.service.create("other")
        assert await add_alice(running) == (200, "")
        await off(s3.create_bucket, Bucket="bucket")
        await off(
            s3.put_object, Bucket="bucket", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="other"
        )
        found = await key(running, "usage", DEFAULT)
        assert (found["users-and-policies"], found["list-keys"], counts(found)) == (1, 1, (0, 0, 0))
        assert [(bucket["name"], bucket["list-keys"]) for bucket in found["buckets"]] == [("bucket", 1)]
        found = await key(running, "usage", "other")
        assert (found["users-and-policies"], found["list-keys"], counts(found)) == (0, 0, (1, 1, 1))
