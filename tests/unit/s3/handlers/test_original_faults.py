"""What the original gets wrong, row by row of the list in sse.md 18, asked of a server in memory.

Rows that need more than that have tests elsewhere that name them (`grep -rin "sse.md 18" tests`).
"""

import base64
import hashlib
import json
import re

import pytest
from s3_modes import METHOD, SEALED, Upload, customer, sender, to_read

from strongroom.s3.domain.key_errors import KeyServiceAway
from strongroom.s3.handlers.call import BoxSettings
from strongroom.s3.outside.static_key import StaticKey

HEADER = 16  # bytes before the content of a sealed package (sse.md 2.1)


@pytest.fixture
def send(world):
    return sender(world, 200, 204, 206)


@pytest.mark.parametrize("mode", SEALED)
def test_a_part_that_is_sent_again_has_another_nonce(world, mode):
    """Sse.md 18 row 1: derived from upload and number, the nonce came twice under one key, and opened both."""
    upload, nonces = Upload(world, "/data/nonces", mode), []
    for content in (b"first", b"other"):
        assert upload.part(1, content).status == 200
        _, sealed = world.box.store._buckets["data"].uploads[upload.id].parts[1]
        nonces.append(sealed[4:HEADER])
    derived = hashlib.sha256(f"{upload.id}1".encode()).digest()[:12]
    assert len({nonce[1:] for nonce in (*nonces, derived)}) == 3


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
        send("PUT", f"/data/list/{number}", "", SEALED["SSE-S3"], b"x" * number)
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


@pytest.mark.parametrize("mode", SEALED)
def test_every_write_tells_how_it_encrypts(world, send, mode):
    """Sse.md 18 row 4: the original is silent at Create, Complete, copies, copied parts and forms."""
    headers, key = SEALED[mode], to_read(mode)
    send("PUT", "/data/source", "", {}, b"hello")
    upload, source = Upload(world, "/data/told", mode), {"x-amz-copy-source": "/data/source"}
    answers = [
        upload.created,
        upload.part(1, b"", source),
        upload.part(1, b"x"),
        upload.complete(),
        send("PUT", "/data/copy", "", {**source, **headers}),
        send("PUT", "/data/put", "", headers, b"x"),
        send("GET", "/data/put", "", key),
        send("HEAD", "/data/put", "", key),
    ]
    for answer in answers:
        assert answer.status == 200
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


@pytest.mark.parametrize("mode", SEALED)
def test_a_form_tells_as_well_and_shows_the_true_etag(world, send, mode):
    """Sse.md 18 rows 4, 5 and 19: no headers, 501 for SSE-KMS, and the sealed ETag in the document of a 201."""
    answer = form(world, SEALED[mode])
    assert answer.status == 201
    name = f"{METHOD}-customer-algorithm" if mode == "SSE-C" else METHOD
    assert answer.headers[name] == SEALED[mode].get(name)
    shown = re.search(rb"<ETag>(?:&#34;|&quot;|\")([0-9a-f]*)", answer.body)[1].decode()
    assert answer.headers["etag"] == f'"{shown}"'
    assert send("GET", "/data/form", "", to_read(mode)).headers["etag"] == f'"{shown}"'
    assert len(shown) == 32
    assert (shown == digest(b"hello")) == (mode == "SSE-S3")


@pytest.mark.parametrize("said", ["AES256", "aws:kms"])
def test_encryption_in_a_header_of_a_form_is_not_passed_over(world, said):
    """Sse.md 18 row 13: the object was stored in clear."""
    world.send("DELETE", "/data/form")
    assert form(world, {}, {METHOD: said}).status >= 400
    assert world.send("HEAD", "/data/form").status == 404


@pytest.mark.parametrize("mode", SEALED)
def test_a_copied_part_may_say_what_its_upload_says(world, send, mode):
    """Sse.md 18 row 5: 501 for headers of SSE-KMS, although the destination is SSE-KMS."""
    send("PUT", "/data/source", "", {}, b"hello")
    upload = Upload(world, "/data/said", mode)
    assert upload.part(1, b"", {"x-amz-copy-source": "/data/source", **SEALED[mode]}).status == 200
    assert upload.complete().status == 200
    assert send("GET", "/data/said", "", to_read(mode)).body == b"hello"


def test_a_key_id_that_was_shown_can_be_asked_for(send):
    """Sse.md 18 row 7: what stands before a shown key's name is no part of it, wherever it is said again."""
    for mode in ("SSE-KMS", "DSSE-KMS"):
        shown = send("PUT", "/data/named", "", SEALED[mode], b"x").headers[f"{METHOD}-aws-kms-key-id"]
        again = {**SEALED[mode], f"{METHOD}-aws-kms-key-id": shown}
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


@pytest.mark.parametrize("mode", ["plain", "SSE-S3", "SSE-KMS", "DSSE-KMS"])
@pytest.mark.parametrize("source", [{}, {"x-amz-copy-source": "/data/source"}])
def test_a_part_with_a_customer_key_that_its_upload_has_not(world, send, mode, source):
    """Sse.md 18 row 13: it was stored in clear, or under another key than its sender thinks."""
    send("PUT", "/data/source", "", {}, b"hello")
    upload = Upload(world, "/data/parts", mode)
    answer = upload.part(1, b"x", {**customer(), **source})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert b"<Part>" not in send("GET", "/data/parts", f"uploadId={upload.id}").body


def test_a_rule_that_encrypts_nothing_is_refused(world, send):
    """Sse.md 18 row 13: the original stores it, and objects stay plain."""
    for inner in ("<Rule/>", "<Rule></Rule>", "", "<Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule>"):
        body = f"<ServerSideEncryptionConfiguration>{inner}</ServerSideEncryptionConfiguration>".encode()
        assert world.send("PUT", "/data", "encryption", {}, body).code == "MalformedXML"
    assert world.send("GET", "/data", "encryption").status == 404


@pytest.fixture
def small_parts(world):
    plain, world.box.settings = world.box.settings, BoxSettings(min_part=1)
    yield
    world.box.settings = plain


@pytest.mark.parametrize("mode", SEALED)
@pytest.mark.usefixtures("small_parts")
def test_attributes_tell_of_plaintext(world, send, mode):
    """Sse.md 18 row 19: the original tells the sealed sizes of parts, and parts of what has none."""
    key = to_read(mode)
    wanted = {"x-amz-object-attributes": "ObjectParts,ObjectSize,ETag", **key}
    upload = Upload(world, "/data/attributes", mode, {"x-amz-checksum-algorithm": "SHA256"})
    for number, content in ((3, b"three"), (7, b"seven!!")):
        value = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert upload.part(number, content, {"x-amz-checksum-sha256": value}).status == 200
    assert upload.complete().status == 200
    body = send("GET", "/data/attributes", "attributes", wanted).body.decode()
    assert re.findall("<Size>([0-9]*)</Size>", body) == ["5", "7"]
    assert "<ObjectSize>12</ObjectSize>" in body
    send("PUT", "/data/single", "", SEALED[mode], b"x")
    assert b"ObjectParts" not in send("GET", "/data/single", "attributes", wanted).body


@pytest.mark.parametrize("mode", SEALED)
def test_no_sealed_etag_is_shown_while_the_keys_are_away(world, send, mode, monkeypatch):
    """Sse.md 18 row 19: HEAD and the attributes showed its 96 digits, with status 200."""
    key = to_read(mode)
    put = send("PUT", "/data/etag", "", SEALED[mode], b"hello").headers["etag"]

    async def away(*words, **more):
        raise KeyServiceAway("kms:DecryptionFailed")

    monkeypatch.setattr(StaticKey, "unseal", away)
    monkeypatch.setattr(StaticKey, "generate", away)
    assert send("HEAD", "/data/etag", "", key).headers["etag"] == put
    body = send("GET", "/data/etag", "attributes", {"x-amz-object-attributes": "ETag", **key}).body
    assert put.strip('"').encode() in body


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
