"""Seals: made, stored, opened; moved, changed or stripped they stay shut."""

import base64
import hashlib

import pytest

from strongroom.crypto.secret import Secret
from strongroom.errors import Tampered
from strongroom.s3.domain import seal_metadata
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.etags import multipart_etag, needs_md5
from strongroom.s3.domain.key_errors import (
    DamagedMetadata,
    KeyNotFound,
    NoKeyService,
    ObjectTampered,
    WrongCiphertext,
    WrongKey,
)
from strongroom.s3.domain.object_seal import Record
from strongroom.s3.domain.seal_metadata import SealInfo, describe
from strongroom.s3.domain.sealing import new_seal, open_seal, reseal
from strongroom.s3.outside.static_key import StaticKey

KEYS = StaticKey("my-key", bytes(range(32)))
CUSTOMER = Secret(hashlib.sha256(b"customer").digest())
WANTS = {
    "sse-s3": Encryption(Kind.S3),
    "sse-kms": Encryption(Kind.KMS, "my-key"),
    "sse-kms-context": Encryption(Kind.KMS, "", {"project": "x<y"}),
    "dsse": Encryption(Kind.KMS, "my-key", dual=True),
    "sse-c": Encryption(Kind.C, customer_key=CUSTOMER),
}
RECORD = Record("b", "o", 5, {"content-type": "text/plain"}, {"x-amz-meta-a": "1"})


@pytest.fixture(params=WANTS)
def want(request):
    return WANTS[request.param]


@pytest.mark.parametrize("bucket_keys", [True, False])
@pytest.mark.parametrize("multipart", [True, False])
async def test_what_was_sealed_opens_where_it_lies(want, bucket_keys, multipart):
    seal = await new_seal(want, "b", "a/o", KEYS, multipart=multipart, bucket_keys=bucket_keys)
    part = 7 if multipart else None
    sealer = seal.sealer(part, 5)
    sealed = bytes(sealer.feed(b"hello")) + bytes(sealer.finish())
    opened = await open_seal(seal.metadata, "b", "a/o", KEYS, CUSTOMER)
    assert seal.info == opened.info  # it was foreseen before there were keys
    opener = opened.opener(part, total_packages=1)
    assert bytes(opener.feed(sealed)) == b"hello"
    opener.finish()
    assert opened.info.kind is want.kind
    assert opened.info.multipart is multipart
    assert opened.open_checksum(seal.seal_checksum(b"crc")) == b"crc"
    if not multipart:
        assert opened.open_small(seal.seal_small(b"hello"), 5) == b"hello"
        with pytest.raises(ObjectTampered):
            opened.open_small(seal.seal_small(b"hello"), 6)
    for bucket, key in (("b", "a/p"), ("c", "a/o")):
        with pytest.raises((WrongKey, WrongCiphertext)):
            await open_seal(seal.metadata, bucket, key, KEYS, CUSTOMER)


async def test_each_object_has_keys_of_its_own(want):
    one, two = [await new_seal(want, "b", "o", KEYS) for _ in range(2)]
    sealed = one.seal_small(b"hello")
    with pytest.raises(ObjectTampered):
        two.open_small(sealed, 5)


async def test_a_bucket_key_stores_the_context_that_an_original_needs():
    kms = await new_seal(WANTS["sse-kms"], "b", "o", KEYS)
    assert base64.b64decode(kms.metadata[seal_metadata.CONTEXT]) == b'{"b":"b"}'
    assert kms.info.bucket_key
    assert kms.info.context == {}  # not the client's: answers do not show it
    without_our_entries = {name: value for name, value in kms.metadata.items() if "Strongroom" not in name}
    assert await open_seal(without_our_entries, "b", "o", KEYS)  # as an original would
    s3 = await new_seal(WANTS["sse-s3"], "b", "o", KEYS)
    assert seal_metadata.CONTEXT not in s3.metadata
    own = await new_seal(WANTS["sse-kms-context"], "b", "o", KEYS)
    assert not own.info.bucket_key  # a request with a context of its own never uses one
    off = await new_seal(Encryption(Kind.S3, bucket_key=False), "b", "o", KEYS)
    assert not off.info.bucket_key


async def test_a_context_with_an_entry_for_the_bucket_keeps_it():
    want = Encryption(Kind.KMS, "my-key", {"b": "other"})
    seal = await new_seal(want, "b", "o", KEYS)
    assert (await open_seal(seal.metadata, "b", "o", KEYS)).info.context == {"b": "other"}
    with pytest.raises(WrongKey):  # the path is bound below the data key all the same
        await open_seal(seal.metadata, "b", "p", KEYS)


async def test_the_record_is_authenticated(want):
    seal = await new_seal(want, "b", "o", KEYS)
    seal.authenticate(RECORD)
    opened = await open_seal(seal.metadata, "b", "o", KEYS, CUSTOMER)
    opened.verify(RECORD)
    for changed in (
        Record("b", "o", 6, RECORD.headers, RECORD.user),
        Record("b", "o//", 5, RECORD.headers, RECORD.user),  # the same path, another name
        Record("b", "o", 5, RECORD.headers, {}),
        Record("b", "o", 5, {}, RECORD.user),
        Record("b", "o", 5, RECORD.headers, RECORD.user, ((1, 5),)),
    ):
        with pytest.raises(ObjectTampered):
            opened.verify(changed)


async def test_the_demand_for_a_tag_cannot_be_taken_off(want):
    seal = await new_seal(want, "b", "o", KEYS)
    seal.authenticate(RECORD)
    stripped = {name: value for name, value in seal.metadata.items() if name != seal_metadata.RECORD}
    with pytest.raises(ObjectTampered):
        (await open_seal(stripped, "b", "o", KEYS, CUSTOMER)).verify(RECORD)
    unmarked = stripped | {seal_metadata.IV: base64.b64encode(bytes(32)).decode()}
    with pytest.raises(WrongKey):
        await open_seal(unmarked, "b", "o", KEYS, CUSTOMER)


async def test_a_customers_multipart_upload_may_be_completed_without_its_key():
    seal = await new_seal(WANTS["sse-c"], "b", "o", None, multipart=True)
    (await open_seal(seal.metadata, "b", "o", None, CUSTOMER)).verify(RECORD)


async def test_key_rotation_leaves_content_etag_and_record_alone():
    other = Secret(bytes(32))
    old = await new_seal(WANTS["sse-c"], "b", "o", None)
    old.authenticate(RECORD)
    sealed = old.seal_small(b"hello")
    for want, customer in ((Encryption(Kind.C, customer_key=other), other), (WANTS["sse-s3"], None)):
        new = await reseal(old, want, "b", "o", KEYS)
        opened = await open_seal(new.metadata, "b", "o", KEYS, customer)
        opened.verify(RECORD)
        assert opened.open_small(sealed, 5) == b"hello"
        with pytest.raises(WrongKey):
            await open_seal(new.metadata | old.metadata, "b", "o", KEYS, other)


async def test_two_layers_stay_two_when_the_key_is_changed():
    old = await new_seal(WANTS["dsse"], "b", "o", KEYS, multipart=True)
    assert old.info.dual
    assert not old.info.bucket_key
    sealed, part = old.seal_small(b"hello"), bytes(old.sealer(3, 7).feed(b"content"))
    new = await reseal(old, WANTS["sse-kms-context"], "b", "o", KEYS)
    assert new.info.dual
    opened = await open_seal(new.metadata, "b", "o", KEYS)
    assert opened.open_small(sealed, 5) == b"hello"
    assert bytes(opened.opener(3).feed(part)) == b"content"
    name = "X-Strongroom-Internal-Outer-Key"
    one_layer = await open_seal({n: v for n, v in new.metadata.items() if n != name}, "b", "o", KEYS)
    with pytest.raises(ObjectTampered):
        one_layer.open_small(sealed, 5)
    exchanged = new.metadata | {name: new.metadata["X-Minio-Internal-Server-Side-Encryption-Kms-Sealed-Key"]}
    with pytest.raises(WrongKey):
        await open_seal(exchanged, "b", "o", KEYS)


def test_etags(want):
    md5 = hashlib.md5(b"hello").digest()
    assert needs_md5(want.kind) is (want.kind is Kind.S3)
    assert multipart_etag([md5.hex()]) == hashlib.md5(md5).hexdigest() + "-1"


async def test_without_a_key_service():
    for name in ("sse-s3", "sse-kms"):
        with pytest.raises(NoKeyService):
            await new_seal(WANTS[name], "b", "o", None)
        seal = await new_seal(WANTS[name], "b", "o", KEYS)
        with pytest.raises(NoKeyService):
            await open_seal(seal.metadata, "b", "o", None)
    seal = await new_seal(WANTS["sse-c"], "b", "o", None)
    with pytest.raises(WrongKey):
        await open_seal(seal.metadata, "b", "o", None)
    with pytest.raises(WrongKey):
        await open_seal(seal.metadata, "b", "o", None, Secret(bytes(32)))
    with pytest.raises(KeyNotFound):
        await new_seal(Encryption(Kind.KMS, "no-such-key"), "b", "o", KEYS)


async def test_what_metadata_says_without_a_key():
    assert describe({}) == SealInfo()
    assert describe({seal_metadata.IV: "x"}) == SealInfo(encrypted=True)
    seal = await new_seal(WANTS["sse-kms-context"], "b", "o", KEYS)
    info = describe(seal.metadata)
    assert (info.kind, info.key_name, info.context) == (Kind.KMS, "my-key", {"project": "x<y"})
    assert (info.key_version, len(info.fingerprint)) == (1, 32)
    broken = describe(seal.metadata | {seal_metadata.CONTEXT: "###", seal_metadata.KEY_VERSION: "x"})
    assert (broken.kind, broken.context, broken.key_version) == (Kind.KMS, {}, 0)
    with pytest.raises(ObjectTampered):
        seal_metadata.read({seal_metadata.IV: "x"})
    with pytest.raises(DamagedMetadata):
        seal_metadata.read(seal.metadata | {seal_metadata.CONTEXT: base64.b64encode(b"[1]").decode()})


async def test_nothing_secret_is_shown(want):
    seal = await new_seal(want, "b", "o", KEYS)
    assert bytes(seal.keys.object_key).hex() not in repr(seal) + repr(seal.keys)
    with pytest.raises(Tampered):
        seal.opener().feed(bytes(100))
