"""Stored keys: what is written is read, and any other bytes are damaged (docs/formats/kes-stored-key.md)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.keyciphertext import KeyType
from strongroom.kes.domain.errors import StoredKeyDamaged
from strongroom.kes.domain.records import Moment, StoredKey
from strongroom.kes.domain.storedkey import decode, encode

_moments = st.builds(Moment, st.integers(-62135596800, 253402300799), st.integers(0, 999_999_999))
_keys = st.binary(min_size=32, max_size=32)


@given(st.builds(StoredKey, _keys, st.sampled_from(KeyType), _keys, _moments, st.text(max_size=64)))
def test_round_trip(stored: StoredKey) -> None:
    assert decode(encode(stored)) == stored


@given(st.binary(max_size=300))
def test_any_bytes(value: bytes) -> None:
    try:
        decode(value)
    except StoredKeyDamaged:
        return


def test_no_key_shows_itself() -> None:
    stored = StoredKey(b"k" * 32, KeyType.AES256, b"h" * 32)
    assert "kkkk" not in repr(stored)
    assert "hhhh" not in repr(stored)


def test_times() -> None:
    assert Moment(0).text() == "1970-01-01T00:00:00Z"
    assert Moment(1795398496, 634936432).text() == "2026-11-23T01:48:16.634936432Z"
    assert Moment(1795398496, 500_000_000).text() == "2026-11-23T01:48:16.5Z"
    assert Moment(-62135596800).text() == "0001-01-01T00:00:00Z"


_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.mark.parametrize(
    "members",
    [
        {"algorithm": ["AES256"]},
        {"algorithm": {"AES256": 1}},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": "9999-12-31T23:59:59-14:00"},
        {"created_by": ["x"]},
    ],
)
def test_odd_members_of_an_old_key_are_damage(members: dict[str, object]) -> None:
    with pytest.raises(StoredKeyDamaged):
        decode(json.dumps({"bytes": _KEY} | members).encode())
