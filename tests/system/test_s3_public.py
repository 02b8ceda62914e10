"""Anonymous access: what a bucket policy opens, what a public access block closes again."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError
from system.test_s3_boto3 import ROOT, Served

from strongroom.s3 import app


@pytest.fixture(scope="module")
def served():
    server = Served(app.Settings(ROOT, None, "127.0.0.1", 0))
    yield server
    server.stop()


def policy(bucket, *actions):
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(actions),
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def get(served, path, method="GET", data=None):
    request = urllib.request.Request(served.running.url + path, method=method, data=data)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_public_bucket(served):
    s3 = served.client()
    s3.create_bucket(Bucket="open")
    s3.put_object(Bucket="open", Key="k", Body=b"hello")
    assert get(served, "/open/k")[0] == 403
    assert get(served, "/open/none")[0] == 403
    s3.put_bucket_policy(Bucket="open", Policy=policy("open", "s3:GetObject"))
    assert get(served, "/open/k") == (200, b"hello")
    assert get(served, "/open/none")[0] == 403  # who may not list does not learn what is missing
    assert get(served, "/open?list-type=2")[0] == 403
    assert get(served, "/open/k", "PUT", b"x")[0] == 403
    assert get(served, "/open/k?response-content-type=a%2Fb")[0] == 400
    s3.put_bucket_policy(Bucket="open", Policy=policy("open", "s3:GetObject", "s3:ListBucket", "s3:PutObject"))
    assert get(served, "/open/none")[0] == 404
    assert get(served, "/open?list-type=2")[0] == 200
    assert get(served, "/open/new", "PUT", b"x")[0] == 200
    assert s3.get_bucket_policy_status(Bucket="open")["PolicyStatus"]["IsPublic"]


def test_a_public_access_block(served):
    s3 = served.client()
    s3.create_bucket(Bucket="shut")
    s3.put_object(Bucket="shut", Key="k", Body=b"hello")
    s3.put_bucket_policy(Bucket="shut", Policy=policy("shut", "s3:GetObject"))
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket="shut", PublicAccessBlockConfiguration=block)
    assert get(served, "/shut/k")[0] == 403
    with pytest.raises(ClientError) as error:
        s3.put_bucket_policy(Bucket="shut", Policy=policy("shut", "s3:GetObject"))
    assert error.value.response["Error"]["Code"] == "AccessDenied"
    s3.delete_public_access_block(Bucket="shut")
    assert get(served, "/shut/k") == (200, b"hello")


def test_cors(served):
    s3 = served.client()
    s3.create_bucket(Bucket="cors")
    rule = {
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["https://*.example.org"],
        "AllowedHeaders": ["x-amz-*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    s3.put_bucket_cors(Bucket="cors", CORSConfiguration={"CORSRules": [rule]})

    def preflight(origin, method, headers=""):
        request = urllib.request.Request(f"{served.running.url}/cors/k", method="OPTIONS")
        request.add_header("Origin", origin)
        request.add_header("Access-Control-Request-Method", method)
        if headers:
            request.add_header("Access-Control-Request-Headers", headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, {}

    status, headers = preflight("https://a.example.org", "PUT", "X-Amz-Meta-A")
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "https://a.example.org"
    assert headers["Access-Control-Expose-Headers"] == "ETag"
    assert preflight("https://example.com", "PUT")[0] == 403
    assert preflight("https://a.example.org", "DELETE")[0] == 403
    assert preflight("https://a.example.org", "PUT", "x-other")[0] == 403


@pytest.fixture
def listed(served):
    """A bucket whose ownership setting lets ACLs count."""
    s3 = served.client()
    s3.create_bucket(Bucket="listed")
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket="listed", OwnershipControls=controls)
    yield s3
    for one in s3.list_objects_v2(Bucket="listed").get("Contents", []):
        s3.delete_object(Bucket="listed", Key=one["Key"])
    s3.delete_bucket(Bucket="listed")


def test_canned_acls_of_objects(served, listed):
    listed.put_object(Bucket="listed", Key="open", Body=b"1", ACL="public-read")
    listed.put_object(Bucket="listed", Key="shut", Body=b"2")
    listed.copy_object(Bucket="listed", Key="copied", CopySource="listed/shut", ACL="public-read")
    upload = listed.create_multipart_upload(Bucket="listed", Key="parts", ACL="public-read")["UploadId"]
    etag = listed.upload_part(Bucket="listed", Key="parts", UploadId=upload, PartNumber=1, Body=b"3")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    listed.complete_multipart_upload(Bucket="listed", Key="parts", UploadId=upload, MultipartUpload=parts)
    assert get(served, "/listed/open") == (200, b"1")
    assert get(served, "/listed/copied") == (200, b"2")
    assert get(served, "/listed/parts") == (200, b"3")
    assert get(served, "/listed/shut")[0] == 403
    assert get(served, "/listed/none")[0] == 403
    assert get(served, "/listed/open", "PUT", b"x")[0] == 403
    listed.put_object_acl(Bucket="listed", Key="shut", ACL="public-read")
    listed.put_object_acl(Bucket="listed", Key="open", ACL="private")
    assert get(served, "/listed/shut") == (200, b"2")
    assert get(served, "/listed/open")[0] == 403
    grants = listed.get_object_acl(Bucket="listed", Key="shut")["Grants"]
    assert [(one["Grantee"]["Type"], one["Permission"]) for one in grants] == [
        ("CanonicalUser", "FULL_CONTROL"),
        ("Group", "READ"),
    ]
    listed.put_object_acl(
        Bucket="listed",
        Key="open",
        AccessControlPolicy={"Grants": grants, "Owner": grants[0]["Grantee"] and {"ID": grants[0]["Grantee"]["ID"]}},
    )
    assert get(served, "/listed/open") == (200, b"1")


def test_canned_acls_of_buckets(served, listed):
    assert get(served, "/listed?list-type=2")[0] == 403
    listed.put_bucket_acl(Bucket="listed", ACL="public-read-write")
    assert get(served, "/listed?list-type=2")[0] == 200
    assert get(served, "/listed/by-anyone", "PUT", b"x")[0] == 200
    assert get(served, "/listed/by-anyone")[0] == 403  # who may write a bucket may not read its objects
    assert len(listed.get_bucket_acl(Bucket="listed")["Grants"]) == 3
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls"), True)
    listed.put_public_access_block(Bucket="listed", PublicAccessBlockConfiguration=block)
    assert get(served, "/listed?list-type=2")[0] == 403
    with pytest.raises(ClientError) as error:
        listed.put_object(Bucket="listed", Key="k", Body=b"", ACL="public-read")
    assert error.value.response["Error"]["Code"] == "AccessDenied"
    listed.delete_public_access_block(Bucket="listed")
    listed.put_bucket_acl(Bucket="listed", ACL="private")
    assert get(served, "/listed?list-type=2")[0] == 403


def test_without_an_ownership_setting_acls_do_not_count(served):
    s3 = served.client()
    s3.create_bucket(Bucket="enforced")
    s3.put_object(Bucket="enforced", Key="k", Body=b"1", ACL="public-read")
    assert get(served, "/enforced/k")[0] == 403
    with pytest.raises(ClientError):
        s3.put_object_acl(Bucket="enforced", Key="k", ACL="public-read")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"GrantRead": 'uri="http://acs.amazonaws.com/groups/global/Nobody"'}, "InvalidArgument"),
        ({"GrantRead": 'emailAddress="a@b"'}, "InvalidArgument"),
        ({"ACL": "private", "GrantRead": 'id="x"'}, "InvalidRequest"),
    ],
)
def test_refused_grants(listed, options, code):
    with pytest.raises(ClientError) as error:
        listed.put_object(Bucket="listed", Key="k", Body=b"", **options)
    assert error.value.response["Error"]["Code"] == code


def test_a_policy_that_denies_wins(served, listed):
    listed.put_object(Bucket="listed", Key="k", Body=b"1", ACL="public-read")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::listed/*"}
    listed.put_bucket_policy(Bucket="listed", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert get(served, "/listed/k")[0] == 403
    listed.delete_bucket_policy(Bucket="listed")
    assert get(served, "/listed/k")[0] == 200
