"""Listings with checksums and metadata, deletes with conditions on time and size, versioning as a whole."""

import pytest
from botocore.exceptions import ClientError
from raw_s3 import call
from s3_process import S3Process

MODES = ({}, {"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = S3Process(tmp_path_factory.mktemp("s3") / "data", MINIO_KMS_AUTO_ENCRYPTION="off").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def s3(server):
    return server.client(request_checksum_calculation="when_required", response_checksum_validation="when_required")


@pytest.fixture
def bucket(s3, request):
    name = f"b{abs(hash(request.node.name)) % 10**9}"
    s3.create_bucket(Bucket=name)
    return name


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize("mode", MODES, ids=("plain", "sse-s3", "sse-kms"))
def test_listings_tell_of_checksums(s3, bucket, mode):
    s3.put_object(Bucket=bucket, Key="none", Body=b"x", **mode)
    etag = s3.put_object(Bucket=bucket, Key="one", Body=b"x", ChecksumAlgorithm="CRC32C", **mode)["ETag"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="SHA256", **mode)["UploadId"]
    where = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    part = s3.upload_part(**where, PartNumber=1, Body=b"y", ChecksumAlgorithm="SHA256")
    listed = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
    s3.put_object_tagging(Bucket=bucket, Key="one", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    wanted = [("none", None, None), ("one", ["CRC32C"], "FULL_OBJECT"), ("parts", ["SHA256"], "COMPOSITE")]
    for page in (s3.list_objects_v2, s3.list_objects):
        rows = page(Bucket=bucket)["Contents"]
        assert [(row["Key"], row.get("ChecksumAlgorithm"), row.get("ChecksumType")) for row in rows] == wanted
    rows = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(row["Key"], row.get("ChecksumAlgorithm"), row.get("ChecksumType")) for row in rows] == wanted
    assert rows[1]["ETag"] == etag == s3.head_object(Bucket=bucket, Key="one")["ETag"]
    assert s3.get_object(Bucket=bucket, Key="one", IfMatch=etag)["Body"].read() == b"x"


def test_deletes_ask_for_time_and_size(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    head = s3.head_object(Bucket=bucket, Key="k")
    other = head["LastModified"].replace(year=2001)
    for wrong in ({"IfMatchSize": 4}, {"IfMatchLastModifiedTime": other}):
        assert refused(s3.delete_object, Bucket=bucket, Key="k", **wrong) == "PreconditionFailed"
        entry = {"Key": "k", **{name.removeprefix("IfMatch"): value for name, value in wrong.items()}}
        found = s3.delete_objects(Bucket=bucket, Delete={"Objects": [entry]})
        assert found["Errors"][0]["Code"] == "PreconditionFailed"
    right = {"IfMatchSize": 5, "IfMatchLastModifiedTime": head["LastModified"], "IfMatch": head["ETag"]}
    s3.delete_object(Bucket=bucket, Key="k", **right)
    s3.delete_object(Bucket=bucket, Key="k", **right)  # what is not there is gone
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    head = s3.head_object(Bucket=bucket, Key="k")
    entry = {"Key": "k", "Size": 5, "LastModifiedTime": head["LastModified"], "ETag": head["ETag"]}
    assert s3.delete_objects(Bucket=bucket, Delete={"Objects": [entry]})["Deleted"][0]["Key"] == "k"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("mode", MODES, ids=("plain", "sse-s3", "sse-kms"))
def test_a_listing_tells_metadata_and_tags_when_asked(server, s3, bucket, mode):
    more = {"Metadata": {"a": "v", "odd!": "w"}, "ContentType": "text/x-test", "Tagging": "t=1&u=a%2Bb"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **more, **mode)
    text = call(server.port, "GET", f"/{bucket}", query="list-type=2&metadata=true").body.decode()
    assert "<content-type>text/x-test</content-type><X-Amz-Meta-A>v</X-Amz-Meta-A>" in text
    assert "odd!" not in text.lower()  # no name of an element
    assert "<UserTags>t=1&amp;u=a%2Bb</UserTags>" in text
    assert ("<X-Amz-Server-Side-Encryption>" in text) == bool(mode)
    assert "UserMetadata" not in call(server.port, "GET", f"/{bucket}", query="list-type=2").body.decode()


def test_a_bucket_is_versioned_as_a_whole(server, s3, bucket):
    excluded = b"<ExcludedPrefixes><Prefix>a/</Prefix></ExcludedPrefixes>"
    body = b"<VersioningConfiguration><Status>Enabled</Status>" + excluded + b"</VersioningConfiguration>"
    assert call(server.port, "PUT", f"/{bucket}", query="versioning=", body=body).code == "NotImplemented"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_a_default_checksum_is_kept_of_objects_and_parts(tmp_path):
    settings = {"MINIO_KMS_AUTO_ENCRYPTION": "off", "STRONGROOM_S3_DEFAULT_CHECKSUM": "crc64nvme"}
    running = S3Process(tmp_path / "data", **settings).start()
    try:
        s3 = running.client(request_checksum_calculation="when_required")
        s3.create_bucket(Bucket="bkt")
        assert s3.put_object(Bucket="bkt", Key="k", Body=b"A" * 1024)["ChecksumCRC64NVME"] == "Qeh8oXvGiSo="
        upload = s3.create_multipart_upload(Bucket="bkt", Key="m")
        assert upload["ChecksumAlgorithm"] == "CRC64NVME"
        where = {"Bucket": "bkt", "Key": "m", "UploadId": upload["UploadId"]}
        part = s3.upload_part(**where, PartNumber=1, Body=b"A" * 1024)
        listed = [{"PartNumber": 1, "ETag": part["ETag"]}]
        done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
        assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == ("Qeh8oXvGiSo=", "FULL_OBJECT")
        s3.put_object(Bucket="bkt", Key="own", Body=b"A", ChecksumAlgorithm="SHA1")
        found = {row["Key"]: row["ChecksumAlgorithm"] for row in s3.list_objects_v2(Bucket="bkt")["Contents"]}
        assert found == {"k": ["CRC64NVME"], "m": ["CRC64NVME"], "own": ["SHA1"]}
    finally:
        running.stop()
