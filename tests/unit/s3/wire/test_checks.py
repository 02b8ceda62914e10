"""Names, ranges, conditions, tags and checksums: values in, decisions out."""

import pytest

from strongroom.s3.domain import checksums, names, ranges
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import object_headers as wire

CONTENT = b"123456789"


def code(function, *arguments):
    try:
        return function(*arguments)
    except Refused as refused:
        return refused.code


@pytest.mark.parametrize("name", ["abc", "a-b", "a.b.c", "1234", "a" * 63, "0.0", "1.2.3"])
def test_bucket_names(name):
    assert code(names.check_bucket, name) is None


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Abc", "a_b", "a..b", "-ab", "ab-", "a.-b", "a-.b", "1.2.3.4", "a b", ""]
)
def test_bad_bucket_names(name):
    assert code(names.check_bucket, name) == "InvalidBucketName"


@pytest.mark.parametrize(
    "key", ["a", "a/b", ".../x", "%2e%2e/x", "a/b/", "dir/.x", "x" * 1024, "é" * 512, "a\x01b", "..x"]
)
def test_keys(key):
    assert code(names.check_key, key) is None


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("..", "XMinioInvalidResourceName"),
        ("a/./b", "XMinioInvalidResourceName"),
        ("a\\..\\b", "XMinioInvalidResourceName"),
        ("a/ ../b", "XMinioInvalidResourceName"),
        ("a//b", "XMinioInvalidObjectName"),
        ("a\0b", "XMinioInvalidObjectName"),
        ("x" * 1025, "KeyTooLongError"),
        ("é" * 513, "KeyTooLongError"),
        ("x/" * 513, "KeyTooLongError"),
        ("a\udcff", "InvalidURI"),
    ],
)
def test_bad_keys(key, wanted):
    assert code(names.check_key, key) == wanted


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-999999", (0, 100)),
        ("bytes=50-", (50, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-101", (0, 100)),
        ("bytes=00-01", (0, 2)),
        ("bytes=100-", "InvalidRange"),
        ("bytes=-0", "InvalidRange"),
        ("bytes=10-5", None),
        ("bytes=abc", None),
        ("bytes=0-0,1-2", None),
        ("octets=0-1", None),
        ("bytes=0--1", None),
    ],
)
def test_ranges(header, wanted):
    assert code(ranges.parse, header, 100) == wanted


@pytest.mark.parametrize(
    "header", ["0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=0-2,3-5", "bytes=5-2", "bytes=0-100"]
)
def test_bad_copy_ranges(header):
    assert code(ranges.parse_copy, header, 100) == "InvalidArgument"


OLD, NEW = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2099 07:28:00 GMT"
TIME = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"if-match": '"x"'}, "PreconditionFailed"),
        ({"if-match": '"x"', "if-none-match": '"e"'}, "PreconditionFailed"),
        ({"if-match": '"e"', "if-none-match": "e"}, True),
        ({"if-match": "e", "if-none-match": "x", "if-modified-since": NEW}, False),
        ({"if-match": "e", "if-modified-since": NEW}, True),
        ({"if-match": "e", "if-unmodified-since": OLD}, False),
        ({"if-none-match": "e", "if-unmodified-since": OLD}, "PreconditionFailed"),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": 'W/"x", "e"'}, True),
        ({"if-modified-since": NEW, "if-unmodified-since": OLD}, "PreconditionFailed"),
        ({"if-modified-since": NEW}, True),
        ({"if-modified-since": OLD}, False),
        ({"if-modified-since": "nonsense"}, False),
    ],
)
def test_the_table_of_conditional_reads(headers, wanted):
    """s3.md 4.1, the AWS column."""
    assert code(ranges.not_modified, headers, "e", TIME) == wanted


@pytest.mark.parametrize(
    ("headers", "etag", "wanted"),
    [
        ({"if-none-match": "*"}, "e", "PreconditionFailed"),
        ({"if-none-match": "*"}, None, None),
        ({"if-none-match": "x"}, "e", None),
        ({"if-match": "e"}, "e", None),
        ({"if-match": "x"}, "e", "PreconditionFailed"),
        ({"if-match": "*"}, None, "NoSuchKey"),
    ],
)
def test_conditional_writes(headers, etag, wanted):
    assert code(ranges.check_write, headers, etag) == wanted


def digest(kind, data):
    running = kind.start()
    running.update(data)
    return running.digest()


@pytest.mark.parametrize(
    ("name", "value"),
    [("CRC32", "cbf43926"), ("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")],
)
def test_check_values_of_the_crcs(name, value):
    kind = checksums.KINDS[name]
    assert digest(kind, CONTENT).hex() == value
    parts = [(digest(kind, CONTENT[:4]), 4), (digest(kind, CONTENT[4:]), 5), (digest(kind, b""), 0)]
    assert checksums.combined(kind, parts).value.hex() == value


def test_metadata_survives_headers():
    assert wire.header_text("plain") == "plain"
    for text in ("é", "日本 語", "a=?é(x)"):
        assert wire.user_metadata({"x-amz-meta-a": wire.header_text(text)}) == {"x-amz-meta-a": text}
        raw = text.encode().decode("latin-1")
        assert wire.user_metadata({"x-amz-meta-a": raw}) == {"x-amz-meta-a": text}


@pytest.mark.parametrize(
    ("sent", "kept"), [("aws-chunked", None), ("gzip, aws-chunked", "gzip"), ("aws-chunked,gzip", "gzip"), ("br", "br")]
)
def test_aws_chunked_is_not_stored(sent, kept):
    assert wire.kept_headers({"content-encoding": sent}).get("content-encoding") == kept
