"""What a write, a copy, a new bucket or a listing says beside the content has rights of its own."""

import base64
import hashlib
import zlib

import pytest
from s3_memory import ANONYMOUS, ROOT, Memory, allow, deny

from strongroom.errors import Unavailable
from strongroom.s3.domain.ports import NoSuchVersion
from strongroom.s3.handlers.call import Silent

TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.send("PUT", "/data")
    made.send("PUT", "/data/tagged", "", {"x-amz-tagging": "a=b"}, b"hello")
    made.send("PUT", "/data/plain", "", {}, b"hello")
    made.send("PUT", "/shared", "", {"x-amz-object-ownership": "ObjectWriter"})
    yield made
    made.close()


def digest(body):
    return {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-acl": "public-read"},
        {"x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
    ],
)
def test_who_may_write_may_not_publish(world, headers):
    writer = world.user("writer", allow(["s3:PutObject", "s3:GetObject"], "*"))
    publisher = world.user("publisher", allow(["s3:PutObject", "s3:GetObject", "s3:PutObjectAcl"], "*"))
    for path, query, more in (
        ("/shared/k", "", {}),
        ("/shared/m", "uploads", {}),
        ("/shared/c", "", {"x-amz-copy-source": "/data/plain"}),
    ):
        method = "POST" if query else "PUT"
        assert world.send(method, path, query, {**headers, **more}, who=writer).code == "AccessDenied"
        assert world.send(method, path, query, {**headers, **more}, who=publisher).status == 200
        assert world.send(method, path, query, {"x-amz-acl": "private", **more}, who=writer).status == 200
    assert world.send("PUT", "/data/k", "", headers, b"x", who=writer).status == 200  # no ACL counts there
    assert world.send("GET", "/data/k", who=ANONYMOUS).status == 403


def test_a_form_s_acl_is_one(world):
    condition = {"StringEquals": {"s3:x-amz-acl": "public-read"}}
    world.policy(
        "shared",
        {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject*", "Resource": "arn:aws:s3:::shared/*"},
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::shared/*",
            "Condition": condition,
        },
    )

    def send(name):
        fields = {"key": "form", "acl": name}
        parts = [f'--m\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
        body = "".join(parts) + '--m\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--m--\r\n'
        headers = {"host": "h", "content-type": "multipart/form-data; boundary=m"}
        return world.raw("POST", "/shared", "", headers, body.encode())

    assert send("public-read").status == 403
    assert send("private").status == 204
    world.send("DELETE", "/shared", "policy")


@pytest.mark.parametrize("missing", ["s3:GetObjectTagging", "s3:PutObjectTagging"])
def test_a_copy_takes_tags_along_only_with_the_rights(world, missing):
    some = world.user("some", allow("s3:*", "*"), deny(missing, "data/*"))
    source = {"x-amz-copy-source": "/data/tagged"}
    assert world.send("PUT", "/data/copy", "", source, who=some).code == "AccessDenied"
    replaced = {**source, "x-amz-tagging-directive": "REPLACE"}
    assert world.send("PUT", "/data/copy", "", replaced, who=some).status == 200
    assert "x-amz-tagging-count" not in world.send("HEAD", "/data/copy").headers
    assert world.send("PUT", "/data/copy", "", {"x-amz-copy-source": "/data/plain"}, who=some).status == 200


def test_a_listing_tells_no_tags_to_who_may_not_read_them(world):
    some = world.user("some", allow("s3:*", "*"), deny("s3:GetObjectTagging", "*"))
    query = "list-type=2&metadata=true&prefix=tagged"
    assert b"<UserTags>a=b</UserTags>" in world.send("GET", "/data", query).body
    body = world.send("GET", "/data", query, who=some).body
    assert b"<UserMetadata>" in body
    assert b"<UserTags>" not in body
    condition = {"StringEquals": {"s3:ExistingObjectTag/a": "b"}}
    other = world.user("other", allow("s3:*", "*"), deny("s3:GetObject", "*", Condition=condition))
    assert b"<UserMetadata>" not in world.send("GET", "/data", query, who=other).body


def test_a_listing_tells_headers_as_text(world):
    said = {"content-disposition": 'attachment; filename="ü 你"'.encode().decode("latin-1")}
    world.send("PUT", "/data/named", "", said, b"x")
    assert world.send("HEAD", "/data/named").headers["content-disposition"] == said["content-disposition"]
    assert (
        "filename=&#34;ü 你&#34;" in world.send("GET", "/data", "list-type=2&metadata=true&prefix=named").body.decode()
    )


def test_a_new_bucket_s_ownership(world):
    headers = {"x-amz-object-ownership": "BucketOwnerPreferred", "x-amz-acl": "public-read"}
    assert world.send("PUT", "/owned", "", headers).status == 200
    assert b"<ObjectOwnership>BucketOwnerPreferred<" in world.send("GET", "/owned", "ownershipControls").body
    assert b"AllUsers" in world.send("GET", "/owned", "acl").body
    assert world.send("GET", "/owned", who=ANONYMOUS).status == 200
    enforced = {"x-amz-object-ownership": "BucketOwnerEnforced"}
    assert world.send("PUT", "/owned2", "", {**enforced, "x-amz-acl": "public-read"}).code == (
        "InvalidBucketAclWithObjectOwnership"
    )
    assert world.send("PUT", "/owned2", "", {"x-amz-object-ownership": "Nobody"}).code == "InvalidArgument"
    assert world.send("PUT", "/owned2", "", {"x-amz-acl": "nonsense"}).code == "InvalidArgument"
    creator = world.user("creator", allow("s3:CreateBucket", "*"))
    assert world.send("PUT", "/owned2", "", headers, who=creator).code == "AccessDenied"
    assert world.send("HEAD", "/owned2").status == 404
    assert world.send("PUT", "/owned2", "", enforced).status == 200


def test_a_new_bucket_s_tags(world):
    tags = b"<Tags><Tag><Key>team</Key><Value>x</Value></Tag></Tags>"
    body = b"<CreateBucketConfiguration>" + tags + b"</CreateBucketConfiguration>"
    assert world.send("PUT", "/tagged", "", {}, body).status == 200
    assert b"<Key>team</Key><Value>x</Value>" in world.send("GET", "/tagged", "tagging").body


def test_a_comment_is_no_setting(world):
    rule = b"<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
    body = b"<OwnershipControls><!-- ObjectWriter -->" + rule + b"</OwnershipControls>"
    assert world.send("PUT", "/data", "ownershipControls", {}, body).status == 200
    assert world.send("PUT", "/data", "acl", {"x-amz-acl": "public-read"}).status == 501
    world.send("DELETE", "/data", "ownershipControls")


@pytest.mark.parametrize(("value", "status"), [(zlib.crc32(TAGS), 200), (1, 400)])
def test_a_document_s_trailer_is_verified(world, value, status):
    checksum = base64.b64encode(value.to_bytes(4, "big")).decode()
    body = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(TAGS), TAGS, checksum.encode())
    headers = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(len(TAGS))}
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    answer = world.send("PUT", "/data/plain", "tagging", headers, body, payload=payload, who=ROOT)
    assert (answer.status, answer.code) == (status, "" if status == 200 else "BadDigest")


@pytest.mark.parametrize("query", ["", "partNumber=1&uploadId="])
def test_a_source_that_is_replaced_meanwhile_may_be_asked_for_again(world, query, monkeypatch):
    if query:
        answer = world.send("POST", "/data/part", "uploads")
        query += answer.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()

    def gone(bucket, version):
        raise NoSuchVersion(version.key)

    source = {"x-amz-copy-source": "/data/plain"}
    with monkeypatch.context() as patch:
        patch.setattr(world.box.store, "open", gone)
        answer = world.send("PUT", "/data/part", query, source)
    assert (answer.status, answer.code) == (503, "SlowDown")
    assert world.send("PUT", "/data/part", query, source).status == 200


def test_a_list_lets_read_for_a_copy_as_well(world):
    reader = world.user("reader", allow("s3:PutObject", "data/*"))
    world.send("PUT", "/shared/listed", "", {"x-amz-grant-read": 'id="reader"'}, b"hello")
    world.send("PUT", "/shared/private", "", {}, b"hello")
    assert world.send("GET", "/shared/listed", who=reader).body == b"hello"
    assert world.send("PUT", "/data/c", "", {"x-amz-copy-source": "/shared/listed"}, who=reader).status == 200
    assert world.send("PUT", "/data/c", "", {"x-amz-copy-source": "/shared/private"}, who=reader).status == 403


def test_the_list_of_a_version_has_a_right_of_its_own(world):
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    world.send("PUT", "/versions")
    world.send("PUT", "/versions", "versioning", {}, body)
    version = world.send("PUT", "/versions/k", "", {}, b"x").headers["x-amz-version-id"]
    some = world.user("some", allow("s3:*", "*"), deny(["s3:GetObjectVersionAcl", "s3:PutObjectVersionAcl"], "*"))
    private = {"x-amz-acl": "private"}
    for method, headers in (("GET", {}), ("PUT", private)):
        assert world.send(method, "/versions/k", "acl", headers, who=some).status == 200
        assert world.send(method, "/versions/k", f"acl&versionId={version}", headers, who=some).status == 403


def customer(letter, prefix="x-amz-server-side-encryption-customer-"):
    key = letter.encode() * 32
    digest = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
    return {f"{prefix}algorithm": "AES256", f"{prefix}key": base64.b64encode(key).decode(), f"{prefix}key-md5": digest}


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ({"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "x=1&y=2"}, "x-amz-tagging-count", "2"),
        ({"x-amz-storage-class": "REDUCED_REDUNDANCY"}, "x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ({"x-amz-website-redirect-location": "/there"}, "x-amz-website-redirect-location", "/there"),
        ({}, "x-amz-tagging-count", "1"),
    ],
)
def test_another_customer_key_and_more_in_one_copy(world, more, name, value):
    world.send("PUT", "/data/own", "", {**customer("a"), "x-amz-tagging": "a=b"}, b"hello", tls=True)
    source = {"x-amz-copy-source": "/data/own", **customer("a", "x-amz-copy-source-server-side-encryption-customer-")}
    assert world.send("PUT", "/data/own", "", {**source, **customer("b"), **more}, tls=True).status == 200
    answer = world.send("GET", "/data/own", "", customer("b"), tls=True)
    assert (answer.body, answer.headers[name]) == (b"hello", value)


def test_a_delete_of_no_version_removes_nothing(world):
    assert world.send("DELETE", "/data/plain", "versionId=").code == "InvalidArgument"
    assert world.send("DELETE", "/data/plain", "versionId").code == "InvalidArgument"
    assert world.send("GET", "/data/plain", "versionId=").status == 200


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), OSError("whatever")])
def test_events_that_cannot_be_queued_make_no_failure_of_what_has_happened(world, monkeypatch, error):
    class Failing(Silent):
        active = True

        async def publish(self, call, record):
            assert call.events
            raise error

    monkeypatch.setattr(world.box, "notifier", Failing())
    assert world.send("PUT", "/data/told", "", {}, b"hello").status == 200
    assert world.send("GET", "/data/told").body == b"hello"
    assert world.send("DELETE", "/data/told").status == 204
    assert world.send("HEAD", "/data/told").status == 404


def test_cors_rules_that_cannot_be_read_break_no_answer(world):
    world.loop.run_until_complete(world.box.store.configure("data", {"cors": b"<Cors"}))
    answer = world.send("PUT", "/data/crossed", "", {"origin": "https://site"}, b"x")
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (200, None)
    preflight = {"host": "h", "origin": "https://site", "access-control-request-method": "PUT"}
    assert world.raw("OPTIONS", "/data/crossed", "", preflight).status == 400
    world.send("DELETE", "/data", "cors")


def test_rules_that_cannot_be_read_break_no_answer(world):
    world.loop.run_until_complete(world.box.store.configure("data", {"lifecycle": b"<Lifecyc"}))
    assert world.send("PUT", "/data/ruled", "", {}, b"x").status == 200
    assert world.send("GET", "/data/ruled").body == b"x"
    world.send("DELETE", "/data", "lifecycle")
