"""What policies may ask of a request, and that nobody talks around a denial (s3.md 8.4)."""

import base64
import datetime
import hashlib
import json

import pytest
from s3_memory import ANONYMOUS, Memory, allow, deny

from strongroom.errors import Malformed
from strongroom.messages import Peer, Request
from strongroom.s3.domain.policy.document import parse_identity_policy
from strongroom.s3.domain.policy.keys import refuse_unheard
from strongroom.s3.handlers.circumstances import of_caller

PAST, FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
EVERYTHING = allow("s3:*", "*")


@pytest.fixture(scope="module")
def world():
    made = Memory()
    for bucket in ("data", "other"):
        made.send("PUT", f"/{bucket}")
    made.send("PUT", "/locked", "", {"x-amz-bucket-object-lock-enabled": "true"})
    for path in ("/data/k", "/data/secret/k", "/other/k", "/locked/k"):
        made.send("PUT", path, "", {}, b"hello")
    yield made
    made.close()


def digest(body):
    return {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"DateGreaterThan": {"aws:CurrentTime": PAST}}, 403),
        ({"DateGreaterThan": {"aws:CurrentTime": FUTURE}}, 200),
        ({"NumericGreaterThan": {"aws:EpochTime": "1000"}}, 403),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, 403),
        ({"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}, 200),
        ({"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, 403),
        ({"NumericGreaterThan": {"s3:signatureAge": "60000"}}, 200),
        ({"StringEquals": {"aws:PrincipalType": "User"}}, 403),
        ({"StringEquals": {"aws:username": "ann"}}, 403),
        ({"StringEquals": {"aws:userid": "ann"}}, 403),
        ({"Null": {"s3:if-none-match": "true"}}, 403),
        ({"ForAnyValue:StringNotEquals": {"s3:RequestObjectTagKeys": "a"}}, 200),
    ],
)
def test_a_denial_applies(world, condition, status):
    ann = world.user("ann", EVERYTHING, deny("s3:GetObject", "data/*", Condition=condition))
    assert world.send("GET", "/data/k", who=ann).status == status
    svc = world.account("svc-ann", "ann")  # acts for her: aws:username is hers
    if "aws:PrincipalType" not in str(condition):
        assert world.send("GET", "/data/k", who=svc).status == status


def test_an_old_signature_is_refused(world):
    condition = {"NumericGreaterThan": {"s3:signatureAge": "60000"}}
    ann = world.user("ann", EVERYTHING, deny("s3:*", "data/*", Condition=condition))
    earlier = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    assert world.send("GET", "/data/k", who=ann).status == 200
    assert world.send("GET", "/data/k", who=ann, when=earlier).code == "AccessDenied"


def test_a_service_account_is_at_home_where_its_user_is(world):
    bob = world.user("bob", allow(["s3:PutObject", "s3:GetObject"], "data/home/${aws:username}/*"))
    account = world.account("svc-bob", "bob")
    assert world.send("PUT", "/data/home/bob/k", "", {}, b"x", who=account).status == 200
    assert world.send("GET", "/data/home/bob/k", who=bob).status == 200
    assert world.send("PUT", "/data/home/svc-bob/k", "", {}, b"x", who=account).status == 403


@pytest.mark.parametrize("source", ["data/secret/k", "/data/secret/k", "data/%73ecret/k", "/%64ata%2Fsecret%2Fk"])
@pytest.mark.parametrize("pattern", ["data/secret/*", "/data/secret/*"])
def test_a_copy_source_is_compared_decoded(world, source, pattern):
    condition = {"StringLike": {"s3:x-amz-copy-source": pattern}}
    ann = world.user("ann", EVERYTHING, deny("s3:PutObject", "other/*", Condition=condition))
    assert world.send("PUT", "/other/copy", "", {"x-amz-copy-source": source}, who=ann).code == "AccessDenied"
    assert world.send("PUT", "/other/copy", "", {"x-amz-copy-source": "data/k"}, who=ann).status == 200
    only = world.user(
        "eve", EVERYTHING, deny("s3:PutObject", "other/*", Condition={"StringNotLike": condition["StringLike"]})
    )
    assert world.send("PUT", "/other/copy", "", {"x-amz-copy-source": source}, who=only).status == 200
    assert world.send("PUT", "/other/copy", "", {"x-amz-copy-source": "data/k"}, who=only).code == "AccessDenied"


def test_the_tags_of_a_body_are_compared(world):
    condition = {"StringEquals": {"s3:RequestObjectTag/level": "public"}}
    ann = world.user("ann", EVERYTHING, deny("s3:PutObjectTagging", "data/*", Condition=condition))

    def tag(level):
        body = f"<Tagging><TagSet><Tag><Key>level</Key><Value>{level}</Value></Tag></TagSet></Tagging>".encode()
        return world.send("PUT", "/data/k", "tagging", digest(body), body, who=ann)

    assert tag("public").code == "AccessDenied"
    assert tag("private").status == 200


def test_the_retention_of_a_body_is_compared(world):
    condition = {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}
    ann = world.user(
        "ann", EVERYTHING, deny(["s3:PutObjectRetention", "s3:PutObject"], "locked/*", Condition=condition)
    )

    def until(days):
        return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def keep(days):
        body = (
            f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{until(days)}</RetainUntilDate></Retention>".encode()
        )
        return world.send("PUT", "/locked/k", "retention", digest(body), body, who=ann)

    def put(days):
        headers = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": until(days)}
        return world.send("PUT", "/locked/k2", "", headers, b"x", who=ann)

    assert keep(100).code == put(100).code == "AccessDenied"
    assert keep(5).status == put(5).status == 200


def test_the_version_is_the_one_that_is_asked_for(world):
    version = world.send("PUT", "/locked/v", "", {}, b"x").headers["x-amz-version-id"]
    condition = {"StringEquals": {"s3:VersionId": version}}
    ann = world.user(
        "ann", EVERYTHING, deny(["s3:GetObjectVersion", "s3:DeleteObjectVersion"], "locked/*", Condition=condition)
    )
    body = f"<Delete><Object><Key>v</Key><VersionId>{version}</VersionId></Object></Delete>".encode()
    assert b"<Code>AccessDenied</Code>" in world.send("POST", "/locked", "delete", digest(body), body, who=ann).body
    source = {"x-amz-copy-source": f"locked/v?versionId={version}"}
    assert world.send("PUT", "/other/copy", "", source, who=ann).code == "AccessDenied"
    assert world.send("GET", "/locked/v", f"versionId={version}", who=ann).code == "AccessDenied"


def test_a_missing_key_is_told_of_within_the_prefix_that_may_be_listed(world):
    condition = {"StringLike": {"s3:prefix": "seen*"}}
    ann = world.user("ann", allow("s3:GetObject", "data/*"), allow("s3:ListBucket", "data", Condition=condition))
    assert world.send("HEAD", "/data/seen-not", who=ann).status == 404
    assert world.send("HEAD", "/data/other-not", who=ann).status == 403


@pytest.mark.parametrize(
    ("effect", "condition", "status"),
    [
        ("Deny", {"StringEquals": {"s3:TlsVersion": "1.0"}}, 400),
        ("Deny", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}, 400),
        (
            "Deny",
            {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}},
            204,
        ),  # applies to everybody: nothing is let through
        ("Allow", {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}, 400),
        ("Allow", {"StringEquals": {"aws:SourceVpce": "vpce-1"}}, 204),
        ("Allow", {"StringEqualsIfExists": {"aws:nonsense": "x"}}, 400),
        ("Deny", {"StringEquals": {"s3:ExistingObjectTag/a": "b"}}, 204),
        ("Deny", {"Null": {"s3:x-amz-server-side-encryption": "true"}}, 204),
    ],
)
def test_a_policy_that_hangs_on_what_no_request_says(world, effect, condition, status):
    statement = {"Effect": effect, "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"}
    answer = world.policy("other", {**statement, "Condition": condition})
    assert (answer.status, answer.code) == (status, "" if status == 204 else "MalformedPolicy")
    world.send("DELETE", "/other", "policy")


@pytest.mark.parametrize("principal", ["arn:aws:iam::123456789012:user/*", "ann*", "arn:aws:iam::1:user/an?"])
def test_a_principal_is_no_pattern(world, principal):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "s3:GetObject"}
    assert world.policy("other", {**statement, "Resource": "arn:aws:s3:::other/*"}).code == "MalformedPolicy"
    assert world.send("GET", "/other/k", who=ANONYMOUS).status == 403


def test_nothing_happens_in_the_bucket_of_another_owner(world):
    world.send("PUT", "/data/kept", "", {}, b"x")
    body = b"<Delete><Object><Key>kept</Key></Object></Delete>"
    stranger = {"x-amz-expected-bucket-owner": "111122223333"}
    assert world.send("POST", "/data", "delete", {**digest(body), **stranger}, body).code == "AccessDenied"
    source = {"x-amz-copy-source": "data/kept", "x-amz-source-expected-bucket-owner": "111122223333"}
    assert world.send("PUT", "/other/copy", "", source).code == "AccessDenied"
    assert world.send("GET", "/data/kept").body == b"x"


def test_a_denial_counts_for_admin_calls_as_well(world):
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    boss = world.user("boss", {"Effect": "Allow", "Action": "admin:*"}, deny("admin:*", "*", Condition=insecure))
    empty = hashlib.sha256(b"").hexdigest()
    assert world.send("GET", "/minio/admin/v3/info", who=boss, payload=empty).status == 403
    assert world.send("GET", "/minio/admin/v3/info", who=boss, payload=empty, tls=True).status == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.7, 10.0.0.2", "192.0.2.7"),  # what the client itself sent counts for nothing
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.9", "203.0.113.9", "192.0.2.9"),
    ],
)
def test_the_address_behind_trusted_proxies(peer, forwarded, client):
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    request = Request("GET", "/", "/", "", headers, [], Peer(peer, 1))
    assert of_caller(request, None, 0.0, ("10.0.0.1", "10.0.0.2"))["aws:sourceip"] == (client,)


@pytest.mark.parametrize(
    ("key", "forbidden", "headers"),
    [
        ("s3:x-amz-server-side-encryption", "AES256", {"x-amz-server-side-encryption": "aes256"}),
        *(
            (
                "s3:x-amz-server-side-encryption-aws-kms-key-id",
                forbidden,
                {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": asked},
            )
            for forbidden in ("my-key", "arn:aws:kms:my-key")
            for asked in ("my-key", "arn:aws:kms:my-key")
        ),
        (
            "s3:object-lock-mode",
            "COMPLIANCE",
            {"x-amz-object-lock-mode": "compliance", "x-amz-object-lock-retain-until-date": FUTURE},
        ),
        (
            "s3:x-amz-metadata-directive",
            "REPLACE",
            {"x-amz-copy-source": "data/k", "x-amz-metadata-directive": "replace"},
        ),
    ],
)
def test_a_denial_is_of_a_value_in_every_form(world, key, forbidden, headers):
    body = b"" if "x-amz-copy-source" in headers else b"x"
    refuse = deny("s3:PutObject", "locked/*", Condition={"StringEquals": {key: forbidden}})
    ann = world.user("ann", EVERYTHING, refuse)
    assert world.send("PUT", "/locked/forms", "", headers, body, who=ann).code == "AccessDenied"
    only = deny("s3:PutObject", "locked/*", Condition={"StringNotEquals": {key: forbidden}})
    eve = world.user("eve", EVERYTHING, only)
    assert world.send("PUT", "/locked/forms", "", headers, body, who=eve).status == 200


def test_the_place_of_a_new_bucket_is_compared(world):
    condition = {"StringEquals": {"s3:LocationConstraint": "eu-west-1"}}
    ann = world.user("ann", allow("s3:CreateBucket", "*", Condition=condition))

    def make(place):
        body = (
            f"<CreateBucketConfiguration><LocationConstraint>{place}</LocationConstraint></CreateBucketConfiguration>"
        )
        return world.send("PUT", "/placed", "", {}, body.encode() if place else b"", who=ann)

    assert make("us-west-1").code == make("").code == "AccessDenied"
    assert make("eu-west-1").status == 200


@pytest.mark.parametrize(
    ("statement", "good"),
    [
        (allow("s3:GetObject", "b/${aws:PrincipalTag/team}/*"), True),
        (deny("s3:GetObject", "b/${aws:PrincipalTag/team}/*"), False),
        (deny("s3:GetObject", "b/${aws:PrincipalTag/team, 'none'}/*"), True),
        (deny("s3:GetObject", "b/${aws:username}/${*}"), True),
        (deny("s3:GetObject", "b/${jwt:sub}/*"), True),
        (deny("s3:GetObject", "b/*", Condition={"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}"}}), False),
        (allow("s3:GetObject", "b/*", Condition={"StringNotLike": {"s3:prefix": "${aws:PrincipalTag/team}"}}), False),
        (allow("s3:GetObject", "b/*", Condition={"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}"}}), True),
        (
            {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"},
            False,
        ),
    ],
)
def test_a_policy_that_hangs_on_a_variable_that_nothing_fills(statement, good):
    policy = parse_identity_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode())
    if good:
        refuse_unheard(policy)
    else:
        with pytest.raises(Malformed):
            refuse_unheard(policy)


def test_names_of_buckets_are_told_only_where_they_may_be_listed(world):
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    far = world.user("far", EVERYTHING, deny("s3:List*", "*", Condition=elsewhere))
    empty = hashlib.sha256(b"").hexdigest()
    answer = world.send("GET", "/minio/admin/v3/accountinfo", who=far, payload=empty)
    assert json.loads(answer.body)["Buckets"] == []
    but = {"Effect": "Deny", "Action": "s3:*", "NotResource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]}
    one = world.user("one", EVERYTHING, but)
    names = world.send("GET", "/", who=one).body
    assert (b"<Name>data<" in names, b"<Name>other<" in names) == (True, False)
