import json

import pytest

from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import Account, User
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


NARROW = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/*"}],
    }
)


@pytest.mark.parametrize(
    ("policy", "principal", "allowed"),
    [
        ("", {"AWS": "bob"}, True),  # without a policy of its own an account is its user
        (NARROW, {"AWS": "bob"}, False),  # its own policy does not let it read, whatever its user may
        (NARROW, {"AWS": "svc-bob"}, True),
        (NARROW, "*", True),
        (NARROW, {"AWS": "ann"}, False),
    ],
)
def test_an_account_s_own_policy_bounds_what_buckets_allow_its_user(access, policy, principal, allowed):
    rules, directory = access
    directory.put("accounts", "svc-bob", Account(secret="x", parent="bob", policy=policy))
    caller = Principal(directory.find("svc-bob"))
    record = bucket(principal=principal)
    assert rules.allows(caller, Ask("s3:GetObject", "b", "k", record)) is allowed
    assert rules.allows(
        Principal(directory.find("bob")), Ask("s3:GetObject", "b", "k", bucket(principal={"AWS": "bob"}))
    )
    denied = bucket("Deny", {"AWS": "bob"})
    assert not rules.allows(caller, Ask("s3:GetObject", "b", "k", denied))
