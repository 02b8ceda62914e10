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
