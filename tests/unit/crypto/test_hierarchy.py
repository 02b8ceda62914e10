import base64

import pytest

from strongroom.crypto import hierarchy
from strongroom.crypto.aead import hchacha20
from strongroom.crypto.hierarchy import Domain
from strongroom.crypto.secret import Secret
from strongroom.errors import Malformed, Tampered

ZERO = Secret(bytes(32))
DATA_KEY = Secret(bytes(range(32)))


@pytest.mark.parametrize(
    ("number", "key"),
    [
        (0, "aa7855e13839dd767cd5da7c1ff5036540c9264b7a803029315e55375287b4af"),
        (1, "a3e7181c6eed030fd52f79537c56c4d07da92e56d374ff1dd2043350785b37d8"),
        (10000, "f86e65c396ed52d204ee44bd1a0bbd86eb8b01b7354e67a3b3ae0e34dd5bd115"),
    ],
)
def test_part_keys_of_the_specification(number, key):
    assert bytes(hierarchy.part_key(ZERO, number)).hex() == key


def test_sealed_etag_of_the_specification():
    sealed = bytes.fromhex(
        "20000f00f27834c9a2654927546df57f9e998187496394d4ee80f3d9978f85f3c7d81f72600cdbe03d80dc5a13d69354"
    )
    assert hierarchy.open_etag(ZERO, sealed).hex() == "8ad3fe6b84bf38489e95c701c84355b6"
    again = hierarchy.seal_etag(ZERO, bytes(16))
    assert len(again) == 48
    assert hierarchy.open_etag(ZERO, again) == bytes(16)
    with pytest.raises(Tampered):
        hierarchy.open_etag(DATA_KEY, again)


def test_customer_key_of_the_specification():
    client = Secret(base64.b64decode("MzJieXRlc2xvbmdzZWNyZXRrZXltdXN0cHJvdmlkZWQ="))
    iv = base64.b64decode("coVfGS3I/CTrqexX5vUN+PQPoP9aUFiPYYrSzqTWfBA=")
    sealed = base64.b64decode(
        "IAAfAMBdYor5tf/UlVaQvwYlw5yKbPBeQqfygqsfHqhu1wHD9KDAP4bw38AhL12prFTS23JbbR9Re5Qv26ZnlQ=="
    )
    key = hierarchy.open_object_key(sealed, client, iv, Domain.SSE_C, "bucket/object")
    assert bytes(key).hex() == "d4bef6fb18079e63828e8ab5953d9ae6d765d410d70e098d5c3d309731668f4e"
    with pytest.raises(Tampered):
        hierarchy.open_object_key(sealed, client, iv, Domain.SSE_C, "bucket/object2")


def test_an_object_key_opens_only_where_it_was_sealed():
    object_key, iv = hierarchy.new_object_key(DATA_KEY), hierarchy.new_iv()
    sealed = hierarchy.seal_object_key(object_key, DATA_KEY, iv, Domain.SSE_S3, "b/o")
    assert len(sealed) == hierarchy.SEALED_KEY_SIZE
    assert hierarchy.open_object_key(sealed, DATA_KEY, iv, Domain.SSE_S3, "b/o") == object_key
    for key, other_iv, domain, path in (
        (ZERO, iv, Domain.SSE_S3, "b/o"),
        (DATA_KEY, hierarchy.new_iv(), Domain.SSE_S3, "b/o"),
        (DATA_KEY, iv, Domain.SSE_KMS, "b/o"),
        (DATA_KEY, iv, Domain.SSE_S3, "b/p"),
    ):
        with pytest.raises(Tampered):
            hierarchy.open_object_key(sealed, key, other_iv, domain, path)


def test_what_is_no_sealed_key_is_malformed():
    sealed, iv = bytes(64), bytes(32)
    for broken, broken_iv, algorithm in (
        (sealed[:-1], iv, hierarchy.ALGORITHM),
        (sealed, iv[:-1], hierarchy.ALGORITHM),
        (sealed, iv, "unknown"),
        (sealed, iv, hierarchy.LEGACY_ALGORITHM),  # only with SSE-C
    ):
        with pytest.raises(Malformed):
            hierarchy.open_object_key(broken, DATA_KEY, broken_iv, Domain.SSE_S3, "b/o", algorithm)


def test_derived_keys_differ():
    keys = [
        hierarchy.checksum_key(ZERO),
        hierarchy.index_key(ZERO),
        hierarchy.record_key(ZERO),
        hierarchy.part_key(ZERO, 1),
        hierarchy.new_object_key(ZERO),
        hierarchy.new_object_key(ZERO),
    ]
    assert len({bytes(key) for key in keys}) == len(keys)


def test_hchacha20_of_the_draft():
    """draft-irtf-cfrg-xchacha-03, 2.2.1."""
    subkey = hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))
    assert subkey.hex() == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    with pytest.raises(ValueError, match="12 bytes"):
        hchacha20(bytes(32), bytes(12))
