"""What conformance suites expect of tags, policies and bucket configuration (s3.md 8.3 to 8.6)."""

import base64
import hashlib
import json

import pytest
from raw_s3 import Wire, call

SSE = "x-amz-server-side-encryption"


def anonymous(port, method, path, headers="", query=""):
    with Wire(port) as wire:
        target = f"{path}?{query}" if query else path
        wire.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 0\r\n\r\n".encode())
        return wire.answer()


# ---- tags (s3.md 8.3)


@pytest.mark.parametrize(
    ("tags", "answer"),
    [
        ([(f"k{n}", "v") for n in range(11)], (400, "BadRequest")),
        ([("k" * 129, "v")], (400, "InvalidTag")),
        ([("k", "v" * 257)], (400, "InvalidTag")),
        ([("k", "1"), ("k", "2")], (400, "InvalidTag")),
    ],
)
def test_tags_that_are_refused(lone, fresh, refused, tags, answer):
    lone.put_object(Bucket=fresh, Key="k", Body=b"")
    found = {"TagSet": [{"Key": key, "Value": value} for key, value in tags]}
    assert refused(lone.put_object_tagging, Bucket=fresh, Key="k", Tagging=found) == answer
    assert lone.get_object_tagging(Bucket=fresh, Key="k")["TagSet"] == []


def test_tags(lone, fresh, refused):
    lone.put_object(Bucket=fresh, Key="k", Body=b"", Tagging="foo=bar&bar")
    wanted = [{"Key": "bar", "Value": ""}, {"Key": "foo", "Value": "bar"}]
    assert lone.get_object_tagging(Bucket=fresh, Key="k")["TagSet"] == wanted
    assert lone.head_object(Bucket=fresh, Key="k")["TagCount"] == 2
    lone.delete_object_tagging(Bucket=fresh, Key="k")
    assert lone.get_object_tagging(Bucket=fresh, Key="k")["TagSet"] == []
    assert refused(lone.get_bucket_tagging, Bucket=fresh) == (404, "NoSuchTagSet")


# ---- policies (s3.md 8.4)


def allow(lone, bucket, *statements):
    made = [
        {"Effect": "Allow", "Principal": "*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"], **one}
        for one in statements
    ]
    lone.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": made}))


def test_anonymous_access(lone, lone_server, fresh):
    port = lone_server.port
    lone.put_object(Bucket=fresh, Key="k", Body=b"public")
    assert anonymous(port, "GET", f"/{fresh}/k").code == "AccessDenied"
    allow(lone, fresh, {"Action": ["s3:GetObject", "s3:ListBucket"]})
    assert anonymous(port, "GET", f"/{fresh}/k").body == b"public"
    assert anonymous(port, "GET", f"/{fresh}/none").code == "NoSuchKey"
    assert anonymous(port, "PUT", f"/{fresh}/k").code == "AccessDenied"
    assert anonymous(port, "GET", f"/{fresh}/k", query="response-content-type=a/b").code == "InvalidRequest"
    assert lone.get_bucket_policy_status(Bucket=fresh)["PolicyStatus"]["IsPublic"] is True
    allow(lone, fresh, {"Action": "s3:GetObject"})
    assert anonymous(port, "GET", f"/{fresh}/none").code == "AccessDenied"  # who may not list is not told
    lone.delete_bucket_policy(Bucket=fresh)
    assert anonymous(port, "GET", f"/{fresh}/k").code == "AccessDenied"


@pytest.mark.parametrize(
    ("condition", "headers", "good"),
    [
        ({"StringEquals": {f"s3:{SSE}": "AES256"}}, f"{SSE}: AES256\r\n", True),
        ({"StringEquals": {f"s3:{SSE}": "AES256"}}, "", False),
        ({"Null": {f"s3:{SSE}": "true"}}, "", True),
        ({"Null": {f"s3:{SSE}": "true"}}, f"{SSE}: AES256\r\n", False),
        ({"StringLike": {"aws:Referer": "http://*.example.com/*"}}, "Referer: http://a.example.com/x\r\n", True),
        ({"StringLike": {"aws:Referer": "http://*.example.com/*"}}, "Referer: http://elsewhere/\r\n", False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "", True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "", False),
        ({"StringEquals": {"s3:RequestObjectTag/security": "public"}}, "x-amz-tagging: security=public\r\n", True),
        ({"StringEquals": {"s3:RequestObjectTag/security": "public"}}, "x-amz-tagging: security=x\r\n", False),
        ({"Bool": {"aws:SecureTransport": "true"}}, "", False),
    ],
)  # fmt: skip
def test_conditions_on_writing(lone, lone_server, fresh, condition, headers, good):
    allow(lone, fresh, {"Action": ["s3:PutObject", "s3:PutObjectTagging"], "Condition": condition})
    found = anonymous(lone_server.port, "PUT", f"/{fresh}/k", headers)
    assert (found.status, found.code) == ((200, "") if good else (403, "AccessDenied"))


def test_conditions_on_what_is_there(lone, lone_server, fresh):
    for name in ("public", "private"):
        lone.put_object(Bucket=fresh, Key=name, Body=b"x", Tagging=f"security={name}")
    condition = {"StringEquals": {"s3:ExistingObjectTag/security": "public"}}
    listed = {"Action": "s3:ListBucket", "Condition": {"StringEquals": {"s3:prefix": "public"}}}
    allow(lone, fresh, {"Action": "s3:GetObject", "Condition": condition}, listed)
    assert anonymous(lone_server.port, "GET", f"/{fresh}/public").status == 200
    assert anonymous(lone_server.port, "GET", f"/{fresh}/private").status == 403
    assert anonymous(lone_server.port, "GET", f"/{fresh}", query="prefix=public").status == 200
    assert anonymous(lone_server.port, "GET", f"/{fresh}", query="prefix=private").status == 403


def test_denials_by_tag_hold_for_bulk_deletes_and_copies(lone, lone_server, fresh):
    """A statement that denies by tags is asked for every object that a request touches."""
    for name in ("keep", "free"):
        lone.put_object(Bucket=fresh, Key=name, Body=b"x", Tagging=f"class={name}")
    condition = {"StringEquals": {"s3:ExistingObjectTag/class": "keep"}}
    deny = {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:GetObject"], "Condition": condition}
    allow(lone, fresh, {"Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]}, deny)
    body = b"<Delete><Object><Key>keep</Key></Object><Object><Key>free</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    with Wire(lone_server.port) as wire:
        head = f"POST /{fresh}?delete HTTP/1.1\r\nHost: x\r\nContent-MD5: {md5}\r\nContent-Length: {len(body)}\r\n\r\n"
        wire.send(head.encode() + body)
        answer = wire.answer()
    assert b"<Deleted><Key>free</Key></Deleted>" in answer.body
    assert b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message><Key>keep</Key></Error>" in answer.body
    copied = anonymous(lone_server.port, "PUT", f"/{fresh}/copy", f"x-amz-copy-source: /{fresh}/keep\r\n")
    assert copied.code == "AccessDenied"


def test_setting_tags_with_an_object_needs_its_own_right(lone, lone_server, fresh):
    allow(lone, fresh, {"Action": "s3:PutObject"})
    assert anonymous(lone_server.port, "PUT", f"/{fresh}/k").status == 200
    assert anonymous(lone_server.port, "PUT", f"/{fresh}/k", "x-amz-tagging: a=b\r\n").code == "AccessDenied"


@pytest.mark.parametrize(
    "policy",
    ["", "{", "{}", '{"Version":"2012-10-17","Statement":[]}',
     '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::x"}]}',
     '{"Version":"2012-10-17","Statement":[{"Effect":"May","Principal":"*","Action":"s3:*","Resource":"*"}]}'],
)  # fmt: skip
def test_policies_that_are_none(lone, lone_server, fresh, refused, policy):
    assert call(lone_server.port, "PUT", f"/{fresh}", query="policy", body=policy.encode()).code == "MalformedPolicy"
    assert refused(lone.get_bucket_policy, Bucket=fresh) == (404, "NoSuchBucketPolicy")


# ---- other configuration


def test_configurations_that_are_absent(lone, fresh, refused):
    absent = {
        "get_bucket_cors": "NoSuchCORSConfiguration",
        "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
        "get_bucket_encryption": "ServerSideEncryptionConfigurationNotFoundError",
        "get_bucket_website": "NoSuchWebsiteConfiguration",
        "get_bucket_replication": "ReplicationConfigurationNotFoundError",
        "get_public_access_block": "NoSuchPublicAccessBlockConfiguration",
    }
    for operation, code in absent.items():
        assert refused(getattr(lone, operation), Bucket=fresh) == (404, code), operation
    for operation in ("delete_bucket_encryption", "delete_bucket_cors", "delete_bucket_lifecycle",
                      "delete_bucket_policy", "delete_bucket_tagging", "delete_public_access_block"):  # fmt: skip
        assert getattr(lone, operation)(Bucket=fresh)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "Owner" in lone.get_bucket_acl(Bucket=fresh)
    assert lone.get_bucket_request_payment(Bucket=fresh)["Payer"] == "BucketOwner"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"ID": "a" * 256, "Prefix": "x", "Status": "Enabled", "Expiration": {"Days": 1}}, "InvalidArgument"),
        ({"ID": "a", "Prefix": "x", "Status": "enabled", "Expiration": {"Days": 1}}, "MalformedXML"),
        ({"ID": "a", "Prefix": "x", "Status": "Enabled", "Expiration": {"Days": 0}}, "InvalidArgument"),
    ],
)
def test_lifecycle_rules_that_are_refused(lone, fresh, refused, rule, code):
    made = {"Bucket": fresh, "LifecycleConfiguration": {"Rules": [rule]}}
    assert refused(lone.put_bucket_lifecycle_configuration, **made) == (400, code)


def test_lifecycle_rules_come_back_and_show_their_date(lone, fresh):
    rules = [
        {"ID": "old", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 3}},
        {"ID": "new", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Status": "Disabled", "Expiration": {"Days": 9}},
        {"ID": "mp", "Filter": {"Prefix": ""}, "Status": "Enabled",
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}},
    ]  # fmt: skip
    lone.put_bucket_lifecycle_configuration(Bucket=fresh, LifecycleConfiguration={"Rules": rules})
    assert lone.get_bucket_lifecycle_configuration(Bucket=fresh)["Rules"] == rules
    assert 'rule-id="old"' in lone.put_object(Bucket=fresh, Key="logs/a", Body=b"")["Expiration"]
    assert "Expiration" not in lone.put_object(Bucket=fresh, Key="other", Body=b"")


def test_cors(lone, lone_server, fresh):
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*suffix", "start*end"], "ExposeHeaders": ["x-amz-meta-a"]}]
    lone.put_bucket_cors(Bucket=fresh, CORSConfiguration={"CORSRules": rules})
    lone.put_object(Bucket=fresh, Key="k", Body=b"")

    def preflight(origin, method="GET"):
        headers = f"Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n"
        return anonymous(lone_server.port, "OPTIONS", f"/{fresh}/k", headers)

    for origin in ("foo.suffix", "suffix", "startend", "start.x.end"):
        answer = preflight(origin)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    for origin, method in (("foo.suffix.get", "GET"), ("startend.other", "GET"), ("suffix", "PUT")):
        assert preflight(origin, method).status == 403
    plain = call(lone_server.port, "GET", f"/{fresh}/k", {"origin": "foo.suffix"})
    assert plain.headers["access-control-expose-headers"] == "x-amz-meta-a"
    assert "access-control-allow-origin" not in call(lone_server.port, "GET", f"/{fresh}/k", {"origin": "x"}).headers


def test_recreating_a_bucket(lone, fresh, refused):
    assert refused(lone.create_bucket, Bucket=fresh) == (409, "BucketAlreadyOwnedByYou")
    lone.delete_bucket(Bucket=fresh)
    lone.create_bucket(Bucket=fresh)


def test_buckets_are_listed_in_pages(lone, fresh):
    for number in range(3):
        lone.create_bucket(Bucket=f"{fresh}-page-{number}")
    page = lone.list_buckets(MaxBuckets=2, Prefix=f"{fresh}-page-")
    assert [one["Name"] for one in page["Buckets"]] == [f"{fresh}-page-{number}" for number in range(2)]
    rest = lone.list_buckets(MaxBuckets=2, Prefix=f"{fresh}-page-", ContinuationToken=page["ContinuationToken"])
    assert [one["Name"] for one in rest["Buckets"]] == [f"{fresh}-page-2"]
