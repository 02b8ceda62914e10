"""Headers that come in the query of a presigned URL or in a form's fields, and what answers may carry of them."""

import base64
import datetime
import hashlib
import json
from email.utils import formatdate
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.config import Config
from s3_memory import ROOT, Memory

from strongroom.s3.wire import form as forms
from strongroom.s3.wire import sigv2, sigv4


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.send("PUT", "/data")
    made.send("PUT", "/data/k", "", {}, b"hello")
    yield made
    made.close()


def boto(version):
    return boto3.client(
        "s3",
        endpoint_url="http://h",
        aws_access_key_id=ROOT[0],
        aws_secret_access_key=ROOT[1],
        region_name="us-east-1",
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
    )


def follow(world, method, url, headers=(), body=b"", **more):
    parts = urlsplit(url)
    return world.raw(method, parts.path, parts.query, {"host": parts.netloc, **dict(headers)}, body, **more)


def presigned(method, path, query, headers=()):
    date = datetime.datetime.now(datetime.UTC).strftime(sigv4.AMZ_DATE)
    key = sigv4.signing_key(ROOT[1], date[:8], "us-east-1")
    signed = {"host": "h", **dict(headers)}
    text = sigv4.presign(
        method, path, query, signed, access_key=ROOT[0], key=key, region="us-east-1", amz_date=date, expires=60
    )
    return f"http://h{path}?{text}"


def test_a_sigv2_url_of_boto3_carries_its_headers(world):
    asked = {"Metadata": {"a": "b c"}, "ContentType": "text/x", "Tagging": "t=1", "ServerSideEncryption": "AES256"}
    url = boto("s3").generate_presigned_url("put_object", {"Bucket": "data", "Key": "v2", **asked})
    assert follow(world, "PUT", url, {}, b"x").status == 200
    kept = world.send("HEAD", "/data/v2").headers
    assert (kept["x-amz-meta-a"], kept["content-type"], kept["x-amz-tagging-count"]) == ("b c", "text/x", "1")
    assert kept["x-amz-server-side-encryption"] == "AES256"
    assert follow(world, "PUT", url, {"x-amz-meta-a": "b c", "content-type": "text/x"}, b"x").status == 200


@pytest.mark.parametrize("more", ["x-amz-acl=public-read", "x-amz-meta-b=1", "x-amz-tagging=z%3D1"])
def test_a_sigv2_url_is_not_made_to_carry_more(world, more):
    url = boto("s3").generate_presigned_url("put_object", {"Bucket": "data", "Key": "more"})
    assert follow(world, "PUT", f"{url}&{more}", {}, b"x").code == "SignatureDoesNotMatch"
    twice = boto("s3").generate_presigned_url("put_object", {"Bucket": "data", "Key": "more", "Tagging": "a=1"})
    changed = twice.replace("?", "?x-amz-tagging=evil%3D1&")
    assert follow(world, "PUT", changed, {}, b"x").status in (400, 403)
    assert world.send("HEAD", "/data/more").status == 404


def test_a_sigv4_url_carries_its_headers(world):
    query = [("x-amz-meta-a", "ü"), ("X-Amz-Meta-B", "2"), ("x-amz-tagging", "t=1&u=2"), ("x-id", "PutObject")]
    assert follow(world, "PUT", presigned("PUT", "/data/v4", query), {}, b"x").status == 200
    kept = world.send("HEAD", "/data/v4").headers
    assert (kept["x-amz-meta-a"], kept["x-amz-meta-b"]) == ("=?UTF-8?q?=C3=BC?=", "2")
    assert kept["x-amz-tagging-count"] == "2"


@pytest.mark.parametrize("text", ["ü=你", "%C3%BC=%E4%BD%A0"])
def test_tags_that_are_not_ascii(world, text):
    shown = "<Key>ü</Key><Value>你</Value>"
    assert follow(world, "PUT", presigned("PUT", "/data/tags", [("x-amz-tagging", text)]), {}, b"x").status == 200
    assert shown in world.send("GET", "/data/tags", "tagging").body.decode()
    sent = text.encode().decode("latin-1")
    assert world.send("PUT", "/data/tags", "", {"x-amz-tagging": sent}, b"x").status == 200
    assert shown in world.send("GET", "/data/tags", "tagging").body.decode()


def test_a_copy_in_a_url_is_no_empty_object(world):
    url = presigned("PUT", "/data/copied", [("x-amz-copy-source", "/data/k")])
    assert follow(world, "PUT", url).status == 200
    assert world.send("GET", "/data/copied").body == b"hello"


def test_a_checksum_in_a_url_is_of_no_body(world):
    """What JavaScript's SDK writes into every URL: the checksum of the empty body that it signed."""
    query = [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-sdk-checksum-algorithm", "CRC32")]
    assert follow(world, "PUT", presigned("PUT", "/data/js", query), {}, b"not empty").status == 200


def test_a_real_header_wins(world):
    url = presigned("PUT", "/data/wins", [("x-amz-meta-a", "url")], {"x-amz-meta-a": "header"})
    assert follow(world, "PUT", url, {"x-amz-meta-a": "header"}, b"x").status == 200
    assert world.send("HEAD", "/data/wins").headers["x-amz-meta-a"] == "header"


def test_a_url_carries_single_lines(world):
    url = presigned("PUT", "/data/lines", [("x-amz-meta-a", "one\r\nx-amz-acl: public-read")])
    assert follow(world, "PUT", url, {}, b"x").code == "InvalidArgument"


def test_only_a_presigned_url_carries_headers(world):
    assert world.send("PUT", "/data/plain", "x-amz-meta-a=1", {}, b"x").status == 200
    assert "x-amz-meta-a" not in world.send("HEAD", "/data/plain").headers


def form(world, fields, filename="f.txt", conditions=()):
    policy = {
        "expiration": "2099-01-01T00:00:00Z",
        "conditions": [
            {"bucket": "data"},
            *conditions,
            *({name: value} for name, value in fields.items() if name != "key"),
        ],
    }
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    date = datetime.datetime.now(datetime.UTC).strftime(sigv4.AMZ_DATE)
    scope = sigv4.scope(date[:8], "us-east-1")
    signed = {"x-amz-algorithm": sigv4.ALGORITHM, "x-amz-credential": f"{ROOT[0]}/{scope}", "x-amz-date": date}
    policy["conditions"] += [{name: value} for name, value in signed.items()]
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    key = sigv4.signing_key(ROOT[1], date[:8], "us-east-1")
    every = {**fields, **signed, "policy": text, "x-amz-signature": sigv4.signature(key, text)}
    parts = [
        f'--m\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in every.items()
    ]
    file = f'--m\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\nhello\r\n--m--\r\n'
    body = ("".join(parts) + file).encode()
    return world.raw("POST", "/data", "", {"host": "h", "content-type": "multipart/form-data; boundary=m"}, body)


@pytest.mark.parametrize(("filename", "status"), [("foo.txt", 204), ("dir/foo.txt", 204), ("other.txt", 403)])
def test_a_form_s_key_is_judged_with_its_file_name(world, filename, status):
    answer = form(world, {"key": "${filename}"}, filename, [["starts-with", "$key", "foo"]])
    assert answer.status == status
    if status == 204:
        assert world.send("GET", "/data/foo.txt").body == b"hello"


def test_a_form_s_fields_are_utf8(world):
    disposition = 'attachment; filename="ü 你.txt"'
    fields = {"key": "form-utf8", "Content-Disposition": disposition, "x-amz-meta-a": "你"}
    assert form(world, fields, conditions=[["starts-with", "$key", ""]]).status == 204
    kept = world.send("GET", "/data/form-utf8").headers
    assert kept["content-disposition"].encode("latin-1").decode() == disposition
    assert kept["x-amz-meta-a"] == "=?UTF-8?q?=E4=BD=A0?="


@pytest.mark.parametrize("name", ["x-amz-meta-a", "Content-Type", "success_action_redirect"])
def test_a_form_s_field_is_one_line(world, name):
    fields = {"key": "form-lines", name: "http://a\r\nx-evil: 1"}
    assert form(world, fields, conditions=[["starts-with", "$key", ""]]).code == "InvalidArgument"
    assert world.send("HEAD", "/data/form-lines").status == 404


def test_an_override_may_be_any_text(world):
    wanted = 'attachment; filename="你 ü.txt"'
    answer = world.send("GET", "/data/k", f"response-content-disposition={quote(wanted)}")
    assert answer.headers["content-disposition"].encode("latin-1").decode() == wanted


@pytest.mark.parametrize(
    ("name", "shown"),
    [('a "b"', "a %22b%22"), ("two\nlines", "two%0Alines"), ("ре", "%D1%80%D0%B5"), ("a b+c", "a b+c")],
)
def test_a_rule_s_name_is_one_line_in_answers(world, name, shown):
    body = (
        f"<LifecycleConfiguration><Rule><ID>{name}</ID><Status>Enabled</Status><Filter><Prefix>ruled</Prefix></Filter>"
        "<Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>"
    ).encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    assert world.send("PUT", "/data", "lifecycle", {"content-md5": md5}, body).status == 200
    assert world.send("PUT", "/data/ruled", "", {}, b"x").headers["x-amz-expiration"].endswith(f'rule-id="{shown}"')
    world.send("DELETE", "/data", "lifecycle")


def test_a_copy_source_in_plain_utf8(world):
    world.send("PUT", f"/data/{quote('ü 你')}", "", {}, b"u")
    source = "/data/ü 你".encode().decode("latin-1")
    assert world.send("PUT", "/data/copied-u", "", {"x-amz-copy-source": source}).status == 200
    assert world.send("GET", "/data/copied-u").body == b"u"


@pytest.mark.parametrize("text", ["à", "你", "a\u00a0b", "a\tb"])
def test_text_whose_bytes_look_like_blanks_can_be_signed(world, text):
    sent = text.encode().decode("latin-1")
    assert world.send("PUT", "/data/text", "", {"x-amz-meta-a": sent}, b"x").status == 200


def test_sigv2_signs_the_bytes_of_metadata(world):
    text, date = "ü 你", formatdate(usegmt=True)
    to_sign = f"PUT\n\n\n{date}\nx-amz-meta-a:{text}\n/data/v2text"
    headers = {"host": "h", "date": date, "x-amz-meta-a": text.encode().decode("latin-1")}
    headers["authorization"] = f"AWS {ROOT[0]}:{sigv2.signature(ROOT[1], to_sign)}"
    assert world.raw("PUT", "/data/v2text", "", headers, b"x").status == 200
    assert world.send("HEAD", "/data/v2text").headers["x-amz-meta-a"].startswith("=?UTF-8?q?=C3=BC")


def test_a_version_is_named_in_ascii(world):
    digits = "\uff10" * 8 + "-" + "0000-" * 3 + "0" * 12
    assert world.send("DELETE", "/data/k", f"versionId={quote(digits)}").code == "InvalidArgument"
    assert world.send("DELETE", "/data/k", f"versionId={'0' * 36}").code == "InvalidArgument"


SHA256 = base64.b64encode(hashlib.sha256(b"x").digest()).decode()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-checksum-sha512": "AAAA"}, "InvalidArgument"),
        ({"x-amz-checksum-xxhash64": "AAAA"}, "InvalidArgument"),
        ({"x-amz-checksum-sha256": SHA256, "x-amz-checksum-md5": "AAAA"}, "InvalidArgument"),
        ({"x-amz-sdk-checksum-algorithm": "SHA512", "x-amz-checksum-sha512": "AAAA"}, "InvalidArgument"),
        ({"x-amz-sdk-checksum-algorithm": "SHA256"}, ""),
        ({"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-sha256": SHA256}, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": SHA256}, ""),
        ({"x-amz-checksum-algorithm": "SHA256"}, ""),
        ({"x-amz-checksum-algorithm": "SHA512"}, "InvalidArgument"),
    ],
)
def test_no_checksum_goes_unverified(world, headers, code):
    answer = world.send("PUT", "/data/sum", "", headers, b"x")
    assert (answer.status, answer.code) == ((400, code) if code else (200, ""))


@pytest.mark.parametrize(
    "content",
    [
        "<ExposeHeader>a\nb</ExposeHeader>",
        "<ExposeHeader>ü</ExposeHeader>",
        "<AllowedHeader>a: b</AllowedHeader>",
        "<MaxAgeSeconds>1\n2</MaxAgeSeconds>",
        "<MaxAgeSeconds>soon</MaxAgeSeconds>",
    ],
)
def test_cors_rules_make_headers(world, content):
    rule = f"<AllowedOrigin>http://o</AllowedOrigin><AllowedMethod>GET</AllowedMethod>{content}"
    body = f"<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>".encode()
    assert world.send("PUT", "/data", "cors", {}, body).code == "MalformedXML"
    assert world.send("GET", "/data/k", "", {"origin": "http://o"}).status == 200


@pytest.mark.parametrize("name", ["x-amz-meta-a b", "x-amz-meta-你", "x-amz-meta-a\nb", "x-amz-meta-a:b"])
def test_a_header_has_a_name_that_answers_can_carry(world, name):
    assert follow(world, "PUT", presigned("PUT", "/data/name", [(name, "v")]), {}, b"x").code == "InvalidArgument"
    fields = {"key": "name", name: "v"}
    assert form(world, fields, conditions=[["starts-with", "$key", ""]]).code == "InvalidArgument"
    assert world.send("GET", "/data/name").status == 404


@pytest.mark.parametrize("operation", ["put_object", "get_object"])
def test_a_url_carries_no_customer_key(world, operation):
    """As boto3 writes it with SigV2: who also sends the headers is heard."""
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    url = boto("s3").generate_presigned_url(operation, {"Bucket": "data", "Key": "own", **customer})
    method = "PUT" if operation == "put_object" else "GET"
    assert follow(world, method, url, {}, b"").code == "InvalidRequest"
    key, md5 = base64.b64encode(b"k" * 32), base64.b64encode(hashlib.md5(b"k" * 32, usedforsecurity=False).digest())
    prefix = "x-amz-server-side-encryption-customer"
    headers = {f"{prefix}-algorithm": "AES256", f"{prefix}-key": key.decode(), f"{prefix}-key-md5": md5.decode()}
    assert follow(world, method, url, headers, b"", tls=True).status == 200


def test_a_part_s_head_is_looked_through_once():
    """From each `form-data;` in it, a head of 8 KiB took 27 ms; this one would take hours."""
    head = b"\r\nContent-Disposition: form-data; " + b"form-data;" * 100_000 + b' name="late"'
    assert forms._NAME.search(head)[1] == b"late"
    assert forms._NAME.search(b"form-data;" * 100_000) is None
    assert (
        forms._NAME.search(b'\r\nContent-Type: a/b\r\ncontent-disposition:form-data; filename="x"; name="k"')[1] == b"k"
    )


def test_a_list_in_headers_has_a_limit(world):
    world.send("PUT", "/listed", "", {"x-amz-object-ownership": "ObjectWriter"})
    grants = ",".join(["id=a"] * 101)
    assert world.send("PUT", "/listed/k", "", {"x-amz-grant-read": grants}, b"x").code == "InvalidArgument"
    assert world.send("PUT", "/listed/k", "", {"x-amz-grant-read": grants[5:]}, b"x").status == 200
