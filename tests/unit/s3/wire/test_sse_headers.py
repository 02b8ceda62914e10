"""Encryption headers: the recorded refusals, and what is read when there is none."""

import base64
import hashlib
import json
import re
from html import unescape
from pathlib import Path

import pytest

from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import SealInfo
from strongroom.s3.wire import sse_headers
from strongroom.s3.wire.errors import status_and_text
from strongroom.s3.wire.sse_headers import Operation

VECTORS = Path(__file__).parents[3] / "vectors"
TRANSCRIPTS = json.loads((VECTORS / "sse" / "http.json").read_text())["transcripts"]
OPERATIONS = {"put": Operation.PUT, "create multipart": Operation.CREATE, "copy destination": Operation.COPY}
WRITES = [
    t
    for t in TRANSCRIPTS
    if t.get("server") == "tls-static" and t["name"].partition(": ")[0] in OPERATIONS and "internal" not in t["name"]
    if not t["name"].endswith("aws:kms:dsse")  # which the original does not have
]
DETAIL = re.compile(r"\((illegal base64|Read(MapCB|String)).*\)")  # the original's parser speaks; ours says it simpler


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def recorded(response):
    found = re.search(r"<Code>(.*?)</Code><Message>(.*?)</Message>", response.get("body") or "")
    return (response["status"], *map(unescape, found.groups())) if found else None


@pytest.mark.parametrize("t", WRITES, ids=lambda t: t["name"])
def test_recorded_write(t):
    operation = OPERATIONS[t["name"].partition(": ")[0]]
    bucket, _, key = t["request"]["path"][1:].partition("/")
    expected = recorded(t["response"])
    if expected and expected[1].startswith("kms:"):
        expected = None  # the header is fine, the key is not
    try:
        sse_headers.parse_write(lower(t["request"]["headers"]), operation, bucket, key)
        answer = None
    except Refused as refused:
        answer = (status_and_text(refused)[0], refused.code, status_and_text(refused)[1])
    if operation is Operation.COPY and t["name"].endswith("ssec and sse-kms"):
        assert expected is None  # the original drops the customer key without a word
        assert answer == (400, "InvalidArgument", sse_headers.INCOMPATIBLE)
    elif expected and ("ReadMapCB" in expected[2] or "ReadString" in expected[2] or "illegal base64" in expected[2]):
        assert answer[:2] == (400, "InvalidArgument")  # the original: 500 for multipart uploads
        assert answer[2].startswith(f"Invalid arguments provided for {bucket}/{key}: (the encryption context is not")
    else:
        assert answer == expected


def test_there_are_recorded_writes():
    assert len(WRITES) > 80


CUSTOMER = bytes(range(32))
C_HEADERS = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": base64.b64encode(CUSTOMER).decode(),
    "x-amz-server-side-encryption-customer-key-md5": base64.b64encode(hashlib.md5(CUSTOMER).digest()).decode(),
}


@pytest.mark.parametrize("operation", Operation)
def test_two_layers_are_asked_for(operation):
    """Sse.md 18 row 24."""
    asked = {"x-amz-server-side-encryption": "aws:kms:dsse", "x-amz-server-side-encryption-aws-kms-key-id": "k"}
    want = sse_headers.parse_write(asked, operation, "bkt", "key")
    assert (want.kind, want.key_name, want.dual) == (Kind.KMS, "k", True)
    shown = dict(sse_headers.response_headers(SealInfo(Kind.KMS, True, "k", dual=True)))
    assert shown["X-Amz-Server-Side-Encryption"] == "aws:kms:dsse"
    with pytest.raises(Refused):
        sse_headers.parse_write({"x-amz-server-side-encryption": "AWS:KMS:DSSE"}, operation, "bkt", "key")


def test_what_is_read():
    context = base64.b64encode('{"a":"ü","b":"\\ud800"}'.encode()).decode()
    asked = {
        "x-amz-server-side-encryption": "aws:kms",
        sse_headers.KEY_ID: "arn:aws:kms:k",
        sse_headers.CONTEXT: context,
    }
    kms = sse_headers.parse_write(asked | {sse_headers.BUCKET_KEY: "false"}, Operation.PUT, "b", "o")
    assert (kms.kind, kms.key_name, kms.context, kms.bucket_key) == (Kind.KMS, "k", {"a": "ü", "b": "\ufffd"}, False)
    s3 = sse_headers.parse_write({"x-amz-server-side-encryption": "aes256"}, Operation.PUT, "b", "o")
    assert (s3.kind, s3.bucket_key) == (Kind.S3, None)
    customer = sse_headers.parse_write(C_HEADERS, Operation.CREATE, "b", "o")
    assert bytes(customer.customer_key) == CUSTOMER
    assert customer.customer_md5 == C_HEADERS["x-amz-server-side-encryption-customer-key-md5"]
    assert sse_headers.parse_write({}, Operation.PUT, "b", "o") is None
    assert base64.b64encode(CUSTOMER).decode() not in repr(customer)


def test_a_context_must_be_an_object_of_strings():
    for text in ("###", "aGVsbG8=", "WzFd", "eyJhIjoxfQ==", "", "ü", base64.b64encode(b"[" * 100000).decode()):
        with pytest.raises(ValueError, match="the encryption context is not"):
            sse_headers.parse_context(text)
    assert sse_headers.parse_context(base64.b64encode(b"null").decode()) == {}


def test_customer_keys_need_tls():
    sse_headers.refuse_insecure(C_HEADERS, True)
    sse_headers.refuse_insecure({}, False)
    for name in sse_headers.CUSTOMER_HEADERS + sse_headers.SOURCE_HEADERS:
        with pytest.raises(Refused) as refused:
            sse_headers.refuse_insecure({name: ""}, False)
        assert refused.value.early


@pytest.mark.parametrize(
    "headers",
    [{"x-amz-server-side-encryption": "AES256"}, {"x-amz-server-side-encryption": "foo"}, {sse_headers.KEY_ID: "k"}],
)
def test_reads_name_no_method(headers):
    with pytest.raises(Refused, match="BadRequest"):
        sse_headers.refuse_on_read(headers)
    sse_headers.refuse_on_read(C_HEADERS)


PLAIN, S3, KMS, C = SealInfo(), SealInfo(Kind.S3, True), SealInfo(Kind.KMS, True, "k"), SealInfo(Kind.C, True)
UNKNOWN = SealInfo(None, True)


@pytest.mark.parametrize(
    ("check", "info", "brought", "text"),
    [
        (sse_headers.check_read, PLAIN, False, None),
        (sse_headers.check_read, PLAIN, True, sse_headers.NOT_APPLICABLE),
        (sse_headers.check_read, S3, False, None),
        (sse_headers.check_read, S3, True, sse_headers.PARAMETERS_NEEDED),
        (sse_headers.check_read, UNKNOWN, True, sse_headers.PARAMETERS_NEEDED),
        (sse_headers.check_read, C, False, sse_headers.PARAMETERS_NEEDED),
        (sse_headers.check_read, C, True, None),
        (sse_headers.check_source, S3, True, sse_headers.INCOMPATIBLE),
        (sse_headers.check_source, KMS, True, None),
        (sse_headers.check_source, PLAIN, True, sse_headers.NOT_APPLICABLE),
        (sse_headers.check_source, C, False, sse_headers.PARAMETERS_NEEDED),
        (sse_headers.check_part, C, False, sse_headers.PART_PARAMETERS_NEEDED),
        (sse_headers.check_part, C, True, None),
        (sse_headers.check_part, PLAIN, True, sse_headers.NOT_APPLICABLE),
        (sse_headers.check_part, KMS, True, sse_headers.PART_PARAMETERS_NEEDED),
        (sse_headers.check_part, KMS, False, None),
    ],
)
def test_parameters_must_fit_the_object(check, info, brought, text):
    key = sse_headers.parse_customer_key(C_HEADERS) if brought else None
    if text is None:
        check(info, key)
        return
    with pytest.raises(Refused) as refused:
        check(info, key)
    assert refused.value.text == text


def test_response_headers():
    assert sse_headers.response_headers(PLAIN) == []
    assert sse_headers.response_headers(S3) == [("X-Amz-Server-Side-Encryption", "AES256")]
    kms = SealInfo(Kind.KMS, True, "my-key", {"project": "x"}, bucket_key=False)
    assert dict(sse_headers.response_headers(kms)) == {
        "X-Amz-Server-Side-Encryption": "aws:kms",
        "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "arn:aws:kms:my-key",
        "X-Amz-Server-Side-Encryption-Context": "eyJwcm9qZWN0IjoieCJ9",
    }
    assert ("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true") in sse_headers.response_headers(
        SealInfo(Kind.KMS, True, "k", bucket_key=True)
    )
    assert dict(sse_headers.response_headers(C, "md5"))["X-Amz-Server-Side-Encryption-Customer-Key-Md5"] == "md5"
