import json

import pytest

from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import User
from strongroom.s3.domain.principals import ANONYMOUS, Credential, Principal
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.handlers.access import PolicyAccess
from strongroom.s3.handlers.call import Ask

ROOT = Credential("minio", "minio123", root=True)


@pytest.fixture
def access():
    directory = Directory(ROOT)
    directory.put("users", "ann", User(secret="x", policies=("readonly",)))
    directory.put("users", "bob", User(secret="x"))
    return PolicyAccess(directory), directory


def bucket(effect="Allow", principal="*"):
    statement = {"Effect": effect, "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    return BucketRecord(
        "b", "u", 0, config={"policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()}
    )


PLAIN = BucketRecord("b", "u", 0)


@pytest.mark.parametrize(
    ("who", "record", "allowed"),
    [
        ("minio", PLAIN, True),
        ("ann", PLAIN, True),
        ("bob", PLAIN, False),
        (None, PLAIN, False),
        (None, bucket(), True),
        ("bob", bucket(), True),
        ("bob", bucket(principal={"AWS": "arn:aws:iam:::user/bob"}), True),
        (None, bucket(principal={"AWS": "arn:aws:iam:::user/bob"}), False),
        ("ann", bucket("Deny"), False),
        ("minio", bucket("Deny"), True),
        (None, BucketRecord("b", "u", 0, config={"policy": b"rubbish"}), False),
        ("ann", BucketRecord("b", "u", 0, config={"policy": b"rubbish"}), False),
    ],
)
def test_identity_and_bucket_policies_together(access, who, record, allowed):
    rules, directory = access
    principal = Principal(directory.find(who)) if who else ANONYMOUS
    assert rules.allows(principal, Ask("s3:GetObject", "b", "k", record)) is allowed
    assert rules.allows(principal, Ask("s3:PutObject", "b", "k", record)) is (who == "minio")
