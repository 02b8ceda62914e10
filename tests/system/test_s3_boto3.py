"""boto3 drives a whole S3 server: signatures, copies, ranges, multipart, listings, versions, encryption."""

import asyncio
import hashlib
import os
import threading
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.s3 import app

ROOT = RootCredentials("rootuser", Secret(b"rootpassword"))
KMS = KmsSettings(static=StaticSettings("my-key", Secret(bytes(range(32)))))
AUTO = KmsSettings(static=StaticSettings("my-key", Secret(bytes(range(32)))), auto_encryption="AES256")
MIB = 1024 * 1024


class Served:
    """A server in a thread with a loop of its own."""

    def __init__(self, settings):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.running = self.run(app.start(settings))

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def client(self, **config):
        return boto3.client(
            "s3",
            endpoint_url=self.running.url,
            aws_access_key_id="rootuser",
            aws_secret_access_key="rootpassword",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}, **config),
        )

    def stop(self):
        self.run(self.running.stop(1))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture(scope="module", params=["memory", "files", "files-encrypted"])
def served(request, tmp_path_factory):
    folder = None if request.param == "memory" else tmp_path_factory.mktemp("s3") / "data"
    kms = AUTO if request.param.endswith("encrypted") else KMS
    server = Served(app.Settings(ROOT, folder, "127.0.0.1", 0, kms=kms))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def s3(served):
    return served.client()


@pytest.fixture(scope="module")
def bucket(s3):
    s3.create_bucket(Bucket="bkt")
    return "bkt"


def code(excinfo):
    return excinfo.value.response["Error"]["Code"]


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, 300_000, 3 * MIB + 17])
def test_what_is_put_is_got(s3, bucket, size):
    data = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key=f"size/{size}", Body=data, Metadata={"a": "b"}, ContentType="text/x")
    assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key=f"size/{size}")
    assert got["Body"].read() == data
    assert (got["ContentType"], got["Metadata"], got["ContentLength"]) == ("text/x", {"a": "b"}, size)
    head = s3.head_object(Bucket=bucket, Key=f"size/{size}")
    assert (head["ETag"], head["ContentLength"]) == (put["ETag"], size)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (65535, 65537), (100_000, 900_000), (1_999_999, 2_000_000)])
def test_ranges(s3, bucket, start, stop):
    data = hashlib.shake_128(b"x").digest(2_000_000)
    s3.put_object(Bucket=bucket, Key="ranged", Body=data)
    got = s3.get_object(Bucket=bucket, Key="ranged", Range=f"bytes={start}-{stop - 1}")
    assert got["Body"].read() == data[start:stop]
    assert got["ContentRange"] == f"bytes {start}-{stop - 1}/2000000"


def test_odd_keys_round_trip(s3, bucket):
    keys = ["a b+c", "é/日本", "q?x=1&y#z%25", "~tilde*'()!", 'quo"te\\back', "..x/y..", "tab\tnl"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key="odd/" + key, Body=key.encode())
        assert s3.get_object(Bucket=bucket, Key="odd/" + key)["Body"].read() == key.encode()
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="odd/")["Contents"]]
    assert sorted(listed) == sorted("odd/" + key for key in keys)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="sum", Body=b"abc" * 1000, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    assert got["Body"].read() == b"abc" * 1000
    right = put[f"Checksum{algorithm}"]
    wrong = {f"Checksum{algorithm}": "A" * len(right.rstrip("=")) + "=" * right.count("=")}
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="sum", Body=b"x", **wrong)
    assert code(error) == "BadDigest"


def test_listings_and_pages(s3):
    s3.create_bucket(Bucket="list-bkt")
    for number in range(25):
        s3.put_object(Bucket="list-bkt", Key=f"d{number % 5}/k{number:02}", Body=b"")
    s3.put_object(Bucket="list-bkt", Key="top", Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="list-bkt", PaginationConfig={"PageSize": 4})
    assert len([entry for page in pages for entry in page.get("Contents", [])]) == 26
    page = s3.list_objects_v2(Bucket="list-bkt", Delimiter="/")
    assert [one["Prefix"] for one in page["CommonPrefixes"]] == [f"d{n}/" for n in range(5)]
    assert [one["Key"] for one in page["Contents"]] == ["top"]
    pages = s3.get_paginator("list_objects").paginate(
        Bucket="list-bkt", Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    assert sum(len(p.get("CommonPrefixes", [])) + len(p.get("Contents", [])) for p in pages) == 6
    versions = s3.list_object_versions(Bucket="list-bkt", MaxKeys=3)
    assert {v["VersionId"] for v in versions["Versions"]} == {"null"}
    assert versions["IsTruncated"]


def test_delete_many_and_the_bucket(s3):
    s3.create_bucket(Bucket="gone-bkt")
    keys = [{"Key": f"k{n}"} for n in range(30)]
    for key in keys:
        s3.put_object(Bucket="gone-bkt", Body=b"x", **key)
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket="gone-bkt")
    assert code(error) == "BucketNotEmpty"
    answer = s3.delete_objects(Bucket="gone-bkt", Delete={"Objects": [*keys, {"Key": "missing"}]})
    assert len(answer["Deleted"]) == 31
    s3.delete_bucket(Bucket="gone-bkt")
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="gone-bkt")
    assert code(error) == "NoSuchBucket"


def test_copies(s3, bucket):
    data = os.urandom(700_000)
    s3.put_object(Bucket=bucket, Key="from me", Body=data, Metadata={"a": "1"}, Tagging="t=1")
    copied = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from me"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["Metadata"], got["TagCount"]) == (data, {"a": "1"}, 1)
    if "ServerSideEncryption" not in got:  # an encrypted object is sealed anew, which is a change
        with pytest.raises(ClientError) as error:
            s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/to")
        assert code(error) == "InvalidRequest"
    s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/to", MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert s3.head_object(Bucket=bucket, Key="to")["Metadata"] == {"b": "2"}


@pytest.mark.parametrize("algorithm", [None, "CRC32", "CRC64NVME", "SHA256"])
def test_multipart(s3, bucket, algorithm):
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB + 3), b"end"]
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="multi", Metadata={"m": "p"}, **extra)["UploadId"]
    done = []
    for number, data in zip((1, 4, 5), parts, strict=True):
        answer = s3.upload_part(Bucket=bucket, Key="multi", UploadId=upload, PartNumber=number, Body=data, **extra)
        one = {"PartNumber": number, "ETag": answer["ETag"]}
        if algorithm:
            one[f"Checksum{algorithm}"] = answer[f"Checksum{algorithm}"]
        done.append(one)
    listed = s3.list_parts(Bucket=bucket, Key="multi", UploadId=upload)["Parts"]
    assert [(one["PartNumber"], one["Size"]) for one in listed] == [(1, 5 * MIB), (4, 5 * MIB + 3), (5, 3)]
    assert any(one["UploadId"] == upload for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"])
    order = {"Parts": done}
    answer = s3.complete_multipart_upload(Bucket=bucket, Key="multi", UploadId=upload, MultipartUpload=order)
    digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    assert answer["ETag"] == f'"{digest}-3"'
    again = s3.complete_multipart_upload(Bucket=bucket, Key="multi", UploadId=upload, MultipartUpload=order)
    assert again["ETag"] == answer["ETag"]
    got = s3.get_object(Bucket=bucket, Key="multi")
    assert got["Body"].read() == b"".join(parts)
    assert got["Metadata"] == {"m": "p"}
    whole = b"".join(parts)
    start = 5 * MIB - 10
    assert (
        s3.get_object(Bucket=bucket, Key="multi", Range=f"bytes={start}-{start + 99_999}")["Body"].read()
        == whole[start : start + 100_000]
    )
    second = s3.get_object(Bucket=bucket, Key="multi", PartNumber=2)
    assert second["Body"].read() == parts[1]
    assert second["PartsCount"] == 3
    copied = s3.create_multipart_upload(Bucket=bucket, Key="multi2")["UploadId"]
    source = {"Bucket": bucket, "Key": "multi"}
    piece = s3.upload_part_copy(
        Bucket=bucket,
        Key="multi2",
        UploadId=copied,
        PartNumber=1,
        CopySource=source,
        CopySourceRange="bytes=100-6000099",
    )
    order = {"Parts": [{"PartNumber": 1, "ETag": piece["CopyPartResult"]["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="multi2", UploadId=copied, MultipartUpload=order)
    assert s3.get_object(Bucket=bucket, Key="multi2")["Body"].read() == whole[100:6000100]


def test_abort(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=upload)
    with pytest.raises(ClientError) as error:
        s3.list_parts(Bucket=bucket, Key="never", UploadId=upload)
    assert code(error) == "NoSuchUpload"


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="cond", Body=b"1")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="cond", Body=b"2", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="cond", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="cond", IfMatch=etag)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="cond", IfNoneMatch=s3.head_object(Bucket=bucket, Key="cond")["ETag"])
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls(served, bucket, version):
    client = served.client(signature_version=version)
    client.put_object(Bucket=bucket, Key="pre signed+é", Body=b"hello") if version == "s3v4" else None
    target = {"Bucket": bucket, "Key": "pre signed+é"}
    url = client.generate_presigned_url("put_object", target, ExpiresIn=60)
    request = urllib.request.Request(url, data=b"by url", method="PUT")
    if version == "s3":
        request.add_header("Content-Type", "")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    options = {**target, "ResponseContentType": "text/q"}
    with urllib.request.urlopen(client.generate_presigned_url("get_object", options, ExpiresIn=60)) as answer:
        assert answer.read() == b"by url"
        assert answer.headers["Content-Type"] == "text/q"


def test_versions(s3):
    s3.create_bucket(Bucket="ver-bkt")
    s3.put_bucket_versioning(Bucket="ver-bkt", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="ver-bkt", Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket="ver-bkt", Key="k", Body=b"2")["VersionId"]
    assert s3.get_object(Bucket="ver-bkt", Key="k", VersionId=first)["Body"].read() == b"1"
    marker = s3.delete_object(Bucket="ver-bkt", Key="k")
    assert marker["DeleteMarker"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="ver-bkt", Key="k")
    assert code(error) == "NoSuchKey"
    listed = s3.list_object_versions(Bucket="ver-bkt")
    assert [v["VersionId"] for v in listed["Versions"]] == [second, first]
    s3.delete_object(Bucket="ver-bkt", Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket="ver-bkt", Key="k")["Body"].read() == b"2"


def test_encryption_by_header_and_by_bucket(s3):
    s3.create_bucket(Bucket="sse-bkt")
    put = s3.put_object(Bucket="sse-bkt", Key="s3", Body=b"x" * 100, ServerSideEncryption="AES256")
    assert put["ServerSideEncryption"] == "AES256"
    assert put["ETag"] == f'"{hashlib.md5(b"x" * 100).hexdigest()}"'
    assert s3.list_objects_v2(Bucket="sse-bkt")["Contents"][0]["ETag"] == put["ETag"]
    put = s3.put_object(
        Bucket="sse-bkt", Key="kms", Body=b"y" * 200_000, ServerSideEncryption="aws:kms", SSEKMSKeyId="my-key"
    )
    assert put["SSEKMSKeyId"] == "arn:aws:kms:my-key"
    assert put["ETag"] != f'"{hashlib.md5(b"y" * 200_000).hexdigest()}"'
    assert s3.get_object(Bucket="sse-bkt", Key="kms")["Body"].read() == b"y" * 200_000
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "my-key"}}
    s3.put_bucket_encryption(Bucket="sse-bkt", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket="sse-bkt")["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    s3.put_object(Bucket="sse-bkt", Key="default", Body=b"z")
    assert s3.head_object(Bucket="sse-bkt", Key="default")["ServerSideEncryption"] == "aws:kms"
    copied = s3.copy_object(Bucket="sse-bkt", Key="copy", CopySource="sse-bkt/s3", ServerSideEncryption="AES256")
    assert copied["ServerSideEncryption"] == "AES256"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="sse-bkt", Key="no", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId="nokey")
    assert code(error) == "kms:KeyNotFound"


def test_wrong_secret_is_refused(served, bucket):
    client = boto3.client(
        "s3",
        endpoint_url=served.running.url,
        aws_access_key_id="rootuser",
        aws_secret_access_key="nope",
        region_name="x",
    )
    with pytest.raises(ClientError) as error:
        client.list_objects_v2(Bucket=bucket)
    assert code(error) == "SignatureDoesNotMatch"
