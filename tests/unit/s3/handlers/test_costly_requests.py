"""What a request without rights can make the server do: texts on which patterns lose themselves, large documents."""

import asyncio
import base64
import hashlib
import json
import time

import pytest
from s3_desk import V3, Server
from s3_memory import ANONYMOUS, with_object

from strongroom.crypto import madmin
from strongroom.s3.domain.policy.document import parse_bucket_policy
from strongroom.s3.domain.policy.patterns import substitute, variables
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.admin.desk import CONTAINERS
from strongroom.s3.handlers.admin.streams import _nanoseconds
from strongroom.s3.handlers.listing import _marker
from strongroom.s3.handlers.update_encryption import _wanted
from strongroom.s3.wire import batch


@pytest.fixture(scope="module")
def world():
    yield from with_object("k", b"x")


def test_a_long_key_arn():
    """Looked for at each place, a megabyte of letters took twelve minutes; nobody had asked who sends it."""
    name = "a" * 1_000_000
    body = f"<ObjectEncryption><SSE-KMS><KMSKeyArn>{name}</KMSKeyArn></SSE-KMS></ObjectEncryption>"
    assert _wanted(body.encode()).key_name == name
    arn = "arn:aws:kms:us-east-1:123456789012:key/my-key"
    assert _wanted(body.replace(name, arn).encode()).key_name == "my-key"


def test_a_policy_of_half_variables():
    text = "${" * 500_000
    assert substitute(text, {}) == text
    assert variables(text) == []
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::b/{'${' * 9000}"}
    assert parse_bucket_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}).encode(), "b")


def test_a_marker_of_half_suffixes():
    text = "[minio_cache:" * 100_000
    assert _marker(text) == text
    assert _marker("a[minio_cache:v2,id:x]") == "a"


@pytest.mark.parametrize("read", [_nanoseconds, lambda text: batch._seconds({"delay": text}, "delay", None)])
def test_a_duration_of_many_digits(read):
    with pytest.raises(Refused):
        read("1" * 1_000_000)
    assert read("1.5s") in (1.5, 1.5e9)


MANY = b"<Tag/>" * 100_000


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("PUT", "/data/k", "tagging", b"<Tagging><TagSet>" + MANY + b"</TagSet></Tagging>"),
        ("PUT", "/data/k", "retention", b"<Retention>" + MANY + b"</Retention>"),
        ("PUT", "/data/k", "legal-hold", b"<LegalHold>" + MANY + b"</LegalHold>"),
        ("PUT", "/data/k", "encryption", b"<ObjectEncryption>" + MANY + b"</ObjectEncryption>"),
        ("PUT", "/new", "", b"<CreateBucketConfiguration>" + MANY + b"</CreateBucketConfiguration>"),
        ("POST", "/data", "delete", b"<Delete>" + b"<Object><Key>k</Key></Object>" * 50_000 + b"</Delete>"),
    ],
)
def test_a_large_document_of_somebody_unknown_is_not_read(world, method, path, query, body):
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    answer = world.send(method, path, query, {"content-md5": md5}, body, who=ANONYMOUS)
    assert answer.code in ("MaxMessageLengthExceeded", "AccessDenied")


def test_a_pattern_of_many_stars_over_key_names(world):
    async def names(prefix):
        return ["a" * 80, "my-key"]

    empty = hashlib.sha256(b"").hexdigest()
    keys = world.entrance._specials
    desk = next(special._desk for special in keys if hasattr(special, "_desk") and special._desk.keys is not None)
    real, desk.keys.names = desk.keys.names, names
    try:
        query = f"pattern={'a*' * 40}b"
        assert world.send("GET", "/minio/kms/v1/key/list", query, payload=empty).body.strip() in (b"[]", b"null")
        assert b"my-key" in world.send("GET", "/minio/kms/v1/key/list", "pattern=m*k*", payload=empty).body
    finally:
        desk.keys.names = real


async def test_containers_of_admin_calls_are_made_two_at_a_time(monkeypatch):
    """Sse.md 18 row 22: 64 MiB and a tenth of a second of Argon2id for each admin call, as many as come at once."""
    server, running, most = Server(), 0, 0

    def watched(secret, content):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1
        return b"{}"

    monkeypatch.setattr(madmin, "seal", watched)
    monkeypatch.setattr(madmin, "open", watched)
    alice = await server.call("PUT", V3 + "add-user", b"x", accessKey="alice")
    assert (alice.status, most) == (400, 1)
    await asyncio.gather(*(server.call("GET", V3 + "list-users") for _ in range(12)))
    assert most == CONTAINERS == 2
    most = 0
    for who in (None, ("minio", "wrong-secret"), ("nobody", "secret")):
        assert (await server.call("PUT", V3 + "add-user", b"x", who, accessKey="bob")).status == 403
        assert (await server.call("GET", V3 + "list-users", b"", who)).status == 403
    assert most == 0
