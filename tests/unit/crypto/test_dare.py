"""The sealed stream: any split gives the same bytes, any changed byte is refused, nothing unverified comes out."""

import itertools
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.crypto import dare
from strongroom.crypto.aead import Cipher
from strongroom.errors import Incomplete, Malformed, Tampered

KEY = bytes(range(32))
EDGES = [0, 1, 15, 16, 17, 65535, 65536, 65537, 131071, 131072, 131073, 200000]
P = dare.PACKAGE_SIZE


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def seal(plaintext: bytes, cuts: list[int] = (), cipher: Cipher = Cipher.AES_256_GCM, size: int | None = None) -> bytes:
    sealer = dare.StreamSealer(KEY, cipher, size=size)
    out = b"".join(bytes(sealer.feed(piece)) for piece in split(plaintext, cuts))
    return out + bytes(sealer.finish())


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def open_pieces(sealed: bytes, cuts: list[int] = (), **options: object) -> bytes:
    opener = dare.StreamOpener(KEY, **options)
    out = b"".join(bytes(opener.feed(piece)) for piece in split(sealed, cuts))
    opener.finish()
    return out


def reference_open(key: bytes, sealed: bytes) -> bytes:
    """The specification once more, written as plainly as it goes (sse.md 2.1)."""
    out, index = b"", 0
    while sealed:
        length = struct.unpack_from("<H", sealed, 2)[0] + 1
        low = struct.unpack_from("<I", sealed, 12)[0] ^ index
        nonce = sealed[4:12] + struct.pack("<I", low)
        out += AESGCM(key).decrypt(nonce, sealed[16 : 32 + length], sealed[:4])
        assert (sealed[4] >> 7) == (len(sealed) == 32 + length)
        sealed, index = sealed[32 + length :], index + 1
    return out


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("known", [True, False])
def test_every_edge_size_is_what_the_specification_describes(size, known):
    sealed = seal(pattern(size), [7, 65536, 70000], size=size if known else None)
    assert len(sealed) == dare.sealed_size(size)
    assert dare.plain_size(len(sealed)) == size
    assert reference_open(KEY, sealed) == pattern(size) == dare.open_small(KEY, sealed)
    assert dare.package_count(size) == len(sealed) // dare.SEALED_PACKAGE + bool(len(sealed) % dare.SEALED_PACKAGE)


def test_sizes_of_the_specification():
    assert [dare.sealed_size(n) for n in (0, 1, 65536, 65537)] == [0, 33, 65568, 65601]
    for impossible in (-1, 1, 20, 32, 65568 + 1, 65568 + 32):
        with pytest.raises(Tampered):
            dare.plain_size(impossible)


@given(st.sampled_from(EDGES), st.lists(st.integers(0, 210_000), max_size=6), st.booleans(), st.sampled_from(Cipher))
@settings(max_examples=60, deadline=None)
def test_any_split_seals_and_opens_the_same(size, cuts, known, cipher):
    sealed = seal(pattern(size), cuts, cipher, size if known else None)
    assert open_pieces(sealed, cuts) == pattern(size)
    assert open_pieces(sealed, [cut + 11 for cut in cuts], total_packages=dare.package_count(size)) == pattern(size)


def test_byte_by_byte():
    sealed = seal(pattern(100))
    assert open_pieces(sealed, list(range(len(sealed)))) == pattern(100)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_any_changed_bit_is_refused(data):
    size = data.draw(st.sampled_from([1, 40, 65536, 65540, 131072]))
    sealed = bytearray(dare.seal_small(KEY, pattern(size)))
    place = data.draw(
        st.one_of(st.integers(0, len(sealed) - 1), st.integers(0, 15), st.integers(-min(40, len(sealed)), -1))
    )
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Tampered):
        dare.open_small(KEY, bytes(sealed))
    with pytest.raises(Tampered):
        open_pieces(bytes(sealed), [30, 65560, 70000])


@given(st.integers(0, 131072 + 3 * 32), st.sampled_from([65536, 65540, 131072]))
@settings(max_examples=60, deadline=None)
def test_no_other_length_opens(keep, size):
    sealed = dare.seal_small(KEY, pattern(size))
    if 0 < keep < len(sealed):
        with pytest.raises(Tampered):
            open_pieces(sealed[:keep], [65000])
    with pytest.raises(Tampered):
        open_pieces(sealed + sealed[:keep] + b"x", [len(sealed)])


def test_packages_cannot_change_places_or_streams():
    one, two = (dare.seal_small(KEY, pattern(3 * P)) for _ in range(2))
    s = dare.SEALED_PACKAGE
    for mixed in (one[s : 2 * s] + one[:s] + one[2 * s :], one[:s] + two[s:], one[s:], one[: 2 * s], one[2 * s :]):
        with pytest.raises(Tampered):
            open_pieces(mixed)


@given(st.data(), st.integers(1, 5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_changed_package_in_a_row_of_full_ones_is_refused_and_wiped(data, number, known):
    size = 6 * P
    start = number * dare.SEALED_PACKAGE
    header, body = st.integers(0, 15), st.integers(16, dare.SEALED_PACKAGE - 1)
    sealed = bytearray(ROW)
    sealed[start + data.draw(st.one_of(header, body))] ^= 1 << data.draw(st.integers(0, 7))
    opener = dare.StreamOpener(KEY, 0, dare.package_count(size) if known else None)
    with pytest.raises(Tampered):
        opener.feed(sealed)
    with pytest.raises(Tampered):
        open_pieces(bytes(sealed), [start, start + 20, start + 3 * dare.SEALED_PACKAGE])


ROW = dare.seal_small(KEY, pattern(6 * P))


def test_full_packages_in_a_row_keep_their_order():
    s = dare.SEALED_PACKAGE
    packages = [ROW[at : at + s] for at in range(0, len(ROW), s)]
    assert open_pieces(b"".join(packages)) == pattern(6 * P)
    for one, two in itertools.combinations(range(6), 2):
        order = [*packages]
        order[one], order[two] = order[two], order[one]
        with pytest.raises(Tampered):
            open_pieces(b"".join(order))
        with pytest.raises(Tampered):
            open_pieces(b"".join(packages[:one] + packages[two:]), total_packages=6)


def test_the_number_of_packages_is_checked_when_known():
    sealed = dare.seal_small(KEY, pattern(2 * P))
    for total in (0, 1, 3):
        with pytest.raises(Tampered):
            open_pieces(sealed, total_packages=total)
    with pytest.raises(Tampered):
        open_pieces(b"", total_packages=1)
    assert open_pieces(b"", total_packages=0) == b"" == open_pieces(b"")


def test_nothing_of_a_window_comes_out_before_its_tags_verified():
    sealed = bytearray(dare.seal_small(KEY, pattern(3 * P)))
    sealed[-1] ^= 1
    opener = dare.StreamOpener(KEY)
    with pytest.raises(Tampered):
        opener.feed(bytes(sealed))
    assert not any(opener._buffer)  # the library writes before it verifies: wiped


@given(st.integers(0, 3 * P + 100), st.integers(1, 3 * P + 100))
@settings(max_examples=60, deadline=None)
def test_any_range_opens_alone(start, length):
    size = 3 * P + 101
    stop = min(start + length, size)
    sealed = RANGED
    span = dare.package_span(start, stop, size)
    opener = dare.StreamOpener(KEY, span.first, dare.package_count(size), partial=True)
    plain = bytes(opener.feed(sealed[span.start : span.stop]))
    opener.finish()
    assert plain[span.skip : span.skip + stop - start] == pattern(size)[start:stop]


RANGED = dare.seal_small(KEY, pattern(3 * P + 101))


def test_a_range_must_begin_with_its_own_package():
    opener = dare.StreamOpener(KEY, 0, partial=True)
    with pytest.raises(Tampered):
        opener.feed(RANGED[dare.SEALED_PACKAGE :])


def test_a_range_over_parts_is_planned_as_the_specification_shows():
    (span,) = dare.part_spans([297435132, 297435132], 594870256, 594870264)
    assert (span.index, span.base + span.span.start, span.span.stop - span.span.start) == (1, 595127964, 32796)
    assert (span.span.skip, span.span.first, span.length) == (32756, 4538, 8)
    both = dare.part_spans([100, 0, 70000], 50, 60000)
    assert [(one.index, one.length) for one in both] == [(0, 50), (2, 59900)]
    assert dare.part_spans([0, 0], 0, 0) == []


def test_an_announced_size_is_kept():
    sealer = dare.StreamSealer(KEY, size=10)
    sealer.feed(b"x" * 9)
    with pytest.raises(Incomplete):
        sealer.finish()
    with pytest.raises(Malformed):
        sealer.feed(b"xx")


def test_streams_have_random_nonces():
    headers = {bytes(dare.StreamSealer(KEY, size=1).feed(b"x"))[4:16] for _ in range(50)}
    assert len(headers) == 50


def seal_version_1(plaintext: bytes, packages: list[int]) -> bytes:
    """A DARE 1.0 stream as the specification describes it: a sequence number, 8 bytes of nonce, no end mark."""
    out, at = b"", 0
    for number, size in enumerate(packages):
        chunk = plaintext[at : at + size]
        header = struct.pack("<BBHI", 0x10, 0, len(chunk) - 1, number) + b"12345678"
        out += header + AESGCM(KEY).encrypt(header[4:], chunk, header[:4])
        at += size
    return out


def test_version_1_is_read():
    old = seal_version_1(pattern(P + 500), [P, 500])
    assert open_pieces(old, [3, 20, 65600]) == pattern(P + 500)
    assert open_pieces(old, total_packages=2) == pattern(P + 500)
    opener = dare.StreamOpener(KEY, 1, partial=True)
    assert bytes(opener.feed(old[dare.SEALED_PACKAGE :])) == pattern(P + 500)[P:]
    for broken in (old[dare.SEALED_PACKAGE :], old[:-1], old + b"x", old[:-1] + bytes([old[-1] ^ 1])):
        with pytest.raises(Tampered):
            open_pieces(broken)
    with pytest.raises(Tampered):
        open_pieces(old[: dare.SEALED_PACKAGE], total_packages=2)
    with pytest.raises(Tampered):
        open_pieces(old[: dare.SEALED_PACKAGE] + dare.seal_small(KEY, b"x"))
