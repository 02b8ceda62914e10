"""What the original gets wrong, row by row of the list in sse.md 18, asked of a server in memory.

Rows that need more than that have their tests elsewhere, and name the row: 6, 9-12, 14, 18, 20, 22-24.
"""

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest
from s3_memory import Memory

from strongroom.s3.domain.key_errors import KeyServiceAway
from strongroom.s3.domain.object_record import pack_meta, unpack_meta
from strongroom.s3.handlers.call import BoxSettings
from strongroom.s3.outside.static_key import StaticKey

HEADER, PACKAGE = 16, 64 * 1024 + 32  # bytes of a sealed package (sse.md 2.1)
MINIMUM = 5 * 1024 * 1024  # bytes of a part that is not the last
METHOD = "x-amz-server-side-encryption"


def customer(letter="a", prefix=METHOD):
    key = letter.encode() * 32
    digest = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
    words = {"algorithm": "AES256", "key": base64.b64encode(key).decode(), "key-md5": digest}
    return {f"{prefix}-customer-{name}": value for name, value in words.items()}


MODES = {
    "SSE-S3": {METHOD: "AES256"},
    "SSE-KMS": {METHOD: "aws:kms", f"{METHOD}-aws-kms-key-id": "my-key"},
    "DSSE-KMS": {METHOD: "aws:kms:dsse", f"{METHOD}-aws-kms-key-id": "my-key"},
    "SSE-C": customer(),
}


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.send("PUT", "/data")
    yield made
    made.close()


@pytest.fixture
def send(world):
    """A function that sends a request over TLS which must be answered with 200."""

    def call(method, path, query="", headers=(), body=b""):
        answer = world.send(method, path, query, headers, body, tls=True)
        assert answer.status in (200, 204, 206), answer.body
        return answer

    return call


def begin(send, key, headers=()):
    answer = send("POST", f"/data/{key}", "uploads", headers)
    return re.search(rb"<UploadId>(.*?)<", answer.body)[1].decode(), answer


def complete(send, key, upload, numbers_and_etags, headers=()):
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in numbers_and_etags)
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    return send("POST", f"/data/{key}", f"uploadId={upload}", headers, body)


def rows(world, bucket="data"):
    return world.box.store._buckets[bucket].keys


def change(world, key, **changes):
    """Change the newest row of a key behind the server's back."""
    versions = rows(world)[key]
    rows(world)[key] = [replace(versions[0], **changes), *versions[1:]]


@pytest.mark.parametrize("headers", MODES.values(), ids=MODES)
def test_a_part_that_is_sent_again_has_another_nonce(world, send, headers):
    """Sse.md 18 row 1: derived from upload and number, the nonce came twice under one key, and opened both."""
    upload, _ = begin(send, "nonces", headers)
    key = {name: value for name, value in headers.items() if "customer" in name}
    store, nonces = world.box.store._buckets["data"].uploads, []
    for content in (b"first", b"other"):
        send("PUT", "/data/nonces", f"partNumber=1&uploadId={upload}", key, content)
        nonces.append(store[upload].parts[1][1][4:HEADER])
    derived = hashlib.sha256(f"{upload}1".encode()).digest()[:12]
    assert len({nonce[1:] for nonce in (*nonces, derived)}) == 3
    send("DELETE", "/data/nonces", f"uploadId={upload}")


@pytest.mark.parametrize("prefix", ["x-minio-replication-server-side-encryption-", "x-minio-internal-"])
def test_headers_of_replication_make_no_object_unreadable(world, prefix):
    """Sse.md 18 row 2: any writer could say that what it sends is sealed already (CVE-2026-34204)."""
    sealed = {f"{prefix}{name}": base64.b64encode(bytes(32)).decode() for name in ("sealed-key", "iv")}
    sealed |= {f"{prefix}seal-algorithm": "DAREv2-HMAC-SHA256", "x-minio-source-replication-request": "true"}
    answer = world.send("PUT", "/data/injected", "", sealed, b"hello")
    if answer.status == 200:
        got = world.send("GET", "/data/injected")
        assert (got.status, got.body) == (200, b"hello")
        assert not any("encryption" in name for name in got.headers)
    else:
        assert answer.code == "InvalidArgument"


def test_a_listing_asks_for_no_key(world, send, monkeypatch):
    """Sse.md 18 row 3: one call of the key service for each SSE-S3 object, and no listing when one failed."""
    for number in range(20):
        send("PUT", f"/data/list/{number}", "", MODES["SSE-S3"], b"x" * number)
    asked = []

    async def away(*words, **more):
        asked.append(words)
        raise KeyServiceAway("kms:DecryptionFailed")

    monkeypatch.setattr(StaticKey, "unseal", away)
    monkeypatch.setattr(StaticKey, "generate", away)
    for query in ("prefix=list/", "list-type=2&prefix=list/", "versions&prefix=list/"):
        body = send("GET", "/data", query).body.decode()
        found = re.findall("<ETag>&#34;([0-9a-f]{32})&#34;</ETag>", body)
        assert found == [digest(b"x" * int(name)) for name in sorted(map(str, range(20)))]
    assert asked == []


def digest(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("mode", MODES)
def test_every_write_tells_how_it_encrypts(send, mode):
    """Sse.md 18 row 4: the original is silent at Create, Complete, copies, copied parts and forms."""
    headers, key = MODES[mode], customer() if mode == "SSE-C" else {}
    send("PUT", "/data/source", "", {}, b"hello")
    upload, created = begin(send, "told", headers)
    source = {"x-amz-copy-source": "/data/source"}
    copied = send("PUT", "/data/told", f"partNumber=1&uploadId={upload}", {**source, **key})
    etag = re.search(rb"<ETag>(?:&#34;|&quot;|\")([0-9a-f]{32})", copied.body)[1].decode()
    answers = [
        created,
        copied,
        send("PUT", "/data/told", f"partNumber=2&uploadId={upload}", key, b"x"),
        complete(send, "told", upload, [(1, etag)], key),
        send("PUT", "/data/copy", "", {**source, **headers}),
        send("PUT", "/data/put", "", headers, b"x"),
        send("GET", "/data/put", "", key),
        send("HEAD", "/data/put", "", key),
    ]
    for answer in answers:
        if mode == "SSE-C":
            assert answer.headers[f"{METHOD}-customer-key-md5"] == headers[f"{METHOD}-customer-key-md5"]
            assert answer.headers[f"{METHOD}-customer-algorithm"] == "AES256"
        else:
            assert answer.headers[METHOD] == headers[METHOD]
        assert (answer.headers.get(f"{METHOD}-aws-kms-key-id") is not None) == ("KMS" in mode)


def form(world, fields, headers=()):
    world.policy(
        "data", {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::data/*"}
    )
    said = {"key": "form", "success_action_status": "201", **fields}
    parts = [f'--m\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in said.items()]
    body = "".join(parts) + '--m\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--m--\r\n'
    kind = {"host": "h", "content-type": "multipart/form-data; boundary=m", **dict(headers)}
    answer = world.raw("POST", "/data", "", kind, body.encode(), tls=True)
    world.send("DELETE", "/data", "policy")
    return answer


@pytest.mark.parametrize("mode", MODES)
def test_a_form_tells_as_well_and_shows_the_true_etag(world, send, mode):
    """Sse.md 18 rows 4, 5 and 19: no headers, 501 for SSE-KMS, and the sealed ETag in the document of a 201."""
    answer = form(world, MODES[mode])
    assert answer.status == 201
    name = f"{METHOD}-customer-algorithm" if mode == "SSE-C" else METHOD
    assert answer.headers[name] == MODES[mode].get(name)
    shown = re.search(rb"<ETag>(?:&#34;|&quot;|\")([0-9a-f]*)", answer.body)[1].decode()
    assert answer.headers["etag"] == f'"{shown}"'
    assert send("GET", "/data/form", "", customer() if mode == "SSE-C" else {}).headers["etag"] == f'"{shown}"'
    assert len(shown) == 32
    assert (shown == digest(b"hello")) == (mode == "SSE-S3")


@pytest.mark.parametrize("said", ["AES256", "aws:kms"])
def test_encryption_in_a_header_of_a_form_is_not_passed_over(world, said):
    """Sse.md 18 row 13: the object was stored in clear."""
    world.send("DELETE", "/data/form")
    assert form(world, {}, {METHOD: said}).status >= 400
    assert world.send("HEAD", "/data/form").status == 404


@pytest.mark.parametrize("mode", MODES)
def test_a_copied_part_may_say_what_its_upload_says(send, mode):
    """Sse.md 18 row 5: 501 for headers of SSE-KMS, although the destination is SSE-KMS."""
    send("PUT", "/data/source", "", {}, b"hello")
    upload, _ = begin(send, "said", MODES[mode])
    source = {"x-amz-copy-source": "/data/source"}
    answer = send("PUT", "/data/said", f"partNumber=1&uploadId={upload}", {**source, **MODES[mode]})
    etag = re.search(rb"<ETag>(?:&#34;|&quot;|\")([0-9a-f]{32})", answer.body)[1].decode()
    complete(send, "said", upload, [(1, etag)])
    assert send("GET", "/data/said", "", customer() if mode == "SSE-C" else {}).body == b"hello"


def test_a_key_id_that_was_shown_can_be_asked_for(send):
    """Sse.md 18 row 7: what stands before a shown key's name is no part of it, wherever it is said again."""
    for mode in ("SSE-KMS", "DSSE-KMS"):
        shown = send("PUT", "/data/named", "", MODES[mode], b"x").headers[f"{METHOD}-aws-kms-key-id"]
        again = {**MODES[mode], f"{METHOD}-aws-kms-key-id": shown}
        assert send("PUT", "/data/named", "", again, b"x").headers[f"{METHOD}-aws-kms-key-id"] == shown
        default = f"<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{shown}</KMSMasterKeyID>"
        rule(send, default)
        assert send("PUT", "/data/named", "", {}, b"x").headers[f"{METHOD}-aws-kms-key-id"] == shown
        send("DELETE", "/data", "encryption")


def rule(send, default):
    inner = f"<Rule><ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault></Rule>"
    body = f"<ServerSideEncryptionConfiguration>{inner}</ServerSideEncryptionConfiguration>".encode()
    return send("PUT", "/data", "encryption", {}, body)


@pytest.mark.parametrize(
    ("proxies", "said", "status"),
    [
        (("127.0.0.1",), "https", 200),
        (("127.0.0.1",), "http", 400),
        (("127.0.0.1",), "", 400),
        (("10.0.0.1",), "https", 400),
        ((), "https", 400),
    ],
)
def test_customer_keys_behind_a_proxy_that_ends_tls(world, proxies, said, status):
    """Sse.md 18 row 8: the original looks at its own listener alone."""
    plain, world.box.settings = world.box.settings, BoxSettings(trusted_proxies=proxies)
    try:
        headers = {**customer(), **({"x-forwarded-proto": said} if said else {})}
        assert world.send("PUT", "/data/proxied", "", headers, b"x").status == status
        copied = {**headers, "x-amz-copy-source": "/data/proxied"}
        assert (world.send("PUT", "/data/proxied2", "", copied, b"x").code == "InvalidRequest") == (status == 400)
    finally:
        world.box.settings = plain


@pytest.mark.parametrize("upload", [{}, MODES["SSE-S3"], MODES["SSE-KMS"]])
@pytest.mark.parametrize("source", [{}, {"x-amz-copy-source": "/data/source"}])
def test_a_part_with_a_customer_key_that_its_upload_has_not(world, send, upload, source):
    """Sse.md 18 row 13: it was stored in clear, or under another key than its sender thinks."""
    send("PUT", "/data/source", "", {}, b"hello")
    name, _ = begin(send, "parts", upload)
    answer = world.send("PUT", "/data/parts", f"partNumber=1&uploadId={name}", {**customer(), **source}, b"x", tls=True)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert b"<Part>" not in send("GET", "/data/parts", f"uploadId={name}").body


def test_a_rule_that_encrypts_nothing_is_refused(world, send):
    """Sse.md 18 row 13: the original stores it, and objects stay plain."""
    for inner in ("<Rule/>", "<Rule></Rule>", "", "<Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule>"):
        body = f"<ServerSideEncryptionConfiguration>{inner}</ServerSideEncryptionConfiguration>".encode()
        assert world.send("PUT", "/data", "encryption", {}, body).code == "MalformedXML"
    assert world.send("GET", "/data", "encryption").status == 404


@pytest.mark.parametrize("mode", MODES)
def test_truncation_to_nothing_is_found(world, send, mode):
    """Sse.md 18 row 15: an encrypted empty object is no bytes at all, and so is one that was cut."""
    key = customer() if mode == "SSE-C" else {}
    send("PUT", "/data/cut", "", MODES[mode], b"hello")
    send("PUT", "/data/empty", "", MODES[mode], b"")
    assert send("GET", "/data/empty", "", key).body == b""
    change(world, "cut", size=0, stored=0, place=b"")
    answer = world.send("GET", "/data/cut", "", key, tls=True)
    assert (answer.status, answer.code) == (500, "XMinioObjectTampered")


@pytest.fixture
def small_parts(world):
    plain, world.box.settings = world.box.settings, BoxSettings(min_part=1)
    yield
    world.box.settings = plain


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("small_parts")
def test_parts_are_neither_left_out_nor_exchanged_nor_renumbered(world, send, mode):
    """Sse.md 18 row 15: count and order of parts are authenticated."""
    key = customer() if mode == "SSE-C" else {}
    upload, _ = begin(send, "whole", MODES[mode])
    etags = []
    for number in (1, 2, 3):
        answer = send("PUT", "/data/whole", f"partNumber={number}&uploadId={upload}", key, b"%d" % number * 10)
        etags.append((number, answer.headers["etag"].strip('"')))
    complete(send, "whole", upload, etags, key)
    assert send("GET", "/data/whole", "", key).body == b"1" * 10 + b"2" * 10 + b"3" * 10
    (version,) = rows(world)["whole"]
    each = len(version.place) // 3
    one, two, three = (version.place[n * each : (n + 1) * each] for n in range(3))
    a, b, c = version.parts
    for parts, place in (
        ((a, b), one + two),
        ((b, a, c), two + one + three),
        ((a, b, replace(c, number=4)), version.place),
        ((a, b, c, c), version.place + three),
    ):
        size = sum(part.size for part in parts)
        change(world, "whole", parts=parts, place=place, stored=len(place), size=size)
        answer = world.send("GET", "/data/whole", "", key, tls=True)
        assert (answer.status, answer.code) == (500, "XMinioObjectTampered")


@pytest.mark.parametrize("mode", MODES)
def test_size_type_and_metadata_are_authenticated(world, send, mode):
    """Sse.md 18 row 15: they lie in clear, but cannot be changed unnoticed."""
    key = customer() if mode == "SSE-C" else {}
    send("PUT", "/data/meta", "", {**MODES[mode], "x-amz-meta-a": "b", "content-type": "text/x"}, b"hello")
    (version,) = rows(world)["meta"]
    meta = unpack_meta(version.meta)
    from msgspec import structs

    for changes in (
        {"size": 4},
        {"meta": pack_meta(structs.replace(meta, user={"x-amz-meta-a": "c"}))},
        {"meta": pack_meta(structs.replace(meta, user={}))},
        {"meta": pack_meta(structs.replace(meta, headers={"content-type": "text/y"}))},
    ):
        change(world, "meta", **{"size": version.size, "meta": version.meta, **changes})
        answer = world.send("GET", "/data/meta", "", key, tls=True)
        assert (answer.status, answer.code) == (500, "XMinioObjectTampered")
    change(world, "meta", size=version.size, meta=version.meta)
    assert send("GET", "/data/meta", "", key).body == b"hello"


@pytest.mark.parametrize("mode", MODES)
def test_an_object_stays_where_it_was_written(world, send, mode):
    """Sse.md 18 rows 16 and 17: neither a context that says the bucket's name itself nor cleaning a path sets one free.

    `twin/` and `twin` have the same path once it is clean; `x` is another object of the bucket.
    """
    key = customer() if mode == "SSE-C" else {}
    context = base64.b64encode(json.dumps({"data": "anything"}).encode()).decode()
    headers = {**MODES[mode], **({f"{METHOD}-context": context} if "KMS" in mode else {})}
    for name in ("twin", "twin/", "x"):
        send("PUT", f"/data/{name}", "", headers, name.encode())
        assert send("GET", f"/data/{name}", "", key).body == name.encode()
    kept = {name: rows(world)[name][0] for name in ("twin", "twin/", "x")}
    for there, other in (("twin", "twin/"), ("twin/", "twin"), ("x", "twin"), ("twin", "x")):
        rows(world)[there] = [replace(kept[other], key=there)]
        answer = world.send("GET", f"/data/{there}", "", key, tls=True)
        assert answer.status in (400, 403, 500)
        assert other.encode() != answer.body
        rows(world)[there] = [kept[there]]


@pytest.mark.parametrize("key", ["a//b", "a/./b", "a/../b", "./a"])
def test_names_that_cleaning_would_change_are_none(world, key):
    """Sse.md 18 row 17: no two names share a binding, but for a slash at the end (above)."""
    assert world.send("PUT", f"/data/{key}", "", MODES["SSE-S3"], b"x").status == 400


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("small_parts")
def test_attributes_tell_of_plaintext(send, mode):
    """Sse.md 18 row 19: the original tells the sealed sizes of parts, and parts of what has none."""
    key = customer() if mode == "SSE-C" else {}
    checksum = {"x-amz-checksum-algorithm": "SHA256"}
    wanted = {"x-amz-object-attributes": "ObjectParts,ObjectSize,ETag", **key}
    upload, _ = begin(send, "attributes", {**MODES[mode], **checksum})
    etags = []
    for number, content in ((3, b"three"), (7, b"seven!!")):
        value = base64.b64encode(hashlib.sha256(content).digest()).decode()
        more = {**key, "x-amz-checksum-sha256": value}
        answer = send("PUT", "/data/attributes", f"partNumber={number}&uploadId={upload}", more, content)
        etags.append((number, answer.headers["etag"].strip('"')))
    complete(send, "attributes", upload, etags, key)
    body = send("GET", "/data/attributes", "attributes", wanted).body.decode()
    assert re.findall("<Size>([0-9]*)</Size>", body) == ["5", "7"]
    assert "<ObjectSize>12</ObjectSize>" in body
    send("PUT", "/data/single", "", MODES[mode], b"x")
    assert b"ObjectParts" not in send("GET", "/data/single", "attributes", wanted).body


@pytest.mark.parametrize("mode", MODES)
def test_no_sealed_etag_is_shown_while_the_keys_are_away(world, send, mode, monkeypatch):
    """Sse.md 18 row 19: HEAD and the attributes showed its 96 digits, with status 200."""
    key = customer() if mode == "SSE-C" else {}
    put = send("PUT", "/data/etag", "", MODES[mode], b"hello").headers["etag"]

    async def away(*words, **more):
        raise KeyServiceAway("kms:DecryptionFailed")

    monkeypatch.setattr(StaticKey, "unseal", away)
    monkeypatch.setattr(StaticKey, "generate", away)
    assert send("HEAD", "/data/etag", "", key).headers["etag"] == put
    body = send("GET", "/data/etag", "attributes", {"x-amz-object-attributes": "ETag", **key}).body
    assert put.strip('"').encode() in body


@pytest.mark.parametrize("mode", MODES)
def test_damage_is_no_success(world, send, mode):
    """Sse.md 18 row 19: the original answers 206 where a stored size is impossible."""
    key = customer() if mode == "SSE-C" else {}
    send("PUT", "/data/damaged", "", MODES[mode], b"hello")
    (version,) = rows(world)["damaged"]
    for place in (version.place[:20], version.place[:-1], version.place + b"x", bytes(len(version.place))):
        change(world, "damaged", place=place, stored=len(place))
        for method in ("GET", "HEAD"):
            answer = world.send(method, "/data/damaged", "", key, tls=True)
            assert (answer.status, answer.code) == (500, "XMinioObjectTampered") or method == "HEAD"
            assert answer.status != 206


def test_unknown_and_existing_keys_have_codes_of_their_own(world):
    """Sse.md 18 row 6: making a key twice was 500. An unknown key keeps the original's 404 (compatibility.md)."""
    empty = hashlib.sha256(b"").hexdigest()
    made = world.send("POST", "/minio/kms/v1/key/create", "key-id=my-key", payload=empty)
    assert (made.status, json.loads(made.body)["Code"]) == (409, "XMinioKMSKeyExists")
    unknown = {METHOD: "aws:kms", f"{METHOD}-aws-kms-key-id": "nobody"}
    for method, path, query, headers in (
        ("PUT", "/data/unknown", "", unknown),
        ("POST", "/data/unknown", "uploads", unknown),
        ("PUT", "/data/unknown", "", {**unknown, "x-amz-copy-source": "/data/put"}),
    ):
        world.send("PUT", "/data/put", "", {}, b"x")
        answer = world.send(method, path, query, headers)
        assert (answer.status, answer.code) == (404, "kms:KeyNotFound")


def test_readiness_makes_no_key_for_each_who_asks(world, monkeypatch):
    """Sse.md 18 row 20: a data key a probe, for whoever asks."""
    generate, made = StaticKey.generate, []

    async def counted(self, name, context, **more):
        made.append(context)
        return await generate(self, name, context, **more)

    monkeypatch.setattr(StaticKey, "generate", counted)
    for _ in range(20):
        assert world.raw("GET", "/minio/health/ready", "", {"host": "h"}).status == 200
    assert len(made) <= 2


def test_a_key_that_serves_one_bucket_opens_no_other(world, send):
    """Sse.md 18 row 21: SSE-S3 has one key, but no data key of one bucket is of use in another."""
    send("PUT", "/another")
    entry = "X-Minio-Internal-Server-Side-Encryption-S3-Kms-Sealed-Key"
    for bucket in ("data", "another"):
        send("PUT", f"/{bucket}/same", "", MODES["SSE-S3"], b"hello")
    one, two = (rows(world, bucket)["same"][0] for bucket in ("data", "another"))
    assert unpack_meta(one.meta).seal[entry] != unpack_meta(two.meta).seal[entry]
    change(world, "same", meta=two.meta, place=two.place, etag=two.etag)
    assert world.send("GET", "/data/same").status in (400, 403, 500)


def test_a_rule_of_a_prefix_encrypts_that_prefix_alone(world, send):
    """Sse.md 18 row 18: encryption of a prefix became one of the whole bucket; mc asks what a server can."""
    default = (
        "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
    )
    inner = f"<Rule>{default}<Filter><Prefix>secret/</Prefix></Filter></Rule>"
    body = f"<ServerSideEncryptionConfiguration>{inner}</ServerSideEncryptionConfiguration>".encode()
    assert "prefix-encryption" in send("HEAD", "/data").headers["x-strongroom-features"]
    send("PUT", "/data", "encryption", {}, body)
    assert send("PUT", "/data/secret/k", "", {}, b"x").headers[METHOD] == "AES256"
    assert METHOD not in send("PUT", "/data/open/k", "", {}, b"x").headers
    assert METHOD not in send("PUT", "/data/secret", "", {}, b"x").headers
    send("DELETE", "/data", "encryption")
