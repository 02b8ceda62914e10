"""Metrics under the original's names, and a chained audit line for every request."""

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError
from system.test_s3_boto3 import KMS, ROOT, Served

from strongroom.audit.chain import verify
from strongroom.errors import Tampered
from strongroom.s3 import app


@pytest.fixture
def served(tmp_path):
    server = Served(app.Settings(ROOT, tmp_path / "data", "127.0.0.1", 0, kms=KMS, audit=str(tmp_path / "audit.log")))
    server.audit = tmp_path / "audit.log"
    yield server
    if server.thread.is_alive():
        server.stop()


def part(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def token(secret, *, expires=60, subject="rootuser"):
    claims = {"exp": int(time.time()) + expires, "sub": subject, "iss": "prometheus"}
    text = part(b'{"alg":"HS512","typ":"JWT"}') + "." + part(json.dumps(claims).encode())
    return text + "." + part(hmac.digest(secret, text.encode(), hashlib.sha512))


def scrape(served, path, bearer=None):
    request = urllib.request.Request(served.running.url + path)
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def test_metrics(served):
    s3 = served.client()
    s3.create_bucket(Bucket="counted")
    s3.put_object(Bucket="counted", Key="k", Body=b"x" * 1000)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="counted", Key="none")
    text = scrape(served, "/minio/v2/metrics/cluster", token(b"rootpassword"))
    assert 'minio_s3_requests_total{api="putobject"} 1\n' in text
    assert 'minio_s3_requests_4xx_errors_total{api="getobject"} 1\n' in text
    assert 'minio_bucket_usage_total_bytes{bucket="counted"} 1000\n' in text
    assert 'minio_s3_requests_ttfb_seconds_distribution{api="putobject",le="+Inf"} 1\n' in text
    assert "minio_bucket" not in scrape(served, "/minio/v2/metrics/node", token(b"rootpassword"))


def test_the_third_set_of_metrics(served):
    s3 = served.client()
    s3.create_bucket(Bucket="counted")
    s3.put_object(Bucket="counted", Key="k", Body=b"x" * 1000)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="counted", Key="none")
    text = scrape(served, "/minio/metrics/v3", token(b"rootpassword"))
    for line in (
        'minio_api_requests_total{name="PutObject",type="s3"} 1',
        'minio_api_requests_4xx_errors_total{name="GetObject",type="s3"} 1',
        'minio_api_requests_ttfb_seconds_distribution{name="PutObject",type="s3",le="+Inf"} 1',
        'minio_cluster_usage_buckets_total_bytes{bucket="counted"} 1000',
        "minio_cluster_usage_objects_count 1",
        "minio_cluster_health_nodes_online_count 1",
        "strongroom_kms_online 1",
    ):
        assert line + "\n" in text, line
    part = scrape(served, "/minio/metrics/v3/cluster/usage", token(b"rootpassword"))
    assert {line.split("{")[0].split(" ")[0][:20] for line in part.splitlines() if line[0] != "#"} == {
        "minio_cluster_usage_"
    }
    assert "resident" in scrape(served, "/minio/metrics/v3/system/process", token(b"rootpassword"))
    with pytest.raises(urllib.error.HTTPError) as error:
        scrape(served, "/minio/metrics/v3")
    assert error.value.code == 403
    with pytest.raises(urllib.error.HTTPError):
        scrape(served, "/minio/metrics/v3/api/other", token(b"rootpassword"))


@pytest.mark.parametrize(
    "bearer", [None, "x.y.z", token(b"wrong"), token(b"rootpassword", expires=-1), token(b"rootpassword", subject="x")]
)
def test_metrics_need_a_token(served, bearer):
    with pytest.raises(urllib.error.HTTPError) as error:
        scrape(served, "/minio/v2/metrics/cluster", bearer)
    assert error.value.code == 403


def test_every_request_leaves_a_line(served):
    s3 = served.client()
    s3.create_bucket(Bucket="audited")
    s3.put_object(Bucket="audited", Key="plain", Body=b"1")
    answer = s3.put_object(Bucket="audited", Key="kms", Body=b"2", ServerSideEncryption="aws:kms", SSEKMSKeyId="my-key")
    s3.get_object(Bucket="audited", Key="kms")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="audited", Key="none")
    served.stop()
    lines = served.audit.read_bytes().splitlines(keepends=True)
    assert verify(lines).lines == len(lines)
    assert served.audit.stat().st_mode & 0o777 == 0o600
    events = [event for event in map(json.loads, lines) if "operation" in event]
    assert [(e["operation"], e["key"], e["status"]) for e in events] == [
        ("CreateBucket", "", 200),
        ("PutObject", "plain", 200),
        ("PutObject", "kms", 200),
        ("GetObject", "kms", 200),
        ("GetObject", "none", 404),
    ]
    assert "encryption" not in events[1]
    assert events[2]["encryption"] == events[3]["encryption"] == {"kind": "aws:kms", "key": "my-key", "key_version": 1}
    assert events[2]["request_id"] == answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    assert events[2]["who"] == "rootuser"
    changed = [lines[0], lines[1].replace(b"plain", b"other"), *lines[2:]]
    with pytest.raises(Tampered):
        verify(changed)
