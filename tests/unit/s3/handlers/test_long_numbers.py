"""A number of thousands of digits is a wrong one, wherever a request may have it: Python itself would not read it."""

import base64
import hashlib

import pytest
from s3_memory import with_object

from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import batch
from strongroom.s3.wire.admin import moment_of
from strongroom.s3.wire.lock_xml import parse_time

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
        ("DELETE", "/data/k", "", {"x-amz-if-match-last-modified-time": f"1 jan {LONG[:20]} 0:0:0 +0000"}, ""),
        ("DELETE", "/data/k", "", {"x-amz-if-match-last-modified-time": f"1 jan 2026 0:0:0 +{LONG[:20]}"}, ""),
        ("GET", "/data/k", "", {"if-modified-since": f"1 jan 2026 0:0:0 +{LONG[:20]}"}, ""),
        ("GET", "/data/k", "", {"if-unmodified-since": f"1 jan {LONG[:20]} 0:0:0 +0000"}, ""),
    ],
)
def test_a_long_number(world, method, path, query, headers, body):
    data = body.encode()
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    answer = world.send(method, path, query, {**headers, "content-md5": md5}, data)
    assert answer.status < 500, (answer.status, answer.code)


FAR = "9999-12-31T00:00:00Z"
LATE = "9999-12-31T23:59:59-14:00"  # in UTC, the year 10000


def lifecycle(inner):
    rule = f"<Rule><Status>Enabled</Status><Filter/><Expiration>{inner}</Expiration></Rule>"
    return f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>"


@pytest.mark.parametrize(
    ("path", "query", "headers", "body"),
    [
        ("/data", "lifecycle", {}, lifecycle("<Days>99999999999999</Days>")),
        ("/data", "lifecycle", {}, lifecycle(f"<Date>{LATE}</Date>")),
        (
            "/data/k",
            "",
            {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": LATE},
            "x",
        ),
        (
            "/data/k",
            "retention",
            {},
            f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{LATE}</RetainUntilDate></Retention>",
        ),
    ],
)
def test_a_day_that_no_calendar_has_breaks_nothing(world, path, query, headers, body):
    """Kept, it would have been the end of every answer that tells of it."""
    data = body.encode()
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    assert world.send("PUT", path, query, {**headers, "content-md5": md5}, data).status < 500
    assert world.send("PUT", "/data/k", "", {}, b"x").status == 200
    assert world.send("GET", "/data/k").body == b"x"
    assert world.send("GET", "/data/k", "retention").status in (200, 400)
    world.send("DELETE", "/data", "lifecycle")


def _moment_or_none(text):
    try:
        return batch._moment({"createdAfter": text}, "createdAfter")
    except Refused:
        return None


@pytest.mark.parametrize("until", [FAR, "2554-07-22T00:00:00Z", "2554-07-21T00:00:00Z"])
def test_a_retention_that_no_record_holds_is_refused(world, until):
    headers = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": until}
    body = f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>".encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    wanted = (200, "") if until.startswith("2554-07-21") else (400, "InvalidArgument")
    answer = world.send("PUT", "/data/far", "", headers, b"x")
    assert (answer.status, answer.code) == wanted
    assert world.send("PUT", "/data/far", "", {}, b"x").status == 200
    answer = world.send("PUT", "/data/far", "retention", {"content-md5": md5}, body)
    assert (answer.status, answer.code) == wanted


@pytest.mark.parametrize("read", [moment_of, parse_time, _moment_or_none])
def test_the_year_10000(read):
    assert read(LATE) is None
    assert read("9999-12-31T23:59:59Z") is not None
