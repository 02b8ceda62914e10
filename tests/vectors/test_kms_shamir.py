"""Shares of the original combine to its secrets, and ours combine again."""

import json
from itertools import combinations, islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.shamir import combine, invert, multiply, split

SETS = json.loads((Path(__file__).parent / "kms/shamir.json").read_text())["sets"]
SETS = [entry for entry in SETS if "keys_hex" in entry]


@pytest.mark.parametrize("shares", SETS, ids=lambda s: f"{s.get('threshold')}of{s.get('shares')}")
def test_recorded_quorums(shares):
    parts = [bytes.fromhex(text) for text in shares["keys_hex"]]
    secret = bytes.fromhex(shares["secret_hex"])
    if shares["shares"] == 1:
        assert parts[0] == secret
        return
    assert [part[-1] for part in parts] == shares["x"]
    for quorum in islice(combinations(parts, shares["threshold"]), 12):
        assert combine(quorum) == secret
    if shares["threshold"] > 2:
        assert combine(parts[: shares["threshold"] - 1]) != secret


@given(st.binary(min_size=1, max_size=20), st.integers(2, 6), st.integers(0, 4))
def test_split_and_combine(secret, threshold, more):
    parts = split(secret, threshold + more, threshold)
    assert len({part[-1] for part in parts}) == len(parts)
    assert 0 not in {part[-1] for part in parts}
    assert combine(parts[-threshold:]) == secret


def test_field_arithmetic():
    for a in range(1, 256):
        assert multiply(a, invert(a)) == 1
    assert multiply(0x57, 0x83) == 0xC1  # FIPS 197, 4.2


def test_parts_that_do_not_belong_together():
    parts = split(b"secret", 3, 2)
    with pytest.raises(Refused, match="same length"):
        combine([parts[0], parts[1][1:]])
    with pytest.raises(Refused, match="duplicate part"):
        combine([parts[0], bytes(6) + parts[0][-1:]])
    with pytest.raises(Refused):
        combine([parts[0]])
