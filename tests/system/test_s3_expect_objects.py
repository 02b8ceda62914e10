"""What conformance suites expect of objects: conditions, ranges, integrity, metadata, copies (s3.md 4, 7, 11)."""

import datetime
import hashlib
import threading

import pytest
from raw_s3 import Wire, call

from strongroom.s3.wire import sigv4

DATA = bytes(range(100))
OLD = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
FUTURE = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)


@pytest.fixture
def made(lone, fresh):
    """A bucket with an object `k` of 100 bytes; returns the arguments that name it."""
    lone.put_object(Bucket=fresh, Key="k", Body=DATA)
    return {"Bucket": fresh, "Key": "k"}


# ---- conditional reads: AWS's order (s3.md 4.1)

HIT, MISS = f'"{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"', '"' + "0" * 32 + '"'


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"IfMatch": MISS}, 412),
        ({"IfMatch": MISS, "IfNoneMatch": HIT}, 412),
        ({"IfMatch": MISS, "IfModifiedSince": FUTURE}, 412),
        ({"IfMatch": HIT}, 200),
        ({"IfMatch": "*"}, 200),
        ({"IfMatch": HIT.strip('"')}, 200),
        ({"IfMatch": HIT, "IfNoneMatch": HIT}, 304),
        ({"IfMatch": HIT, "IfNoneMatch": MISS, "IfModifiedSince": FUTURE}, 200),
        ({"IfMatch": HIT, "IfUnmodifiedSince": OLD}, 200),
        ({"IfNoneMatch": HIT}, 304),
        ({"IfNoneMatch": "*"}, 304),
        ({"IfNoneMatch": HIT, "IfUnmodifiedSince": OLD}, 412),
        ({"IfNoneMatch": MISS}, 200),
        ({"IfNoneMatch": MISS, "IfUnmodifiedSince": OLD}, 412),
        ({"IfModifiedSince": OLD}, 200),
        ({"IfUnmodifiedSince": OLD}, 412),
        ({"IfUnmodifiedSince": FUTURE}, 200),
        ({"IfModifiedSince": OLD, "IfUnmodifiedSince": OLD}, 412),
    ],
)
def test_conditional_reads(lone, made, refused, conditions, status):
    for operation in (lone.get_object, lone.head_object):
        if status == 200:
            assert operation(**made, **conditions)["ETag"] == HIT
        else:
            assert refused(operation, **made, **conditions)[0] == status


def test_304_carries_the_etag(lone_server, made):
    answer = call(lone_server.port, "GET", f"/{made['Bucket']}/k", {"if-none-match": HIT})
    assert (answer.status, answer.headers["etag"], answer.body) == (304, HIT, b"")
    assert "last-modified" in answer.headers


# ---- conditional writes (s3.md 4.2)


def test_conditional_writes(lone, made, refused):
    missing = {"Bucket": made["Bucket"], "Key": "missing"}
    assert refused(lone.put_object, **made, Body=b"", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(lone.put_object, **made, Body=b"", IfMatch=MISS) == (412, "PreconditionFailed")
    assert refused(lone.put_object, **missing, Body=b"", IfMatch=HIT) == (404, "NoSuchKey")
    assert refused(lone.put_object, **missing, Body=b"", IfMatch="*") == (404, "NoSuchKey")
    lone.put_object(**missing, Body=b"1", IfNoneMatch="*")
    lone.put_object(**made, Body=b"2", IfMatch=HIT)
    assert refused(lone.put_object, **made, Body=b"3", IfMatch=HIT)[0] == 412
    assert lone.get_object(**made)["Body"].read() == b"2"


def test_a_newest_delete_marker_counts_as_missing(lone, made, refused):
    lone.put_bucket_versioning(Bucket=made["Bucket"], VersioningConfiguration={"Status": "Enabled"})
    lone.delete_object(**made)
    assert refused(lone.put_object, **made, Body=b"", IfMatch=HIT)[0] == 404
    lone.put_object(**made, Body=b"again", IfNoneMatch="*")
    assert lone.get_object(**made)["Body"].read() == b"again"


@pytest.mark.parametrize(
    ("key", "condition"), [("k", {"IfMatch": HIT}), ("new", {"IfNoneMatch": "*"})], ids=["same", "none"]
)
def test_of_writers_with_one_condition_one_wins(lone, made, key, condition):
    codes = []

    def write(number):
        content, mode = b"%d" % number * (100_000 if number % 2 else 1), ("AES256", "aws:kms")[number % 3 == 0]
        try:
            lone.put_object(**{**made, "Key": key}, Body=content, ServerSideEncryption=mode, **condition)
            codes.append(200)
        except lone.exceptions.ClientError as error:
            codes.append(error.response["ResponseMetadata"]["HTTPStatusCode"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [412] * 19


def test_conditional_delete(lone, made, refused):
    assert refused(lone.delete_object, **made, IfMatch=MISS)[0] == 412
    lone.delete_object(**made, IfMatch=HIT)
    assert refused(lone.get_object, **made)[0] == 404


# ---- ranges (s3.md 4.3)


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=0-999999", 0, 100),
        ("bytes=50-", 50, 100),
        ("bytes=-10", 90, 100),
        ("bytes=-101", 0, 100),
        ("bytes=00-01", 0, 2),
    ],
)
def test_ranges(lone, made, text, start, stop):
    got = lone.get_object(**made, Range=text)
    assert got["Body"].read() == DATA[start:stop]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {start}-{stop - 1}/100"
    assert got["AcceptRanges"] == "bytes"
    head = lone.head_object(**made, Range=text)
    assert (head["ContentLength"], head["ContentRange"]) == (stop - start, got["ContentRange"])


@pytest.mark.parametrize("text", ["bytes=100-100", "bytes=100-110", "bytes=-0"])
def test_ranges_that_cannot_be(lone, made, refused, text):
    assert refused(lone.get_object, **made, Range=text) == (416, "InvalidRange")


@pytest.mark.parametrize("text", ["bytes=10-5", "bytes=abc", "bytes=a-z", "bytes=,", "bytes=0-0,1-2", "lines=0-1"])
def test_ranges_that_are_ignored(lone, made, text):
    got = lone.get_object(**made, Range=text)
    assert (got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]) == (DATA, 200)


def test_ranges_of_nothing(lone, fresh, refused):
    lone.put_object(Bucket=fresh, Key="empty", Body=b"")
    assert refused(lone.get_object, Bucket=fresh, Key="empty", Range="bytes=40-50") == (416, "InvalidRange")


# ---- metadata and overrides (s3.md 4.5)


def test_metadata_is_replaced_as_a_whole(lone, fresh):
    lone.put_object(Bucket=fresh, Key="m", Body=b"", Metadata={"Meta1": "a", "meta2": ""})
    assert lone.head_object(Bucket=fresh, Key="m")["Metadata"] == {"meta1": "a", "meta2": ""}
    lone.put_object(Bucket=fresh, Key="m", Body=b"", Metadata={"other": "b"})
    assert lone.head_object(Bucket=fresh, Key="m")["Metadata"] == {"other": "b"}


def test_overrides_and_stored_headers(lone, fresh, lone_server):
    stored = {"CacheControl": "no-cache", "ContentDisposition": "bla", "ContentLanguage": "esperanto"}
    lone.put_object(Bucket=fresh, Key="o", Body=b"x", ContentType="foo/bar", ContentEncoding="x", **stored)
    head = lone.head_object(Bucket=fresh, Key="o")
    assert {name: head[name] for name in stored} == stored
    asked = {"Type": "a/b", "Disposition": "d", "Language": "e", "Encoding": "f"}
    overrides = {f"ResponseContent{name}": value for name, value in asked.items()}
    got = lone.get_object(Bucket=fresh, Key="o", ResponseCacheControl="c", **overrides)
    found = [got[name] for name in ("ContentType", "CacheControl", "ContentDisposition", "ContentLanguage")]
    assert [*found, got["ContentEncoding"]] == ["a/b", "c", "d", "e", "f"]


def test_a_missing_key_and_a_missing_bucket(lone, fresh, refused):
    assert refused(lone.get_object, Bucket=fresh, Key="none") == (404, "NoSuchKey")
    assert refused(lone.get_object, Bucket="none-at-all", Key="none") == (404, "NoSuchBucket")
    assert refused(lone.head_object, Bucket=fresh, Key="none")[0] == 404
    assert lone.delete_object(Bucket=fresh, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(lone.put_object, Bucket="none-at-all", Key="k", Body=b"") == (404, "NoSuchBucket")


@pytest.mark.parametrize(("seconds", "good"), [(60, True), (604800, True), (0, False), (-5, False), (604801, False)])
def test_presigned_urls_live_at_most_a_week(lone_server, made, seconds, good):
    date = datetime.datetime.now(datetime.UTC).strftime(sigv4.AMZ_DATE)
    path, host = f"/{made['Bucket']}/k", f"127.0.0.1:{lone_server.port}"
    key = sigv4.signing_key("minio123", date[:8], "us-east-1")
    query = sigv4.presign("GET", path, [], {"host": host}, access_key="minio", key=key, region="us-east-1",
                          amz_date=date, expires=seconds)  # fmt: skip
    with Wire(lone_server.port) as wire:
        wire.send(f"GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = wire.answer()
    assert answer.body == DATA if good else answer.status in (400, 403)


def test_another_expected_owner(lone, made, refused):
    for operation in (lone.get_object, lone.head_object, lone.delete_object):
        assert refused(operation, **made, ExpectedBucketOwner="123456789012")[0] == 403
    assert refused(lone.list_objects_v2, Bucket=made["Bucket"], ExpectedBucketOwner="123456789012")[0] == 403


def test_attributes(lone, made, fresh):
    names = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    found = lone.get_object_attributes(**made, ObjectAttributes=names)
    assert (found["ETag"], found["ObjectSize"], found["StorageClass"]) == (HIT.strip('"'), 100, "STANDARD")
    assert "ObjectParts" not in found


# ---- copies (s3.md 7)


@pytest.mark.parametrize("name", [" ", "_", ":", "?versionId", "a+b", "ü/ö", "%41"])
def test_odd_names_are_copied(lone, fresh, name):
    lone.put_object(Bucket=fresh, Key=name, Body=b"x")
    lone.copy_object(Bucket=fresh, Key="copy", CopySource={"Bucket": fresh, "Key": name})
    assert lone.get_object(Bucket=fresh, Key="copy")["Body"].read() == b"x"


def test_copies_keep_or_replace_metadata(lone, fresh, refused):
    source = {"Bucket": fresh, "Key": "s"}
    lone.put_object(**source, Body=b"x", Metadata={"a": "b"}, ContentType="text/x", Tagging="t=u")
    lone.copy_object(Bucket=fresh, Key="kept", CopySource=source, Metadata={"ignored": "1"})
    kept = lone.head_object(Bucket=fresh, Key="kept")
    assert (kept["Metadata"], kept["ContentType"]) == ({"a": "b"}, "text/x")
    assert lone.get_object_tagging(Bucket=fresh, Key="kept")["TagSet"] == [{"Key": "t", "Value": "u"}]
    lone.copy_object(Bucket=fresh, Key="new", CopySource=source, Metadata={"c": "d"}, MetadataDirective="REPLACE",
                     TaggingDirective="REPLACE", Tagging="v=w")  # fmt: skip
    new = lone.head_object(Bucket=fresh, Key="new")
    assert (new["Metadata"], new["ContentType"]) == ({"c": "d"}, "binary/octet-stream")
    assert lone.get_object_tagging(Bucket=fresh, Key="new")["TagSet"] == [{"Key": "v", "Value": "w"}]
    wrong = {"Bucket": fresh, "Key": "new", "CopySource": source, "MetadataDirective": "BOTH"}
    assert refused(lone.copy_object, **wrong) == (400, "InvalidArgument")


def test_a_copy_onto_itself_must_change_something(lone, made, refused):
    same = {**made, "CopySource": made}
    assert refused(lone.copy_object, **same) == (400, "InvalidRequest")
    lone.copy_object(**same, Metadata={"x": "y"}, MetadataDirective="REPLACE")
    assert lone.head_object(**made)["Metadata"] == {"x": "y"}
    assert lone.get_object(**made)["Body"].read() == DATA


def test_copies_of_what_is_not_there(lone, fresh, refused):
    def copied(bucket, key):
        return refused(lone.copy_object, Bucket=fresh, Key="t", CopySource={"Bucket": bucket, "Key": key})

    assert copied(fresh, "none") == (404, "NoSuchKey")
    assert copied("none-at-all", "none") == (404, "NoSuchBucket")


def test_conditional_copies(lone, made, refused):
    target = {"Bucket": made["Bucket"], "Key": "t", "CopySource": made}
    assert refused(lone.copy_object, **target, CopySourceIfMatch=MISS)[0] == 412
    assert refused(lone.copy_object, **target, CopySourceIfNoneMatch=HIT)[0] == 412
    assert refused(lone.copy_object, **target, CopySourceIfUnmodifiedSince=OLD)[0] == 412
    lone.copy_object(**target, CopySourceIfMatch=HIT, CopySourceIfNoneMatch=MISS)
