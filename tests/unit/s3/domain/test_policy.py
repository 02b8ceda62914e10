"""Policy documents and decisions; cases from the AWS IAM user guide's own rules."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Malformed, TooLarge
from strongroom.s3.domain.policy.canned import CANNED
from strongroom.s3.domain.policy.decide import Question, Verdict, decide, is_public
from strongroom.s3.domain.policy.document import parse_bucket_policy, parse_identity_policy


def bucket_policy(**statement):
    base = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    merged = {name: value for name, value in {**base, **statement}.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [merged]}).encode()


def ask(text, action="s3:GetObject", resource="b/k", principals=(), **values):
    question = Question(
        action, resource, principals, {name.replace("__", ":"): value for name, value in values.items()}
    )
    return decide([parse_bucket_policy(text, "b")], question)


@pytest.mark.parametrize(
    ("statement", "question", "verdict"),
    [
        ({}, {}, "allow"),
        ({}, {"action": "s3:PutObject"}, "silent"),
        ({"Action": "s3:get*"}, {}, "allow"),
        ({"Action": "S3:GetObject"}, {}, "allow"),
        ({"Action": ["s3:Get?bject"]}, {}, "allow"),
        ({"Effect": "Deny"}, {}, "deny"),
        ({"Action": None, "NotAction": "s3:PutObject"}, {}, "allow"),
        ({"Action": None, "NotAction": "s3:Get*"}, {}, "silent"),
        ({"Resource": "arn:aws:s3:::b/a*"}, {}, "silent"),
        ({"Resource": "arn:aws:s3:::b/k"}, {"resource": "b/k/x"}, "silent"),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/secret/*"}, {}, "allow"),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/secret/*"}, {"resource": "b/secret/x"}, "silent"),
        ({"Principal": {"AWS": "arn:aws:iam:::user/ann"}}, {}, "silent"),
        ({"Principal": {"AWS": "arn:aws:iam:::user/ann"}}, {"principals": ["ann"]}, "allow"),
        ({"Principal": {"AWS": ["ann", "bob"]}}, {"principals": ["bob"]}, "allow"),
        ({"Effect": "Deny", "Principal": None, "NotPrincipal": {"AWS": "ann"}}, {"principals": ["ann"]}, "silent"),
        ({"Effect": "Deny", "Principal": None, "NotPrincipal": {"AWS": "ann"}}, {"principals": ["bob"]}, "deny"),
    ],
)
def test_decision(statement, question, verdict):
    assert ask(bucket_policy(**statement), **question) is Verdict(verdict)


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ({"StringEquals": {"s3:prefix": "a"}}, {"s3__prefix": ["a"]}, True),
        ({"StringEquals": {"s3:prefix": ["x", "a"]}}, {"s3__prefix": ["a"]}, True),
        ({"StringEquals": {"S3:Prefix": "A"}}, {"s3__prefix": ["a"]}, False),
        ({"StringEquals": {"s3:prefix": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"s3:prefix": "a"}}, {}, True),
        ({"StringNotEquals": {"s3:prefix": ["x", "y"]}}, {"s3__prefix": ["a"]}, True),
        ({"StringNotEquals": {"s3:prefix": ["x", "a"]}}, {"s3__prefix": ["a"]}, False),
        ({"StringNotEquals": {"s3:prefix": "x"}}, {}, True),
        (
            {"StringLike": {"aws:Referer": "https://*.example.org/*"}},
            {"aws__referer": ["https://a.example.org/x"]},
            True,
        ),
        ({"StringEqualsIgnoreCase": {"s3:prefix": "A"}}, {"s3__prefix": ["a"]}, True),
        ({"Null": {"s3:x-amz-server-side-encryption": "true"}}, {}, True),
        ({"Null": {"s3:x-amz-server-side-encryption": True}}, {"s3__x-amz-server-side-encryption": ["AES256"]}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws__securetransport": ["true"]}, True),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws__securetransport": ["true"]}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": ["10.1.2.3"]}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": ["::ffff:10.1.2.3"]}, True),
        ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]}}, {"aws__sourceip": ["11.0.0.1"]}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": ["nonsense"]}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": 10}}, {"s3__max-keys": ["10"]}, True),
        ({"NumericGreaterThan": {"s3:max-keys": "10"}}, {"s3__max-keys": ["10"]}, False),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, {"s3__max-keys": ["many"]}, False),
        (
            {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}},
            {"aws__currenttime": ["2029-01-01T00:00:00Z"]},
            True,
        ),
        ({"ForAllValues:StringLike": {"s3:tags": ["a*"]}}, {"s3__tags": ["a1", "b"]}, False),
        ({"ForAllValues:StringLike": {"s3:tags": ["a*"]}}, {}, True),
        ({"ForAnyValue:StringLike": {"s3:tags": ["a*"]}}, {"s3__tags": ["a1", "b"]}, True),
        ({"StringLike": {"s3:prefix": "${aws:username}/*"}}, {"s3__prefix": ["ann/x"], "aws__username": ["ann"]}, True),
        ({"StringLike": {"s3:prefix": "${aws:username}/*"}}, {"s3__prefix": ["/x"]}, False),
        ({"StringLike": {"s3:prefix": "${aws:username, 'nobody'}/*"}}, {"s3__prefix": ["nobody/x"]}, True),
        (
            {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:::user/a*"}},
            {"aws__principalarn": ["arn:aws:iam:::user/ann"]},
            True,
        ),
    ],
)
def test_condition(condition, values, holds):
    assert (ask(bucket_policy(Condition=condition), **values) is Verdict.ALLOW) == holds


def test_deny_wins_in_any_order():
    allow = json.loads(bucket_policy())["Statement"][0]
    deny = {**allow, "Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    for statements in ([allow, deny], [deny, allow]):
        text = json.dumps({"Version": "2012-10-17", "Statement": statements}).encode()
        assert ask(text, aws__securetransport=["false"]) is Verdict.DENY
        assert ask(text, aws__securetransport=["true"]) is Verdict.ALLOW


def test_a_variable_with_wildcards_in_its_value_matches_nothing():
    text = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/${aws:username}/*"},
        }
    ).encode()
    policy = parse_identity_policy(text)
    for name, verdict in (("ann", Verdict.ALLOW), ("*", Verdict.SILENT)):
        assert decide([policy], Question("s3:GetObject", "b/ann/x", (), {"aws:username": [name]})) is verdict


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"Version":"2012-10-17"}',
        b'{"Version":"2020-01-01","Statement":[]}',
        b'{"Version":"2012-10-17","Statement":[]}',
        bucket_policy(Effect="allow"),
        bucket_policy(Action=None),
        bucket_policy(Action="ec2:Start"),
        bucket_policy(Resource=None),
        bucket_policy(Resource="arn:aws:s3:::other/*"),
        bucket_policy(Resource="arn:aws:s3:::bucket/*"),
        bucket_policy(Resource="arn:aws:s3:::"),
        bucket_policy(Resource=7),
        bucket_policy(Principal=None),
        bucket_policy(Principal={}),
        bucket_policy(Principal={"Service": "x"}),
        bucket_policy(Principal=None, NotPrincipal="*"),
        bucket_policy(NotAction="s3:*"),
        bucket_policy(Condition={"StringSame": {"a": "b"}}),
        bucket_policy(Condition={"StringEquals": "a"}),
        bucket_policy(Condition={"NumericEquals": {"s3:max-keys": "x"}}),
        bucket_policy(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.300"}}),
        bucket_policy(Surprise=1),
        b'{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}',
        b"[" * 5000,
    ],
)
def test_a_malformed_document_is_refused(text):
    with pytest.raises(Malformed):
        parse_bucket_policy(text, "b")


def test_a_large_document_is_refused():
    with pytest.raises(TooLarge):
        parse_bucket_policy(bucket_policy(Sid="x" * 20480), "b")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "Bool"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_fuzz_any_json_is_read_or_malformed(value):
    for parse in (parse_identity_policy, lambda text: parse_bucket_policy(text, "b")):
        with contextlib.suppress(Malformed):
            parse(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("name", "action", "resource", "verdict"),
    [
        ("readonly", "s3:GetObject", "b/k", "allow"),
        ("readonly", "s3:PutObject", "b/k", "silent"),
        ("writeonly", "s3:PutObject", "b/k", "allow"),
        ("readwrite", "s3:ListAllMyBuckets", "", "allow"),
        ("readwrite", "admin:ServerInfo", "", "silent"),
        ("diagnostics", "admin:ServerInfo", "", "allow"),
        ("consoleAdmin", "admin:ServerInfo", "", "allow"),
        ("consoleAdmin", "kms:CreateKey", "my-key", "allow"),
        ("consoleAdmin", "s3:GetObject", "b/k", "allow"),
    ],
)
def test_canned_policies(name, action, resource, verdict):
    assert decide([parse_identity_policy(CANNED[name])], Question(action, resource)) is Verdict(verdict)


def test_kms_resources_are_their_own():
    text = b'{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"arn:minio:kms:::my-*"}}'
    policy = parse_identity_policy(text)
    assert decide([policy], Question("kms:CreateKey", "my-key")) is Verdict.ALLOW
    assert decide([policy], Question("kms:CreateKey", "other")) is Verdict.SILENT


@pytest.mark.parametrize(
    ("statement", "public"),
    [
        ({}, True),
        ({"Effect": "Deny"}, False),
        ({"Principal": {"AWS": "ann"}}, False),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Condition": {"StringEquals": {"s3:prefix": "x"}}}, True),
    ],
)
def test_public(statement, public):
    assert is_public(parse_bucket_policy(bucket_policy(**statement), "b")) == public


def identity(**statement):
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", **statement}}
    return parse_identity_policy(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"NotAction": "s3:DeleteObject", "Resource": "arn:aws:s3:::data/*"}, set()),
        ({"NotAction": "s3:DeleteObject", "Resource": "arn:aws:s3:::*"}, set()),
        ({"Action": "*", "Resource": "arn:aws:s3:::*"}, set()),
        ({"NotAction": "s3:DeleteObject", "NotResource": "arn:aws:s3:::data/*"}, set()),
        ({"NotAction": "s3:DeleteObject", "Resource": "*"}, {"admin:CreateUser", "kms:CreateKey"}),
        ({"NotAction": "admin:*", "Resource": "*"}, {"kms:CreateKey"}),
        ({"Action": "*", "Resource": "*"}, {"admin:CreateUser", "kms:CreateKey"}),
        ({"Action": "admin:*", "Resource": "arn:aws:s3:::*"}, {"admin:CreateUser"}),  # as the original's own policies
        ({"Action": ["admin:*", "kms:*"]}, {"admin:CreateUser", "kms:CreateKey"}),
        ({"Action": "kms:*", "Resource": "arn:minio:kms:::my-*"}, {"kms:CreateKey"}),
    ],
)
def test_rights_on_objects_make_no_administrators(statement, allowed):
    questions = {"admin:CreateUser": "", "kms:CreateKey": "my-key"}
    policy = identity(**statement)
    assert {
        action for action, key in questions.items() if decide([policy], Question(action, key)) is Verdict.ALLOW
    } == allowed


def test_a_denial_of_everything_is_one_of_admin_calls_too():
    document = b'{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::*"}}'
    assert decide([parse_identity_policy(document)], Question("admin:CreateUser")) is Verdict.DENY


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "s3:*"},
        {"Action": ["admin:ServerInfo", "s3:GetObject"]},
        {"NotAction": "s3:DeleteObject"},
        {"Action": "s3:GetObject", "Resource": []},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": []},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": ""},
    ],
)
def test_what_is_left_out_is_not_everything(statement):
    with pytest.raises(Malformed):
        identity(**statement)
