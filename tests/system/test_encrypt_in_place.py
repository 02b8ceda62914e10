"""Plain objects are encrypted where they lie, by a batch job; rotation goes on after a restart, slowly if wished."""

import asyncio
import datetime
import hashlib
import json
import time

import pytest
from system.keys_world import DEFAULT, admin, client, code, key, off, seconds_until, serving
from system.test_s3_keys import Chain
from system.test_s3_rewrap import finish

from strongroom.s3.domain.object_record import unpack_meta
from strongroom.s3.domain.rewrap import Order

SIZES = {"empty": 0, "small": 5, "row": 20_000, "large": 3 * 1024 * 1024 + 7}
PART = 5 * 1024 * 1024
YAML = """
keyrotate:
  apiVersion: v1
  bucket: {bucket}
  prefix: "{prefix}"
  encryption: {{type: {kind}, key: {key}}}
  flags: {{plaintextOnly: true, perSecond: 10000}}
"""


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "keys").mkdir()
    return Chain(tmp_path)


def body(name, size):
    return hashlib.shake_128(name.encode()).digest(size)


def fill(s3, bucket):
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    for name, size in SIZES.items():
        for age in ("old", "new"):
            s3.put_object(
                Bucket=bucket, Key=name, Body=body(name + age, size), Metadata={"a": "b"}, Tagging="x=1",
                ContentType="text/plain", ChecksumAlgorithm="SHA256", ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=until,
            )  # fmt: skip
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="CRC32")["UploadId"]
    parts = []
    for number, size in ((1, PART), (3, 100)):
        part = s3.upload_part(
            Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=body(f"p{number}", size),
            ChecksumAlgorithm="CRC32",
        )  # fmt: skip
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})


def facts(s3, bucket):
    """Return all that a client can know of every version, but not how it is encrypted."""
    found = {}
    for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
        where = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        got = s3.get_object(**where, ChecksumMode="ENABLED")
        shown = {name: got.get(name) for name in ("ETag", "LastModified", "Metadata", "ContentType", "TagCount",
                 "ObjectLockMode", "ObjectLockRetainUntilDate", "ChecksumSHA256", "ChecksumCRC32")}  # fmt: skip
        listed = {name: version[name] for name in ("ETag", "LastModified", "Size", "IsLatest")}
        tags = s3.get_object_tagging(**where)["TagSet"]
        found[version["Key"], version["VersionId"]] = (got["Body"].read(), shown, listed, tags)
    second = s3.get_object(Bucket=bucket, Key="parts", PartNumber=2)
    return found, list(found), second["Body"].read()


@pytest.mark.parametrize(("kind", "name"), [("sse-s3", ""), ("sse-kms", "project")])
async def test_plain_objects_are_encrypted_where_they_lie(chain, kind, name):
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        s3 = client(running)
        await running.service.create("project")
        await off(fill, s3, "bucket")
        await off(s3.put_object, Bucket="bucket", Key="sealed", Body=b"x", ServerSideEncryption="AES256")
        before = await off(facts, s3, "bucket")
        order = YAML.format(bucket="bucket", prefix="", kind=kind, key=name).encode()
        status, job = await off(admin, running, "POST", "/minio/admin/v3/start-job", order)
        assert status == 200, job
        await finish(running.jobs.find(job["id"]))
        assert running.jobs.find(job["id"]).progress.objects == 9
        assert await off(facts, s3, "bucket") == before
        head = await off(s3.head_object, Bucket="bucket", Key="large")
        assert head["ServerSideEncryption"] == ("AES256" if kind == "sse-s3" else "aws:kms")
        found = await key(running, "usage", name or DEFAULT)
        assert (found["objects"], found["versions"]) == ((6, 10) if kind == "sse-s3" else (5, 9))
        await finish(await running.jobs.start(Order("bucket", "AES256", plain=True), "minio"))  # nothing is left
        await asyncio.sleep(0.3)  # the old files go in the background
    windows = [body("large" + age, SIZES["large"])[at : at + 32] for age in ("old", "new") for at in (0, 99_999)]
    windows += [body("p1", PART)[70_000:70_032], body("rowold", 20_000)[:32]]
    for file in (chain.folder / "data" / "buckets").glob("*/data/*/*"):
        data = file.read_bytes()
        assert not any(window in data for window in windows), file


async def test_readers_and_writers_during_the_job_see_whole_objects(chain):
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        names = [f"{size}-{number}" for size in (100, 20_000, 400_000) for number in range(12)]
        for name in names:
            await off(s3.put_object, Bucket="bucket", Key=name, Body=body(name, int(name.partition("-")[0])))
        job = await running.jobs.start(Order("bucket", "aws:kms", key_name=DEFAULT, plain=True), "minio")

        def read(name):
            got = s3.get_object(Bucket="bucket", Key=name)["Body"].read()
            return got == body(name, int(name.partition("-")[0]))

        while not job.progress.complete:
            assert all(await asyncio.gather(*(off(read, name) for name in names[::5])))
            await off(
                s3.put_object_tagging, Bucket="bucket", Key=names[0], Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}
            )
        await finish(job)
        assert all(await asyncio.gather(*(off(read, name) for name in names)))


async def test_a_slow_job_goes_on_after_a_restart_and_spares_what_is_done(chain):
    async with chain.kes() as kes:
        async with serving(chain, kes.port) as running:
            s3 = client(running)
            await off(s3.create_bucket, Bucket="bucket")
            for number in range(40):
                await off(s3.put_object, Bucket="bucket", Key=f"{number:02}", Body=b"x", ServerSideEncryption="AES256")
            await key(running, "rotate", DEFAULT)
            begun = time.monotonic()
            job = await running.jobs.start(Order("bucket", "AES256", per_second=16.0), "minio")
            await seconds_until(lambda: _past(job, 16))
        async with serving(chain, kes.port) as running:
            again = running.jobs.find(job.progress.id)
            assert 0 < again.progress.objects < 40
            await finish(again)
            assert again.progress.objects == 40
            assert time.monotonic() - begun > 1.0
            versions = [unpack_meta(v.meta).seal async for v in running.store.walk("bucket")]
            assert {seal["X-Strongroom-Internal-Key-Version"] for seal in versions} == {"2"}
            status, document = await off(admin, running, "GET", "/minio/admin/v3/status-job", jobId=job.progress.id)
            assert (status, document["LastMetric"]["rotation"]["objects"]) == (200, 40), json.dumps(document)


async def _past(job, count):
    return job.progress.objects >= count


async def test_a_locked_key_leaves_plain_objects_as_they_are(chain):
    async with chain.kes() as kes, serving(chain, kes.port, lock_within=1.0) as running:
        s3 = client(running)
        await running.service.create("project")
        await off(s3.create_bucket, Bucket="bucket")
        await off(s3.put_object, Bucket="bucket", Key="k", Body=b"x")
        await key(running, "disable", "project")
        order = YAML.format(bucket="bucket", prefix="", kind="sse-kms", key="project").encode()
        status, document = await off(admin, running, "POST", "/minio/admin/v3/start-job", order)
        assert (status, document["Code"]) == (400, "KMS.DisabledException")
        assert await code(s3.get_object, Bucket="bucket", Key="k") == ""


async def test_objects_in_two_layers_are_counted_and_sealed_anew(chain):
    """A job takes DSSE-KMS objects to another key, and they stay in two layers."""
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        s3 = client(running)
        for name in ("project", "other"):
            await running.service.create(name)
        await off(s3.create_bucket, Bucket="bucket")
        under = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "project"}
        await off(s3.put_object, Bucket="bucket", Key="k", Body=body("k", 300_000), **under)
        assert (await key(running, "usage", "project"))["objects"] == 1
        await key(running, "rotate", "project")
        await finish(await running.jobs.start(Order("bucket", "aws:kms", key_name="project"), "minio"))
        assert [one["version"] for one in (await key(running, "usage", "project"))["key-versions"]] == [2]
        await finish(await running.jobs.start(Order("bucket", "aws:kms", key_name="other"), "minio"))
        counts = [(await key(running, "usage", name))["objects"] for name in ("other", "project")]
        assert counts == [1, 0]
        got = await off(s3.get_object, Bucket="bucket", Key="k")
        assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms:dsse", "arn:aws:kms:other")
        assert await off(got["Body"].read) == body("k", 300_000)
