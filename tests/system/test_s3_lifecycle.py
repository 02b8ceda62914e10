"""Lifecycle rules, with a day of half a second: what they remove, and what they must leave."""

import time

import pytest
from system.test_s3_boto3 import ROOT, Served

from strongroom.s3 import app


@pytest.fixture(scope="module", params=["memory", "files"])
def served(request, tmp_path_factory):
    folder = None if request.param == "memory" else tmp_path_factory.mktemp("s3") / "data"
    server = Served(app.Settings(ROOT, folder, "127.0.0.1", 0, day_seconds=0.4))
    yield server
    server.stop()


@pytest.fixture
def s3(served):
    return served.client()


def until(check, seconds=15):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def keys(s3, bucket):
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def put_rules(s3, bucket, *rules):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})


def test_expiry_by_prefix_tag_and_size(s3):
    s3.create_bucket(Bucket="expire")
    for key, options in (
        ("old/a", {}),
        ("keep/b", {}),
        ("t", {"Tagging": "x=1"}),
        ("big", {"Body": b"x" * 100}),
        ("small", {}),
    ):
        s3.put_object(Bucket="expire", Key=key, **options)
    put_rules(
        s3,
        "expire",
        {"ID": "p", "Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Days": 1}},
        {"ID": "t", "Status": "Enabled", "Filter": {"Tag": {"Key": "x", "Value": "1"}}, "Expiration": {"Days": 1}},
        {"ID": "s", "Status": "Enabled", "Filter": {"ObjectSizeGreaterThan": 50}, "Expiration": {"Days": 1}},
        {"ID": "d", "Status": "Disabled", "Filter": {"Prefix": "keep/"}, "Expiration": {"Days": 1}},
    )
    assert 'rule-id="p"' in s3.put_object(Bucket="expire", Key="old/c")["Expiration"]
    assert "Expiration" not in s3.head_object(Bucket="expire", Key="small")
    until(lambda: keys(s3, "expire") == ["keep/b", "small"])


def test_versions_markers_and_uploads(s3):
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(4):
        s3.put_object(Bucket="versions", Key="k", Body=b"1")
    s3.put_object(Bucket="versions", Key="gone", Body=b"1")
    s3.create_multipart_upload(Bucket="versions", Key="never")
    put_rules(
        s3,
        "versions",
        {"ID": "e", "Status": "Enabled", "Filter": {"Prefix": "gone"}, "Expiration": {"Days": 1}},
        {
            "ID": "n",
            "Status": "Enabled",
            "Filter": {},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
        {
            "ID": "g",
            "Status": "Enabled",
            "Filter": {"Prefix": "gone"},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        },
    )

    def settled():
        found = s3.list_object_versions(Bucket="versions")
        uploads = s3.list_multipart_uploads(Bucket="versions").get("Uploads", [])
        return (
            [v["Key"] for v in found.get("Versions", [])] == ["k", "k"]
            and not found.get("DeleteMarkers")
            and not uploads
        )

    until(settled)


def test_a_locked_version_stays(s3):
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    held = s3.put_object(Bucket="locked", Key="k", Body=b"1", ObjectLockLegalHoldStatus="ON")["VersionId"]
    free = s3.put_object(Bucket="locked", Key="k", Body=b"2")["VersionId"]
    newest = s3.put_object(Bucket="locked", Key="k", Body=b"3")["VersionId"]
    put_rules(
        s3,
        "locked",
        {"ID": "n", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    )
    until(lambda: free not in [v["VersionId"] for v in s3.list_object_versions(Bucket="locked")["Versions"]])
    time.sleep(0.3)
    assert {v["VersionId"] for v in s3.list_object_versions(Bucket="locked")["Versions"]} == {held, newest}


def test_a_rule_without_id_gets_one(s3):
    s3.create_bucket(Bucket="named")
    put_rules(s3, "named", {"Status": "Enabled", "Prefix": "a", "Expiration": {"Days": 1}})
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket="named")["Rules"]
    assert rule.pop("ID")
    assert rule == {"Status": "Enabled", "Prefix": "a", "Expiration": {"Days": 1}}
