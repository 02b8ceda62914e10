"""Hostile documents, names and numbers of parts: the documented error, constant memory, other requests unharmed."""

import base64
import hashlib
import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import raw_s3
from raw_s3 import Wire, call

MIB = 1024 * 1024


pytestmark = pytest.mark.usefixtures("unharmed")


# ---- documents

_TEN = b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
DOCUMENTS = {
    "billion laughs": b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + _TEN + b"]><Delete><Quiet>&j;</Quiet></Delete>",
    "quadratic": b'<!DOCTYPE l [<!ENTITY a "' + b"a" * 100_000 + b'">]><Delete>' + b"&a;" * 10_000 + b"</Delete>",
    "external": b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><Tagging>&a;</Tagging>',
    "parameter": b'<!DOCTYPE l [<!ENTITY % a SYSTEM "http://127.0.0.1:1/x"> %a;]><Tagging/>',
    "deep": b"<a>" * 300_000,
    "attributes": b"<Tagging " + b" ".join(b'a%d="b"' % n for n in range(50_000)) + b"/>",
    "same attribute": b"<Tagging " + b'a="b" ' * 50_000 + b"/>",
    "wide": b"<Tagging><TagSet>" + b"<Tag><Key>a</Key><Value>b</Value></Tag>" * 20_000 + b"</TagSet></Tagging>",
    "long": b"<Tagging>" + b"x" * 20 * MIB + b"</Tagging>",
    "not utf-8": b"<Tagging>\xff\xfe</Tagging>",
    "no document": b"",
    "json": b"[" * 300_000,
}  # fmt: skip
QUERIES = ["tagging", "versioning", "encryption", "lifecycle", "cors", "policy", "acl", "object-lock", "notification",
           "publicAccessBlock", "ownershipControls", "logging", "requestPayment"]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_that_explode(port, document):
    body = DOCUMENTS[document]
    md5 = {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}
    calls = [("PUT", "/bad", query) for query in QUERIES]
    calls += [("PUT", "/bad/k", query) for query in ("tagging", "retention", "legal-hold", "acl")]
    calls += [("POST", "/bad", "delete"), ("PUT", "/bad-other", "")]
    for method, path, query in calls:
        answer = call(port, method, path, md5, query=query, body=body)
        assert 400 <= answer.status < 500 or answer.status == 501 or not body or path == "/bad-other", (query, answer)
        assert b"root:" not in answer.body
        assert answer.status != 500
    call(port, "DELETE", "/bad-other")


def test_too_many_keys_in_one_delete(port):
    def delete(count):
        body = b"<Delete>" + b"<Object><Key>nothing</Key></Object>" * count + b"</Delete>"
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        return call(port, "POST", "/bad", {"content-md5": md5}, query="delete", body=body)

    assert delete(1000).body.count(b"<Deleted>") == 1000
    assert delete(1001).code == "MalformedXML"


def test_forms_that_are_none(port):
    for body in (
        b"",
        b"--x\r\n",
        b"--x\r\n\r\n" * 50_000,
        b"--x\r\ncontent-disposition: form-data; name=a\r\n\r\n" * 20_000,
    ):
        head = b"POST /bad HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        with Wire(port) as wire:
            wire.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert wire.answer().status in (400, 403)


# ---- names


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/bad/..", "XMinioInvalidResourceName"),
        ("/bad/../bad/k", "XMinioInvalidResourceName"),
        ("/bad/../../../etc/passwd", "XMinioInvalidResourceName"),
        ("/bad/%2e%2e/%2e%2e/system.db", "XMinioInvalidResourceName"),
        ("/bad/a%5C..%5Cb", "XMinioInvalidResourceName"),
        ("/bad/.%20/x", "XMinioInvalidResourceName"),
        ("/bad/a%00b", "XMinioInvalidObjectName"),
        ("/bad/a//b", "XMinioInvalidObjectName"),
        ("/bad/%FF%FE", ("InvalidURI", "SignatureDoesNotMatch")),
        ("/bad/" + "k" * 1025, "KeyTooLongError"),
        ("/bad/" + "%C3%A9" * 513, "KeyTooLongError"),
        ("/../k", ("NoSuchBucket", "XMinioInvalidResourceName")),
        ("/..%2f..%2fetc/k", ("NoSuchBucket", "XMinioInvalidResourceName")),
        ("/.minio.sys/k", "AllAccessDisabled"),
        ("/b%C3%A4d/k", "InvalidBucketName"),
        ("/" + "b" * 64 + "/k", "NoSuchBucket"),
    ],
)
def test_path_tricks(hostile_server, port, path, code):
    for method in ("PUT", "GET", "DELETE"):
        found = call(port, method, path).code
        assert (
            found in code
            if method == "PUT"
            else found in (*([code] if isinstance(code, str) else code), "NoSuchBucket")
        )
    outside = [one.name for one in hostile_server.folder.parent.iterdir()]
    assert outside == [hostile_server.folder.name]


NAMES = [
    "k" * 1024,
    "é" * 512,
    "/".join(["s" * 255] * 4),
    "%2e%2e/%2e%2e/x",
    "..%2f..",
    "..%c0%af",
    ".../.../target",
    "dir/%20../file",
    "logs/latest -> /etc/passwd",
    "caf\u00e9",
    "cafe\u0301",
    "\u202etxt.exe",
    "\U0001f510/\U0010ffff",
    "a?b#c%d+e&f g:h\\i\"j'k",
    "tab\there",
    "\u0001control",
    "trailing ",
    " leading",
    "dir/",
    "<xml>&amp;",
]


def test_odd_names_stay_what_they_are(hostile_server):
    s3 = hostile_server.client()
    s3.create_bucket(Bucket="names")
    for number, name in enumerate(NAMES):
        s3.put_object(Bucket="names", Key=name, Body=b"%d" % number)
    for number, name in enumerate(NAMES):
        assert s3.get_object(Bucket="names", Key=name)["Body"].read() == b"%d" % number, name
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="names", PaginationConfig={"PageSize": 3})
    listed = [one["Key"] for page in pages for one in page["Contents"]]
    assert listed == sorted(NAMES, key=str.encode)
    versions = s3.list_object_versions(Bucket="names")["Versions"]
    assert [one["Key"] for one in versions] == listed
    deleted = s3.delete_objects(
        Bucket="names", Delete={"Objects": [{"Key": name} for name in NAMES if name.isprintable()]}
    )
    assert len(deleted["Deleted"]) == len([name for name in NAMES if name.isprintable()])


def test_metadata_at_its_limit(port):
    names = {f"x-amz-meta-{number:04d}": "v" * 60 for number in range(32)}
    assert sum(len(name) - 11 + len(value) for name, value in names.items()) == 2048
    assert call(port, "PUT", "/bad/meta", names, body=b"x").status == 200
    found = call(port, "HEAD", "/bad/meta").headers
    assert {name: found[name] for name in names} == names
    assert call(port, "PUT", "/bad/meta", {**names, "x-amz-meta-0000": "v" * 61}, body=b"y").code == "MetadataTooLarge"
    tags = "&".join(f"{number:0>128}={'v' * 256}" for number in range(10))
    assert call(port, "PUT", "/bad/meta", {"x-amz-tagging": tags}, body=b"x").status == 200
    assert call(port, "GET", "/bad/meta", query="tagging").body.count(b"<Tag>") == 10


# ---- many parts


def test_ten_thousand_parts(hostile_server, port):
    """The most that an upload may have: each is kept, listed and counted; one more is refused."""
    upload = re.search(rb"<UploadId>(.*?)<", call(port, "POST", "/bad/parts", query="uploads").body)[1].decode()

    def send(numbers):
        with Wire(port) as wire:
            for number in numbers:
                answer = wire.call(
                    "PUT", "/bad/parts", query=f"partNumber={number}&uploadId={upload}", body=b"%d" % number
                )
                assert answer.status == 200
                yield number, answer.headers["etag"]

    with ThreadPoolExecutor(8) as pool:
        lists = pool.map(lambda first: list(send(range(first, 10_001, 8))), range(1, 9))
        etags = dict(itertools.chain.from_iterable(lists))
    assert call(port, "PUT", "/bad/parts", query=f"partNumber=10001&uploadId={upload}", body=b"x").status == 400
    listed, marker = [], 0
    while marker is not None:
        page = call(port, "GET", "/bad/parts", query=f"part-number-marker={marker}&uploadId={upload}").body
        listed += map(int, re.findall(rb"<PartNumber>(\d+)<", page))
        following = re.search(rb"<NextPartNumberMarker>(\d+)<", page)
        marker = int(following[1]) if b"<IsTruncated>true" in page else None
    assert listed == list(range(1, 10_001))

    def complete(count):
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etags[min(number, 10_000)]}</ETag></Part>"
            for number in range(1, count + 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        return call(port, "POST", "/bad/parts", query=f"uploadId={upload}", body=body)

    assert complete(10_000).code == "EntityTooSmall"
    assert complete(10_001).status == 400
    assert call(port, "DELETE", "/bad/parts", query=f"uploadId={upload}").status == 204
    assert call(port, "GET", "/bad/parts", query=f"uploadId={upload}").code == "NoSuchUpload"


def test_a_connection_goes_on_after_a_refusal(port):
    with Wire(port) as wire:
        for _ in range(50):
            assert wire.call("GET", "/bad/nothing").code == "NoSuchKey"
            assert wire.call("PUT", "/bad/digest", {"content-md5": "x"}, body=b"small").code == "InvalidDigest"
            assert wire.call("GET", "/bad/k").body == b"kept"


def test_answers_tell_nothing_of_the_inside(port):
    seen = set()
    for path in ("/bad/..", "/nothing/k", "/bad/k?partNumber=0", "/bad?list-type=2&max-keys=x"):
        where, _, query = path.partition("?")
        answer = call(port, "GET", where, query=query)
        seen.add(answer.code)
        for word in (b"Traceback", b".py", b"sqlite", b"/tmp"):
            assert word not in answer.body
    assert "" not in seen
    assert raw_s3.call(port, "GET", "/bad", query="list-type=2").status == 200
