"""SigV4 against botocore as oracle, and against AWS's published example."""

import datetime

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from strongroom.messages import Peer, Request
from strongroom.s3.wire import sigv4
from strongroom.s3.wire.claims import signed_headers

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)


def test_the_published_get_object_example():
    """docs.aws.amazon.com, Signature calculations for the Authorization header, GET Object."""
    headers = {"Host": "examplebucket.s3.amazonaws.com", "Range": "bytes=0-9"}
    key = sigv4.signing_key(SECRET, "20130524", "us-east-1")
    signed = sigv4.sign(
        "GET",
        "/test.txt",
        [],
        headers,
        access_key="AKIAIOSFODNN7EXAMPLE",
        key=key,
        region="us-east-1",
        amz_date="20130524T000000Z",
        payload_hash=sigv4.EMPTY_SHA256,
    )
    assert signed["authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_the_published_presigned_example():
    key = sigv4.signing_key(SECRET, "20130524", "us-east-1")
    query = sigv4.presign(
        "GET",
        "/test.txt",
        [],
        {"host": "examplebucket.s3.amazonaws.com"},
        access_key="AKIAIOSFODNN7EXAMPLE",
        key=key,
        region="us-east-1",
        amz_date="20130524T000000Z",
        expires=86400,
    )
    assert query.endswith("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


@pytest.mark.parametrize(
    "path", ["/b/k", "/b/a%20b%2Bc", "/b/%C3%A9/%E6%97%A5", "/b//x/./y/../z", "/b/~a%2A%27%28%29%21"]
)
@pytest.mark.parametrize("query", ["", "uploads=", "prefix=a%20b&list-type=2&delimiter=%2F", "a=2&a=1&A=%C3%A9&x-id=Q"])
def test_signatures_equal_botocores(path, query, monkeypatch):
    url = f"http://127.0.0.1:9000{path}" + (f"?{query}" if query else "")
    request = AWSRequest("PUT", url, headers={"x-amz-meta-b": "  a   b ", "x-amz-acl": "private"}, data=b"hello")
    auth = S3SigV4Auth(Credentials("AK", SECRET), "s3", "eu-1")
    auth.add_auth(request)
    date, digest = request.headers["X-Amz-Date"], request.headers["X-Amz-Content-SHA256"]
    names = request.headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {name: request.headers[name] for name in names if name != "host"} | {"host": "127.0.0.1:9000"}
    key = sigv4.signing_key(SECRET, date[:8], "eu-1")
    ours = sigv4.sign(
        "PUT",
        path,
        sigv4.parse_query(query),
        headers,
        access_key="AK",
        key=key,
        region="eu-1",
        amz_date=date,
        payload_hash=digest,
    )
    assert ours["authorization"] == request.headers["Authorization"]


def test_presigned_queries_equal_botocores():
    request = AWSRequest("GET", "http://h.example:9000/b/a%20b?versionId=1", params={"response-content-type": "a/b c"})
    S3SigV4QueryAuth(Credentials("AK", SECRET, "tok/en"), "s3", "eu-1", expires=60).add_auth(request)
    pairs = sigv4.parse_query(request.url.partition("?")[2])
    values = dict(pairs)
    text = sigv4.canonical_query(pairs)
    canonical = sigv4.canonical_request("GET", "/b/a%20b", text, [("host", "h.example:9000")], sigv4.UNSIGNED_PAYLOAD)
    date = values["X-Amz-Date"]
    key = sigv4.signing_key(SECRET, date[:8], "eu-1")
    where = sigv4.scope(date[:8], "eu-1")
    assert sigv4.signature(key, sigv4.string_to_sign(date, where, canonical)) == values["X-Amz-Signature"]


def test_bytes_that_are_not_utf8_survive_the_query():
    assert sigv4.canonical_query(sigv4.parse_query("prefix=%FF%2b+x&a")) == "a=&prefix=%FF%2B%20x"


def test_form_encoding_of_listings():
    assert sigv4.form_encode("a b/c*~é+") == "a+b/c*%7E%C3%A9%2B"


@pytest.mark.parametrize(
    "value",
    ["a", " a ", "a  b", "a\tb", "\t a \t b", "", " ", "à", "a\u00a0", "a\u00a0\u3000b", "a\u2028b", "你 \u00a0 好"],
)
def test_blanks_in_values_are_those_of_botocore(value):
    assert sigv4.canonical_value(value) == S3SigV4Auth(None, "s3", "us-east-1")._header_value(value)


def test_a_header_that_comes_twice_is_signed_as_one():
    values = [" à ".encode(), "b  你".encode()]
    joined = ", ".join(value.decode("latin-1").strip(" ") for value in values)
    raw = [(b"host", b"h"), *((b"x-amz-meta-a", value) for value in values)]
    request = Request("PUT", "/b/k", "/b/k", "", {"host": "h", "x-amz-meta-a": joined}, raw, Peer("127.0.0.1", 1))
    signed = dict(signed_headers(request, "host;x-amz-meta-a", {}))
    assert sigv4.canonical_value(signed["x-amz-meta-a"]) == "à,b 你"
