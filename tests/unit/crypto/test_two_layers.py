"""The second layer: the same bytes however they are split, nothing readable without it, every change found."""

import os

import pytest

from strongroom.crypto import dare
from strongroom.crypto.two_layers import OuterLayer, TwoLayerOpener, TwoLayerSealer
from strongroom.errors import Tampered

KEY, OUTER = bytes(range(32)), bytes(range(32, 64))
SIZES = [1, 100, dare.PACKAGE_SIZE - 1, dare.PACKAGE_SIZE, dare.PACKAGE_SIZE + 1, 3 * dare.PACKAGE_SIZE + 5]


def sealed(plain, step=1 << 20, size=None):
    sealer = TwoLayerSealer(KEY, OUTER, size=size)
    pieces = [bytes(sealer.feed(plain[at : at + step])) for at in range(0, len(plain), step)]
    return b"".join([*pieces, bytes(sealer.finish())])


def opened(data, step=1 << 20, key=KEY, outer=OUTER):
    opener = TwoLayerOpener(key, outer)
    plain = b"".join([bytes(opener.feed(data[at : at + step])) for at in range(0, len(data), step)])
    opener.finish()
    return plain


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [7, 16, 4096, 65536, 65568, 1 << 20])
def test_round_trips_in_pieces_of_any_size(size, step):
    plain = os.urandom(size)
    if size > 10_000 and step == 7:
        step = 997
    data = sealed(plain, step)
    assert len(data) == dare.sealed_size(size)
    assert opened(data, step) == plain
    assert opened(sealed(plain, size=size)) == plain


def test_a_range_begins_at_a_package():
    plain = os.urandom(4 * dare.PACKAGE_SIZE + 10)
    data = sealed(plain)
    opener = TwoLayerOpener(KEY, OUTER, 2, 5, partial=True)
    got = bytes(opener.feed(data[2 * dare.SEALED_PACKAGE : 4 * dare.SEALED_PACKAGE]))
    assert got == plain[2 * dare.PACKAGE_SIZE : 4 * dare.PACKAGE_SIZE]


def test_neither_key_opens_it_alone():
    plain = os.urandom(100_000)
    data = sealed(plain)
    inner = dare.StreamOpener(KEY)
    with pytest.raises(Tampered):
        inner.feed(data)
    for keys in ({"key": os.urandom(32)}, {"outer": os.urandom(32)}):
        with pytest.raises(Tampered):
            opened(data, **keys)


def test_the_inner_stream_is_an_ordinary_one():
    plain = os.urandom(200_000)
    stream = bytes(OuterLayer(OUTER).apply(sealed(plain)))
    opener = dare.StreamOpener(KEY)
    assert bytes(opener.feed(stream)) == plain
    opener.finish()


def test_every_changed_byte_is_found():
    data = sealed(os.urandom(50))
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(Tampered):
            opened(changed)


def test_the_same_content_never_meets_the_same_key_stream():
    plain = bytes(1000)
    first, second = sealed(plain), sealed(plain)
    inner = [bytes(OuterLayer(OUTER).apply(data)) for data in (first, second)]
    streams = [
        bytes(a ^ b for a, b in zip(data, one, strict=True))[16:]
        for data, one in zip((first, second), inner, strict=True)
    ]
    assert streams[0] != streams[1]
