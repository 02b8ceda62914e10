"""A number of thousands of digits is a wrong one, wherever a request may have it: Python itself would not read it."""

import base64
import hashlib

import pytest
from s3_memory import with_object

LONG = "9" * 5000
LOCK = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    f"<Mode>GOVERNANCE</Mode><Days>{LONG}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)
CONDITION = f'{{"NumericEquals": {{"s3:max-keys": {LONG}}}}}'
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", '
    f'"Resource": "arn:aws:s3:::data", "Condition": {CONDITION}}}]}}'
)


@pytest.fixture(scope="module")
def world():
    yield from with_object("k", b"x")


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body"),
    [
        ("GET", "/", f"max-buckets={LONG}", {}, ""),
        ("GET", "/data", f"list-type=2&max-keys={LONG}", {}, ""),
        ("GET", "/data", f"uploads&max-uploads={LONG}", {}, ""),
        ("GET", "/data/k", f"partNumber={LONG}", {}, ""),
        ("PUT", "/data/k", f"partNumber={LONG}&uploadId=x", {}, "x"),
        ("GET", "/data/k", "attributes", {"x-amz-object-attributes": "ETag,ObjectParts", "x-amz-max-parts": LONG}, ""),
        ("PUT", "/data", "object-lock", {}, LOCK),
        ("PUT", "/data", "policy", {}, POLICY),
        ("GET", "/data/k", "", {"range": f"bytes=0-{LONG}"}, ""),
        ("PUT", "/data/k", "", {"x-amz-copy-source": "/data/k", "x-amz-copy-source-range": f"bytes=0-{LONG}"}, ""),
        ("DELETE", "/data/k", "", {"x-amz-if-match-size": LONG}, ""),
        ("POST", "/data/k", "uploadId=x", {"x-amz-mp-object-size": LONG}, "x"),
    ],
)
def test_a_long_number(world, method, path, query, headers, body):
    data = body.encode()
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    answer = world.send(method, path, query, {**headers, "content-md5": md5}, data)
    assert answer.status < 500, (answer.status, answer.code)
