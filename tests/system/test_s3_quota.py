"""A bucket's quota: set by the admin API, kept by every kind of write."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from system.test_s3_boto3 import ROOT, Served

from strongroom.s3 import app


@pytest.fixture(params=["memory", "files"])
def served(request, tmp_path):
    server = Served(app.Settings(ROOT, None if request.param == "memory" else tmp_path / "data", "127.0.0.1", 0))
    yield server
    server.stop()


def admin(served, method, call, body=b""):
    url = f"{served.running.url}/minio/admin/v3/{call}"
    request = AWSRequest(method, url, data=body)
    S3SigV4Auth(Credentials("rootuser", "rootpassword"), "s3", "us-east-1").add_auth(request)
    sent = urllib.request.Request(url, data=body or None, headers=dict(request.headers), method=method)
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_quota_holds(served):
    s3 = served.client()
    s3.create_bucket(Bucket="small")
    assert json.loads(admin(served, "GET", "get-bucket-quota?bucket=small")[1])["quota"] == 0
    assert admin(served, "PUT", "set-bucket-quota?bucket=small", b'{"quota":1000,"quotatype":"hard"}')[0] == 200
    assert json.loads(admin(served, "GET", "get-bucket-quota?bucket=small")[1]) == {
        "quota": 1000,
        "size": 1000,
        "rate": 0,
        "requests": 0,
        "quotatype": "hard",
    }
    s3.put_object(Bucket="small", Key="a", Body=b"x" * 600)
    for write in (
        lambda: s3.put_object(Bucket="small", Key="b", Body=b"x" * 600),
        lambda: s3.copy_object(Bucket="small", Key="c", CopySource="small/a"),
    ):
        with pytest.raises(ClientError) as error:
            write()
        assert error.value.response["Error"]["Code"] == "XMinioAdminBucketQuotaExceeded"
    s3.put_object(Bucket="small", Key="a", Body=b"x" * 900)  # over the first one, in a bucket without versions
    assert admin(served, "PUT", "set-bucket-quota?bucket=small", b'{"quota":0}')[0] == 200
    s3.put_object(Bucket="small", Key="b", Body=b"x" * 600)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"quota":-1}', b'{"quota":"x"}', b'{"quota":1,"quotatype":"fifo"}'])
def test_bad_quotas(served, body):
    served.client().create_bucket(Bucket="small")
    status, answer = admin(served, "PUT", "set-bucket-quota?bucket=small", body)
    assert status == 400, answer
    assert admin(served, "GET", "get-bucket-quota?bucket=none")[0] == 404
