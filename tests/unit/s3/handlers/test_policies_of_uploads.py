"""A policy that asks for a header lets a multipart upload through whose creation had it: parts repeat no headers."""

import datetime

import pytest
from s3_memory import allow, deny, with_object

UNTIL = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
ENCRYPTION = "s3:x-amz-server-side-encryption"


@pytest.fixture(scope="module")
def world():
    yield from with_object("source", b"hello")


def upload(world, who, headers, key="/data/up"):
    """Return the statuses of creation, part, copied part and end."""
    made = world.send("POST", key, "uploads", headers, who=who)
    if made.status != 200:
        return [made.status]
    name = made.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    part = world.send("PUT", key, f"partNumber=1&uploadId={name}", {}, b"x", who=who)
    source = {"x-amz-copy-source": "/data/source"}
    copied = world.send("PUT", key, f"partNumber=2&uploadId={name}", source, who=who)
    etag = part.headers.get("etag", "")
    body = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    done = world.send("POST", key, f"uploadId={name}", {}, body.encode(), who=who)
    return [made.status, part.status, copied.status, done.status]


@pytest.mark.parametrize(
    ("condition", "headers"),
    [
        ({"Null": {ENCRYPTION: "true"}}, {"x-amz-server-side-encryption": "AES256"}),
        ({"StringNotEquals": {ENCRYPTION: "aws:kms"}}, {"x-amz-server-side-encryption": "aws:kms"}),
        (
            {"StringNotEquals": {f"{ENCRYPTION}-aws-kms-key-id": "my-key"}},
            {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "my-key"},
        ),
        (
            {"StringNotEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
            {"x-amz-acl": "bucket-owner-full-control"},
        ),
        ({"StringNotEquals": {"s3:RequestObjectTag/team": "a"}}, {"x-amz-tagging": "team=a"}),
        (
            {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "1"}},
            {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": UNTIL},
        ),
    ],
)
def test_what_an_upload_was_created_with_counts_for_all_of_it(world, condition, headers):
    asked = "Null" in condition or "StringNotEquals" in condition
    ann = world.user("ann", allow("s3:*", "*"), deny("s3:PutObject", "data/*", Condition=condition))
    assert upload(world, ann, headers if asked else {}) == [200, 200, 200, 200]
    assert upload(world, ann, {} if asked else headers) == [403]


def test_an_upload_that_a_policy_would_not_have_let_begin_goes_no_further(world):
    made = world.send("POST", "/data/up", "uploads")
    name = made.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    ann = world.user(
        "ann", allow("s3:*", "*"), deny("s3:PutObject", "data/*", Condition={"Null": {ENCRYPTION: "true"}})
    )
    query = f"partNumber=1&uploadId={name}"
    assert world.send("PUT", "/data/up", query, {}, b"x", who=ann).code == "AccessDenied"
    assert world.send("PUT", "/data/up", "partNumber=1&uploadId=none", {}, b"x", who=ann).code == "AccessDenied"
    assert world.send("PUT", "/data/up", "partNumber=1&uploadId=none", {}, b"x").code == "NoSuchUpload"


def test_conditional_writes_can_be_enforced(world):
    condition = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    ann = world.user("ann", allow("s3:*", "*"), deny("s3:PutObject", "data/*", Condition=condition))
    assert upload(world, ann, {}) == [200, 200, 200, 403]
    assert world.send("PUT", "/data/once", "", {}, b"x", who=ann).code == "AccessDenied"
    assert world.send("PUT", "/data/once", "", {"if-none-match": "*"}, b"x", who=ann).status == 200
