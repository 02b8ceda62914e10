"""What a row says is decoded and verified once, and again as soon as anything in it or its list keys differs."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.s3.domain.aside import aside
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.key_errors import ObjectTampered
from strongroom.s3.domain.object_record import ObjectMeta, pack_meta
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.domain.sealing import new_seal
from strongroom.s3.handlers import revealed
from strongroom.s3.handlers.list_keys import ListKeys
from strongroom.s3.handlers.revealed import RevealedRows
from strongroom.s3.outside.static_key import StaticKey

ID = b"abcd"


def list_keys() -> ListKeys:
    return ListKeys({ID: AESGCM(bytes(32))}, frozenset({ID}))


async def row(keys: ListKeys, key: str = "k") -> ObjectVersion:
    seal = await new_seal(Encryption(Kind.S3), "b", key, StaticKey("my-key", bytes(32)))
    meta = ObjectMeta(headers={"content-type": "text/plain"}, user={"x-amz-meta-a": "1"}, seal=seal.metadata)
    etag = keys.vouch("0" * 32, key, aside(meta, b"tags", b""), hidden=True)
    return ObjectVersion(key, "null", 1, 5, 37, etag, True, meta=pack_meta(meta), tags=b"tags")


async def test_a_row_is_read_once():
    rows, keys = RevealedRows(), list_keys()
    found = rows.get(keys, await row(keys))
    assert found.etag == "0" * 32
    assert found.info.kind is Kind.S3
    assert ("X-Amz-Server-Side-Encryption", "AES256") in found.headers
    assert ("x-amz-meta-a", "1") in found.headers
    version = await row(keys)
    assert rows.get(keys, version) is rows.get(keys, version)


@pytest.mark.parametrize("change", [{"tags": b"other"}, {"tags": b""}, {"lock": b"lock"}])
async def test_what_was_changed_behind_our_back_is_found_after_it_was_read_well(change):
    rows, keys = RevealedRows(), list_keys()
    version = await row(keys)
    rows.get(keys, version)
    with pytest.raises(ObjectTampered):
        rows.get(keys, replace(version, **change))
    with pytest.raises(ObjectTampered):
        rows.get(keys, replace(version, key="elsewhere"))
    with pytest.raises(ObjectTampered):
        rows.get(keys, replace(version, etag=version.etag[:-1] + bytes([version.etag[-1] ^ 1])))


async def test_an_etag_that_could_not_be_opened_is_tried_with_other_list_keys():
    rows, keys = RevealedRows(), list_keys()
    version = await row(keys)
    without = ListKeys({}, frozenset({ID}))
    assert rows.get(without, version).etag != "0" * 32
    assert rows.get(keys, version).etag == "0" * 32


async def test_few_rows_and_no_large_ones_are_kept(monkeypatch):
    monkeypatch.setattr(revealed, "LIMIT", 2)
    rows, keys = RevealedRows(), list_keys()
    versions = [await row(keys, name) for name in "abc"]
    first = rows.get(keys, versions[0])
    rows.get(keys, versions[1])
    assert rows.get(keys, versions[0]) is first
    rows.get(keys, versions[2])  # the one in the middle was used least recently
    assert rows.get(keys, versions[0]) is first
    assert rows._kept.cache_info().currsize == 2
    monkeypatch.setattr(revealed, "LARGEST", 1)
    rows.get(keys, await row(keys, "large"))
    assert rows._kept.cache_info().currsize == 2
