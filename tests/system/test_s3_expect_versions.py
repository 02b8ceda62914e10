"""What conformance suites expect of versions and locks (s3.md 8.1, 8.2)."""

import datetime
import threading

import pytest
from raw_s3 import call

SOON = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
LATER = SOON + datetime.timedelta(days=30)


@pytest.fixture
def versioned(lone, fresh):
    lone.put_bucket_versioning(Bucket=fresh, VersioningConfiguration={"Status": "Enabled"})
    return fresh


@pytest.fixture
def locked(lone, fresh):
    name = f"{fresh}-locked"
    lone.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


# ---- versioning (s3.md 8.1)


def test_a_bucket_never_set_shows_nothing(lone, fresh):
    assert "Status" not in lone.get_bucket_versioning(Bucket=fresh)
    assert "VersionId" not in lone.put_object(Bucket=fresh, Key="k", Body=b"")


def test_three_deletes_leave_three_markers(lone, versioned):
    ids = [lone.delete_object(Bucket=versioned, Key="k")["VersionId"] for _ in range(3)]
    markers = lone.list_object_versions(Bucket=versioned)["DeleteMarkers"]
    assert [one["VersionId"] for one in markers] == ids[::-1]
    assert [one["IsLatest"] for one in markers] == [True, False, False]


def test_markers_answer_for_themselves(lone, lone_server, versioned, refused):
    lone.put_object(Bucket=versioned, Key="k", Body=b"")
    marker = lone.delete_object(Bucket=versioned, Key="k")
    assert marker["DeleteMarker"] is True
    answer = call(lone_server.port, "GET", f"/{versioned}/k")
    assert (answer.status, answer.code, answer.headers["x-amz-delete-marker"]) == (404, "NoSuchKey", "true")
    answer = call(lone_server.port, "GET", f"/{versioned}/k", query=f"versionId={marker['VersionId']}")
    assert (answer.status, answer.code, answer.headers["x-amz-delete-marker"]) == (405, "MethodNotAllowed", "true")
    removed = lone.delete_object(Bucket=versioned, Key="k", VersionId=marker["VersionId"])
    assert (removed["DeleteMarker"], removed["VersionId"]) == (True, marker["VersionId"])
    assert lone.get_object(Bucket=versioned, Key="k")["Body"].read() == b""
    unknown = "00000000-0000-4000-8000-000000000000"
    assert refused(lone.get_object, Bucket=versioned, Key="k", VersionId=unknown) == (404, "NoSuchVersion")
    assert lone.delete_object(Bucket=versioned, Key="k", VersionId=unknown)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_suspended_versioning_keeps_one_null_version(lone, versioned):
    first = lone.put_object(Bucket=versioned, Key="k", Body=b"1")["VersionId"]
    lone.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    assert "VersionId" not in lone.put_object(Bucket=versioned, Key="k", Body=b"2")
    lone.put_object(Bucket=versioned, Key="k", Body=b"3")
    assert [one["VersionId"] for one in lone.list_object_versions(Bucket=versioned)["Versions"]] == ["null", first]
    marker = lone.delete_object(Bucket=versioned, Key="k")
    assert (marker["DeleteMarker"], marker["VersionId"]) == (True, "null")
    found = lone.list_object_versions(Bucket=versioned)
    assert [one["VersionId"] for one in found["Versions"]] == [first]
    assert [one["VersionId"] for one in found["DeleteMarkers"]] == ["null"]
    assert lone.get_object(Bucket=versioned, Key="k", VersionId=first)["Body"].read() == b"1"


def test_objects_from_before_are_null_versions(lone, fresh):
    lone.put_object(Bucket=fresh, Key="k", Body=b"before")
    lone.put_bucket_versioning(Bucket=fresh, VersioningConfiguration={"Status": "Enabled"})
    lone.put_object(Bucket=fresh, Key="k", Body=b"after")
    assert lone.get_object(Bucket=fresh, Key="k", VersionId="null")["Body"].read() == b"before"
    lone.delete_object(Bucket=fresh, Key="k", VersionId="null")
    assert len(lone.list_object_versions(Bucket=fresh)["Versions"]) == 1


def test_versions_made_at_once_are_all_kept(lone, versioned):
    ids = []
    threads = [
        threading.Thread(target=lambda n=n: ids.append(lone.put_object(Bucket=versioned, Key="k", Body=b"%d" % n)))
        for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one["VersionId"] for one in ids}) == 10
    assert len(lone.list_object_versions(Bucket=versioned)["Versions"]) == 10


def test_bulk_deletes_say_what_marker_they_made(lone, versioned):
    lone.put_object(Bucket=versioned, Key="k", Body=b"")
    made = lone.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k"}]})["Deleted"][0]
    assert made["DeleteMarker"] is True
    doomed = {"Key": "k", "VersionId": made["DeleteMarkerVersionId"]}
    gone = lone.delete_objects(Bucket=versioned, Delete={"Objects": [doomed]})["Deleted"][0]
    assert gone["VersionId"] == gone["DeleteMarkerVersionId"] == made["DeleteMarkerVersionId"]


def test_an_old_version_is_restored_by_a_copy(lone, versioned):
    old = lone.put_object(Bucket=versioned, Key="k", Body=b"old")["VersionId"]
    lone.put_object(Bucket=versioned, Key="k", Body=b"new")
    source = {"Bucket": versioned, "Key": "k", "VersionId": old}
    copied = lone.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert copied["CopySourceVersionId"] == old
    assert copied["VersionId"] not in (old, None)
    assert lone.get_object(Bucket=versioned, Key="k")["Body"].read() == b"old"


# ---- object lock (s3.md 8.2)


def test_lock_configurations(lone, fresh, locked, refused):
    assert lone.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    assert refused(lone.get_object_lock_configuration, Bucket=fresh) == (404, "ObjectLockConfigurationNotFoundError")

    def put(bucket, rule, enabled="Enabled"):
        made = {"ObjectLockEnabled": enabled, "Rule": {"DefaultRetention": rule}}
        return refused(lone.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=made)

    assert put(fresh, {"Mode": "GOVERNANCE", "Days": 1}) == (409, "InvalidBucketState")
    assert put(locked, {"Mode": "GOVERNANCE", "Days": 1, "Years": 1}) == (400, "InvalidArgument")
    assert put(locked, {"Mode": "abc", "Days": 1}) == (400, "MalformedXML")
    assert put(locked, {"Mode": "governance", "Days": 1}) == (400, "MalformedXML")
    assert put(locked, {"Mode": "GOVERNANCE", "Days": 1}, "Disabled") == (400, "MalformedXML")
    assert put(locked, {"Mode": "GOVERNANCE", "Days": 0}) == (400, "InvalidArgument")
    assert put(locked, {"Mode": "GOVERNANCE", "Years": -1}) == (400, "InvalidArgument")
    suspend = {"Bucket": locked, "VersioningConfiguration": {"Status": "Suspended"}}
    assert refused(lone.put_bucket_versioning, **suspend) == (409, "InvalidBucketState")


def test_retention_is_kept_and_lengthened(lone, locked, refused):
    where = {"Bucket": locked, "Key": "k"}
    version = lone.put_object(**where, Body=b"x")["VersionId"]

    def retain(mode, until, **more):
        retention = {"Mode": mode, "RetainUntilDate": until}
        return lone.put_object_retention(**where, Retention=retention, **more)

    retain("GOVERNANCE", SOON)
    retain("GOVERNANCE", LATER)
    for mode, until in (("GOVERNANCE", SOON), ("COMPLIANCE", LATER)):
        arguments = {"Retention": {"Mode": mode, "RetainUntilDate": until}}
        assert refused(lone.put_object_retention, **where, **arguments) == (403, "AccessDenied")
    assert refused(lone.delete_object, **where, VersionId=version) == (403, "AccessDenied")
    retain("GOVERNANCE", SOON, BypassGovernanceRetention=True)
    assert lone.head_object(**where)["ObjectLockMode"] == "GOVERNANCE"
    failed = lone.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    assert failed["Errors"][0]["Code"] == "AccessDenied"
    lone.delete_object(**where, VersionId=version, BypassGovernanceRetention=True)


def test_nothing_shortens_compliance(lone, locked, refused):
    where = {"Bucket": locked, "Key": "k"}
    version = lone.put_object(**where, Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=SOON)
    shorter = {"Mode": "COMPLIANCE", "RetainUntilDate": SOON - datetime.timedelta(days=1)}
    for bypass in (False, True):
        more = {"BypassGovernanceRetention": bypass}
        assert refused(lone.put_object_retention, **where, Retention=shorter, **more) == (403, "AccessDenied")
        assert refused(lone.delete_object, **where, VersionId=version["VersionId"], **more) == (403, "AccessDenied")
    lone.put_object(**where, Body=b"a new version is always possible")
    assert lone.delete_object(**where)["DeleteMarker"] is True


def test_legal_holds(lone, locked, fresh, refused):
    where = {"Bucket": locked, "Key": "k"}
    version = lone.put_object(**where, Body=b"x")["VersionId"]
    assert refused(lone.get_object_legal_hold, **where) == (400, "NoSuchObjectLockConfiguration")
    lone.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    assert lone.get_object_legal_hold(**where)["LegalHold"]["Status"] == "ON"
    for bypass in (False, True):
        assert refused(lone.delete_object, **where, VersionId=version, BypassGovernanceRetention=bypass)[0] == 403
    wrong = {"Status": "abc"}
    assert refused(lone.put_object_legal_hold, **where, LegalHold=wrong) == (400, "MalformedXML")
    lone.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
    assert lone.get_object_legal_hold(**where)["LegalHold"]["Status"] == "OFF"
    assert lone.head_object(**where)["ObjectLockLegalHoldStatus"] == "OFF"
    lone.delete_object(**where, VersionId=version)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    lone.put_object(**where, Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=later)
    assert refused(lone.get_object_legal_hold, **where) == (400, "NoSuchObjectLockConfiguration")
    lone.put_object(**where, Body=b"x", ObjectLockLegalHoldStatus="OFF")
    assert lone.get_object_legal_hold(**where)["LegalHold"]["Status"] == "OFF"
    lone.put_object(Bucket=fresh, Key="k", Body=b"")
    on = {"LegalHold": {"Status": "ON"}}
    assert refused(lone.put_object_legal_hold, Bucket=fresh, Key="k", **on) == (400, "InvalidRequest")
    assert refused(lone.get_object_legal_hold, Bucket=fresh, Key="k") == (400, "InvalidRequest")
    assert refused(lone.get_object_retention, Bucket=fresh, Key="k") == (400, "InvalidRequest")


def test_default_retention(lone, locked):
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    lone.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    lone.put_object(Bucket=locked, Key="d", Body=b"")
    lone.put_object(Bucket=locked, Key="e", Body=b"", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=SOON)
    found = lone.head_object(Bucket=locked, Key="d")["ObjectLockRetainUntilDate"]
    assert found - datetime.datetime.now(datetime.UTC) < datetime.timedelta(days=1, seconds=5)
    assert abs(lone.head_object(Bucket=locked, Key="e")["ObjectLockRetainUntilDate"] - SOON) < datetime.timedelta(
        seconds=1
    )
