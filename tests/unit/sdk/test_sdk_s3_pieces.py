"""The S3 client's pure parts: listings, refusals, bodies, addresses, signatures."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from strongroom.errors import BadSettings, Denied, Malformed, NotFound, Unavailable
from strongroom.s3.wire import sigv4
from strongroom.s3.wire.aws_chunked import ChunkDecoder
from strongroom.sdk import s3_body, s3_listing, s3_sigv2
from strongroom.sdk.s3 import Client, Credentials, Settings, copy_source
from strongroom.sdk.s3_body import Bytes, Counted, FilePart, Seal
from strongroom.sdk.s3_call import origin_of
from strongroom.sdk.s3_errors import AccessDenied, NoSuchBucket, NoSuchKey, from_answer
from strongroom.sdk.s3_presign import post_form, presigned
from strongroom.sdk.s3_transfer import MOST_PARTS, Plan, algorithm_headers, completion_headers
from strongroom.sdk.s3_xml import Listed, Page, element, page, parse, writer

LISTING = b"""<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
<Prefix></Prefix><NextContinuationToken>tok</NextContinuationToken><IsTruncated>true</IsTruncated>
<Contents><Key>a+b%2F%C3%BC</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>
<Size>5</Size><Owner><ID>o</ID><DisplayName>d</DisplayName></Owner><StorageClass>STANDARD</StorageClass>
<UserMetadata><X-Amz-Meta-Color>red</X-Amz-Meta-Color><content-type>text/plain</content-type></UserMetadata>
<UserTags>a=1&amp;b=2</UserTags></Contents>
<CommonPrefixes><Prefix>dir%2F</Prefix></CommonPrefixes><EncodingType>url</EncodingType></ListBucketResult>"""


def test_a_page_of_a_listing():
    found = page(LISTING)
    one, two = found.entries
    assert (one.key, one.size, one.etag, one.storage_class, one.tags) == ("a b/ü", 5, "e", "STANDARD", "a=1&b=2")
    assert one.metadata == {"X-Amz-Meta-Color": "red", "content-type": "text/plain"}
    assert (two.key, two.prefix) == ("dir/", True)
    assert (found.truncated, found.token) == (True, "tok")


def test_names_that_a_server_does_not_encode_are_taken_as_they_are():
    found = page(b"<L><Contents><Key>a+b%2F</Key></Contents><CommonPrefixes><Prefix>d%/</Prefix></CommonPrefixes></L>")
    assert [entry.key for entry in found.entries] == ["a+b%2F", "d%/"]


def version(kind, key, number, latest=False):
    return (f"<{kind}><Key>{key}</Key><VersionId>v{number}</VersionId><IsLatest>{str(latest).lower()}</IsLatest>"
            f"<LastModified>2026-01-01T00:00:0{number}.000Z</LastModified></{kind}>")  # fmt: skip


def test_versions_and_markers():
    listed = version("DeleteMarker", "k", 3, True) + version("Version", "k", 2) + version("Version", "k", 4)
    found = page(f"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k%2F</NextKeyMarker>"
                 f"<NextVersionIdMarker>v9</NextVersionIdMarker><EncodingType>url</EncodingType>{listed}"
                 "</ListVersionsResult>".encode())  # fmt: skip
    assert [(e.version_id, e.marker, e.latest) for e in found.entries] == [
        ("v3", True, True), ("v2", False, False), ("v4", False, False)]  # fmt: skip
    assert (found.key_marker, found.second_marker) == ("k/", "v9")


def test_markers_that_a_server_lists_last_come_to_their_keys():
    listed = [version("Version", "a", 2), version("Version", "a", 1), version("Version", "b", 4, True),
              version("DeleteMarker", "a", 3, True), version("DeleteMarker", "b", 3)]  # fmt: skip
    found = page(f"<ListVersionsResult>{''.join(listed)}</ListVersionsResult>".encode())
    assert [entry.key + entry.version_id for entry in found.entries] == ["av3", "av2", "av1", "bv4", "bv3"]


def test_a_listing_that_stays_where_it_is_ends():
    stuck = Page([Listed(key="a")], truncated=True, token="t", key_marker="k")
    with pytest.raises(Malformed):
        list(s3_listing.objects(lambda query: stuck, []))
    with pytest.raises(Malformed):
        list(s3_listing.marked(lambda query: stuck, [], "version-id-marker"))


@pytest.mark.parametrize("data", [
    b"", b"<a>", b"{}", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", b"<a>" * 40 + b"</a>" * 40,
])  # fmt: skip
def test_what_is_no_document_is_malformed(data):
    with pytest.raises(Malformed):
        parse(data)


def test_a_size_that_is_no_number_is_malformed():
    with pytest.raises(Malformed):
        page(b"<L><Contents><Key>a</Key><Size>x</Size></Contents></L>")


def test_documents_are_escaped():
    body = writer("A", namespace=True)(element("B", "<&>"), element("C", [element("D", "e")]))
    assert body == b'<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><B>&lt;&amp;&gt;</B><C><D>e</D></C></A>'
    assert parse(body).get("C/D") == "e"


# ---- refusals ----


def test_refusals_from_bodies_and_headers():
    body = b"<Error><Code>NoSuchBucket</Code><Message>gone</Message><BucketName>b</BucketName></Error>"
    error = from_answer(404, {"server": "S"}, body, "x", "y")
    assert isinstance(error, NoSuchBucket)
    assert isinstance(error, NotFound)
    assert (error.message, error.bucket, error.server) == ("gone", "b", "S")
    error = from_answer(404, {}, b"", "b", "k")
    assert isinstance(error, NoSuchKey)
    assert isinstance(from_answer(404, {}, b"", "b", ""), NoSuchBucket)
    assert isinstance(from_answer(403, {}, b"", "b", "k"), AccessDenied)
    assert isinstance(from_answer(403, {}, b"", "b", "k"), Denied)
    assert isinstance(from_answer(503, {}, b"", "b", "k"), Unavailable)
    headers = {"x-minio-error-code": "NoSuchVersion", "x-minio-error-desc": '"no version"'}
    error = from_answer(404, headers, b"", "b", "k")
    assert (error.code, error.message) == ("NoSuchVersion", "no version")
    error = from_answer(400, {}, b'{"Code":"XMinioAdminNoSuchUser","Message":"m","RequestId":"r"}', "", "")
    assert (error.code, error.request_id) == ("XMinioAdminNoSuchUser", "r")
    assert from_answer(418, {}, b"<html>", "b", "k").code == "418"


# ---- bodies ----


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
@pytest.mark.parametrize("piece", [1000, 65536, 1 << 20])
def test_signed_chunks_are_what_the_server_reads(size, piece):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]

    class Pieces:
        length = size

        def start(self):
            for at in range(0, size, piece):
                yield memoryview(data)[at : at + piece]

    key = sigv4.signing_key("secret", "20260101", "us-east-1")
    seal = Seal(key, "20260101T000000Z", sigv4.scope("20260101", "us-east-1"), "f" * 64)
    sent = b"".join(map(bytes, s3_body.signed(Pieces(), seal)))
    assert len(sent) == s3_body.signed_length(size)
    plain = bytearray()
    from strongroom.s3.wire.aws_chunked import ChunkKey

    decoder = ChunkDecoder(plain.extend, chunk_key=ChunkKey(key, seal.amz_date, seal.scope, seal.seed))
    decoder.feed(memoryview(sent))
    decoder.finish()
    assert bytes(plain) == data


@pytest.mark.parametrize("name", sorted(s3_body.CHECKSUMS))
@pytest.mark.parametrize("size", [0, 5, 70_000])
def test_trailers(name, size):
    content = Bytes(b"x" * size)
    header = f"x-amz-checksum-{name.lower()}"
    sent = b"".join(map(bytes, s3_body.with_trailer(content, header, s3_body.CHECKSUMS[name]())))
    expected = s3_body.base64(s3_body.checksum(name, content))
    assert len(sent) == s3_body.trailer_length(size, header, len(expected))
    assert sent.endswith(f"0\r\n{header}:{expected}\r\n\r\n".encode())


def test_known_checksums():
    content = Bytes(b"test\n")
    assert s3_body.base64(s3_body.checksum("CRC32C", content)) == "+pT93w=="  # recorded, mc/requests.json
    assert s3_body.base64(s3_body.checksum("CRC32", content)) == "O7k1xg=="
    assert s3_body.base64(s3_body.checksum("CRC64NVME", content)) == "2wstOANdZ/o="
    assert s3_body.checksum("MD5", content).hex() == "d8e8fca2dc0f896fd7cb4cb0031ba249"


def test_progress_is_taken_back_when_a_body_starts_again(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"x" * 3_000_000)
    seen = []
    content = Counted(FilePart(file, 1_000_000, 2_000_000), seen.append)
    first = content.start()
    next(first)
    next(first)
    assert sum(seen) == 1 << 20
    assert sum(len(piece) for piece in content.start()) == 2_000_000
    assert sum(seen) == 2_000_000


def test_a_file_that_shrinks_is_an_error(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    with pytest.raises(EOFError):
        list(FilePart(file, 0, 4).start())


# ---- addresses and signatures ----


@pytest.mark.parametrize("url", ["ftp://h", "http://", "http://h:x", "h:9000"])
def test_bad_addresses(url):
    with pytest.raises(BadSettings):
        origin_of(url)


def test_bucket_in_the_path_or_in_the_host():
    path = Client(Settings("http://h:9000")).caller
    pool, where = path.place("b", "a b/ü")
    assert (pool.origin.host, where) == ("h", "/b/a%20b/%C3%BC")
    hosted = Client(Settings("https://s3.amazonaws.com")).caller
    pool, where = hosted.place("b", "k")
    assert (pool.origin.host, where) == ("b.s3.amazonaws.com", "/k")
    assert Client(Settings("https://s3.amazonaws.com", path_style=True)).caller.place("b", "k")[1] == "/b/k"


def test_a_copy_source_is_encoded():
    assert copy_source("b", "a b/ü") == "b/a%20b/%C3%BC"
    assert copy_source("b", "k", "v") == "b/k?versionId=v"


def test_secrets_are_not_shown():
    assert "secret" not in repr(Credentials("key", "secret-key", "secret-token"))


def test_presigned_urls_and_forms():
    caller = Client(Settings("http://h:9000", Credentials("minio", "minio123"))).caller
    url = presigned(caller, "GET", "b", "k", [("versionId", "v")], "us-east-1", 60)
    assert url.startswith("http://h:9000/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=minio%2F")
    assert "&versionId=v&X-Amz-Signature=" in url
    with pytest.raises(AccessDenied):
        presigned(Client(Settings("http://h:9000")).caller, "GET", "b", "k", [], "us-east-1", 60)
    form = post_form(caller, "b", [["starts-with", "$key", "p/"]], {"Content-Type": "text/plain"}, "us-east-1", 60)
    policy = base64.b64decode(form["policy"])
    assert b'["eq","$bucket","b"]' in policy
    assert b'["starts-with","$key","p/"]' in policy
    assert len(form["x-amz-signature"]) == 64


def test_signature_version_2():
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    headers = s3_sigv2.sign("GET", "/b/k", [("uploads", ""), ("prefix", "x")], {"x-amz-meta-a": "b"}, "AK", "SK", now)
    text = "GET\n\n\nFri, 02 Jan 2026 03:04:05 GMT\nx-amz-meta-a:b\n/b/k?uploads"
    import hmac

    expected = base64.b64encode(hmac.digest(b"SK", text.encode(), "sha1")).decode()
    assert headers["Authorization"] == f"AWS AK:{expected}"


# ---- plans ----


def test_parts_never_exceed_the_limit():
    assert Plan().size_of_part(1) == 16 * 1024 * 1024
    huge = 5 * 1024**4
    assert huge <= Plan().size_of_part(huge) * MOST_PARTS
    with pytest.raises(BadSettings):
        Plan(part_size=1).size_of_part(1)


def test_checksums_of_parts():
    assert algorithm_headers("") == []
    assert algorithm_headers("CRC64NVME")[1] == ("x-amz-checksum-type", "FULL_OBJECT")
    values = [s3_body.base64(hashlib.sha256(part).digest()) for part in (b"a", b"b")]
    whole = hashlib.sha256(b"".join(map(base64.b64decode, values))).digest()
    assert completion_headers("SHA256", values) == [("x-amz-checksum-sha256", s3_body.base64(whole))]
    assert completion_headers("SHA256", ["", values[0]]) == []
    assert completion_headers("CRC64NVME", values) == []
