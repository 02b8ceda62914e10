"""Whatever a client sends, well signed, the answer is a documented error: never an internal one, never a crash."""

import asyncio
import base64
import datetime
import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.messages import Peer, Request
from strongroom.net.body import Buffered
from strongroom.s3 import app
from strongroom.s3.handlers.routes import ROUTES
from strongroom.s3.wire import sigv4

KMS = KmsSettings(static=StaticSettings("my-key", Secret(bytes(range(32)))))
QUERIES = sorted(
    {name for route in ROUTES for name in route.query}
    | {
        "versionId",
        "prefix",
        "delimiter",
        "marker",
        "max-keys",
        "list-type",
        "continuation-token",
        "key-marker",
        "version-id-marker",
        "encoding-type",
        "response-content-type",
        "max-parts",
        "part-number-marker",
        "upload-id-marker",
        "max-uploads",
    }
)
HEADERS = [
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-acl",
    "x-amz-tagging",
    "x-amz-meta-a",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "content-md5",
    "x-amz-checksum-crc32",
    "x-amz-checksum-algorithm",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-context",
    "x-amz-object-attributes",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-metadata-directive",
    "x-amz-decoded-content-length",
    "content-type",
    "content-encoding",
    "origin",
    "access-control-request-method",
    "x-amz-bypass-governance-retention",
    "x-amz-mp-object-size",
    "x-amz-checksum-type",
    "x-amz-checksum-mode",
    "x-amz-expected-bucket-owner",
    "x-amz-website-redirect-location",
]
VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            "x",
            "0",
            "-1",
            "99999999999999999999",
            "*",
            '"',
            "bytes=0-0",
            "bytes=-1",
            "ON",
            "GOVERNANCE",
            "aws:kms",
            "AES256",
            "my-key",
            "CRC32",
            "COPY",
            "true",
            "null",
            "2030-01-01T00:00:00Z",
            "/fuzz/k",
            "fuzz/k?versionId=null",
            "/fuzz/%ff",
            "AAAAAA==",
            "url",
            "a=b&c",
            "=?utf-8?q?=ff?=",
            "=?x?b?!!?=",
            "ETag,ObjectParts",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12),
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"<a",
            b"<Delete><Object><Key>k</Key><VersionId>x</VersionId></Object></Delete>",
            b"<Delete><Object/></Delete>",
            b"<Tagging><TagSet><Tag/></TagSet></Tagging>",
            b"<Tagging/>",
            b"<VersioningConfiguration/>",
            b"{}",
            b"[]",
            b"{",
            b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::fuzz/*"}]}',
            b'{"Version":1,"Statement":{}}',
            b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
            b"<CompleteMultipartUpload><Part><PartNumber>\xc2\xb2</PartNumber></Part></CompleteMultipartUpload>",
            b"<LifecycleConfiguration><Rule/></LifecycleConfiguration>",
            b"<Retention><Mode>GOVERNANCE</Mode></Retention>",
            b"<LifecycleConfiguration><Rule><Status>Enabled</Status><Expiration><Days>99999999999999</Days></Expiration></Rule></LifecycleConfiguration>",
            b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule/></ObjectLockConfiguration>",
            b"<CORSConfiguration><CORSRule/></CORSConfiguration>",
            b"<LegalHold/>",
            b"<AccessControlPolicy/>",
            b"<ServerSideEncryptionConfiguration><Rule/></ServerSideEncryptionConfiguration>",
            b"<CreateBucketConfiguration/>",
            b'<!DOCTYPE x [<!ENTITY a "b">]><Tagging>&a;</Tagging>',
            b"<a>" * 3000,
            b"<x xmlns='y:\xff'/>",
            b"\xff\xfe<\x00a\x00/\x00>\x00",
        ]
    ),
)
PATHS = st.one_of(
    st.sampled_from(
        [
            "/",
            "//",
            "/fuzz",
            "/fuzz/",
            "/fuzz/k",
            "/fuzz/new",
            "/ver/k",
            "/lock/k",
            "/none/k",
            "/fuzz//k",
            "/fuzz/..",
            "/fuzz/%00",
            "/fuzz/%ff",
            "/%ff/k",
            "/fuzz/%2F",
            "/fuzz/a%",
            "/fuzz/%zz",
            "/minio/x",
            "/A_b",
        ]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="?# "), max_size=20).map(
        "/fuzz/".__add__
    ),
)


class World:
    """A server in memory, without a socket."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        root = RootCredentials("rootuser", Secret(b"rootpassword"))
        self.running = self.loop.run_until_complete(app.start(app.Settings(root, None, "127.0.0.1", 0, kms=KMS)))
        self.entrance = self.running.server._shared.handler
        for bucket, headers in (("fuzz", {}), ("ver", {}), ("lock", {"x-amz-bucket-object-lock-enabled": "true"})):
            self.send("PUT", f"/{bucket}", "", headers, b"")
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self.send("PUT", "/ver", "versioning", {}, body)
        for bucket in ("fuzz", "ver", "lock"):
            self.send("PUT", f"/{bucket}/k", "", {}, b"hello")

    def send(self, method, path, query, headers, body, payload=None):
        date = datetime.datetime.now(datetime.UTC).strftime(sigv4.AMZ_DATE)
        key = sigv4.signing_key("rootpassword", date[:8], "us-east-1")
        signed = sigv4.sign(
            method,
            path,
            sigv4.parse_query(query),
            {"host": "h", **headers},
            access_key="rootuser",
            key=key,
            region="us-east-1",
            amz_date=date,
            payload_hash=payload or sigv4.UNSIGNED_PAYLOAD,
        )
        signed["content-length"] = str(len(body))
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in signed.items()]
        target = f"{path}?{query}" if query else path
        request = Request(method, target, path, query, signed, raw, Peer("127.0.0.1", 1))

        async def answer():
            return await self.entrance(request, Buffered(body, len(body)))

        return self.loop.run_until_complete(answer())

    def close(self):
        self.loop.run_until_complete(self.running.stop(0.1))
        self.loop.close()


@pytest.fixture(scope="module")
def world():
    made = World()
    yield made
    made.close()


QUERY = st.lists(st.tuples(st.sampled_from(QUERIES), VALUES), max_size=3).map(
    lambda pairs: "&".join(
        f"{name}={sigv4.encode(value.encode('latin-1'))}" if value else name for name, value in pairs
    )
)
PAYLOADS = st.sampled_from(
    [None, None, None, "x", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"]
)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
    path=PATHS,
    query=QUERY,
    headers=st.dictionaries(st.sampled_from(HEADERS), VALUES, max_size=4),
    body=BODIES,
    payload=PAYLOADS,
)
def test_no_request_breaks_the_server(world, method, path, query, headers, body, payload):
    answer = world.send(method, path, query, headers, body, payload)
    assert answer.status not in (500, 502), (method, path, query, headers, body, answer.body)
    check(answer)


def check(answer):
    """An answer's headers are single lines that HTTP can carry."""
    for name, value in answer.headers:
        assert "\n" not in value, name
        assert "\r" not in value, name
        value.encode("latin-1")
    if isinstance(answer.body, bytes):
        assert b"Traceback" not in answer.body


LEVELS = {
    "service": ["/"],
    "bucket": ["/fuzz", "/ver", "/lock"],
    "object": ["/fuzz/k", "/ver/k", "/lock/k", "/fuzz/new"],
}


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data(), route=st.sampled_from(ROUTES))
def test_no_operation_breaks(world, data, route):
    """Like above, but each request is some operation's."""
    method = data.draw(st.sampled_from(route.methods.split()))
    path = data.draw(st.sampled_from(LEVELS[route.level]))
    names = [*route.query, *data.draw(st.lists(st.sampled_from(QUERIES), max_size=2))]
    query = "&".join(f"{name}={sigv4.encode(data.draw(VALUES).encode('latin-1'))}" for name in names)
    headers = data.draw(st.dictionaries(st.sampled_from(HEADERS), VALUES, max_size=3))
    if route.header:
        headers[route.header] = data.draw(st.sampled_from(["/fuzz/k", "/ver/k", "multipart/form-data; boundary=x"]))
    body = data.draw(BODIES)
    if data.draw(st.booleans()):
        headers["content-md5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    answer = world.send(method, path, query, headers, body)
    assert answer.status not in (500, 502), (method, path, query, headers, body, answer.body)
    check(answer)


@pytest.mark.parametrize("query", sorted({name for route in ROUTES for name in route.query if route.level == "bucket"}))
def test_xml_bombs_are_refused_everywhere(world, query):
    bomb = (
        b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><Tagging>&j;</Tagging>"
    )
    answer = world.send("PUT", "/fuzz", query, {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, bomb)
    assert 400 <= answer.status < 500 or answer.status == 501
